# Every target sets up what it needs; the second time it only looks at a time stamp.

# The first Python that is new enough; `make run PYTHON=...` takes another.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo $$p; break; }; done)
VENV ?= .venv
BIN = $(VENV)/bin
# Without warnings, which say nothing that a reader could change; errors are shown.
QUIET = --quiet --quiet --disable-pip-version-check
PIP = $(BIN)/python -m pip install $(QUIET)
# The tests start some hundred processes: each would compile our sources again where an environment forbids to keep them.
export PYTHONDONTWRITEBYTECODE =
PYTEST_ARGS = -n auto --dist worksteal
PYTEST = $(BIN)/python -m pytest $(PYTEST_ARGS)

# uv resolves for the lowest versions, and makes environments in seconds.
UV = $(VENV)/tools/bin/uv

APP ?= examples/quickstart.py:app
SERVER ?= granian
HOST ?= 127.0.0.1
PORT ?= 8000

.PHONY: install run shop format lint types test test-lowest test-newest test-pythons mutants ecosystem cov spec specification suites docs docs-serve soak release bench bench-page bench-core check clean

# What `make run` needs: the package alone.
$(VENV)/.installed: pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; name it with PYTHON=..." >&2; exit 1; }
	@echo "Setting up $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) --upgrade "pip>=25.1"
	@$(PIP) --editable .
	@touch $@

# What developing needs besides: the dependency group `dev`, which pip knows since 25.1.
$(VENV)/.installed-dev: $(VENV)/.installed
	@echo "Installing the tools for development into $(VENV)"
	@$(PIP) --editable . --group dev
	@$(PYTHON) -m venv --without-pip $(VENV)/tools
	@$(BIN)/python -m pip --python $(VENV)/tools/bin/python install $(QUIET) --group tools
	@touch $@

install: $(VENV)/.installed-dev

run: $(VENV)/.installed
	@exec $(BIN)/velithon run --app $(APP) --server $(SERVER) --host $(HOST) --port $(PORT) $(ARGS)

# The whole shop, with things in it; `make shop SERVER=uvicorn PORT=9000`. Its data stays in examples/shop.
shop: install
	@cd examples/shop && export PYTHONPATH=. SHOP_PUBLIC_URL=http://$(HOST):$(PORT) && \
		$(CURDIR)/$(BIN)/alembic upgrade head && $(CURDIR)/$(BIN)/python -m shop.seed && \
		exec $(CURDIR)/$(BIN)/velithon run --app shop.main:app --server $(SERVER) --host $(HOST) --port $(PORT) $(ARGS)

format: install
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/bandit --quiet --recursive --severity-level high velithon adapters/velithon_adapters

types: install
	$(BIN)/mypy

test: install
	$(PYTEST) $(ARGS)

# The suite with the lowest versions that pyproject.toml admits, with the newest, and on each Python that is there.
test-lowest: RESOLUTION = --resolution lowest-direct
test-lowest test-newest: test-%: install
	$(call test_in,$*,$(BIN)/python)

test-python-%: install
	$(call test_in,$*,$*)

# Of the Pythons that pyenv has, all are looked at, whichever it has chosen.
test-python-% test-pythons: export PYENV_VERSION = $(shell pyenv versions --bare 2>/dev/null | grep '^3.1[1-4]' | paste -s -d : -)

test-pythons: install
	@for version in 3.11 3.12 3.13 3.14; do \
		if $(UV) python find --quiet --no-python-downloads $$version >/dev/null 2>&1; then \
			$(MAKE) test-python-$$version || exit 1; \
		else \
			echo "Python $$version is not installed: not tested"; \
		fi; \
	done

# An environment of its own, with every extra as a direct requirement, so that its lowest version counts too.
EXTRAS = $(shell $(BIN)/python -c 'import tomllib; \
	print(",".join(tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]))' 2>/dev/null)
define test_in
	$(UV) venv --quiet --clear --no-python-downloads --python $(2) $(VENV)/$(1)
	VIRTUAL_ENV=$(VENV)/$(1) $(UV) pip install --quiet $(RESOLUTION) --editable ".[$(EXTRAS)]" --group dev
	PATH="$(CURDIR)/$(VENV)/tools/bin:$$PATH" $(VENV)/$(1)/bin/python -m pytest $(PYTEST_ARGS) $(ARGS)
endef

# Changes the code in one place at a time, and asks whether a test notices: an hour, or a room: ARGS="--room table".
mutants: install
	$(UV) venv --quiet --allow-existing --python $(BIN)/python $(VENV)/mutants
	VIRTUAL_ENV=$(VENV)/mutants $(UV) pip install --quiet --editable ".[$(EXTRAS)]" --group dev --group mutants
	nice $(VENV)/mutants/bin/python scripts/mutants.py $(ARGS)

# Packages of others, each in an environment of its own, and the table of docs/ecosystem.md: ARGS="slowapi dishka" for some.
ecosystem: install
	$(BIN)/python -m tests.ecosystem $(ARGS)

cov: install
	$(PYTEST) --cov --cov-report=term-missing --cov-report=html $(ARGS)

# What tests/faults does in short, at length: ARGS="differential --count 500" does one of it, so often.
soak: install
	$(BIN)/python -m tests.faults.soak $(ARGS)

# The specification's documents, block by block, where they lie beside the checkout.
spec: install
	$(PYTEST) tests/spec -rs $(ARGS)

# The table of what is promised, and which test holds it.
specification: install
	$(BIN)/python scripts/specification.py

# FastAPI's, Starlette's and whole projects' own released tests against Velithon: ARGS="--suite fastapi --protocol asgi" or
# ARGS="--suite projects optimade" for some of it.
suites: install
	$(BIN)/python -m tests.suites $(ARGS)

# The site: a link that leads nowhere, or a name that is no longer there, is an error.
docs: install
	$(BIN)/zensical build --strict --clean

docs-serve: install
	$(BIN)/zensical serve $(ARGS)

# Builds and checks a release, commits and tags it, uploads nothing: `make release VERSION=0.7.0`, ARGS=--dry-run to try.
release: install
	@test -n "$(VERSION)" || { echo "Name the version: make release VERSION=0.7.0" >&2; exit 1; }
	$(BIN)/python scripts/release.py $(VERSION) $(ARGS)

bench: install
	$(BIN)/python -m benchmarks $(ARGS)

# A quarter of an hour; writes the tables and plots of docs/performance.md.
bench-page: install
	$(BIN)/python -m benchmarks.page $(ARGS)

bench-core: install
	$(BIN)/python -m benchmarks.core $(ARGS)

check: lint types docs test

clean:
	rm -rf $(VENV) dist htmlcov site .cache .coverage .mypy_cache .pytest_cache .ruff_cache .hypothesis
