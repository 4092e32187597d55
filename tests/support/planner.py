"""A process that runs `snakemake --dry-run` fast: it imports Snakemake once and forks for each plan.

A line on standard input asks for a plan. It holds the folder, the arguments and the file for both output streams,
as JSON. A line on standard output answers with the exit code.
"""

import gc
import importlib
import json
import os
import signal
import sys

from snakemake.cli import get_argument_parser, main

get_argument_parser()  # imports the plugins
for late in ("numpy", "pandas", "smart_open", "jsonschema", "yaml"):  # what Snakemake imports while it plans
    importlib.import_module(late)
gc.freeze()  # otherwise the garbage collectors of the children copy all memory pages that they look at
for line in sys.stdin:
    request = json.loads(line)
    if os.fork() == 0:
        signal.alarm(300)
        out = os.open(request["out"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for stream, file in enumerate((os.open(os.devnull, os.O_RDONLY), out, out)):
            os.dup2(file, stream)
        os.chdir(request["folder"])
        sys.argv = ["snakemake", *request["arguments"]]
        sys.exit(main())
    print(os.waitstatus_to_exitcode(os.wait()[1]), flush=True)
