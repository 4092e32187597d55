# make run     set up, then from the CSVs to results/submission.csv and results/report.html
# make why     say in words what would rerun, and why
# make verify  read all results again and compare them with their checksums
# make prune   delete results that the config does not need, after saying how much that is
# make clean   remove the results, with Snakemake's record of them
# make test    set up, then all tests
# make test-cluster  the tests that need a Slurm cluster and an S3 server, which it brings up (root, Debian)
# make soak    the long form of the tests of kills, failures, power cuts, full disks and the CSV reader
# make lint    check format, lint and types
# make format  format all Python and rules, and fix what lint can fix by itself
# make lock    resolve the requirements*.in again into requirements*.txt (ARGS=--upgrade for newer versions)
# make bench   side-by-side measurements (see benchmarks/README.md)
# make bench-accuracy  what a change of the default model does to its accuracy (ARGS='"learning_rate: 0.002"')
# make bench-scale  time and peak memory as the tables grow: benchmarks/scale.md and .svg
# make inspect TABLE=path  say what a table is found to be, and how to configure it
# make help    print this list

CORES ?= 4
PYTHON ?= python3
VENV := .venv
CLUSTER := .venv-cluster
BIN := $(VENV)/bin
ARGS ?=
# ARGS are for this make alone, not for those that the tests start
unexport ARGS
MAKEOVERRIDES =
# where the home folder cannot be written, Snakemake, matplotlib and pip keep their caches in the environment
ifneq ($(shell cache="$${XDG_CACHE_HOME:-$${HOME:-/dev/null}/.cache}"; mkdir -p "$$cache" 2>/dev/null; [ -w "$$cache" ] && echo writable),writable)
export XDG_CACHE_HOME := $(CURDIR)/$(VENV)/cache
export MPLCONFIGDIR := $(XDG_CACHE_HOME)/matplotlib
endif

# The first is resolved with all packages; the others take its versions, so that each package has one version.
LOCKS := tests/cluster/requirements requirements requirements-dev requirements-cluster requirements-cloud
INSTALL := pip install --quiet --disable-pip-version-check --require-hashes -r

.PHONY: run why verify prune inspect clean test test-cluster soak lint format lock bench bench-accuracy bench-scale help setup
.DEFAULT_GOAL := run

run: setup
	@exec $(BIN)/python workflow/scripts/mnist_numpy/planning/hold.py --cores $(CORES) $(ARGS)

test: $(VENV)/dev
	$(BIN)/python -m pytest $(ARGS)

# side by side, since these tests mostly wait for Slurm
test-cluster: $(CLUSTER)/ready
	@tests/cluster/slurm.sh start
	@$(CLUSTER)/bin/python -m pytest tests/cluster -n 8 --dist worksteal $(ARGS); result=$$?; tests/cluster/slurm.sh stop; exit $$result

# killed 30 times over one run, the disk full in every stage, and the CSV reader searched for five minutes; then
# every rule failing in every way, and the power cut 20 times on each of two file systems (as root; mkfs.xfs is
# installed on Debian)
soak: $(VENV)/dev
	@command -v mkfs.xfs >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && echo "installing xfsprogs (once)" && \
	apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends xfsprogs >/dev/null; } || \
	echo "make soak: no power cuts on xfs, since there is no mkfs.xfs (on Debian, as root: apt-get install xfsprogs)" >&2
	KILLS=30 FUZZ_SECONDS=300 $(BIN)/python -m pytest -n 0 -s tests/faults/test_kills.py tests/faults/test_resources.py tests/faults/test_fuzz.py $(ARGS)
	KILLS=30 CUTS=20 $(BIN)/python -m pytest -n auto --dist worksteal -rs tests/faults/test_every_failure.py tests/faults/test_power_cuts.py $(ARGS)

lint: $(VENV)/dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile workflow
	@# every rule runs in the one environment that `make setup` makes: no conda, no container
	@$(BIN)/snakemake --lint >$(VENV)/lint.txt 2>&1 || true; \
	if grep -E '^ +\* ' $(VENV)/lint.txt | grep -v 'Specify a conda environment or container'; then cat $(VENV)/lint.txt; exit 1; fi

format: $(VENV)/dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/snakefmt Snakefile workflow

lock: $(VENV)/dev
	@for list in $(LOCKS); do \
	$(BIN)/uv pip compile $$list.in --output-file $$list.txt --quiet --universal --python-version 3.11 --generate-hashes \
	--no-annotate --no-emit-index-url --custom-compile-command "make lock" $$versions $(ARGS) || exit 1; \
	versions="--constraints $(firstword $(LOCKS)).txt"; done

bench: $(VENV)/bench
	$(BIN)/python benchmarks/speed.py $(ARGS)

bench-accuracy: $(VENV)/bench
	$(BIN)/python benchmarks/accuracy.py $(ARGS)

bench-scale: $(VENV)/dev
	$(BIN)/python benchmarks/scale.py $(ARGS)

why verify prune: setup
	@PYTHONPATH=workflow/scripts $(BIN)/python -m mnist_numpy.planning $@ $(ARGS)

inspect: setup
	@test -n "$(TABLE)" || { echo "make inspect: name a table: make inspect TABLE=data/train.csv.zip" >&2; exit 1; }
	@PYTHONPATH=workflow/scripts $(BIN)/python -m mnist_numpy.inspect_table "$(TABLE)"

clean:
	rm -rf results/* .snakemake

help:
	@sed -n 's/^# \(make [a-z-]*\)  */\1 /p' Makefile | while read -r make goal what; do printf '%s %-15s %s\n' "$$make" "$$goal" "$$what"; done

setup: $(VENV)/ready

# stamps: pip runs again only when the requirements have changed
$(VENV)/ready: requirements.txt | $(VENV)/bin/pip
	$(BIN)/$(INSTALL) requirements.txt
	@touch $@

$(VENV)/dev: requirements-dev.txt requirements.txt | $(VENV)/bin/pip
	$(BIN)/$(INSTALL) requirements-dev.txt
	@touch $@ $(VENV)/ready

$(VENV)/bench: benchmarks/requirements.txt $(VENV)/dev
	# torch comes without hashes: its build differs from machine to machine
	$(BIN)/pip install --quiet --disable-pip-version-check -r benchmarks/requirements.txt
	@touch $@

$(CLUSTER)/ready: tests/cluster/requirements.txt | $(CLUSTER)/bin/pip
	$(CLUSTER)/bin/$(INSTALL) tests/cluster/requirements.txt
	@touch $@

$(VENV)/bin/pip $(CLUSTER)/bin/pip: %/bin/pip:
	@workflow/tools/environment.sh $(PYTHON) $*
