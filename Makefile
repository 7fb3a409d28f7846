# The commands of this project. `make` alone lists them.
# The newest of Python 3.13, 3.12 and 3.11 that runs; asked for only where something is installed.
PYTHON ?= $(or $(shell local/find_python.sh 2>/dev/null),python3)
PORT ?= 7071
SIMULATOR_PORT ?= 7072
INSTANCES ?= $(or $(WORKERS),1)
CREDENTIAL ?= secret
MAILS ?= 2000
KILLS ?= 100
SEEDED ?= 100000
BIN := .venv/bin
PY := $(BIN)/python
ONCE_FLAG := $(if $(ONCE),--once,)

.DEFAULT_GOAL := help
# All tools of infra/ have packages for 3.13 today. Where one has none, name the newest that it supports.
INFRA_PYTHON ?= $(PYTHON)

# `make long` installs these beside what `make test` installs.
LONG_NEEDS := .local/clients/.installed .local/sdk-clients/.installed

.PHONY: help install tools clients run simulator check test long mutations oldest faults many fast lint types format bench images lock clean

help:  ## list the commands
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

install: .venv/.installed node_modules/.installed  ## install what the local stack and the tests need

.venv/.installed: requirements-dev.txt
	@$(PYTHON) local/prerequisites.py python
	@echo "Installing Python packages into .venv (a minute or two the first time) …"
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

# What `make oldest` runs on: the same packages as .venv.
.local/oldest/.installed: requirements-dev.txt
	@echo "Installing Python packages for the oldest Python that is here …"
	@$$(local/find_python.sh oldest) -m venv .local/oldest
	@.local/oldest/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

node_modules/.installed: package-lock.json
	@$(PYTHON) local/prerequisites.py node
	@echo "Installing Azurite into node_modules (half a minute the first time) …"
	@npm ci --silent --no-audit --no-fund
	@touch $@

# The library that Azure's Python worker runs; it asks for 3.13, and works on what we support.
.local/functions-runtime/.installed: requirements-runtime.txt .venv/.installed
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --no-deps --ignore-requires-python --upgrade --target .local/functions-runtime -r requirements-runtime.txt
	@touch $@

# What checks infra/: apart from the rest, since checkov asks for old versions of much.
.local/infra-tools/.installed: requirements-infra.txt requirements-bicep.txt
	@$(INFRA_PYTHON) local/prerequisites.py python
	@echo "Installing checkov and what else checks infra/ on $$($(INFRA_PYTHON) --version) (two minutes the first time) …"
	@$(INFRA_PYTHON) -m venv .local/infra-tools
	@.local/infra-tools/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-infra.txt
	@.local/infra-tools/bin/pip install --quiet --disable-pip-version-check --require-hashes --no-deps --upgrade --target .local/infra-tools/pycep -r requirements-bicep.txt
	@touch $@

.local/infra-node/.installed: infra-tools/package-lock.json
	@$(PYTHON) local/prerequisites.py node
	@mkdir -p .local/infra-node
	@cp infra-tools/package.json infra-tools/package-lock.json infra-tools/.npmrc .local/infra-node
	@cd .local/infra-node && npm ci --silent --no-audit --no-fund --ignore-scripts
	@touch $@

# What generates clients from the OpenAPI document and compiles them (tests/long/clients).
.local/clients/.installed: requirements-clients.txt clients-tools/package-lock.json
	@$(PYTHON) local/prerequisites.py python
	@$(PYTHON) local/prerequisites.py node
	@$(PYTHON) local/prerequisites.py jdk
	@echo "Installing what generates clients (a minute the first time) …"
	@$(PYTHON) -m venv .local/clients/python
	@.local/clients/python/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-clients.txt
	@mkdir -p .local/clients/node
	@cp clients-tools/package.json clients-tools/package-lock.json clients-tools/.npmrc .local/clients/node
	@cd .local/clients/node && npm ci --silent --no-audit --no-fund --ignore-scripts
	@touch $@

# Clients of Microsoft's services that judge the simulator (tests/contract/clients).
.local/sdk-clients/.installed: tests/contract/clients/requirements.txt tests/contract/clients/package-lock.json
	@echo "Installing clients of Microsoft's services (a minute the first time) …"
	@$(PYTHON) -m venv .local/sdk-clients/python
	@.local/sdk-clients/python/bin/pip install --quiet --disable-pip-version-check --require-hashes -r tests/contract/clients/requirements.txt
	@mkdir -p .local/sdk-clients/node
	@cp tests/contract/clients/package.json tests/contract/clients/package-lock.json tests/contract/clients/.npmrc .local/sdk-clients/node
	@cd .local/sdk-clients/node && npm ci --silent --no-audit --no-fund --ignore-scripts
	@touch $@

