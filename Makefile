# make run     set up, then from the CSVs to results/submission.csv and results/report.html
# make test    set up, then all tests
# make test-cluster  the tests that need a Slurm cluster and an S3 server, which it brings up (root, Debian)
# make soak    the long form of the tests of kills, full disks and the CSV reader, 15 minutes
# make lint    format, lint, types
# make bench   side-by-side measurements (see benchmarks/README.md)
# make bench-accuracy  what a change of the default model does to its accuracy (ARGS='"deskew: false"')
# make bench-scale  time and peak memory as the tables grow: benchmarks/scale.md and .svg
# make why     say in words what would rerun, and why
# make inspect TABLE=path  say what a table is found to be, and how to configure it
# make clean   remove the results, with Snakemake's record of them

CORES ?= 4
PYTHON ?= python3
VENV := .venv
CLUSTER := .venv-cluster
BIN := $(VENV)/bin
ARGS ?=

.PHONY: run test browser test-cluster soak lint bench bench-accuracy bench-scale why inspect clean setup
.DEFAULT_GOAL := run

# One run at a time in this folder. The lock lies on standard input, which every job inherits, so that what
# a killed run has left at work holds it still; the kernel drops it when the last of them dies. Whoever holds
# it knows that a lock of Snakemake's own was left by a run that is dead, and may clear it.
run: setup
	@exec 0<>.lock; flock -w 2 0 || { \
	echo "make run: another run, or a job that a killed run left behind, is at work in this folder; wait for it to end" >&2; \
	exit 1; }; \
	if [ -n "$$(ls .snakemake/locks 2>/dev/null)" ]; then $(BIN)/snakemake --unlock $(ARGS) >/dev/null 2>&1; fi; \
	exec $(BIN)/snakemake --cores $(CORES) $(ARGS)

test: $(VENV)/dev browser
	$(BIN)/python -m pytest $(ARGS)

# side by side, since these tests mostly wait for Slurm
test-cluster: $(CLUSTER)/ready
	@tests/cluster/slurm.sh start
	@$(CLUSTER)/bin/python -m pytest tests/cluster -n 8 --dist worksteal $(ARGS); result=$$?; tests/cluster/slurm.sh stop; exit $$result

# killed 30 times over one run, the disk full in every stage, and the CSV reader searched for five minutes
soak: $(VENV)/dev
	KILLS=30 FUZZ_SECONDS=300 $(BIN)/python -m pytest -n 0 -s tests/faults/test_kills.py tests/faults/test_resources.py tests/faults/test_fuzz.py $(ARGS)

# the page is tested in a real browser; as root on Debian it is installed here
browser:
	@command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && echo "installing chromium (once)" && \
	apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null; } || \
	{ echo "make test: the page is tested in Chromium; install it first (on Debian: apt-get install chromium)" >&2; exit 1; }

lint: $(VENV)/dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile workflow
	@# every rule runs in the one environment that `make setup` makes: no conda, no container
	@$(BIN)/snakemake --lint >$(VENV)/lint.txt 2>&1 || true; \
	if grep -E '^ +\* ' $(VENV)/lint.txt | grep -v 'Specify a conda environment or container'; then cat $(VENV)/lint.txt; exit 1; fi

bench: $(VENV)/bench
	$(BIN)/python benchmarks/speed.py $(ARGS)

bench-accuracy: $(VENV)/bench
	$(BIN)/python benchmarks/accuracy.py $(ARGS)

bench-scale: $(VENV)/dev
	$(BIN)/python benchmarks/scale.py $(ARGS)

why: setup
	@$(BIN)/snakemake --dry-run --quiet host --cores $(CORES) $(ARGS) >$(VENV)/why.txt 2>&1 || { cat $(VENV)/why.txt >&2; exit 1; }; \
	$(BIN)/python workflow/why.py <$(VENV)/why.txt

inspect: setup
	@test -n "$(TABLE)" || { echo "make inspect: name a table: make inspect TABLE=data/train.csv.zip" >&2; exit 1; }
	@$(BIN)/python workflow/scripts/look.py "$(TABLE)"

clean:
	rm -rf results/* .snakemake

setup: $(VENV)/ready

# stamps: pip runs again only when the requirements have changed
$(VENV)/ready: requirements.txt | $(VENV)/bin/pip
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/dev: requirements-dev.txt requirements.txt | $(VENV)/bin/pip
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@ $(VENV)/ready

$(VENV)/bench: benchmarks/requirements.txt $(VENV)/dev
	$(BIN)/pip install --quiet --disable-pip-version-check -r benchmarks/requirements.txt
	@touch $@

$(CLUSTER)/ready: $(wildcard requirements*.txt) tests/cluster/requirements.txt | $(CLUSTER)/bin/pip
	$(CLUSTER)/bin/pip install --quiet --disable-pip-version-check -r tests/cluster/requirements.txt
	@touch $@

$(VENV)/bin/pip $(CLUSTER)/bin/pip: %/bin/pip:
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(not (3, 11) <= v < (3, 14) and "make: Python 3.11, 3.12 or 3.13 is needed, $(PYTHON) is %d.%d; name another with PYTHON=python3.11" % v)'
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo "make: $(PYTHON) cannot make environments; on Debian: apt-get install python3-venv" >&2; exit 1; }
	@echo "setting up $* (once)"
	$(PYTHON) -m venv $*
