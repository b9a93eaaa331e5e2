# make app   - everything a first look needs, then the dashboard in the browser
# make test  - everything the tests need, then all quick tests
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

# Two to four tests at a time, one thread each: threads that wait actively for each other stall on a busy machine.
PYTEST := OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile

# Rules of accessibility (MPL-2.0), which the browser tests ask where they are there.
AXE := axe-core-4.14.1

.PHONY: app test test-all lint format bench clean axe

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
	$(PYTEST) $(ARGS)

test-all: $(VENV)/.installed-test
	$(PYTEST) -m "slow or not slow" $(ARGS)

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.installed-test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.installed-test
	$(BIN)/python benchmarks/run.py $(ARGS)

axe: tests/browser/.axe/axe.min.js

tests/browser/.axe/axe.min.js:
	mkdir -p $(@D)
	cd $(@D) && npm pack --silent $(subst axe-core-,axe-core@,$(AXE)) && tar -xzf $(AXE).tgz --strip-components=1 \
		package/axe.min.js package/LICENSE && rm $(AXE).tgz

clean:
	rm -rf $(VENV) build dist *.egg-info
