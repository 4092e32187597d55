# The tables: checked and normalized to Parquet, described, sampled, and dealt out to folds.

# what settles how a table is read
LOOKS = (
    *("separator", "header", "label", "pixels", "shape"),
    *("order", "pixel_min", "pixel_max", "invert"),
)


rule normalize:
    input:
        table=lambda wildcards: SHARDS[wildcards.split][wildcards.shard],
        labels=lambda wildcards: LABEL_FILES[wildcards.split].get(wildcards.shard, []),
    output:
        shard=kept("results/data/{split}/{shard}.parquet"),
    log:
        "results/logs/normalize/{split}/{shard}.log",
    benchmark:
        "results/benchmarks/normalize/{split}/{shard}.tsv"
    threads: 2
    resources:
        mem_mb=megabytes(normalize_bytes),
        runtime=minutes(normalize_seconds),
    params:
        options=lambda wildcards: {
            "table": file_identity(place(SHARDS[wildcards.split][wildcards.shard])),
            "label_file": file_identity(
                place(LABEL_FILES[wildcards.split].get(wildcards.shard, ""))
            ),
            **of(DATA, *LOOKS),
            **of(DATA, *(["labels"] if wildcards.split == "train" else ["id"])),
        },
        code=code_digest("normalize.py"),
    script:
        "../scripts/normalize.py"


rule quality:
    input:
        train=shards("train"),
        test=shards("test"),
    output:
        "results/data/quality.json",
    log:
        "results/logs/quality.log",
    benchmark:
        "results/benchmarks/quality.tsv"
    resources:
        mem_mb=megabytes(quality_bytes),
        runtime=minutes(quality_seconds),
    params:
        options={
            **of(DATA, "labels"),
            "train": shards("train"),
            "test": shards("test"),
        },
        code=code_digest("quality.py"),
    script:
        "../scripts/quality.py"


rule samples:
    input:
        shards=shards("train"),
    output:
        report(
            "results/figures/samples.svg",
            category="Data",
            caption="../report/samples.rst",
        ),
    log:
        "results/logs/samples.log",
    benchmark:
        "results/benchmarks/samples.tsv"
    localrule: True
    params:
        options={
            **of(SETTINGS["figures"], "samples", "seed"),
            "shards": shards("train"),
        },
        code=code_digest("samples.py"),
    script:
        "../scripts/samples.py"


rule split:
    input:
        shards=shards("train"),
    output:
        FOLD_FILE,
    log:
        "results/logs/split.log",
    benchmark:
        "results/benchmarks/split.tsv"
    resources:
        mem_mb=megabytes(split_bytes),
        runtime=minutes(split_seconds),
    params:
        options={**FOLDS, **of(DATA, "labels"), "shards": shards("train")},
        code=code_digest("split.py"),
    script:
        "../scripts/split.py"
