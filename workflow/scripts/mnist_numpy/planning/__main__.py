"""The commands `make why`, `make verify` and `make prune`."""

import argparse
import sys

from snakemake.exceptions import WorkflowError

from mnist_numpy.planning import store, view
from mnist_numpy.planning.hold import HoldError, hold_folder
from mnist_numpy.planning.plan import DEFAULT, load_plan
from mnist_numpy.planning.why import explain


def why(arguments: argparse.Namespace) -> int:
    """Print what would run, and why."""
    plan = load_plan(arguments.configfile, arguments.config)
    print(*explain(plan), sep="\n")
    plan.memory.save()
    return 0


def verify(arguments: argparse.Namespace) -> int:
    """Print whether the results are as they were made."""
    lines, good = store.verify()
    print(*lines, sep="\n")
    return 0 if good else 1


def prune(arguments: argparse.Namespace) -> int:
    """Delete what none of the named configs needs, after saying how much that is."""
    needed: set[str] = set()
    for file in arguments.configfile:
        results = load_plan([file], arguments.config).results()
        needed |= {*view.possible(results).values(), *results.makers}  # some results have no published name
    files = store.unneeded(needed)
    size = sum(path.stat().st_size for path in files)
    print(f"{len(files)} files, {store.megabytes(size)}, are not needed by {', '.join(arguments.configfile)}")
    if files and (arguments.yes or confirmed()):
        hold_folder()
        store.delete(files)
        print("deleted")
    return 0


def confirmed() -> bool:
    """Ask whether to delete; without a terminal the answer is no."""
    if not sys.stdin.isatty():
        print("not deleted; to delete them without a question: make prune ARGS=--yes")
        return False
    return input("delete them? [y/N] ").strip().lower() in ("y", "yes")


COMMANDS = {"why": why, "verify": verify, "prune": prune}


def main() -> int:
    """Run a command; return its exit code."""
    parser = argparse.ArgumentParser(prog="make", add_help=False)
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("--configfile", "--configfiles", nargs="+", default=[DEFAULT])
    parser.add_argument("--config", nargs="*", default=[])
    parser.add_argument("--yes", action="store_true")
    arguments, _ = parser.parse_known_args()
    try:
        return COMMANDS[arguments.command](arguments)
    except (WorkflowError, HoldError) as error:
        print(f"make {arguments.command}: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
