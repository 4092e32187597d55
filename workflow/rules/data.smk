# The tables: check them, normalize them to Parquet, describe them, draw samples, and assign the rows to folds.


rule normalize:
    """Check a table and normalize it to Parquet."""
    input:
        unpack(JOBS.tables_of),
    output:
        shard=f"{STORE}/normalize/{{split}}/{{key}}/{{shard}}.parquet",
    log:
        "results/logs/normalize/{split}/{shard}-{key}.log",
    benchmark:
        "results/benchmarks/normalize/{split}/{shard}-{key}.tsv"
    threads: 2
    resources:
        **needs("normalize"),
    params:
        made_of=made_of("normalize"),
        paths=JOBS.paths_of,
    script:
        "../scripts/normalize.py"


rule quality:
    """Describe the tables: counts, blank and repeated images, pixel statistics."""
    input:
        unpack(inputs_of("quality")),
    output:
        f"{STORE}/quality/{{key}}/quality.json",
    log:
        "results/logs/quality-{key}.log",
    benchmark:
        "results/benchmarks/quality-{key}.tsv"
    resources:
        **needs("quality"),
    params:
        made_of=made_of("quality"),
    script:
        "../scripts/quality.py"


rule samples:
    """Draw sample images."""
    input:
        unpack(inputs_of("samples")),
    output:
        f"{STORE}/samples/{{key}}/samples.svg",
    log:
        "results/logs/samples-{key}.log",
    benchmark:
        "results/benchmarks/samples-{key}.tsv"
    resources:
        **needs("samples"),
    params:
        made_of=made_of("samples"),
    script:
        "../scripts/samples.py"


rule folds:
    """Assign each training row to a fold."""
    input:
        unpack(inputs_of("folds")),
    output:
        f"{STORE}/folds/{{key}}/folds.parquet",
    log:
        "results/logs/folds-{key}.log",
    benchmark:
        "results/benchmarks/folds-{key}.tsv"
    resources:
        **needs("folds"),
    params:
        made_of=made_of("folds"),
    script:
        "../scripts/folds.py"


rule prepare:
    """Decode and straighten the images of a shard."""
    input:
        unpack(inputs_of("prepare")),
    output:
        images=f"{STORE}/prepare/{{preprocess}}/{{split}}/{{key}}/{{shard}}.npy",
    log:
        "results/logs/prepare/{preprocess}/{split}/{shard}-{key}.log",
    benchmark:
        "results/benchmarks/prepare/{preprocess}/{split}/{shard}-{key}.tsv"
    resources:
        **needs("prepare"),
    params:
        made_of=made_of("prepare"),
    script:
        "../scripts/prepare.py"


# If a rule of a bigger workflow makes a table, the keys of the results are not known before the table exists.
if PLAN.generated:

    checkpoint identify:
        """Write the checksum of a table that a rule of a bigger workflow makes."""
        input:
            table=lambda wildcards: PLAN.tables[wildcards.split][wildcards.shard],
        output:
            IDENTITY,
        log:
            "results/logs/identify/{split}/{shard}.log",
        localrule: True
        script:
            "../scripts/identify.py"
