# Each target does all of its own set-up; a second run installs nothing again.
#
#   make train                        train the default experiment
#   make train ARGS="model=plain"     the same with overrides (make train ARGS=--help lists them)
#   make test                         run the tests
#   make notebook                     open the notebooks in a browser
#   make notebooks                    execute the notebooks again, from their reviewed sources
#   make lint                         style, as pre-commit checks it

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help install train test notebook notebooks lint

# The interpreter that makes the environment: the first of these that runs and is new enough.
PYTHONS ?= python3.11 python3 python3.12 python3.13
VENV := .venv
RUN := $(VENV)/bin/python
INSTALLED := $(VENV)/.installed
# pip reads both: the first for what it installs, the second for what it builds wheels with.
PIP := PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt \
	$(RUN) -m pip install --quiet --disable-pip-version-check

help:
	@sed -n 's/^#   //p' Makefile

install: $(INSTALLED)

train: $(INSTALLED)
	$(RUN) scripts/train.py $(ARGS)

test: $(INSTALLED)
	$(RUN) -m pytest -n 2 --dist worksteal $(ARGS)

notebook: $(VENV)/.jupyterlab
	$(RUN) -m jupyterlab notebooks/01_latent_traversal.ipynb

notebooks: $(INSTALLED)
	for source in notebooks/*.py; do \
	  $(RUN) -m jupytext --to ipynb "$$source" && \
	  $(RUN) -m jupyter_core.command execute --inplace "$${source%.py}.ipynb" || exit 1; \
	done

lint: $(INSTALLED)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

$(INSTALLED): setup.cfg pyproject.toml requirements.txt constraints.txt \
		third_party/py3nj/pyproject.toml third_party/py3nj/py3nj.py \
		third_party/lie_learn/pyproject.toml \
		third_party/lie_learn/lie_learn/representations/SO3/wigner_d.py
	@if ! $(RUN) -m pip --version >/dev/null 2>&1; then \
	  found=; \
	  for python in $(PYTHONS); do \
	    if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
	      found=$$python; break; \
	    fi; \
	  done; \
	  if [ -z "$$found" ]; then \
	    echo "eqvae needs Python 3.11 or newer, and none of $(PYTHONS) is one: install it, or name yours with make PYTHONS=/path/to/python." >&2; \
	    exit 1; \
	  fi; \
	  if ! "$$found" -c 'import ensurepip, venv' >/dev/null 2>&1; then \
	    echo "$$found can't make a virtual environment because its venv module is missing: install it (Debian and Ubuntu: apt install python3-venv) and run make again." >&2; \
	    exit 1; \
	  fi; \
	  echo "Making the environment $(VENV) with $$($$found --version) ..."; \
	  "$$found" -m venv --clear $(VENV); \
	fi
	@echo "Installing the dependencies into $(VENV), once, about 2 minutes and 6 GB ..."
	@$(PIP) torch torchvision
	@$(PIP) -r requirements.txt
	@$(RUN) -m pip check
	@touch $@

$(VENV)/.jupyterlab: $(INSTALLED)
	@$(PIP) jupyterlab
	@touch $@
