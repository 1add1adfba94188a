# This file is the whole interface for developers and CI; `make` alone says what there is.
.PHONY: help run test check types rules bench mutate lock
.DEFAULT_GOAL := help

PYTHON = .venv/bin/python
FOR =
SHARE = 1
SEED = 1
ONLY =
UPGRADE =
# Compiled once, and not anew by each of the thousands of processes that the tests start.
unexport PYTHONDONTWRITEBYTECODE
# As root where that can be: the test hosts live in namespaces. sudo forgets the environment, and shall leave no files.
AS_ROOT = $$([ "$$(id -u)" = 0 ] || ! command -v sudo >/dev/null || \
	echo sudo --preserve-env=CI env PATH=$$PATH PYTHONDONTWRITEBYTECODE=1)

help: ## say what there is
	@sed -n 's/^\([a-z]*\):.*## /make \1|/p' Makefile | awk -F'|' '{ printf "%-12s %s\n", $$1, $$2 }'

run: ## install what is missing, then run the daemon on the shipped example; FOR=90s: end by itself
	@.ci/setup run
	@[ -e secrets/restic-main ] || { umask 077; mkdir -p secrets; head -c 24 /dev/urandom | base64 >secrets/restic-main; }
	@[ ! -x playbooks/demo/lantern ] || playbooks/demo/lantern light --for 15
	@exec .venv/bin/watchkeeper run --live $(if $(FOR),--for $(FOR))

test: ## install what is missing, then check and run all tests
	@.ci/setup test
	@$(MAKE) --no-print-directory check
	@$(PYTHON) -m compileall -q agent tests
	$(AS_ROOT) $(PYTHON) -m pytest -p no:cacheprovider -n 3 --dist loadgroup

check: ## ruff, formatting, types, storeys, house rules; then the longest files and functions, for looking
	@.ci/setup test
	@$(MAKE) --no-print-directory --jobs 2 --output-sync types rules
	@$(PYTHON) tests/longest.py

types:
	.venv/bin/mypy

rules:
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/lint-imports
	$(PYTHON) -m pytest -q tests/unit/test_house_rules.py

bench: ## measure, and write benchmarks/results/latest.json and latest.md
	@.ci/setup test
	$(PYTHON) -m benchmarks.run

mutate: ## change the decisions one by one and see whether a test notices; SHARE=0.1 SEED=7: a tenth by lot; ONLY=rounds: that file
	@.ci/setup test
	$(PYTHON) -m tests.mutate --share $(SHARE) --seed $(SEED) $(if $(ONLY),--only $(ONLY))

lock: ## pin what pyproject.toml asks for, with hashes; UPGRADE=--upgrade: the newest of everything
	@.ci/setup test
	.ci/lock $(UPGRADE)
