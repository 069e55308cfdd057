# make            set up the environment, then run the study of config.yaml (profiles/local)
# make test       set up the environment and all that tests need, as root or with sudo, then run every test
# make test-fast  the same without the slow tests
# make mutation   break the code in small ways, thousands of times, and see the fast tests fail (tests/README.md)
# make lint       formatters, linters, types, import rules
# make docs       the documentation as a site, in site/
# make env        set up the environment and stop
#
# make help       print these lines
#
# Override: PYTHON (an interpreter of version 3.11 to 3.13), VENV (where the environment lives), PYTEST (pytest's options),
# MUTANTS (which to try, such as "workflow_scripts.tables.*"), SAMPLE (which share to try, drawn by chance, such as 0.15).

PYTHON ?= python3.11
VENV ?= .venv
PYTEST ?= -n auto --maxprocesses 4 --dist loadfile
MUTANTS ?=
SAMPLE ?=

BIN := $(abspath $(VENV))/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check -qq
# Jobs that Snakemake starts, and programs that tests start, find the environment's `python` first; daemons are last.
export PATH := $(BIN):$(PATH):/usr/sbin:/sbin

.PHONY: all env test test-fast mutation mutation-again lint docs help
.DELETE_ON_ERROR:

all: env
	$(BIN)/snakemake --profile profiles/local

# Tests run side by side, one on each core: threads of one would wait for those of another, ten times as long.
test test-fast: export OMP_NUM_THREADS := 1
test: $(VENV)/.tests-installed
	@$(BIN)/python -m tests.system chromium openssl slurm mount
	$(BIN)/pytest $(PYTEST)

test-fast: $(VENV)/.tests-installed
	@$(BIN)/python -m tests.system chromium openssl
	$(BIN)/pytest $(PYTEST) -m "not slow"

# What was tried stays tried: one that was cut goes on, and only functions that changed are tried again.
mutation mutation-again: export PYTHONPATH := $(abspath $(VENV))/mutation
mutation mutation-again: export PATH := $(PATH):$(abspath $(VENV))/mutation/bin
mutation mutation-again: export OMP_NUM_THREADS := 1
mutation-again: export MUTATION_SECONDS := 120
mutation: $(VENV)/.mutation-installed
ifdef SAMPLE
	nice $(BIN)/python -m tests.mutation.sample $(SAMPLE)
	nice $(BIN)/python -m tests.mutation.rules --sample $(SAMPLE)
	$(BIN)/python -m tests.mutation.score --sample $(SAMPLE)
else
	nice mutmut run $(foreach mutant,$(MUTANTS),'$(mutant)')
	$(if $(MUTANTS),,nice $(BIN)/python -m tests.mutation.rules)
	$(BIN)/python -m tests.mutation.score
endif

mutation-again: $(VENV)/.mutation-installed
	$(MAKE) mutation MUTANTS="$$($(BIN)/python -m tests.mutation.score --names)"

lint: $(VENV)/.tests-installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/snakemake --lint

docs: $(VENV)/.docs-installed
	NO_MKDOCS_2_WARNING=1 $(VENV)/docs/bin/mkdocs build --quiet --strict
	@echo 'Open site/index.html'

env: $(VENV)/.installed

help:
	@sed -n '/^#/!q; s/^# \?//p' Makefile

$(VENV)/.installed: envs/requirements.txt envs/install_detectron2.py
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	{ echo 'Python 3.11 to 3.13 is needed, and "$(PYTHON)" is not that: make PYTHON=/path/to/python3.11' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || \
	{ echo '"$(PYTHON)" lacks venv: apt-get install python3-venv, or the like for its version' >&2; exit 1; }
	@echo 'Installing into $(VENV): 6 GB, a few minutes'
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) -r envs/requirements.txt
	@$(BIN)/python envs/install_detectron2.py
	@touch $@

$(VENV)/.tests-installed: envs/requirements-test.txt $(VENV)/.installed
	@$(PIP) -r envs/requirements-test.txt
	@touch $@

# Beside the environment's packages and not among them: only `make mutation` sees it.
$(VENV)/.mutation-installed: envs/requirements-mutation.txt $(VENV)/.tests-installed
	@rm -rf $(VENV)/mutation
	@$(PIP) --no-deps --target $(VENV)/mutation -r envs/requirements-mutation.txt
	@touch $@

# An environment of its own, without torch: whoever writes documentation needs no more.
$(VENV)/.docs-installed: envs/requirements-docs.txt
	@rm -rf $(VENV)/docs
	@$(PYTHON) -m venv $(VENV)/docs
	@$(VENV)/docs/bin/python -m pip install --disable-pip-version-check -qq -r envs/requirements-docs.txt
	@touch $@
