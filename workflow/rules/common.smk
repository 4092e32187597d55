# What the rules share: the checked configuration, and the names of files that follow from it.

import glob
import os
import re
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

sys.path.insert(
    0, str(Path(workflow.current_basedir.get_path_or_uri(secret_free=True)).resolve())
)

from digest import code_digest, file_identity
from settings import member_options, read_settings

SETTINGS = read_settings(config, workflow.configfiles, workflow.config_settings.config)
DATA, FOLDS, MODELS = SETTINGS["data"], SETTINGS["folds"], SETTINGS["models"]
SUFFIXES = (".zip", ".gz", ".bz2", ".xz", ".zst", ".csv")


def find_shards(paths, key):
    """Return the input file of every shard by its name: the file's, without its suffixes."""
    shards, files = {}, set()
    for pattern in [paths] if isinstance(paths, str) else paths or []:
        found = (
            sorted(glob.glob(pattern, recursive=True))
            if glob.has_magic(pattern)
            else [pattern]
        )
        if not found:
            raise WorkflowError(f"{key}: no file matches {pattern}")
        for path in found:
            name = Path(path).name
            for suffix in SUFFIXES:
                name = name.removesuffix(suffix)
            if not re.fullmatch(r"[^{}<>\x00-\x1f\x7f]+", name):
                raise WorkflowError(
                    f"{key}: {path!r} cannot name a result (it is empty, or has braces, < or > or a line break); rename it"
                )
            if os.path.realpath(path) in files:
                raise WorkflowError(
                    f"{key}: {path} is the same file as another; name each once"
                )
            if name in shards:
                raise WorkflowError(
                    f"{key}: {shards[name]} and {path} would both be the shard {name!r}; rename one"
                )
            shards[name] = path
            files.add(os.path.realpath(path))
    return shards


PATHS = workflow.modifier.path_modifier
IS_MODULE = workflow.modifier.parent_modifier is not None


def place(path):
    """Return where a file lies: where `path` says, or under the prefix of a module."""
    return str(PATHS.replace_prefix(path))


def find(path):
    """Return where a table lies, on disk or in a bucket, and whether it is there."""
    if not workflow.storage_settings.default_storage_provider:
        return place(path), os.path.exists(place(path))
    stored = PATHS.apply_default_storage(place(path)).flags["storage_object"]
    return stored.query, stored.exists()


def require(path, key):
    """Refuse a table that is not there: Snakemake would take what was made of another for its result."""
    # within another workflow a rule may make it
    if any(above.is_producer(place(path)) for above in workflow.rules):
        return
    where, found = find(path)
    if not found:
        above = ", or the rule that makes it above `use rule`" * IS_MODULE
        raise WorkflowError(
            f"{key}: there is no file {where}; mend the path or put the file there{above}"
        )


SHARDS = {
    split: find_shards(DATA[split], f"data.{split}") for split in ("train", "test")
}
# where the labels are in files of their own: by shard
LABEL_FILES = {}
for split in SHARDS:
    files = list(find_shards(DATA[f"{split}_labels"], f"data.{split}_labels").values())
    if files and len(files) != len(SHARDS[split]):
        raise WorkflowError(
            f"data.{split}_labels: {len(files)} files for {len(SHARDS[split])} in data.{split}; name one for each"
        )
    LABEL_FILES[split] = dict(zip(SHARDS[split], files))
if workflow.is_main_process:  # which plans for the others
    for split in SHARDS:
        for path in SHARDS[split].values():
            require(path, f"data.{split}")
        for path in LABEL_FILES[split].values():
            require(path, f"data.{split}_labels")
    if DATA["sample_submission"]:
        require(DATA["sample_submission"], "data.sample_submission")
FOLD_FILE = f"results/data/folds-{FOLDS['count']}-{FOLDS['seed']}.parquet"
# the models whose predictions the submission is made of
CANDIDATES = (
    list(MODELS)
    if SETTINGS["submission"]["from"] == "best"
    else SETTINGS["submission"]["from"]
)


wildcard_constraints:
    split="train|test",
    shard="[^/]+",
    model="[a-z0-9][a-z0-9_-]*",
    fold=r"\d+",
    epoch=r"\d\d\d\d+",


def of(section, *keys):
    """Return some keys of a section: what a stage's result depends on, and nothing else."""
    return {key: section[key] for key in keys}


def shards(split):
    return [f"results/data/{split}/{shard}.parquet" for shard in SHARDS[split]]


def member_files(name, models=MODELS):
    """Return a file of every member of some models, models in order and folds within them."""
    return [
        f"results/models/{model}/fold-{fold}/{name.format(epoch=MODELS[model]['epochs'])}"
        for model in models
        for fold in range(FOLDS["count"])
    ]


def model_files(name, models=MODELS):
    return [f"results/models/{model}/{name}" for model in models]


def prediction_files(models=None):
    """Return what the submission is made of, or some models': models in order and shards within them."""
    return [
        f"results/predictions/{model}/{shard}.parquet"
        for model in (models or CANDIDATES)
        for shard in SHARDS["test"]
    ]


def submission_file():
    return ["results/submission.csv"] if SHARDS["test"] else []


def kept(path):
    """Keep an output until there is a new one, which bad input never gives: else Snakemake deletes it first.

    In a bucket it does not, and cannot keep copies there.
    """
    return path if workflow.storage_settings.default_storage_provider else update(path)


def previous_block(wildcards):
    """Return state and history that a block goes on from: those of the last full block before it."""
    block = MODELS[wildcards.model]["block"]
    epoch = (int(wildcards.epoch) - 1) // block * block
    start = f"results/models/{wildcards.model}/fold-{wildcards.fold}/epoch-{epoch:04d}"
    return [f"{start}.npz", f"{start}.csv"] if epoch else []


def training_options(model, fold):
    """Return what a member's state after a given epoch depends on.

    How many epochs follow is not among it, unless the schedule looks ahead: raising `epochs` then
    adds blocks. Nor are `threads` and `block`, which cut the same work differently.
    """
    left_out = {"predict", "threads", "block", "vary"}
    if MODELS[model]["schedule"]["name"] == "constant":
        left_out.add("epochs")
    options = member_options(MODELS[model], int(fold))
    return {key: value for key, value in options.items() if key not in left_out}
