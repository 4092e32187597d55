# Shared by all rules: the validated config, the plan of its jobs, and the functions that the rules use.

import time

from mnist_numpy.planning.config import read_settings
from mnist_numpy.planning.graph import STORE
from mnist_numpy.planning.jobs import IDENTITY, Jobs
from mnist_numpy.planning.keys import FIGURES
from mnist_numpy.planning.messages import (
    describe_old_results,
    failure_summary,
    print_unused_tables,
    success_summary,
    warn_low_memory,
)
from mnist_numpy.planning.plan import plan_for_host
from mnist_numpy.planning.progress import Progress
from mnist_numpy.planning.publication import Publication
from mnist_numpy.planning.resources import Estimates
from mnist_numpy.planning.snakemake_api import (
    Host,
    call_if_nothing_to_do,
    collect_submit_errors,
    handle_sigterm_in_thread,
    hold_or_refuse,
    quote_interpreter,
    refuse_foreign_folder,
    refuse_no_cores,
    shorten_output,
    warn_short_job_age,
)

quote_interpreter()
STARTED = time.time()
SUBMIT_ERRORS = []  # the executor's messages about jobs that it cannot run
SETTINGS = read_settings(config, workflow.configfiles, workflow.config_settings.config)
HOST = Host(workflow, checkpoints)
refuse_no_cores(HOST)
refuse_foreign_folder(HOST)
PLAN = plan_for_host(HOST, SETTINGS)
JOBS = Jobs(PLAN, HOST)
RESOURCES = Estimates(SETTINGS, PLAN.tables, HOST.place)
PUBLICATION = Publication(JOBS)

# for each rule: the input function, the param with everything that the result depends on, and the resources
inputs_of, made_of, needs = JOBS.inputs_of, JOBS.made_of, RESOURCES.resources


wildcard_constraints:
    split="train|test",
    shard="[^/]+",
    preprocess="[a-z0-9.-]+",
    model="[a-z0-9][a-z0-9_-]*",
    fold=r"\d+",
    epoch=r"\d\d\d\d+",
    worker=r"\d+",
    key="[0-9a-f]{10}",
