"""Find errors in a config that the schema cannot find: keys that contradict each other, numbers that are not finite."""

import math
from collections.abc import Iterator
from typing import Any

# Jobs in a row of one member. Snakemake plans them by recursion, which Python stops somewhere between 400 and 1,000.
MOST_JOBS = 400


def format_value(value: Any) -> str:
    """Return a value as text, as the user wrote it, with 60 characters at most."""
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def find_contradictions(settings: dict[str, Any]) -> Iterator[str]:
    """Yield a message for each error that the schema cannot find."""
    models, chosen = settings["models"], settings["submission"]["from"]
    if chosen == "best" and settings["folds"]["count"] == 1 and len(models) > 1:
        yield (
            "submission.from: best needs folds to compare the models, but folds.count is 1; "
            "raise folds.count, or name the models: [" + ", ".join(models) + "]"
        )
    for name in [] if chosen == "best" else chosen:
        if name not in models:
            yield f"submission.from: there is no model {format_value(name)}; the models are {', '.join(models)}"
    yield from find_data_contradictions(settings["data"])
    for name, model in models.items():
        if model["schedule"].get("warm_up", 0) >= model["epochs"]:
            yield (
                f"models.{name}.schedule.warm_up: {model['schedule']['warm_up']:g} must be less than epochs "
                f"({model['epochs']}), otherwise the learning rate only rises; lower warm_up"
            )
        if model["workers"] > 1 and model["batch_size"] == "full":
            yield (
                f"models.{name}.workers: {model['workers']} workers with batch_size: full would take one step each per "
                "epoch; set a batch_size, or workers: 1"
            )
        if model["skip_easy"]["keep"] < 1 and (model["workers"] > 1 or model["batch_size"] == "full"):
            obstacle = "workers" if model["workers"] > 1 else "batch_size"
            yield (
                f"models.{name}.skip_easy.keep: {model['skip_easy']['keep']:g} needs one worker and batches, but "
                f"{obstacle} is {model[obstacle]}; set keep: 1, or change {obstacle}"
            )
        views = model["predict"]["test_time_augmentation"]
        inputs = [section.get("input", model["input"]) for section in model["vary"] or [model]]
        if views > 1 and "edges" in inputs:
            where = f"vary.{inputs.index('edges')}.input" if model["input"] == "pixels" else "input"
            yield (
                f"models.{name}.predict.test_time_augmentation: {views} views need networks that see pixels, but "
                f"{where} is edges; set test_time_augmentation: 1, or input: pixels"
            )
        most = MOST_JOBS // (2 if model["workers"] > 1 else 1)  # a round of workers is two jobs in a row
        if model["epochs"] > most * model["checkpoint_every"]:
            enough = math.ceil(model["epochs"] / most)
            yield (
                f"models.{name}.epochs: {model['epochs']} epochs with checkpoint_every: {model['checkpoint_every']} "
                f"need more than {MOST_JOBS} jobs in a row, which Snakemake cannot plan; "
                f"raise checkpoint_every to {enough} or more"
            )
        if len(model["vary"]) > settings["folds"]["count"]:
            yield (
                f"models.{name}.vary: {len(model['vary'])} entries, but folds.count is "
                f"{settings['folds']['count']}, and each fold uses one entry; remove entries or raise folds.count"
            )
    yield from find_non_finite(settings, ())


def find_data_contradictions(data: dict[str, Any]) -> Iterator[str]:
    """Yield a message for each contradiction between the keys of the `data` section."""
    prefix = data["pixels"]
    for key in ("label", "id"):
        if data[key] and prefix != "auto" and data[key].startswith(prefix) and data[key][len(prefix) :].isdecimal():
            yield f"data.{key}: {format_value(data[key])} is a pixel column of data.pixels; name another column"
    if data["id"] is not None and data["id"] == data["label"]:
        yield f"data.id: {format_value(data['id'])} is the label column (data.label); name another column"
    if data["label"] is None and data["train_labels"] is None:
        yield "data.label: null leaves the training images without labels; name the column, or set data.train_labels"
    low, high = (
        bound if data[key] == "auto" else data[key]
        for key, bound in (("pixel_min", -math.inf), ("pixel_max", math.inf))
    )
    if low >= high:
        yield f"data.pixel_min: {low:g} must be less than data.pixel_max ({high:g})"
    if data["test"] is None:
        for key in ("test_labels", "sample_submission"):
            if data[key] is not None:
                yield f"data.{key}: there is no test table (data.test is null); remove this key, or set data.test"


def find_non_finite(value: Any, path: tuple[str, ...]) -> Iterator[str]:
    """Yield a message for each infinite or undefined number."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from find_non_finite(item, (*path, key))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from find_non_finite(item, (*path, str(number)))
    elif isinstance(value, float) and not math.isfinite(value):
        yield f"{'.'.join(path)}: {value} is not a finite number"
