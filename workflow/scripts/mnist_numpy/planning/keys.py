"""What each result depends on.

The path of every result holds a key. The key is a hash of the options that the stage reads, the code that it can run,
the versions of the packages that this code uses, the content of the tables, and the paths (with their keys) of the
results that the stage reads. After a change, the config asks for a result with another key. A result that exists is
therefore valid, and no date or record has to be trusted. The code of `planning` is not part of any key: it decides
whether a job runs, but never changes the bytes of a result.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from mnist_numpy.planning.captions import read_captions
from mnist_numpy.planning.config import member_options
from mnist_numpy.planning.graph import Job, Needs, stage
from mnist_numpy.planning.training import TrainingStages, options_without_effect

CAPTIONS = read_captions()
FIGURES = [name for name in CAPTIONS if name != "samples"]  # these are drawn by the rule figures
# the keys of `data` that say how to read a table
LAYOUT = ("separator", "header", "label", "pixels", "shape", "order", "pixel_min", "pixel_max", "invert")


class Context(NamedTuple):
    """What results depend on, besides the config.

    Attributes
    ----------
    tables
        The checksum of each table, by split and shard. Files of labels are under `train_labels` and
        `test_labels`, and the sample submission is under `sample_submission`.
    code
        Returns the hash of the code that a rule can run.
    packages
        Returns the versions of the packages that a rule uses.
    find_epochs
        Returns the epochs whose checkpoints are in a folder.
    """

    tables: Mapping[str, Mapping[str, str]]
    code: Callable[[str], str]
    packages: Callable[[str], dict[str, str]]
    find_epochs: Callable[[str], list[int]]


class Results(TrainingStages):
    """The jobs of a config, and the paths of their results. Each rule has a method that returns its job.

    Parameters
    ----------
    settings
        The whole config.
    context
        What the results depend on, besides the config.
    """

    def __init__(self, settings: dict[str, Any], context: Context) -> None:
        self.settings, self.context = settings, context
        self.data, self.folding, self.models = (settings[key] for key in ("data", "folds", "models"))
        members = [member_options(m, fold) for m in self.models.values() for fold in range(max(1, len(m["vary"])))]
        self.preprocesses = {preprocess_name(options["preprocess"]): options["preprocess"] for options in members}
        self.jobs: dict[tuple[Any, ...], Job] = {}
        self.makers: dict[str, Job] = {}

    # --- Stages, in the order of the data flow ----------------------------------------------------

    @stage("normalize/{split}", shard="{shard}.parquet")
    def normalize(self, split: str, shard: str) -> Needs:
        """Normalize one table to Parquet."""
        options = subset(self.data, *LAYOUT, "labels" if split == "train" else "id")
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

    @stage("prepare/{preprocess}/{split}", images="{shard}.npy")
    def prepare(self, preprocess: str, split: str, shard: str) -> Needs:
        """Decode and straighten the images of a shard."""
        decoded = self.normalize(split, shard).outputs["shard"]
        return Needs({"preprocess": self.preprocesses[preprocess]}, {"shard": decoded})

    @stage("export/{model}/fold-{fold}", weights="weights.npz")
    def export(self, model: str, fold: int) -> Needs:
        """Export the weights of one member."""
        trained = {**self.training_options(model, fold), **subset(self.models[model], "epochs")}
        state = self.chain(model, fold)[-1].outputs["state"]
        options = {"model": trained, **subset(self.data, "labels")}
        return Needs(options, {"state": state, "shards": self.shards("train")})

    @stage("evaluate/{model}", validation="{shard}.parquet", counts="{shard}.json")
    def evaluate(self, model: str, shard: str) -> Needs:
        """Predict the rows of a train shard out of fold, and count errors."""
        return Needs(
            subset(self.models[model], "predict"),
            {
                "weights": self.weights(model),
                "shard": self.normalize("train", shard).outputs["shard"],
                "images": self.images(model, range(self.folding["count"]), "train", [shard]),
                "folds": self.folds().outputs["folds"],
            },
        )

    @stage("summarize/{model}", validation="validation.parquet", metrics="evaluation.json", examples="examples.json")
    def summarize(self, model: str) -> Needs:
        """Join the evaluations of all train shards, and compute the metrics of a model."""
        parts = [self.evaluate(model, shard).outputs for shard in self.context.tables["train"]]
        return Needs(
            {}, {"parts": [part["validation"] for part in parts], "counts": [part["counts"] for part in parts]}
        )

    @stage("compare", comparison="comparison.csv")
    def compare(self) -> Needs:
        """Rank the models."""
        averaged = self.settings["submission"]["from"] != "best" and len(self.candidates) > 1
        return Needs(
            {"models": list(self.models), "mean_of": self.candidates if averaged else []},
            {"validations": self.evaluations("validation"), "weights": self.first_weights()},
        )

    @stage("predict/{model}", predictions="{shard}.parquet")
    def predict(self, model: str, shard: str) -> Needs:
        """Predict one shard of the test set with a model."""
        return Needs(
            subset(self.models[model], "predict"),
            {
                "weights": self.weights(model),
                "shard": self.normalize("test", shard).outputs["shard"],
                "images": self.images(model, range(self.folding["count"]), "test", [shard]),
            },
        )

    @stage("score/{model}", metrics="metrics.json")
    def score(self, model: str) -> Needs:
        """Add the accuracy on a labelled test set to the metrics of a model."""
        inputs = {"evaluation": self.summarize(model).outputs["metrics"]}
        if model not in self.candidates:  # this model does not predict the test set
            return Needs({}, inputs)
        shards = self.context.tables["test"]
        predictions = [self.predict(model, shard).outputs["predictions"] for shard in shards]
        return Needs({}, {**inputs, "shards": self.shards("test"), "predictions": predictions})

    @stage("submission", submission="submission.csv")
    def submission(self) -> Needs:
        """Write the submission. It depends on the ranking only if `from` is `best`."""
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
        """Draw the figures of training, of errors and of the comparison."""
        return Needs(
            {"models": list(self.models)},
            {
                "histories": self.histories(),
                "evaluations": self.evaluations("metrics"),
                "examples": self.evaluations("examples"),
                "weights": self.first_weights(),
                "shards": self.shards("train"),
                "comparison": self.compare().outputs["comparison"],
            },
        )

    @stage("report", page="report.html")
    def report(self) -> Needs:
        """Write the HTML report. It shows the config without the paths of the tables, threads and checkpoints."""
        tables = {split: list(self.context.tables[split]) for split in ("train", "test")}
        models = {
            name: {key: value for key, value in model.items() if key not in options_without_effect(model)}
            for name, model in self.models.items()
        }
        config = {**self.settings, "models": models, "data": {**self.data, **tables}}
        # the report has its own confusion matrix and mistakes, with the images
        captions = {name: c._asdict() for name, c in CAPTIONS.items() if name not in ("confusion", "mistakes")}
        drawn = {**self.figures().outputs, **self.samples().outputs}
        return Needs(
            {"config": config, "candidates": self.candidates, "captions": captions},
            {
                "quality": self.quality().outputs["quality"],
                "submission": self.submission().outputs["submission"] if tables["test"] else [],
                "metrics": [self.score(model).outputs["metrics"] for model in self.models],
                "train": self.shards("train"),
                "test": self.shards("test"),
                "predictions": self.predictions(),
                "figures": [drawn[name] for name in captions],
                "weights": [path for model in self.models for path in self.weights(model)],
                **subset(self.figures().inputs, "histories", "examples", "comparison"),
            },
        )

    # --- Inputs of stages -------------------------------------------------------------------------

    @property
    def candidates(self) -> list[str]:
        """The models that predict the test set."""
        chosen = self.settings["submission"]["from"]
        return list(self.models) if chosen == "best" else chosen

    def shards(self, split: str, names: Iterable[str] | None = None) -> list[str]:
        """Return the shards of a split, or some of them, in the order of the config or of their names."""
        names = self.context.tables[split] if names is None else names
        return [self.normalize(split, shard).outputs["shard"] for shard in names]

    def images(self, model: str, folds: Iterable[int], split: str, shards: Iterable[str]) -> list[str]:
        """Return the prepared images of some shards, for each `preprocess` section of some members of a model."""
        sections = [member_options(self.models[model], fold)["preprocess"] for fold in folds]
        names = dict.fromkeys(preprocess_name(section) for section in sections)
        return [self.prepare(name, split, shard).outputs["images"] for name in names for shard in shards]

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

    def evaluations(self, name: str) -> list[str]:
        """Return one file of the evaluation of each model, by its name in the rule `summarize`."""
        return [self.summarize(model).outputs[name] for model in self.models]

    def first_weights(self) -> list[str]:
        """Return the weights of the first member of each model."""
        return [self.export(model, 0).outputs["weights"] for model in self.models]

    def predictions(self) -> list[str]:
        """Return the predictions for the submission: models in order, and shards within them."""
        return [
            self.predict(model, shard).outputs["predictions"]
            for model in self.candidates
            for shard in self.context.tables["test"]
        ]


def preprocess_name(section: Mapping[str, Any]) -> str:
    """Return a short name of a `preprocess` section; different sections have different names."""
    parts = ["deskew"] * section["deskew"]
    if section["ink_spread"] is not None:
        parts += ["spread", *map(str, section["ink_spread"])]
    return "-".join(parts) or "as-given"


def subset(section: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    """Return some keys of a section."""
    return {key: section[key] for key in keys}
