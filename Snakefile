# From handwritten-digit CSVs to a scored, explained and submittable result.
# Read on in workflow/rules: data, train, submit, report, publish - the order in which the data flow.

from snakemake.utils import min_version

min_version("9.27.1")  # the version that all of this was tested with


# `--configfile` replaces the default configuration, `--config` extends it
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
    """Make and publish everything that the config asks for."""
    input:
        PUBLICATION.targets(),


onstart:
    hold_or_refuse()
    end_on_request()
    if HOST.submits:
        warn_low_memory(HOST, RESOURCES)
        on_submit_error(SUBMIT_ERRORS.append)


onsuccess:
    print(closing_words(HOST, SETTINGS, PUBLICATION.run))


onerror:
    print(failure_summary(log, HOST.submits, STARTED, SUBMIT_ERRORS))
