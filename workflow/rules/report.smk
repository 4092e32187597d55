# What people look at: the figures, and one page with everything.


rule figures:
    input:
        histories=member_files("epoch-{epoch:04d}.csv"),
        metrics=model_files("metrics.json"),
        comparison="results/comparison.csv",
    output:
        **{
            name: report(
                f"results/figures/{name}.svg",
                category="Models",
                caption=f"../report/{name}.rst",
            )
            for name in FIGURES
        },
    log:
        "results/logs/figures.log",
    benchmark:
        "results/benchmarks/figures.tsv"
    localrule: True
    params:
        options={"models": list(MODELS), **of(FOLDS, "count")},
        code=code_digest("figures.py"),
    script:
        "../scripts/figures.py"


rule report:
    input:
        quality="results/data/quality.json",
        comparison="results/comparison.csv",
        submission="results/submission.csv",
        figures=[
            "results/figures/samples.svg",
            *(f"results/figures/{name}.svg" for name in FIGURES),
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
            **SETTINGS,
            "models": {
                name: {
                    key: value
                    for key, value in model.items()
                    if key not in ("threads", "block")
                }
                for name, model in MODELS.items()
            },
        },
        code=code_digest("report.py", "../report/report.html.j2"),
    script:
        "../scripts/report.py"
