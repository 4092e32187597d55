"""The jobs that train the members, with one worker or several.

Several workers of a round start from the average of the round before, each on its own share of the rows. A job then
averages their states. This is local SGD (Stich, "Local SGD converges fast and communicates little", 2019), or federated
averaging (McMahan et al., "Communication-efficient learning of deep networks from decentralized data", 2017).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from mnist_numpy.planning.config import member_options
from mnist_numpy.planning.graph import Job, Needs, digest, stage


class TrainingStages:
    """The stages of `keys.Results` that train members.

    One worker is trained by `train`, several by `start`, `work` and `average`. With several, the key of each job
    depends on the jobs before it, so that no round continues from a state of other rounds.
    """

    context: Any
    data: Mapping[str, Any]
    folding: Mapping[str, Any]
    models: Mapping[str, Any]
    jobs: dict[tuple[Any, ...], Job]
    makers: dict[str, Job]
    folds: Callable[[], Job]
    shards: Callable[..., list[str]]
    images: Callable[[str, Iterable[int], str, Iterable[str]], list[str]]

    @stage("train/{model}/fold-{fold}", state="epoch-{epoch:04d}.npz", history="epoch-{epoch:04d}.csv")
    def train(self, model: str, fold: int, epoch: int) -> Needs:
        """Train one member up to an epoch.

        The key does not depend on the epoch, so that raising `epochs` adds checkpoints to the same folder. Nor does it
        depend on the previous checkpoint, because training reaches the same state from each of them.
        """

        def previous(folder: str) -> dict[str, list[str]]:
            start = self.find_start(model, epoch, folder)
            return {"previous": [f"{folder}/epoch-{start:04d}.{kind}" for kind in ("npz", "csv")] if start else []}

        options = {"model": self.training_options(model, fold), "fold": fold, "labels": self.data["labels"]}
        folds = self.folds().outputs["folds"]
        images = self.images(model, [fold], "train", self.context.tables["train"])
        return Needs(options, {"shards": self.shards("train"), "images": images, "folds": folds}, also=previous)

    @stage("start/{model}/fold-{fold}", state="start.npz")
    def start(self, model: str, fold: int) -> Needs:
        """Draw the initial weights of a member, and find the labels, so that no worker needs all shards."""
        options = {"model": self.training_options(model, fold), "fold": fold, "labels": self.data["labels"]}
        return Needs(options, {"shards": self.shards("train")})

    @stage(
        "work/{model}/fold-{fold}",
        state="epoch-{epoch:04d}-worker-{worker}.npz",
        history="epoch-{epoch:04d}-worker-{worker}.csv",
    )
    def work(self, model: str, fold: int, epoch: int, worker: int) -> Needs:
        """Train one worker of a member from the average of the round before up to an epoch."""
        options = self.training_options(model, fold)
        first = self.round_start(model, epoch)
        state = (self.average(model, fold, first) if first else self.start(model, fold)).outputs["state"]
        share = deal(list(self.context.tables["train"]), options["workers"], [options["seed"], fold, first])[worker]
        names = [part["shard"] for part in share]
        return Needs(
            {"model": options, "fold": fold, "epochs": [first, epoch], "worker": worker, "share": share},
            {
                "state": state,
                "shards": self.shards("train", names),
                "images": self.images(model, [fold], "train", names),
                "folds": self.folds().outputs["folds"],
            },
        )

    @stage("average/{model}/fold-{fold}", state="epoch-{epoch:04d}.npz", history="epoch-{epoch:04d}.csv")
    def average(self, model: str, fold: int, epoch: int) -> Needs:
        """Average the workers of a member at the end of a round, and score the average on the held-out rows."""
        # from the first round on, because Python limits how deep these methods may call each other
        before = [self.average(model, fold, end) for end in self.round_ends(model, epoch) if end < epoch]
        parts = [self.work(model, fold, epoch, worker).outputs for worker in range(self.models[model]["workers"])]
        held_out: dict[str, str | list[str]] = {
            "shards": self.shards("train"),
            "images": self.images(model, [fold], "train", self.context.tables["train"]),
            "folds": self.folds().outputs["folds"],
        }
        if self.folding["count"] == 1:
            held_out = {}
        return Needs(
            {"model": self.training_options(model, fold), "fold": fold},
            {
                "states": [part["state"] for part in parts],
                "histories": [part["history"] for part in parts],
                "previous": before[-1].outputs["history"] if before else [],
                **held_out,
            },
        )

    def training_options(self, model: str, fold: int) -> dict[str, Any]:
        """Return the options that a member's state after a given epoch depends on.

        The last epoch matters only to a schedule that ends with it.
        """
        without_effect = {"predict", "vary", *options_without_effect(self.models[model])}
        if self.models[model]["schedule"]["name"] == "constant":
            without_effect.add("epochs")
        options = member_options(self.models[model], fold)
        return {key: value for key, value in options.items() if key not in without_effect}

    def chain(self, model: str, fold: int) -> list[Job]:
        """Return the jobs that make a member's checkpoints, from the first to the last."""
        jobs: list[Job] = []
        epoch = self.models[model]["epochs"]
        if self.models[model]["workers"] > 1:
            return [self.average(model, fold, end) for end in self.round_ends(model, epoch)]
        while epoch:
            jobs.insert(0, self.train(model, fold, epoch))
            epoch = self.find_start(model, epoch, jobs[0].folder)
        return jobs

    def find_start(self, model: str, epoch: int, folder: str) -> int:
        """Return the epoch of the checkpoint from which training up to `epoch` continues, or 0.

        It is the latest checkpoint before `epoch`, whether it exists or is planned.
        """
        every = self.models[model]["checkpoint_every"]
        existing = [before for before in self.context.find_epochs(folder) if before < epoch]
        return max([(epoch - 1) // every * every, *existing])

    def round_start(self, model: str, epoch: int) -> int:
        """Return the epoch after which the round of an epoch begins."""
        every: int = self.models[model]["checkpoint_every"]
        return (epoch - 1) // every * every

    def round_ends(self, model: str, epoch: int) -> list[int]:
        """Return the last epoch of each round up to an epoch."""
        every = self.models[model]["checkpoint_every"]
        return [*range(every, epoch, every), epoch]


def options_without_effect(model: Mapping[str, Any]) -> list[str]:
    """Return the options of a model that change no result.

    Several workers average after `checkpoint_every`, so it changes their results.
    """
    division = ["threads"] if model["workers"] > 1 else ["threads", "checkpoint_every", "workers"]
    return division if model["skip_easy"]["keep"] < 1 else [*division, "skip_easy"]


def deal(shards: Sequence[str], workers: int, seed: Sequence[int]) -> list[list[dict[str, Any]]]:
    """Deal the shards to workers, so that each row is in exactly one share.

    The shards are put in an order that depends on the seed, and this row of shards is cut into equal parts.

    Parameters
    ----------
    shards
        The names of the train shards.
    workers
        Number of workers.
    seed
        The seed of the order.

    Returns
    -------
    list of list of dict
        For each worker the parts of shards in its share: `shard`, and `span`, which are the start and end of the part
        as multiples of a `workers`-th of the shard. `place` is the place of the shard in the order.
    """
    order = sorted(shards, key=lambda shard: digest([*seed, shard]))
    shares: list[list[dict[str, Any]]] = [[] for _ in range(workers)]
    for worker, share in enumerate(shares):
        first, last = worker * len(order), (worker + 1) * len(order)
        for place in range(first // workers, -(-last // workers)):
            span = [max(first - place * workers, 0), min(last - place * workers, workers)]
            share.append({"shard": order[place], "place": place, "span": span})
    return shares
