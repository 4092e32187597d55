"""What each result depends on.

The name of every result holds a key: a hash of the options its stage reads, the code the stage can run,
the versions of the packages that code uses, the content of the tables, and the names (with their
keys) of the results it is made from. A file with the right name is right, whoever made it and when;
a change asks for another name. So existence is validity, and no record or date has to be trusted.
This package itself is in no key: it decides whether a job runs, never the bytes of its result.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from mnist_numpy.planning.config import member_options
from mnist_numpy.planning.graph import Job, Needs, stage

FIGURES = ("learning", "augmentation", "weights", "confusion", "mistakes", "reliability", "comparison")


# what decides how a table is read
LOOKS = ("separator", "header", "label", "pixels", "shape", "order", "pixel_min", "pixel_max", "invert")


class Context(NamedTuple):
    """What results depend on beside the config.

    Attributes
    ----------
    tables
        The checksum of each table, by split and shard; of files of labels under `train_labels` and
        `test_labels`, of the sample submission under `sample_submission`.
    code
        Returns the hash of the code that a rule can run.
    packages
        Returns the versions of the packages that a rule uses.
    epochs_made
        Returns the epochs whose checkpoints are in a folder.
    """

    tables: Mapping[str, Mapping[str, str]]
    code: Callable[[str], str]
    packages: Callable[[str], dict[str, str]]
    epochs_made: Callable[[str], list[int]]


class Results:
    """The jobs that a config asks for, and the names of all they make.

    Parameters
    ----------
    settings
        The whole config.
    context
        What else results depend on.
    """

    def __init__(self, settings: dict[str, Any], context: Context) -> None:
        self.settings, self.context = settings, context
        self.data, self.folding, self.models = (settings[key] for key in ("data", "folds", "models"))
        members = (
            member_options(model, fold) for model in self.models.values() for fold in range(len(model["vary"] or [0]))
        )
        self.preprocesses = {preprocess_name(options["preprocess"]): options["preprocess"] for options in members}
        self.jobs: dict[tuple[Any, ...], Job] = {}
        self.makers: dict[str, Job] = {}

    # --- Stage by stage, in the order in which the data flow --------------------------------------

    @stage("normalize/{split}", shard="{shard}.parquet")
    def normalize(self, split: str, shard: str) -> Needs:
        """Normalize one table to Parquet."""
        options = subset(self.data, *LOOKS, "labels" if split == "train" else "id")
        options["label_file"] = self.context.tables[f"{split}_labels"].get(shard)
        return Needs(options, table=self.context.tables[split][shard])

    @stage("quality", quality="quality.json")
    def quality(self) -> Needs:
        """Describe the tables."""
        return Needs(subset(self.data, "labels"), {"train": self.shards("train"), "test": self.shards("test")})

    @stage("samples", samples="samples.svg")
    def samples(self) -> Needs:
        """Draw sample images."""
        return Needs(subset(self.settings["figures"], "samples", "seed"), {"shards": self.shards("train")})

    @stage("folds", folds="folds.parquet")
    def folds(self) -> Needs:
        """Assign each training row to a fold."""
        return Needs({**self.folding, **subset(self.data, "labels")}, {"shards": self.shards("train")})

    @stage("prepare/{preprocess}", images="{shard}.npy")
    def prepare(self, preprocess: str, shard: str) -> Needs:
        """Straighten the images of a train shard, and lay them out for training."""
        return Needs(
            {"preprocess": self.preprocesses[preprocess]}, {"shard": self.normalize("train", shard).outputs["shard"]}
        )

    @stage("train/{model}/fold-{fold}", state="epoch-{epoch:04d}.npz", history="epoch-{epoch:04d}.csv")
    def train(self, model: str, fold: int, epoch: int) -> Needs:
        """Train one member up to an epoch.

        The key does not depend on the epoch, so that raising `epochs` adds to the chain; nor on the
        checkpoint that training continues from, which leads to the same state.
        """

        def previous(folder: str) -> dict[str, list[str]]:
            start = self.continues_from(model, epoch, folder)
            return {"previous": [f"{folder}/epoch-{start:04d}.{kind}" for kind in ("npz", "csv")] if start else []}

        options = {"model": self.training_options(model, fold), "fold": fold, **subset(self.data, "labels")}
        inputs: dict[str, str | list[str]] = {
            "shards": self.shards("train"),
            "images": self.images(model, fold),
            "folds": self.folds().outputs["folds"],
        }
        return Needs(options, inputs, also=previous)

    @stage("export/{model}/fold-{fold}", weights="weights.npz")
    def export(self, model: str, fold: int) -> Needs:
        """Export the weights of one member."""
        trained = {**self.training_options(model, fold), **subset(self.models[model], "epochs")}
        state = self.chain(model, fold)[-1].outputs["state"]
        return Needs(
            {"model": trained, **subset(self.data, "labels")}, {"state": state, "shards": self.shards("train")}
        )

    @stage("evaluate/{model}", validation="validation.parquet", metrics="evaluation.json")
    def evaluate(self, model: str) -> Needs:
        """Predict the training rows out of fold, and score a model."""
        count = self.folding["count"]
        return Needs(
            {**subset(self.models[model], "predict"), **subset(self.data, "labels")},
            {
                "weights": self.weights(model),
                "shards": self.shards("train"),
                "images": list(dict.fromkeys(path for fold in range(count) for path in self.images(model, fold))),
                "folds": self.folds().outputs["folds"],
            },
        )

    @stage("compare", comparison="comparison.csv")
    def compare(self) -> Needs:
        """Rank the models."""
        averaged = self.settings["submission"]["from"] != "best" and len(self.candidates) > 1
        return Needs(
            {"models": list(self.models), "mean_of": self.candidates if averaged else []},
            {"validations": self.of_models("validation"), "weights": self.first_members()},
        )

    @stage("predict/{model}", predictions="{shard}.parquet")
    def predict(self, model: str, shard: str) -> Needs:
        """Predict one shard of the test set with a model."""
        return Needs(
            subset(self.models[model], "predict"),
            {"weights": self.weights(model), "shard": self.normalize("test", shard).outputs["shard"]},
        )

    @stage("score/{model}", metrics="metrics.json")
    def score(self, model: str) -> Needs:
        """Add the accuracy on a labelled test set to a model's scores."""
        inputs = {"evaluation": self.evaluate(model).outputs["metrics"]}
        if model not in self.candidates:  # it predicts nothing
            return Needs({}, inputs)
        shards = self.context.tables["test"]
        predictions = [self.predict(model, shard).outputs["predictions"] for shard in shards]
        return Needs({}, {**inputs, "shards": self.shards("test"), "predictions": predictions})

    @stage("submission", submission="submission.csv")
    def submission(self) -> Needs:
        """Assemble the submission. Where models are named, their ranking does not matter."""
        section = self.settings["submission"]
        return Needs(
            {**subset(section, "from", "columns"), **subset(self.data, "id"), "models": self.candidates},
            {
                "predictions": self.predictions(),
                "comparison": self.compare().outputs["comparison"] if section["from"] == "best" else [],
            },
            table=self.context.tables["sample_submission"].get("sample"),
        )

    @stage("figures", **{name: f"{name}.svg" for name in FIGURES})
    def figures(self) -> Needs:
        """Draw the figures of training and of errors."""
        return Needs(
            {"models": list(self.models)},
            {
                "histories": self.histories(),
                "evaluations": self.of_models("metrics"),
                "validations": self.of_models("validation"),
                "weights": self.first_members(),
                "shards": self.shards("train"),
                "comparison": self.compare().outputs["comparison"],
            },
        )

    @stage("report", page="report.html")
    def report(self) -> Needs:
        """Make the page. It shows the config, but not where tables are nor how the work was divided."""
        tables = {split: list(self.context.tables[split]) for split in ("train", "test")}
        models = {
            name: {key: value for key, value in model.items() if key not in ("threads", "checkpoint_every")}
            for name, model in self.models.items()
        }
        config = {**self.settings, "models": models, "data": {**self.data, **tables}}
        # the page shows confusion and mistakes image by image itself
        shown = [name for name in FIGURES if name not in ("confusion", "mistakes")]
        return Needs(
            {"config": config, "candidates": self.candidates},
            {
                "quality": self.quality().outputs["quality"],
                "submission": self.submission().outputs["submission"] if tables["test"] else [],
                "metrics": [self.score(model).outputs["metrics"] for model in self.models],
                "train": self.shards("train"),
                "test": self.shards("test"),
                "predictions": self.predictions(),
                "figures": [self.samples().outputs["samples"], *(self.figures().outputs[name] for name in shown)],
                "weights": [path for model in self.models for path in self.weights(model)],
                **subset(self.figures().inputs, "histories", "validations", "comparison"),
            },
        )

    # --- What stages read of one another ----------------------------------------------------------

    @property
    def candidates(self) -> list[str]:
        """The models whose predictions the submission is made of."""
        chosen = self.settings["submission"]["from"]
        return list(self.models) if chosen == "best" else chosen

    def shards(self, split: str) -> list[str]:
        """Return the shards of a split, in the order of the config."""
        return [self.normalize(split, shard).outputs["shard"] for shard in self.context.tables[split]]

    def images(self, model: str, fold: int) -> list[str]:
        """Return the prepared images of the train shards, as a member wants them."""
        name = preprocess_name(member_options(self.models[model], fold)["preprocess"])
        return [self.prepare(name, shard).outputs["images"] for shard in self.context.tables["train"]]

    def weights(self, model: str) -> list[str]:
        """Return the weights of a model's members, in the order of the folds."""
        return [self.export(model, fold).outputs["weights"] for fold in range(self.folding["count"])]

    def histories(self) -> list[str]:
        """Return the histories of all members: models in order, and folds within them."""
        return [
            self.chain(model, fold)[-1].outputs["history"]
            for model in self.models
            for fold in range(self.folding["count"])
        ]

    def of_models(self, name: str) -> list[str]:
        """Return a file of each model's evaluation."""
        return [self.evaluate(model).outputs[name] for model in self.models]

    def first_members(self) -> list[str]:
        """Return the weights of each model's first member."""
        return [self.export(model, 0).outputs["weights"] for model in self.models]

    def predictions(self) -> list[str]:
        """Return what the submission is made of: models in order, and shards within them."""
        return [
            self.predict(model, shard).outputs["predictions"]
            for model in self.candidates
            for shard in self.context.tables["test"]
        ]

    def training_options(self, model: str, fold: int) -> dict[str, Any]:
        """Return what a member's state after a given epoch depends on.

        How many epochs follow counts only where the schedule looks ahead. `threads` and
        `checkpoint_every` divide the same work differently.
        """
        left_out = {"predict", "threads", "checkpoint_every", "vary"}
        if self.models[model]["schedule"]["name"] == "constant":
            left_out.add("epochs")
        options = member_options(self.models[model], fold)
        return {key: value for key, value in options.items() if key not in left_out}

    def chain(self, model: str, fold: int) -> list[Job]:
        """Return the jobs that train a member, from the first checkpoint to the last."""
        jobs: list[Job] = []
        epoch = self.models[model]["epochs"]
        while epoch:
            jobs.insert(0, self.train(model, fold, epoch))
            epoch = self.continues_from(model, epoch, jobs[0].folder)
        return jobs

    def continues_from(self, model: str, epoch: int, folder: str) -> int:
        """Return the epoch of the checkpoint that training up to an epoch continues from, or 0.

        It is the newest there is, unless a later one is planned.
        """
        every = self.models[model]["checkpoint_every"]
        made = [before for before in self.context.epochs_made(folder) if before < epoch]
        return max([(epoch - 1) // every * every, *made])


def preprocess_name(section: Mapping[str, Any]) -> str:
    """Return a `preprocess` section as a short name, which no other section has."""
    parts = ["deskew"] * section["deskew"]
    if section["ink_spread"] is not None:
        parts += ["spread", *map(str, section["ink_spread"])]
    return "-".join(parts) or "as-given"


def subset(section: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    """Return some keys of a section."""
    return {key: section[key] for key in keys}


def epochs_in(folder: Path) -> list[int]:
    """Return the epochs whose checkpoints, state and history, are in a folder."""
    try:
        files = {path.name for path in folder.iterdir()}
    except OSError:
        return []  # there is no such folder yet
    states = (name.removesuffix(".npz") for name in files if name.endswith(".npz"))
    return sorted(int(state.removeprefix("epoch-")) for state in states if f"{state}.csv" in files)
