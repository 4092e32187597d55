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
    plan = load_plan([file for files in arguments.configfile for file in files], arguments.config)
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
    for files in arguments.configfile:
        results = load_plan(files, arguments.config).results()
        needed |= {*view.possible(results).values(), *results.makers}  # some results have no published name
    unneeded = store.unneeded(needed)
    size = sum(path.stat().st_size for path in unneeded)
    configs = ", ".join(" ".join(files) for files in arguments.configfile)
    print(f"{len(unneeded)} files, {store.megabytes(size)}, are not needed by {configs}")
    if unneeded and (arguments.yes or confirmed()):
        hold_folder()
        store.delete(unneeded)
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
    # as Snakemake takes them; prune keeps what any config needs: --configfile one.yaml --configfile two.yaml
    parser.add_argument("--configfile", "--configfiles", nargs="+", action="append")
    parser.add_argument("--config", "-C", nargs="*", default=[])
    parser.add_argument("--yes", action="store_true")
    arguments = parser.parse_args()
    arguments.configfile = arguments.configfile or [[DEFAULT]]
    try:
        return COMMANDS[arguments.command](arguments)
    except (WorkflowError, HoldError) as error:
        print(f"make {arguments.command}: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
