# make run     train the networks and write results/submission.csv and results/report.html
# make why     print which jobs would run, and why
# make diff    print what changed since the run before (ARGS="--configfile other.yaml" compares with another run)
# make verify  compare all results with their checksums
# make prune   print how many results the config does not need, and delete them after a question (ARGS=-n lists them)
# make clean   delete all results and Snakemake's metadata
# make test    run the tests
# make test-cluster  run the tests that need Slurm and S3, which it starts on this machine (root, Debian)
# make soak    run the long tests of kills, failures, power cuts, full disks and the CSV reader
# make lint    check format, lint and types
# make format  format Python and rules, and fix lint errors where possible
# make lock    compile requirements*.in into requirements*.txt (ARGS=--upgrade for newer versions)
# make bench   compare the speed with scikit-learn and PyTorch (see benchmarks/README.md)
# make bench-accuracy  measure the accuracy of the default model with changed options (ARGS='"learning_rate: 0.002"')
# make bench-notebook  train the original notebook's recipe five times: benchmarks/notebook.csv, docs/notebook.svg
# make bench-scale  measure time and memory for growing tables: benchmarks/scale.md and scale.svg
# make inspect TABLE=path  print the layout of a table and the lines to put into a config
# make predict IMAGE=path  predict photos of handwritten digits with the trained networks (several: IMAGE="*.jpg")
# make help    print this list

CORES ?= 4
PYTHON ?= python3
VENV := .venv
CLUSTER := .venv-cluster
BIN := $(VENV)/bin
ARGS ?=
# ARGS apply to this make only, not to a make that a test starts
unexport ARGS
MAKEOVERRIDES =
# If the home folder cannot be written, Snakemake, matplotlib and pip use caches in the environment.
ifneq ($(shell cache="$${XDG_CACHE_HOME:-$${HOME:-/dev/null}/.cache}"; mkdir -p "$$cache" 2>/dev/null; [ -w "$$cache" ] && echo writable),writable)
export XDG_CACHE_HOME := $(CURDIR)/$(VENV)/cache
export MPLCONFIGDIR := $(XDG_CACHE_HOME)/matplotlib
endif

# The first list has all packages. The other lists use its versions, so that each package has only one version.
LOCKS := tests/cluster/requirements requirements requirements-dev requirements-cluster requirements-cloud
INSTALL := python -m pip install --quiet --disable-pip-version-check --require-hashes -r

.PHONY: run why diff verify prune inspect predict clean test test-cluster soak lint format lock bench bench-accuracy bench-notebook bench-scale help setup
.DEFAULT_GOAL := run

run: setup
	@exec $(BIN)/python workflow/scripts/mnist_numpy/planning/hold.py --cores $(CORES) $(ARGS)

test: $(VENV)/dev
	$(BIN)/python -m pytest $(ARGS)

# in parallel (-n 8), because these tests mostly wait for Slurm
test-cluster: $(CLUSTER)/ready
	@tests/cluster/slurm.sh start $$PPID
	@$(CLUSTER)/bin/python -m pytest tests/cluster -n 8 --dist worksteal $(ARGS); result=$$?; tests/cluster/slurm.sh stop; exit $$result

# First: 30 kills of one run, a full disk in every stage, and a fuzz test of the CSV reader for five minutes.
# Then: agreement with the original notebook after 500 iterations on all rows.
# Then: every failure of every rule, and 20 power cuts on each of two file systems (as root; it installs mkfs.xfs
# on Debian).
soak: $(VENV)/dev
	@command -v mkfs.xfs >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && echo "installing xfsprogs (once)" && \
	apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends xfsprogs >/dev/null; } || \
	echo "make soak: skipping power cuts on xfs because mkfs.xfs is missing (on Debian, as root: apt-get install xfsprogs)" >&2
	KILLS=30 FUZZ_SECONDS=300 $(BIN)/python -m pytest -n 0 -s tests/faults/test_kills.py tests/faults/test_resources.py tests/faults/test_fuzz.py $(ARGS)
	NOTEBOOK=1 $(BIN)/python -m pytest -n 0 tests/unit/test_notebook.py -k every_tensor $(ARGS)
	KILLS=30 CUTS=20 $(BIN)/python -m pytest -n auto --dist worksteal -rs tests/faults/test_every_failure.py tests/faults/test_power_cuts.py $(ARGS)

