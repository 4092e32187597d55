"""What the schema cannot tell of a config: keys that contradict each other, numbers that are none."""

import math
from collections.abc import Iterator
from typing import Any

MOST_CHECKPOINTS = (
    400  # of a member; Snakemake plans their chain by recursion, and between 400 and 1,000 Python stops it
)


def shown(value: Any) -> str:
    """Return a value as the user may recognize it, cut short."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def contradictions(settings: dict[str, Any]) -> Iterator[str]:
    """Yield what the schema cannot tell: keys that contradict each other, numbers that are none."""
    models, chosen = settings["models"], settings["submission"]["from"]
    if chosen == "best" and settings["folds"]["count"] == 1 and len(models) > 1:
        yield (
            "submission.from: best needs folds to compare the models by (folds.count is 1); "
            "raise folds.count or name models: [" + ", ".join(models) + "]"
        )
    for name in [] if chosen == "best" else chosen:
        if name not in models:
            yield f"submission.from: no model {shown(name)}; there are {', '.join(models)}"
    yield from contradictions_in_data(settings["data"])
    for name, model in models.items():
        if model["schedule"].get("warm_up", 0) >= model["epochs"]:
            yield (
                f"models.{name}.schedule.warm_up: {model['schedule']['warm_up']:g} epochs are not fewer than "
                f"epochs ({model['epochs']}): the rate would only rise; lower it"
            )
        if model["epochs"] > MOST_CHECKPOINTS * model["checkpoint_every"]:
            enough = math.ceil(model["epochs"] / MOST_CHECKPOINTS)
            yield (
                f"models.{name}.epochs: {model['epochs']} epochs with a checkpoint every {model['checkpoint_every']} "
                f"are more than {MOST_CHECKPOINTS} jobs in a row, which Snakemake cannot plan; "
                f"raise checkpoint_every to {enough} or more"
            )
        if len(model["vary"]) > settings["folds"]["count"]:
            yield (
                f"models.{name}.vary: {len(model['vary'])} entries, but folds.count is "
                f"{settings['folds']['count']}: those beyond it would never be used; leave them out"
            )
    yield from not_finite(settings, ())


def contradictions_in_data(data: dict[str, Any]) -> Iterator[str]:
    """Yield what contradicts itself in how the tables are to be read."""
    prefix = data["pixels"]
    for key in ("label", "id"):
        if data[key] and prefix != "auto" and data[key].startswith(prefix) and data[key][len(prefix) :].isdecimal():
            yield f"data.{key}: {shown(data[key])} is a pixel column, as data.pixels says; name another column"
    if data["id"] is not None and data["id"] == data["label"]:
        yield f"data.id: {shown(data['id'])} is the label column (data.label); name another column"
    if data["label"] is None and data["train_labels"] is None:
        yield "data.label: null leaves the training images without labels; name their column, or data.train_labels"
    low, high = (
        bound if data[key] == "auto" else data[key]
        for key, bound in (("pixel_min", -math.inf), ("pixel_max", math.inf))
    )
    if low >= high:
        yield f"data.pixel_min: {low:g} is not less than data.pixel_max ({high:g})"
    if data["test"] is None:
        for key in ("test_labels", "sample_submission"):
            if data[key] is not None:
                yield f"data.{key}: there is no test table (data.test is null); leave it out"


def not_finite(value: Any, path: tuple[str, ...]) -> Iterator[str]:
    """Yield a sentence for each infinite or undefined number."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from not_finite(item, (*path, key))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from not_finite(item, (*path, str(number)))
    elif isinstance(value, float) and not math.isfinite(value):
        yield f"{'.'.join(path)}: {value} is not a finite number"
