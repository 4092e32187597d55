# Built once, for all rules: the checked config, the plan that follows from it, and what the rules ask of both.

import sys
import time
from pathlib import Path

RULES = Path(workflow.current_basedir.get_path_or_uri(secret_free=True))
sys.path.insert(0, str((RULES.parent / "scripts").resolve()))

from mnist_numpy.planning.config import read_settings
from mnist_numpy.planning.graph import STORE
from mnist_numpy.planning.jobs import IDENTITY, Jobs
from mnist_numpy.planning.keys import FIGURES
from mnist_numpy.planning.messages import closing_words, failure_summary, warn_low_memory
from mnist_numpy.planning.plan import plan_under
from mnist_numpy.planning.publication import Publication
from mnist_numpy.planning.resources import Estimates
from mnist_numpy.planning.snakemake_api import Host, end_on_request, hold_or_refuse, on_submit_error

STARTED = time.time()
SUBMIT_ERRORS = []  # what the executor says of jobs that it cannot run
SETTINGS = read_settings(config, workflow.configfiles, workflow.config_settings.config)
HOST = Host(workflow, checkpoints)
PLAN = plan_under(HOST, SETTINGS)
JOBS = Jobs(PLAN, HOST)
RESOURCES = Estimates(SETTINGS, PLAN.tables, HOST.place)
PUBLICATION = Publication(JOBS)

# for each rule: its input function, the param that says what its result depends on, and its resources
inputs_of, made_of, needs = JOBS.inputs_of, JOBS.made_of, RESOURCES.of


wildcard_constraints:
    split="train|test",
    shard="[^/]+",
    preprocess="[a-z0-9.-]+",
    model="[a-z0-9][a-z0-9_-]*",
    fold=r"\d+",
    epoch=r"\d\d\d\d+",
    key="[0-9a-f]{10}",
