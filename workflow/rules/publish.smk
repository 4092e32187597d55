# The names that people know: copies of the results in the store, or links to them.


rule publish:
    input:
        unpack(files_to_publish),
    output:
        [flagged(name) for name in NAMES],
    log:
        "results/logs/publish.log",
    localrule: True
    params:
        names=names_to_publish,
        stale=STALE,
        prefix=str(place(view.PUBLISHED)).removesuffix(view.PUBLISHED),
    script:
        "../scripts/publish.py"
