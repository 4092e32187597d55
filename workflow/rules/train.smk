# The networks: trained in a chain of blocks, exported, evaluated out of fold, compared.


rule train:
    input:
        shards=shards("train"),
        folds=FOLD_FILE,
        previous=previous_block,
    output:
        state="results/models/{model}/fold-{fold}/epoch-{epoch}.npz",
        history="results/models/{model}/fold-{fold}/epoch-{epoch}.csv",
    log:
        "results/logs/train/{model}/fold-{fold}/epoch-{epoch}.log",
    benchmark:
        "results/benchmarks/train/{model}/fold-{fold}/epoch-{epoch}.tsv"
    threads: lambda wildcards: MODELS[wildcards.model]["threads"]
    resources:
        mem_mb=megabytes(train_bytes),
        runtime=minutes(train_seconds),
    params:
        options=lambda wildcards: {
            "model": training_options(wildcards.model, wildcards.fold),
            "folds": FOLDS,
            "shards": shards("train"),
            **of(DATA, "labels"),
        },
        code=code_digest("train.py"),
        # asking for `threads` keeps Snakemake from comparing these: only what is told shows them
        total=lambda wildcards, threads: MODELS[wildcards.model]["epochs"],
        memory=lambda wildcards, threads: training_needs(wildcards.model, threads),
    script:
        "../scripts/train.py"


rule export:
    input:
        state=lambda wildcards: "results/models/{model}/fold-{fold}/epoch-{epoch:04d}.npz".format(
            **wildcards, epoch=MODELS[wildcards.model]["epochs"]
        ),
        shards=shards("train"),
    output:
        "results/models/{model}/fold-{fold}/weights.npz",
    log:
        "results/logs/export/{model}/fold-{fold}.log",
    benchmark:
        "results/benchmarks/export/{model}/fold-{fold}.tsv"
    localrule: True
    params:
        options=lambda wildcards: {
            "model": {
                **training_options(wildcards.model, wildcards.fold),
                **of(MODELS[wildcards.model], "epochs"),
            },
            **of(DATA, "labels"),
        },
        code=code_digest("export.py"),
    script:
        "../scripts/export.py"


rule evaluate:
    input:
        weights=lambda wildcards: member_files("weights.npz", [wildcards.model]),
        shards=shards("train"),
        folds=FOLD_FILE,
    output:
        validation="results/models/{model}/validation.parquet",
        metrics="results/models/{model}/evaluation.json",
    log:
        "results/logs/evaluate/{model}.log",
    benchmark:
        "results/benchmarks/evaluate/{model}.tsv"
    threads: 2
    resources:
        mem_mb=megabytes(evaluate_bytes),
        runtime=minutes(evaluate_seconds),
    params:
        options=lambda wildcards: {
            **of(MODELS[wildcards.model], "predict"),
            **of(DATA, "labels"),
            "folds": FOLDS,
            "shards": shards("train"),
        },
        code=code_digest("evaluate.py"),
    script:
        "../scripts/evaluate.py"


rule compare:
    input:
        validations=model_files("validation.parquet"),
        weights=model_files("fold-0/weights.npz"),
    output:
        report(
            "results/comparison.csv",
            category="Models",
            caption="../report/comparison.rst",
        ),
    log:
        "results/logs/compare.log",
    benchmark:
        "results/benchmarks/compare.tsv"
    resources:
        mem_mb=megabytes(compare_bytes),
        runtime=minutes(compare_seconds),
    params:
        options={
            "models": list(MODELS),
            "mean_of": (
                []
                if len(CANDIDATES) < 2 or SETTINGS["submission"]["from"] == "best"
                else CANDIDATES
            ),
        },
        code=code_digest("compare.py"),
    script:
        "../scripts/compare.py"
