# What the stages ask of a cluster, memory (mem_mb) and time (runtime, minutes), by these functions. export,
# samples, figures and report run where Snakemake runs (`localrule`); the last two hold the training images there.
# No result depends on any of this, and nothing reruns because of it.

import math

from mnist_numpy.planning import estimates

# of a table that nobody has looked at yet: fewer pixels make more rows of the same file
PIXELS = math.prod(DATA["shape"] if DATA["shape"] != "auto" else (28, 28))
CLASSES = len(DATA["labels"]) if DATA["labels"] != "auto" else 10


def megabytes(work):
    """Turn bytes, as a function of the wildcards, into `mem_mb`: more at every attempt."""
    return lambda wildcards, attempt: attempt * (
        estimates.BASE_MB + math.ceil(work(wildcards) / 1e6)
    )


def minutes(work):
    """Turn seconds, as a function of the wildcards, into `runtime`: more at every attempt."""
    return lambda wildcards, attempt: attempt * (
        estimates.BASE_MINUTES + math.ceil(work(wildcards) / 60)
    )


def most_rows(split, shard=None):
    """Return a number of rows that a split, or one shard of it, surely does not exceed."""
    tables = [SHARDS[split][shard]] if shard else SHARDS[split].values()
    return (
        sum(estimates.most_cells(str(place(table))) for table in tables) // PIXELS + 1
    )


def sizes(model):
    return [PIXELS, *MODELS[model]["hidden"], CLASSES]


def normalize_bytes(wildcards):
    return 400e6  # streamed, whatever the size of the table


def normalize_seconds(wildcards):
    rows = most_rows(wildcards.split, wildcards.shard)
    return rows * PIXELS / estimates.CELLS_PARSED


def all_rows(wildcards):
    return most_rows("train") + most_rows("test")


def quality_bytes(wildcards):
    return 64 * all_rows(wildcards)  # hashes of the images, sorted


def quality_seconds(wildcards):
    return all_rows(wildcards) * PIXELS / estimates.PIXELS_SCANNED


def folds_bytes(wildcards):
    return 64 * most_rows("train")  # ids, labels and folds; no images


def folds_seconds(wildcards):
    return most_rows("train") * 1e-5


def training_needs(model, threads):
    """Return the bytes that training takes in all, however few rows there are, and those that each row adds."""
    fixed, a_row = estimates.training_bytes(MODELS[model], sizes(model), threads)
    return estimates.PYTHON_BYTES + fixed, a_row


def train_bytes(wildcards):
    model = wildcards.model
    fixed, a_row = training_needs(model, MODELS[model]["threads"])
    return fixed + a_row * most_rows("train")


def train_seconds(wildcards):
    model = member_options(MODELS[wildcards.model], int(wildcards.fold))
    epochs = (int(wildcards.epoch) - 1) % model["checkpoint_every"] + 1
    return estimates.training_seconds(
        model, sizes(wildcards.model), most_rows("train"), epochs
    )


def members_bytes(model):
    """Return the size of all members' weights, once for each view."""
    views = MODELS[model]["predict"]["test_time_augmentation"]
    return 8 * FOLDS["count"] * views * estimates.parameter_count(sizes(model))


def forward_seconds(model, rows):
    """Return how long all members may take to predict some rows."""
    passes = FOLDS["count"] * MODELS[model]["predict"]["test_time_augmentation"]
    operations = 2 * passes * rows * estimates.parameter_count(sizes(model))
    scanned = passes * rows * PIXELS / estimates.PIXELS_SCANNED
    return operations / estimates.FLOATING_POINT_OPERATIONS + scanned


def postures(model):
    """Return in how many postures a model's members see an image, at most."""
    return max(1, len(MODELS[model]["vary"]))


def evaluate_bytes(wildcards):
    # the images as given, in each posture, and those that a member was trained on, with what it says of them
    a_row = (2 + postures(wildcards.model)) * PIXELS + (
        64 + 16 * FOLDS["count"]
    ) * CLASSES
    return members_bytes(wildcards.model) + a_row * most_rows("train")


def evaluate_seconds(wildcards):
    return forward_seconds(wildcards.model, most_rows("train"))


def compare_bytes(wildcards):
    return 8 * len(MODELS) * most_rows("train") * (CLASSES + 4)


def compare_seconds(wildcards):
    return len(MODELS) * most_rows("train") * 1e-5


def predict_bytes(wildcards):
    # a row group at a time, its pixels four bytes wide while they are decoded
    a_row = (6 + postures(wildcards.model)) * PIXELS + 32 * CLASSES
    return 100e6 + 4096 * a_row + members_bytes(wildcards.model)


def predict_seconds(wildcards):
    return forward_seconds(wildcards.model, most_rows("test", wildcards.shard))


def submission_bytes(wildcards):
    return 100e6 + 64 * most_rows("test") * bool(
        DATA["id"] or DATA["sample_submission"]
    )


def submission_seconds(wildcards):
    return len(results().candidates) * most_rows("test") * 1e-5
