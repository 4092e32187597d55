# make run     set up, then from the CSVs to results/submission.csv and results/report.html
# make test    set up, then all tests
# make lint    format, lint, types
# make bench   side-by-side measurements (see benchmarks/README.md)
# make why     say in words what would rerun, and why
# make clean   remove the results, with Snakemake's record of them

CORES ?= 4
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=

.PHONY: run test browser lint bench why clean setup
.DEFAULT_GOAL := run

# One run at a time in this folder. The kernel drops the lock on any death; whoever holds it knows that
# a lock of Snakemake's own was left by a run that was killed, and may clear it.
run: setup
	@exec 9>.lock; flock -n 9 || { echo "make run: another run is at work in this folder; wait for it to end" >&2; exit 1; }; \
	if [ -n "$$(ls .snakemake/locks 2>/dev/null)" ]; then $(BIN)/snakemake --unlock $(ARGS) >/dev/null 2>&1; fi; \
	exec $(BIN)/snakemake --cores $(CORES) $(ARGS) 9>&9

test: $(VENV)/dev browser
	$(BIN)/python -m pytest $(ARGS)

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

why: setup
	$(BIN)/snakemake --dry-run --quiet host --cores $(CORES) $(ARGS)

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

$(VENV)/bin/pip:
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(not (3, 11) <= v < (3, 14) and "make: Python 3.11, 3.12 or 3.13 is needed, $(PYTHON) is %d.%d; name another with PYTHON=python3.11" % v)'
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo "make: $(PYTHON) cannot make environments; on Debian: apt-get install python3-venv" >&2; exit 1; }
	@echo "setting up $(VENV) (once)"
	$(PYTHON) -m venv $(VENV)
