# The figures and the HTML report.


rule figures:
    """Draw the figures of training, of errors and of the comparison."""
    input:
        unpack(inputs_of("figures")),
    output:
        **{name: f"{STORE}/figures/{{key}}/{name}.svg" for name in FIGURES},
    log:
        "results/logs/figures-{key}.log",
    benchmark:
        "results/benchmarks/figures-{key}.tsv"
    resources:
        **needs("figures"),
    params:
        made_of=made_of("figures"),
    script:
        "../scripts/figures.py"


rule report:
    """Write the HTML report."""
    input:
        unpack(inputs_of("report")),
    output:
        f"{STORE}/report/{{key}}/report.html",
    log:
        "results/logs/report-{key}.log",
    benchmark:
        "results/benchmarks/report-{key}.tsv"
    localrule: True
    params:
        made_of=made_of("report"),
    script:
        "../scripts/report.py"
