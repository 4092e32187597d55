# The test set: predicted shard by shard, and put together as a submission.


rule predict:
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
        mem_mb=megabytes(predict_bytes),
        runtime=minutes(predict_seconds),
    params:
        made_of=made_of("predict"),
    script:
        "../scripts/predict.py"


rule score:
    input:
        unpack(inputs_of("score")),
    output:
        f"{STORE}/score/{{model}}/{{key}}/metrics.json",
    log:
        "results/logs/score/{model}-{key}.log",
    benchmark:
        "results/benchmarks/score/{model}-{key}.tsv"
    localrule: True
    params:
        made_of=made_of("score"),
    script:
        "../scripts/score.py"


rule submission:
    input:
        unpack(inputs_of("submission")),
        sample=ancient(SAMPLE) if SAMPLE else [],
    output:
        f"{STORE}/submission/{{key}}/submission.csv",
    log:
        "results/logs/submission-{key}.log",
    benchmark:
        "results/benchmarks/submission-{key}.tsv"
    resources:
        mem_mb=megabytes(submission_bytes),
        runtime=minutes(submission_seconds),
    params:
        made_of=made_of("submission"),
    script:
        "../scripts/submission.py"
