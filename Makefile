# Everything runs in a virtual environment of this folder, which is made when it is first needed.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

# Whoever sets this would have every process compile what it loads.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test suite lint golden soak fuzz bench mutants coverage conform readers audit-deps clean

demo: $(VENV)/.installed
	@BIN="$(BIN)" examples/demo.sh

test: lint suite

lint: $(VENV)/.installed-dev $(VENV)-lint/.installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	PYTHONPATH=. $(VENV)-lint/bin/lint-imports

suite: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -n auto --dist worksteal

# Beside the tests' packages this would bring them rich, which httpx loads wherever it finds it.
$(VENV)-lint/.installed: | $(BIN)/python
	$(PYTHON) -m venv --without-pip $(VENV)-lint
	$(BIN)/python -m pip --python $(VENV)-lint/bin/python install --quiet --disable-pip-version-check --no-compile 'import-linter>=2.1'
	@touch "$@"

golden: $(VENV)/.installed-dev
	REWRITE_GOLDEN=1 $(BIN)/python -m pytest tests/render/test_golden.py

# Lost power and refused writes from random seeds, and the suite with real processes, a real clock and a kill at every
# system call; SEED=N repeats one seed.
soak: $(VENV)/.installed-dev
	$(BIN)/python tests/faults/soak.py --seconds $(or $(SECONDS),600) $(if $(SEED),--seed $(SEED))

# Bytes that break a promise of tests/support/targets.py, led by the code that they reach; TARGET=plans takes one kind.
fuzz: $(VENV)-fuzz/.installed
	$(VENV)-fuzz/bin/python tests/fuzz/fuzz.py --seconds $(or $(SECONDS),600) $(if $(TARGET),--target $(TARGET))

# ARGS=--quick leaves out what takes longer than a few seconds.
bench: $(VENV)/.installed-bench
	$(BIN)/python tests/benchmarks/bench.py $(ARGS)

# Small changes to the code that must not be wrong: does a test notice each? ONLY=planner/plan/diff.py takes one module.
mutants: $(VENV)/.installed-mutants
	$(BIN)/python tests/mutants/run.py $(ONLY)

# Lines and branches of planner and state that no process reaches, in twice the time of the suite. ARGS=tests/cli takes
# some of the tests. What would find coverage itself (modules that are loaded, system calls) is left out.
coverage: $(VENV)-coverage/.installed
	rm -rf .coverage
	-$(VENV)-coverage/bin/python -m pytest -n auto --dist worksteal -m 'not unmeasured' $(ARGS)
	$(VENV)-coverage/bin/coverage combine --quiet
	$(VENV)-coverage/bin/coverage report

$(VENV)-coverage/.installed: pyproject.toml | $(BIN)/python
	$(PYTHON) -m venv $(VENV)-coverage
	$(VENV)-coverage/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[coverage]'
	$(VENV)-coverage/bin/python tests/support/measured.py
	@touch "$@"

# The rows of the resource types against an OpenAPI document of the API, in JSON: make conform SCHEMA=FILE.
conform: $(VENV)/.installed-dev
	$(BIN)/python tests/support/conform.py $(SCHEMA)

# Tools that read Terraform's plans, in an environment of their own, on what plan --json prints.
readers: $(VENV)/.installed $(VENV)-readers/.installed
	BIN="$(BIN)" READERS="$(VENV)-readers/bin" tests/readers/check.sh

$(VENV)-readers/.installed: | $(BIN)/python
	$(PYTHON) -m venv $(VENV)-readers
	$(VENV)-readers/bin/python -m pip install --quiet --disable-pip-version-check checkov terraform-compliance tf-peek
	@touch "$@"

$(VENV)-fuzz/.installed: pyproject.toml | $(BIN)/python
	$(PYTHON) -m venv $(VENV)-fuzz
	$(VENV)-fuzz/bin/python -m pip install --quiet --disable-pip-version-check --only-binary atheris --editable '.[fuzz]' || { \
	  echo 'atheris comes for CPython 3.11 to 3.13 on Linux, and $(PYTHON) may be another. Name one: make PYTHON=python3.12 fuzz' >&2; \
	  exit 1; }
	@touch "$@"

# What an installed statform brings along: licences and known vulnerabilities. 1: there are some, 2: nobody could be asked.
audit-deps: $(VENV)-audit/.installed $(VENV)-deps/.installed
	@$(VENV)-audit/bin/python tests/support/audit_deps.py $(VENV)-deps/bin/python

$(VENV)-audit/.installed: | $(BIN)/python
	$(PYTHON) -m venv $(VENV)-audit
	$(VENV)-audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit pip-licenses
	@touch "$@"

$(VENV)-deps/.installed: pyproject.toml | $(BIN)/python
	$(PYTHON) -m venv --clear $(VENV)-deps
	$(VENV)-deps/bin/python -m pip install --quiet --disable-pip-version-check '.[emulator]'
	@touch "$@"

$(VENV)/.installed: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[emulator]'
	@touch "$@"

$(VENV)/.installed-dev: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --editable '.[dev]'
	@touch "$@" $(VENV)/.installed

$(VENV)/.installed-bench: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	@touch "$@" $(VENV)/.installed

$(VENV)/.installed-mutants: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[mutants]'
	@touch "$@" $(VENV)/.installed-dev $(VENV)/.installed

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo 'statform needs Python 3.11 or later, and $(PYTHON) is none. Name one: make PYTHON=python3.12 $(MAKECMDGOALS)' >&2; \
	  exit 1; }
	$(PYTHON) -m venv $(VENV)

clean:
	rm -rf .venv .venv-lint .venv-audit .venv-deps .venv-coverage .coverage build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
