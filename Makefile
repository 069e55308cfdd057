# make            set up the environment, then run the main job (profiles/local)
# make test       set up the environment and all that tests need, as root or with sudo, then run every test
# make test-fast  the same without the slow tests
# make lint       formatters, linters, types, import rules
# make env        set up the environment and stop
#
# make help       print these lines
#
# Override: PYTHON (an interpreter of version 3.11), VENV (where the environment lives), PYTEST (pytest's options).

PYTHON ?= python3.11
VENV ?= .venv
PYTEST ?= -n auto --maxprocesses 4 --dist loadfile

BIN := $(abspath $(VENV))/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check -qq
# Jobs that Snakemake starts, and programs that tests start, find the environment's `python` first; daemons are last.
export PATH := $(BIN):$(PATH):/usr/sbin:/sbin

.PHONY: all env test test-fast lint help
.DELETE_ON_ERROR:

all: env
	$(BIN)/snakemake --profile profiles/local

test: $(VENV)/.tests-installed
	@$(BIN)/python -m tests.system chromium openssl slurm mount
	$(BIN)/pytest $(PYTEST)

test-fast: $(VENV)/.tests-installed
	@$(BIN)/python -m tests.system chromium openssl
	$(BIN)/pytest $(PYTEST) -m "not slow"

lint: $(VENV)/.tests-installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/snakemake --lint

env: $(VENV)/.installed

help:
	@sed -n '/^#/!q; s/^# \?//p' Makefile

$(VENV)/.installed: envs/requirements.txt envs/install_detectron2.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || \
	{ echo 'Python 3.11 is needed, and "$(PYTHON)" is not that: make PYTHON=/path/to/python3.11' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || \
	{ echo '"$(PYTHON)" lacks venv: apt-get install python3.11-venv' >&2; exit 1; }
	@echo 'Installing into $(VENV): 6 GB, a few minutes'
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) -r envs/requirements.txt
	@$(BIN)/python envs/install_detectron2.py
	@touch $@

$(VENV)/.tests-installed: envs/requirements-test.txt $(VENV)/.installed
	@$(PIP) -r envs/requirements-test.txt
	@touch $@
