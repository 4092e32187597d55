# What people look at: the figures, and one page with everything.

REPORT = (
    Path(workflow.current_basedir.get_path_or_uri(secret_free=True)).parent / "report"
)
FIGURES = {
    "learning": "Training",
    "augmentation": "Training",
    "weights": "Training",
    "confusion": "Errors",
    "mistakes": "Errors",
    "reliability": "Errors",
    "comparison": "Models",
}
# the page is filled from these: each counts as code of the rule
TEMPLATES = sorted(
    f"../report/{path.name}"
    for path in REPORT.iterdir()
    if path.suffix in (".j2", ".css", ".js")
)


rule figures:
    input:
        histories=member_files("epoch-{epoch:04d}.csv"),
        evaluations=model_files("evaluation.json"),
        validations=model_files("validation.parquet"),
        weights=model_files("fold-0/weights.npz"),
        shards=shards("train"),
        comparison="results/comparison.csv",
    output:
        **{
            name: report(
                f"results/figures/{name}.svg",
                category=category,
                caption=f"../report/{name}.rst",
            )
            for name, category in FIGURES.items()
        },
    log:
        "results/logs/figures.log",
    benchmark:
        "results/benchmarks/figures.tsv"
    localrule: True
    params:
        options={
            "models": list(MODELS),
            "shards": shards("train"),
            **of(FOLDS, "count"),
        },
        code=code_digest("figures.py"),
    script:
        "../scripts/figures.py"


rule report:
    input:
        quality="results/data/quality.json",
        comparison="results/comparison.csv",
        submission=submission_file(),
        metrics=model_files("metrics.json"),
        validations=model_files("validation.parquet"),
        weights=model_files("fold-0/weights.npz"),
        histories=member_files("epoch-{epoch:04d}.csv"),
        train=shards("train"),
        test=shards("test"),
        predictions=prediction_files(),
        # the page shows confusion and mistakes image by image itself
        figures=[
            f"results/figures/{name}.svg"
            for name in ("samples", *FIGURES)
            if name not in ("confusion", "mistakes")
        ],
    output:
        "results/report.html",
    log:
        "results/logs/report.log",
    benchmark:
        "results/benchmarks/report.tsv"
    localrule: True
    params:
        options={
            "config": {
                **SETTINGS,
                # how the work is cut decides no result
                "models": {
                    name: {
                        key: value
                        for key, value in model.items()
                        if key not in ("threads", "block")
                    }
                    for name, model in MODELS.items()
                },
            },
            "candidates": CANDIDATES,
            "shards": {split: list(SHARDS[split]) for split in SHARDS},
        },
        code=code_digest("report.py", *TEMPLATES),
        # asking for `threads` keeps Snakemake from comparing it: threads rerun nothing
        threads=lambda wildcards, threads: {
            name: model["threads"] for name, model in MODELS.items()
        },
    script:
        "../scripts/report.py"