# What the bench measures Postroom against, apart from what Postroom itself runs on.
.local/bench-peers/.installed: requirements-bench.txt
	@$(PYTHON) local/prerequisites.py python
	@echo "Installing the packages that the bench compares with (a minute or two the first time) …"
	@$(PYTHON) -m venv .local/bench-peers
	@.local/bench-peers/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-bench.txt
	@touch $@

tools: .local/infra-tools/.installed .local/infra-node/.installed  ## install what the checks of infra/ need

clients: .local/clients/.installed  ## install what generates clients from the OpenAPI document and compiles them

run: install  ## start everything, send two mails, stay up (ONCE=1 stops after them; PORT=…, CREDENTIAL=secret, certificate or managed-identity)
	@$(PY) -m local.demo --port $(PORT) --simulator-port $(SIMULATOR_PORT) --instances $(INSTANCES) --credential $(CREDENTIAL) $(ONCE_FLAG)

simulator: install  ## start only what stands in for Microsoft
	@$(PY) -m local.simulator --http-port $(SIMULATOR_PORT) --https-port 0 --state-dir .local

lint: install  ## style
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .

types: install  ## mypy, strict
	@$(BIN)/mypy

fast: install  ## the tests that need no other processes
	@$(BIN)/pytest -q tests/unit tests/functional

check: lint types fast  ## lint, types, fast tests: under a minute

test: install .local/functions-runtime/.installed .local/sdk-clients/.installed tools  ## everything, from a fresh clone (PARTS="mails infra": some)
	@$(PY) local/prerequisites.py browser
	@$(PY) -m tests.parts $(PARTS)

long: install tools $(LONG_NEEDS)  ## what takes long: mutations, long fault runs, other people's clients (PARTS=…)
	@$(PY) local/prerequisites.py browser
	@$(PY) -m tests.parts --long $(PARTS)

mutations: install  ## break one rule at a time; the tests must notice
	@$(PY) -m tests.mutations

oldest: .local/oldest/.installed node_modules/.installed  ## the fast tests on the oldest supported Python that is here
	@.local/oldest/bin/python -c 'import platform; print("Fast tests on Python", platform.python_version())'
	@.local/oldest/bin/pytest -q -p no:cacheprovider tests/unit tests/functional

faults: install  ## kill, freeze and cut what sends, then compare (MAILS=… KILLS=… SEED=…)
	@$(PY) -m tests.faults --mails $(MAILS) --kills $(KILLS) $(if $(SEED),--seed $(SEED),)

many: install  ## the list of mails over 100,000 of them, each page in 300 ms (SEEDED=…)
	@POSTROOM_SEEDED=$(SEEDED) $(BIN)/pytest -q -s tests/contract/test_many_mails.py tests/e2e/mails/test_many_mails.py

bench: install .local/bench-peers/.installed  ## measure against the budgets and the peers, write docs/performance.md (QUICK=1 writes nothing)
	@$(PY) -m bench

format: install  ## put the code into shape
	@$(BIN)/ruff check --fix --quiet .
	@$(BIN)/ruff format --quiet .

images: install  ## make the pictures of each page, for the README and the documents
	@POSTROOM_IMAGES=docs/images $(BIN)/pytest -q tests/e2e/mails/test_browser.py tests/e2e/mails/test_pictures.py

lock: install  ## pin the packages of requirements*.in anew, with hashes, for Python 3.11 to 3.13
	@$(BIN)/pip install --quiet uv
	@$(BIN)/uv pip compile -q --universal --generate-hashes --python-version 3.11 --no-header --no-annotate requirements.in -o requirements.txt
	@$(BIN)/uv pip compile -q --universal --generate-hashes --python-version 3.11 --no-header --no-annotate requirements-dev.in -o requirements-dev.txt
	@$(BIN)/uv pip compile -q --universal --generate-hashes --python-version 3.11 --no-header --no-annotate requirements-infra.in -o requirements-infra.txt
	@$(BIN)/uv pip compile -q --universal --generate-hashes --python-version 3.11 --no-header --no-annotate requirements-bicep.in -o requirements-bicep.txt
	@$(BIN)/uv pip compile -q --universal --generate-hashes --python-version 3.11 --no-header --no-annotate requirements-clients.in -o requirements-clients.txt
	@$(BIN)/uv pip compile -q --universal --generate-hashes --python-version 3.11 --no-header --no-annotate requirements-bench.in -o requirements-bench.txt
	@$(BIN)/uv pip compile -q --universal --generate-hashes --python-version 3.11 --no-header --no-annotate tests/contract/clients/requirements.in -o tests/contract/clients/requirements.txt

clean:  ## remove what was installed and made
	@rm -rf .venv node_modules .local .mypy_cache .ruff_cache .pytest_cache .hypothesis
