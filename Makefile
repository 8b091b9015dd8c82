# Two commands from nothing: `make demo` and `make test`. They need Python 3.11 or newer, and make.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
MODELS ?= ../shared/models
DATA ?= ../shared/data

.PHONY: demo test check clean agreement conformance onnx_torch benchmarks accuracy formats datapaths ptq mixed torch
demo: $(VENV)/.core
	$(BIN)/hwsim demo

test: $(VENV)/.dev
	$(BIN)/pytest -n 2 --dist loadfile
	NUMBA_DISABLE_JIT=1 $(BIN)/coverage run -m pytest tests/kernels tests/ops tests/engines -m "not engine" -p no:xdist
	$(BIN)/coverage report

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The pages under docs/ that scripts write. Each runs for minutes; those with networks and images need them at hand.
agreement: $(VENV)/.dev
	$(BIN)/python scripts/agreement.py $(MODELS)

conformance: $(VENV)/.dev
	$(BIN)/python scripts/conformance.py

onnx_torch: $(VENV)/.dev
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[onnx,torch]'
	$(BIN)/python scripts/conformance_onnx_torch.py

benchmarks: $(VENV)/.dev
	$(BIN)/python scripts/benchmarks.py $(MODELS)

accuracy: $(VENV)/.dev
	$(BIN)/python scripts/accuracy.py

formats: $(VENV)/.dev
	$(BIN)/python scripts/formats.py $(MODELS) $(DATA)

datapaths: $(VENV)/.dev
	$(BIN)/python scripts/datapaths.py

ptq: $(VENV)/.dev
	$(BIN)/python scripts/ptq.py $(DATA) $(MODELS)

mixed: $(VENV)/.dev
	$(BIN)/python scripts/mixed.py $(MODELS) $(DATA)

torch: $(VENV)/.dev
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[torch]'
	$(BIN)/python scripts/qat.py $(DATA) build/qat
	$(BIN)/python scripts/swish.py build/swish
	$(BIN)/python scripts/transformer.py
	$(BIN)/pip install --quiet --disable-pip-version-check torchao brevitas dependencies
	$(BIN)/python scripts/torch_quantized.py --data $(DATA)

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "hwsim needs Python 3.11 or newer, this is " + sys.version)'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.core: pyproject.toml | $(VENV)/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(VENV)/.dev: pyproject.toml | $(VENV)/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[verify,dev]'
	touch $@ $(VENV)/.core

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .coverage