lint: $(VENV)/dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m snakefmt --check Snakefile workflow
	@# all rules use the environment of `make setup`, so they name no conda environment or container
	@$(BIN)/python -m snakemake --lint >$(VENV)/lint.txt 2>&1 || true; \
	if grep -E '^ +\* ' $(VENV)/lint.txt | grep -v 'Specify a conda environment or container'; then cat $(VENV)/lint.txt; exit 1; fi

format: $(VENV)/dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/python -m snakefmt Snakefile workflow

lock: $(VENV)/dev
	@for list in $(LOCKS); do \
	$(BIN)/uv pip compile $$list.in --output-file $$list.txt --quiet --universal --python-version 3.11 --generate-hashes \
	--no-annotate --no-emit-index-url --custom-compile-command "make lock" $$versions $(ARGS) || exit 1; \
	versions="--constraints $(firstword $(LOCKS)).txt"; done

bench: $(VENV)/bench
	$(BIN)/python benchmarks/speed.py $(ARGS)

bench-accuracy: $(VENV)/bench
	$(BIN)/python benchmarks/accuracy.py $(ARGS)

bench-notebook: $(VENV)/dev
	$(BIN)/python benchmarks/notebook.py

bench-scale: $(VENV)/dev
	$(BIN)/python benchmarks/scale.py $(ARGS)

why verify prune: setup
	@PYTHONPATH=workflow/scripts $(BIN)/python -m mnist_numpy.planning $@ $(ARGS)

diff: setup
	@PYTHONPATH=workflow/scripts $(BIN)/python -m mnist_numpy.compare_runs $(ARGS)

inspect: setup
	@test -n "$(TABLE)" || { echo "make inspect: name a table: make inspect TABLE=data/train.csv.zip" >&2; exit 1; }
	@PYTHONPATH=workflow/scripts $(BIN)/python -m mnist_numpy.inspect_table "$(TABLE)"

# IMAGE is one name, which may have blanks, or several names or patterns
predict: setup
	@test -n "$(IMAGE)" || { echo "make predict: name a photo of a digit: make predict IMAGE=photo.jpg" >&2; exit 1; }
	@if [ -e "$(IMAGE)" ]; then set -- "$(IMAGE)"; else set -- $(IMAGE); fi; \
	PYTHONPATH=workflow/scripts $(BIN)/python -m mnist_numpy.predict_photos $(ARGS) -- "$$@"

clean:
	rm -rf results/* .snakemake

help:
	@sed -n 's/^# \(make [a-z-]*\)  */\1 /p' Makefile | while read -r make goal what; do printf '%s %-15s %s\n' "$$make" "$$goal" "$$what"; done

setup: $(VENV)/ready

# stamp files, so that pip runs again only if the requirements have changed
$(VENV)/ready: requirements.txt | $(VENV)/bin/pip
	$(BIN)/$(INSTALL) requirements.txt
	@touch $@

$(VENV)/dev: requirements-dev.txt requirements.txt | $(VENV)/bin/pip
	$(BIN)/$(INSTALL) requirements-dev.txt
	@touch $@ $(VENV)/ready

$(VENV)/bench: benchmarks/requirements.txt $(VENV)/dev
	# no hashes, because the build of torch differs between machines
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r benchmarks/requirements.txt
	@touch $@

$(CLUSTER)/ready: tests/cluster/requirements.txt | $(CLUSTER)/bin/pip
	$(CLUSTER)/bin/$(INSTALL) tests/cluster/requirements.txt
	@touch $@

$(VENV)/bin/pip $(CLUSTER)/bin/pip: %/bin/pip:
	@workflow/tools/environment.sh $(PYTHON) $*
