"""The commands `make why`, `make verify` and `make prune`."""

import argparse
import os
import signal
import sys

from snakemake.exceptions import WorkflowError

from mnist_numpy.planning import store, view
from mnist_numpy.planning.config_file import DEFAULT
from mnist_numpy.planning.hold import HoldError, hold_folder
from mnist_numpy.planning.plan import load_plan
from mnist_numpy.planning.why import explain


def explain_run(arguments: argparse.Namespace) -> int:
    """Print which jobs would run, and why."""
    plan = load_plan([file for files in arguments.configfile for file in files], arguments.config)
    print(*explain(plan), sep="\n")
    plan.cache.save()
    return 0


def verify(arguments: argparse.Namespace) -> int:
    """Compare all results with their checksums, and print which ones differ."""
    lines, good = store.verify()
    print(*lines, sep="\n")
    return 0 if good else 1


def prune(arguments: argparse.Namespace) -> int:
    """Print how many files none of the configs needs, and delete them after a question."""
    needed: set[str] = set()
    for files in arguments.configfile:
        results = load_plan(files, arguments.config).results()
        needed |= {*view.all_results(results).values(), *results.makers}  # some results have no published name
    unneeded = store.find_unneeded(needed)
    size = sum(path.stat().st_size for path in unneeded)
    configs = ", ".join(" ".join(files) for files in arguments.configfile)
    print(f"{len(unneeded)} files ({store.format_size(size)}) are not needed by {configs}.")
    if arguments.dry_run:
        print(*unneeded, "Nothing was deleted, because this was a dry run.", sep="\n")
    elif unneeded and (arguments.yes or confirm()):
        hold_folder()
        store.delete_files(unneeded)
        print("The files were deleted.")
    return 0


def confirm() -> bool:
    """Ask whether to delete the files. Without a terminal, the answer is no."""
    if not sys.stdin.isatty():
        print("Nothing was deleted. To delete without a question: make prune ARGS=--yes")
        return False
    return input("Delete them? [y/N] ").strip().lower() in ("y", "yes")


def locate(file: str, folder: str) -> str:
    """Return the path of a file from a folder; an absolute path is returned as it is."""
    return file if os.path.isabs(file) else os.path.relpath(file, folder)


COMMANDS = {"why": explain_run, "verify": verify, "prune": prune}


def main() -> int:
    """Run a command; return its exit code."""
    parser = argparse.ArgumentParser(prog="make", add_help=False)
    parser.add_argument("command", choices=COMMANDS)
    # One option is one config, merged from its files as in Snakemake. prune keeps what any of the configs needs.
    parser.add_argument("--configfile", "--configfiles", nargs="+", action="append")
    parser.add_argument("--config", "-C", nargs="*", default=[])
    parser.add_argument("--directory", "-d", default=".")
    parser.add_argument("--dry-run", "-n", action="store_true")
    parser.add_argument("--yes", action="store_true")
    arguments = parser.parse_args()
    if not os.path.isdir(arguments.directory):
        parser.error(f"there is no folder {arguments.directory}")
    # as in Snakemake, the names of config files begin in the current folder, and all other names in --directory
    options = [[locate(file, arguments.directory) for file in files] for files in arguments.configfile or ()]
    arguments.configfile = options or [[DEFAULT]]
    os.chdir(arguments.directory)
    try:
        return COMMANDS[arguments.command](arguments)
    except (WorkflowError, HoldError) as error:
        print(f"make {arguments.command}: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `make why | head` ends quietly
    sys.exit(main())
