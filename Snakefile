# From handwritten-digit CSVs to a scored, explained and submittable result.
# Read on in workflow/rules: data, train, submit, report - the order in which the data flow.

from snakemake.utils import min_version

min_version("9.27.1")  # the version that all of this was tested with

# `--configfile` replaces the default configuration, `--config` extends it
if not workflow.overwrite_configfiles:

    configfile: "config/config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/resources.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/submit.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/view.smk"
include: "workflow/rules/publish.smk"
include: "workflow/rules/run.smk"


rule all:
    input:
        [published(name) for name in NAMES if ASKED or name in FINAL],


onstart:
    hold_folder()
    end_on_request()
    if workflow.non_local_exec:
        tell_memory()
        hear_refusals()


onsuccess:
    print(closing_words())


onerror:
    print(parting_words(log))
