# The published names: copies of the results in the store, or links to them.


rule publish:
    """Publish results of the store under their fixed names."""
    input:
        unpack(PUBLICATION.inputs),
    output:
        PUBLICATION.outputs(),
    log:
        "results/logs/publish.log",
    localrule: True
    params:
        names=PUBLICATION.names_to_copy,
        stale=PUBLICATION.stale,
        prefix=PUBLICATION.prefix,
    script:
        "../scripts/publish.py"
