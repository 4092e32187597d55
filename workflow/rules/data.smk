# The tables: checked and normalized to Parquet, described, sampled, and assigned to folds.


rule normalize:
    input:
        unpack(tables_of),
    output:
        shard=f"{STORE}/normalize/{{split}}/{{key}}/{{shard}}.parquet",
    log:
        "results/logs/normalize/{split}/{shard}-{key}.log",
    benchmark:
        "results/benchmarks/normalize/{split}/{shard}-{key}.tsv"
    threads: 2
    resources:
        mem_mb=megabytes(normalize_bytes),
        runtime=minutes(normalize_seconds),
    params:
        made_of=made_of("normalize"),
        paths=paths_of,
    script:
        "../scripts/normalize.py"


rule quality:
    input:
        unpack(inputs_of("quality")),
    output:
        f"{STORE}/quality/{{key}}/quality.json",
    log:
        "results/logs/quality-{key}.log",
    benchmark:
        "results/benchmarks/quality-{key}.tsv"
    resources:
        mem_mb=megabytes(quality_bytes),
        runtime=minutes(quality_seconds),
    params:
        made_of=made_of("quality"),
    script:
        "../scripts/quality.py"


rule samples:
    input:
        unpack(inputs_of("samples")),
    output:
        f"{STORE}/samples/{{key}}/samples.svg",
    log:
        "results/logs/samples-{key}.log",
    benchmark:
        "results/benchmarks/samples-{key}.tsv"
    localrule: True
    params:
        made_of=made_of("samples"),
    script:
        "../scripts/samples.py"


rule folds:
    input:
        unpack(inputs_of("folds")),
    output:
        f"{STORE}/folds/{{key}}/folds.parquet",
    log:
        "results/logs/folds-{key}.log",
    benchmark:
        "results/benchmarks/folds-{key}.tsv"
    resources:
        mem_mb=megabytes(folds_bytes),
        runtime=minutes(folds_seconds),
    params:
        made_of=made_of("folds"),
    script:
        "../scripts/folds.py"


# a table that a rule of a bigger workflow makes is known when it is there
if MADE:

    checkpoint identify:
        input:
            table=lambda wildcards: SHARDS[wildcards.split][wildcards.shard],
        output:
            IDENTITY,
        log:
            "results/logs/identify/{split}/{shard}.log",
        localrule: True
        script:
            "../scripts/identify.py"
