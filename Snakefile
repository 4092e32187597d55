# Train NumPy networks on CSV files of handwritten digits; write a submission, metrics and an HTML report.
# The rules are in workflow/rules. Read them in the order of the data flow: data, train, submit, report, publish.

from snakemake.utils import min_version

min_version("9.27.1")  # the tested version


# `--configfile` replaces the default config; `--config` changes single keys
if not workflow.overwrite_configfiles:

    configfile: "config/config.yaml"


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/submit.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/publish.smk"


rule all:
    """Make and publish all results of the config."""
    input:
        PUBLICATION.targets(),


end_screen = shorten_output(HOST, Progress(lambda wildcards: RESOURCES.train(wildcards).seconds))
call_if_nothing_to_do(HOST, lambda: print(success_summary(HOST, PLAN, PUBLICATION.run)))


onstart:
    hold_or_refuse()
    handle_sigterm_in_thread()
    print_unused_tables(PLAN)
    if HOST.submits:
        warn_low_memory(HOST, RESOURCES)
        collect_submit_errors(SUBMIT_ERRORS.append)


onsuccess:
    end_screen()
    print(success_summary(HOST, PLAN, PUBLICATION.run))


onerror:
    end_screen()
    print(failure_summary(log, HOST.submits, STARTED, SUBMIT_ERRORS))
