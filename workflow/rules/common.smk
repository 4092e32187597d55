# What the rules share: the checked config, the tables, and the jobs that follow from both.

import os
import sys
import time
from pathlib import Path

from snakemake.exceptions import WorkflowError

SCRIPTS = (
    Path(workflow.current_basedir.get_path_or_uri(secret_free=True)).parent / "scripts"
)
sys.path.insert(0, str(SCRIPTS.resolve()))

from mnist_numpy.planning import view
from mnist_numpy.planning.config import member_options, read_settings
from mnist_numpy.planning.graph import STORE, digest
from mnist_numpy.planning.keys import FIGURES, Context, Results, epochs_in
from mnist_numpy.planning.memory import Memory
from mnist_numpy.planning.software import Software
from mnist_numpy.planning.tables import find_shards, pair_labels

SETTINGS = read_settings(config, workflow.configfiles, workflow.config_settings.config)
DATA, FOLDS, MODELS = SETTINGS["data"], SETTINGS["folds"], SETTINGS["models"]
PATHS = workflow.modifier.path_modifier
IS_MODULE = workflow.modifier.parent_modifier is not None
IN_BUCKET = bool(workflow.storage_settings.default_storage_provider)


def place(path):
    """Return where a file is: where `path` says, or under the prefix of a module."""
    return Path(PATHS.replace_prefix(path))


MEMORY = Memory(place(f"{STORE}/memory.json"))
SOFTWARE = Software(MEMORY)

# --- Tables


def stored(path):
    """Return a file as it is in the bucket."""
    return PATHS.apply_default_storage(str(place(path))).flags["storage_object"]


def made_by_a_rule(path):
    """Tell whether a bigger workflow makes a table by a rule, so that its content is not known yet."""
    return any(rule.is_producer(str(place(path))) for rule in workflow.rules)


def content(path, key):
    """Return a checksum of a table, or in a bucket what the bucket says of it."""
    try:
        if not IN_BUCKET:
            # a job is told what the process that plans has found
            return MEMORY.checksum(place(path), trusting=not workflow.is_main_process)
        if stored(path).exists():
            return stored_content(stored(path))
        where = stored(path).query
    except FileNotFoundError:
        where = place(path)
    except OSError as error:
        raise WorkflowError(f"{key}: {place(path)} cannot be read: {error.strerror}")
    above = ", or the rule that makes it above `use rule`" * (
        IS_MODULE and not IN_BUCKET
    )
    raise WorkflowError(
        f"{key}: there is no file {where}; mend the path or put the file there{above}"
    )


def stored_content(file):
    """Return the bucket's checksum of a file, or where it has none size and date."""
    try:
        return file.s3obj().e_tag
    except AttributeError:
        return f"{file.size()} bytes of {file.mtime()}"


SHARDS = {
    split: find_shards(DATA[split], f"data.{split}") for split in ("train", "test")
}
MADE = [
    (split, shard)
    for split in SHARDS
    for shard, path in SHARDS[split].items()
    if made_by_a_rule(path)
]
IDENTITY = f"{STORE}/identify/{{split}}/{{shard}}.sha256"
CONTENT = {
    split: {
        shard: content(path, f"data.{split}")
        for shard, path in SHARDS[split].items()
        if (split, shard) not in MADE
    }
    for split in SHARDS
}
# where the labels are in files of their own: by shard
LABEL_FILES = {
    split: pair_labels(SHARDS[split], DATA[f"{split}_labels"], f"data.{split}_labels")
    for split in SHARDS
}
for split in LABEL_FILES:
    CONTENT[f"{split}_labels"] = {
        shard: content(path, f"data.{split}_labels")
        for shard, path in LABEL_FILES[split].items()
    }
SAMPLE = DATA["sample_submission"]
CONTENT["sample"] = (
    {"sample": content(SAMPLE, "data.sample_submission")} if SAMPLE else {}
)

