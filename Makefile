# make app   - install the package and open the dashboard
# make test  - install the test dependencies and run the quick tests
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

# Up to four test processes with one thread each; passive waiting, because spinning threads stall a busy machine.
PYTEST := OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile

# Accessibility rules (MPL-2.0) for the browser tests; optional.
AXE := axe-core-4.14.1

.PHONY: app test test-all lint format bench try-live clean axe

# Stamp files: packages are reinstalled only after a change of pyproject.toml or constraints.txt.
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

# One small request to every service of the catalogue; needs internet.
try-live: $(VENV)/.installed
	$(BIN)/python benchmarks/run.py live $(ARGS)

axe: tests/browser/.axe/axe.min.js

tests/browser/.axe/axe.min.js:
	mkdir -p $(@D)
	cd $(@D) && npm pack --silent $(subst axe-core-,axe-core@,$(AXE)) && tar -xzf $(AXE).tgz --strip-components=1 \
		package/axe.min.js package/LICENSE && rm $(AXE).tgz

clean:
	rm -rf $(VENV) build dist *.egg-info
