# Everything runs in a virtual environment of this folder, which is made when it is first needed.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo test suite lint golden clean

demo: $(VENV)/.installed
	BIN=$(abspath $(BIN)) examples/demo.sh

test: lint suite

lint: $(VENV)/.installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

suite: $(VENV)/.installed
	$(BIN)/python -m pytest -n 2

golden: $(VENV)/.installed
	REWRITE_GOLDEN=1 $(BIN)/python -m pytest tests/planner/test_golden.py

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv* build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
