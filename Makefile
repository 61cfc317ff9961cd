# setup: prepares .venv and no more. Every other target calls it.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: setup clients demo demo-reset test test-sqlite test-postgres screenshots lint prove bench

setup: $(STAMP)

$(STAMP): requirements-dev.txt
	$(PYTHON) -c 'import sys; sys.exit("ManagerOS needs Python 3.11 or later; set PYTHON=python3.x" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	touch $(STAMP)

# Clerk's own SDKs for Python and JavaScript, and ClerkJS without its 400 dependencies, which are built into it: for
# tests/clients alone. Needs npm.
clients: .clients/installed

.clients/installed: tests/clients/requirements.txt tests/clients/package-lock.json tests/clients/clerk-js.sha256
	$(PYTHON) -m venv .clients/python
	.clients/python/bin/pip install --quiet --disable-pip-version-check --require-hashes -r tests/clients/requirements.txt
	mkdir -p .clients/node && cp tests/clients/package*.json .clients/node/
	npm ci --prefix .clients/node --ignore-scripts --no-audit --no-fund --loglevel=error
	npm pack @clerk/clerk-js@5.128.0 --pack-destination .clients --loglevel=error
	sha256sum --check --quiet tests/clients/clerk-js.sha256
	mkdir -p .clients/clerk-js && tar -xzf .clients/clerk-clerk-js-5.128.0.tgz -C .clients/clerk-js --strip-components 1
	touch .clients/installed

demo: setup
	@$(BIN)/python manage.py demo

demo-reset: setup
	@$(BIN)/python manage.py demo --reset

test: test-sqlite test-postgres

test-sqlite: setup
	$(BIN)/pytest -n auto

test-postgres: setup
	$(BIN)/python tests/with_postgres.py $(BIN)/pytest -n auto

# The tests marked `prove`, at full length and with nothing skipped: all on PostgreSQL, the killed workers on SQLite too.
prove: setup clients
	CI=1 PROVE=1 $(BIN)/python tests/with_postgres.py $(BIN)/pytest -m prove --durations=0 -rA
	CI=1 PROVE=1 $(BIN)/pytest -m prove --durations=0 -rA tests/end_to_end/test_killed_workers.py

# On Debian's PostgreSQL where it is installed: the embedded one cannot index what a search looks for.
bench: setup
	$(BIN)/python tests/with_postgres.py --trigrams $(BIN)/python -m benchmarks $(ARGS)

# The README's pictures, from a demo of its own.
screenshots: setup
	$(BIN)/python -m tests.browser.screenshots

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python manage.py makemigrations --check --dry-run --settings tests.settings
	$(BIN)/python tests/deploy_check.py

