# make app   - everything a first look needs, then the dashboard in the browser
# make test  - everything the tests need, then all quick tests
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: app test test-all lint format bench clean

# The stamps make a second start fast: nothing is installed again until what decides it changes.
$(VENV)/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) -e .
	touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(PIP) -e '.[test]'
	touch $@

app: $(VENV)/.installed
	$(BIN)/gsm3 app $(ARGS)

test: $(VENV)/.installed-test
	$(BIN)/python -m pytest $(ARGS)

test-all: $(VENV)/.installed-test
	$(BIN)/python -m pytest -m "slow or not slow" $(ARGS)

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.installed-test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.installed-test
	$(BIN)/python tests/benchmarks/run.py $(ARGS)

clean:
	rm -rf $(VENV) build dist *.egg-info
