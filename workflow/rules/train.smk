# The networks: train them from checkpoint to checkpoint, export their weights, evaluate them, and compare the models.


rule train:
    """Train one member from one checkpoint to the next."""
    input:
        unpack(inputs_of("train")),
    output:
        state=f"{STORE}/train/{{model}}/fold-{{fold}}/{{key}}/epoch-{{epoch}}.npz",
        history=f"{STORE}/train/{{model}}/fold-{{fold}}/{{key}}/epoch-{{epoch}}.csv",
    log:
        "results/logs/train/{model}/fold-{fold}/epoch-{epoch}-{key}.log",
    benchmark:
        "results/benchmarks/train/{model}/fold-{fold}/epoch-{epoch}-{key}.tsv"
    priority: RESOURCES.training_left
    threads: lambda wildcards: SETTINGS["models"][wildcards.model]["threads"]
    resources:
        **needs("train"),
    params:
        made_of=made_of("train"),
        total=lambda wildcards: SETTINGS["models"][wildcards.model]["epochs"],
        memory=RESOURCES.training_memory,
    script:
        "../scripts/train.py"


rule start:
    """Draw the initial weights of a member that several workers train."""
    input:
        unpack(inputs_of("start")),
    output:
        state=f"{STORE}/start/{{model}}/fold-{{fold}}/{{key}}/start.npz",
    log:
        "results/logs/start/{model}/fold-{fold}-{key}.log",
    benchmark:
        "results/benchmarks/start/{model}/fold-{fold}-{key}.tsv"
    resources:
        **needs("start"),
    params:
        made_of=made_of("start"),
    script:
        "../scripts/start.py"


rule work:
    """Train one worker of a member for a round: on its share of the rows, from the average of the round before."""
    input:
        unpack(inputs_of("work")),
    output:
        state=temp(f"{STORE}/work/{{model}}/fold-{{fold}}/{{key}}/epoch-{{epoch}}-worker-{{worker}}.npz"),
        history=temp(f"{STORE}/work/{{model}}/fold-{{fold}}/{{key}}/epoch-{{epoch}}-worker-{{worker}}.csv"),
    log:
        "results/logs/work/{model}/fold-{fold}/epoch-{epoch}-worker-{worker}-{key}.log",
    benchmark:
        "results/benchmarks/work/{model}/fold-{fold}/epoch-{epoch}-worker-{worker}-{key}.tsv"
    priority: RESOURCES.training_left
    threads: lambda wildcards: SETTINGS["models"][wildcards.model]["threads"]
    resources:
        **needs("work"),
    params:
        made_of=made_of("work"),
        total=lambda wildcards: SETTINGS["models"][wildcards.model]["epochs"],
    script:
        "../scripts/work.py"


rule average:
    """Average the workers of a member at the end of a round."""
    input:
        unpack(inputs_of("average")),
    output:
        state=f"{STORE}/average/{{model}}/fold-{{fold}}/{{key}}/epoch-{{epoch}}.npz",
        history=f"{STORE}/average/{{model}}/fold-{{fold}}/{{key}}/epoch-{{epoch}}.csv",
    log:
        "results/logs/average/{model}/fold-{fold}/epoch-{epoch}-{key}.log",
    benchmark:
        "results/benchmarks/average/{model}/fold-{fold}/epoch-{epoch}-{key}.tsv"
    priority: RESOURCES.training_left
    resources:
        **needs("average"),
    params:
        made_of=made_of("average"),
        total=lambda wildcards: SETTINGS["models"][wildcards.model]["epochs"],
    script:
        "../scripts/average.py"


rule export:
    """Export one member's weights."""
    input:
        unpack(inputs_of("export")),
    output:
        f"{STORE}/export/{{model}}/fold-{{fold}}/{{key}}/weights.npz",
    log:
        "results/logs/export/{model}/fold-{fold}-{key}.log",
    benchmark:
        "results/benchmarks/export/{model}/fold-{fold}-{key}.tsv"
    resources:
        **needs("export"),
    params:
        made_of=made_of("export"),
    script:
        "../scripts/export.py"


rule evaluate:
    """Predict a train shard: each row with the member that was trained without its fold."""
    input:
        unpack(inputs_of("evaluate")),
    output:
        validation=f"{STORE}/evaluate/{{model}}/{{key}}/{{shard}}.parquet",
        counts=f"{STORE}/evaluate/{{model}}/{{key}}/{{shard}}.json",
    log:
        "results/logs/evaluate/{model}/{shard}-{key}.log",
    benchmark:
        "results/benchmarks/evaluate/{model}/{shard}-{key}.tsv"
    threads: 2
    resources:
        **needs("evaluate"),
    params:
        made_of=made_of("evaluate"),
    script:
        "../scripts/evaluate.py"


rule summarize:
    """Join the evaluations of all train shards, and compute the metrics of a model."""
    input:
        unpack(inputs_of("summarize")),
    output:
        validation=f"{STORE}/summarize/{{model}}/{{key}}/validation.parquet",
        metrics=f"{STORE}/summarize/{{model}}/{{key}}/evaluation.json",
        examples=f"{STORE}/summarize/{{model}}/{{key}}/examples.json",
    log:
        "results/logs/summarize/{model}-{key}.log",
    benchmark:
        "results/benchmarks/summarize/{model}-{key}.tsv"
    resources:
        **needs("summarize"),
    params:
        made_of=made_of("summarize"),
    script:
        "../scripts/summarize.py"


rule compare:
    """Rank the models by their out-of-fold accuracy."""
    input:
        unpack(inputs_of("compare")),
    output:
        f"{STORE}/compare/{{key}}/comparison.csv",
    log:
        "results/logs/compare-{key}.log",
    benchmark:
        "results/benchmarks/compare-{key}.tsv"
    resources:
        **needs("compare"),
    params:
        made_of=made_of("compare"),
    script:
        "../scripts/compare.py"
