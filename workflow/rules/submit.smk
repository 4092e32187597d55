# The test set: predict each shard, and write the submission.


rule predict:
    """Predict one shard of the test set with all members of a model."""
    input:
        unpack(inputs_of("predict")),
    output:
        f"{STORE}/predict/{{model}}/{{key}}/{{shard}}.parquet",
    log:
        "results/logs/predict/{model}/{shard}-{key}.log",
    benchmark:
        "results/benchmarks/predict/{model}/{shard}-{key}.tsv"
    threads: 2
    resources:
        **needs("predict"),
    params:
        made_of=made_of("predict"),
    script:
        "../scripts/predict.py"


rule score:
    """Add the accuracy on a labelled test set to the metrics of a model."""
    input:
        unpack(inputs_of("score")),
    output:
        f"{STORE}/score/{{model}}/{{key}}/metrics.json",
    log:
        "results/logs/score/{model}-{key}.log",
    benchmark:
        "results/benchmarks/score/{model}-{key}.tsv"
    resources:
        **needs("score"),
    params:
        made_of=made_of("score"),
    script:
        "../scripts/score.py"


rule submission:
    """Write the submission from the predictions of the chosen models."""
    input:
        unpack(inputs_of("submission")),
        sample=ancient(SETTINGS["data"]["sample_submission"] or []),
    output:
        f"{STORE}/submission/{{key}}/submission.csv",
    log:
        "results/logs/submission-{key}.log",
    benchmark:
        "results/benchmarks/submission-{key}.tsv"
    resources:
        **needs("submission"),
    params:
        made_of=made_of("submission"),
    script:
        "../scripts/submission.py"
