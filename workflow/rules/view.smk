# The published view: which names show which results, and whether they have to be renewed.

REPORTED = {
    "results/submission.csv": "Submission",
    "results/comparison.csv": "Models",
    "results/figures/samples.svg": "Data",
    "results/figures/learning.svg": "Training",
    "results/figures/augmentation.svg": "Training",
    "results/figures/weights.svg": "Training",
    "results/figures/confusion.svg": "Errors",
    "results/figures/mistakes.svg": "Errors",
    "results/figures/reliability.svg": "Errors",
    "results/figures/comparison.svg": "Models",
}


def published(name):
    """Return the path that a result is published under; in a bucket the folder tells the run."""
    return name.replace("results", f"results/run-{RUN}", 1) if IN_BUCKET else name


def flagged(name):
    """Return a published path, with what `snakemake --report` shows of it."""
    if name not in REPORTED:
        return published(name)
    caption = f"../report/{Path(name).stem}.rst"
    return report(published(name), category=REPORTED[name], caption=caption)


def noted(split, shard):
    """Return the file with the checksum of a table that a rule makes, if it is there and still true."""
    file = place(IDENTITY.format(split=split, shard=shard))
    if workflow.is_main_process:
        view.forget_other_content(file, place(SHARDS[split][shard]), MEMORY)
    return file if file.exists() else None


RUN_RESULTS = results(noted)
FINAL = view.final(RUN_RESULTS)
POSSIBLE = FINAL | view.intermediate(RUN_RESULTS)
WHOLE = FINAL if IN_BUCKET else POSSIBLE
if workflow.is_main_process and not IN_BUCKET and all(noted(*table) for table in MADE):
    WHOLE = view.all_names(FINAL, POSSIBLE, RUN_RESULTS.makers, exists)
# Snakemake tells a Snakefile nothing of the targets
ASKED = set() if IS_MODULE else POSSIBLE.keys() & set(sys.argv)
# all names, or those that are given as targets
NAMES = {name: POSSIBLE[name] for name in sorted(ASKED)} or WHOLE
RUN = digest(FINAL)
STALE = view.find_stale(WHOLE, NAMES, place)
if workflow.is_main_process and not IN_BUCKET:
    try:
        view.request(NAMES, [] if ASKED else STALE, place, MEMORY)
        SOFTWARE.keep_definitions(place(STORE))
    except OSError as error:  # it may bear no file's name
        raise WorkflowError(
            f"{place('results')}: {error.strerror}; make it writable, with room on its disk, "
            "and run the same command again"
        ) from None
    MEMORY.save()


def to_publish():
    """Return the names to publish, once the content of all tables is known."""
    if not MADE:
        return NAMES
    known = view.final(results(identity)) | view.intermediate(results(identity))
    return {name: known[name] for name in NAMES}


def names_to_publish(wildcards):
    """Return what the script publishes by itself; in a bucket Snakemake does it."""
    return {} if IN_BUCKET else to_publish()


def files_to_publish(wildcards):
    """Return the files of the store, and the request: the one input that Snakemake compares by date.

    A checksum that was noted in this run, of a table that a rule has made, is a request too.
    """
    files = {"results": list(map(ancient, to_publish().values()))}
    if MADE:
        files["noted"] = [
            IDENTITY.format(split=split, shard=shard) for split, shard in MADE
        ]
    return files if IN_BUCKET else {**files, "requested": view.REQUESTED}