# --- Jobs


def exists(path):
    return place(path).exists()


def epochs_made(folder):
    """Return the epochs whose checkpoints are in a folder of the store; in a bucket nobody looks."""
    return [] if IN_BUCKET else epochs_in(place(folder))


RESULTS = {}


def results(checkpoint=None):
    """Return the jobs that the config asks for.

    Parameters
    ----------
    checkpoint
        Returns the file with the checksum of a table that a rule makes, or asks Snakemake for it;
        without it such a table has no content yet, and the names hold no true keys.
    """
    files = [checkpoint and checkpoint(split, shard) for split, shard in MADE]
    known = tuple(file.read_text() if file else "not known yet" for file in files)
    if known not in RESULTS:
        made = dict(zip(MADE, known))
        tables = {
            split: {
                shard: made.get((split, shard)) or CONTENT[split][shard]
                for shard in SHARDS.get(split, CONTENT[split])
            }
            for split in CONTENT
        }
        RESULTS[known] = Results(
            SETTINGS,
            Context(tables, SOFTWARE.code_digest, SOFTWARE.packages, epochs_made),
        )
    return RESULTS[known]


def identity(split, shard):
    """Return the file with the checksum of a table that a rule makes; Snakemake makes it first."""
    if not workflow.is_main_process:
        return place(IDENTITY.format(split=split, shard=shard))
    return Path(checkpoints.identify.get(split=split, shard=shard).output[0])


def planned(rule, wildcards):
    """Return the job of a rule and wildcards; refuse a key that is not the one the config asks for."""
    arguments = [
        int(value) if name in ("fold", "epoch") else value
        for name, value in wildcards.items()
        if name != "key"
    ]
    try:
        job = getattr(results(identity), rule)(*arguments)
    except KeyError:
        job = None
    if job is None or job.key != wildcards.key:
        raise WorkflowError(
            f"{rule} {' '.join(map(str, arguments))}: the config, the code, a package or a table is not what it was "
            f"when the name of this result ({wildcards.key}) was planned; run the same command again"
        )
    return job


def inputs_of(rule):
    """Return the input function of a rule: what its job is made from.

    A result that exists needs nothing, even where what it was made from is gone: else Snakemake would
    make it again when something else needs that.
    """

    def inputs(wildcards):
        job = planned(rule, wildcards)
        missing = not IN_BUCKET and not all(map(exists, job.sources))
        if missing and all(map(exists, job.outputs.values())):
            return {}
        # dates never matter
        return {name: ancient(paths) for name, paths in job.inputs.items() if paths}

    return inputs


def made_of(rule):
    """Return the params function of a rule: what its result depends on, for the job to check and to record."""
    return lambda wildcards: planned(rule, wildcards).made_of


# --- The tables of a job


def files_of(wildcards):
    """Return the table of a shard, and the file of its labels where they are in one of their own."""
    split, shard = wildcards.split, wildcards.shard
    files = {"table": SHARDS[split][shard], "labels": LABEL_FILES[split].get(shard)}
    return {name: path for name, path in files.items() if path}


def paths_of(wildcards):
    return {name: str(place(path)) for name, path in files_of(wildcards).items()}


def tables_of(wildcards):
    """Return the inputs of normalize, with their dates left aside.

    A file dated ahead of the clock is named to the script alone, since Snakemake refuses outputs
    that are older than an input.
    """
    planned("normalize", wildcards)
    files = files_of(wildcards).items()
    return {n: ancient(p) for n, p in files if IN_BUCKET or not dated_ahead(place(p))}


def dated_ahead(path):
    return path.exists() and path.stat().st_mtime > time.time()


wildcard_constraints:
    split="train|test",
    shard="[^/]+",
    model="[a-z0-9][a-z0-9_-]*",
    fold=r"\d+",
    epoch=r"\d\d\d\d+",
    key="[0-9a-f]{10}",
