# The test set: predicted shard by shard, and put together as a submission.


rule predict:
    input:
        weights=lambda wildcards: member_files("weights.npz", [wildcards.model]),
        shard="results/data/test/{shard}.parquet",
    output:
        "results/predictions/{model}/{shard}.parquet",
    log:
        "results/logs/predict/{model}/{shard}.log",
    benchmark:
        "results/benchmarks/predict/{model}/{shard}.tsv"
    threads: 2
    resources:
        mem_mb=megabytes(predict_bytes),
        runtime=minutes(predict_seconds),
    params:
        options=lambda wildcards: {
            **of(MODELS[wildcards.model], "predict"),
            **of(FOLDS, "count"),
        },
        code=code_digest("predict.py"),
    script:
        "../scripts/predict.py"


rule score:
    input:
        evaluation="results/models/{model}/evaluation.json",
        shards=shards("test"),
        predictions=lambda wildcards: (
            prediction_files([wildcards.model])
            if wildcards.model in CANDIDATES
            else []
        ),
    output:
        "results/models/{model}/metrics.json",
    log:
        "results/logs/score/{model}.log",
    benchmark:
        "results/benchmarks/score/{model}.tsv"
    localrule: True
    params:
        options={"shards": shards("test")},
        code=code_digest("score.py"),
    script:
        "../scripts/score.py"


rule submission:
    input:
        predictions=prediction_files(),
        # a list of models is taken as it is: their ranking is not looked at
        comparison=(
            "results/comparison.csv"
            if SETTINGS["submission"]["from"] == "best"
            else []
        ),
        sample=DATA["sample_submission"] or [],
    output:
        report(
            kept("results/submission.csv"),
            category="Submission",
            caption="../report/submission.rst",
        ),
    log:
        "results/logs/submission.log",
    benchmark:
        "results/benchmarks/submission.tsv"
    resources:
        mem_mb=megabytes(submission_bytes),
        runtime=minutes(submission_seconds),
    params:
        options={
            **of(SETTINGS["submission"], "from", "columns"),
            **of(DATA, "id"),
            "models": CANDIDATES,
            "shards": list(SHARDS["test"]),
            "sample": DATA["sample_submission"]
            and file_identity(place(DATA["sample_submission"])),
        },
        code=code_digest("submission.py"),
    script:
        "../scripts/submission.py"
