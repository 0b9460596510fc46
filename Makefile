# Two commands do everything on a fresh Debian machine: `make build` and `make test`.

PKG ?=
VENV := .venv
PKGTOOL := $(VENV)/bin/pkgtool
PYTEST := $(VENV)/bin/python -m pytest
READY := $(VENV)/.ready-build
TEST_READY := $(VENV)/.ready-test

.DEFAULT_GOAL := help

.PHONY: help
help: ## show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: $(READY) ## set everything up and build the whole tree (or PKG=pkg/getty)
	$(PKGTOOL) build $(PKG)

.PHONY: kernels
kernels: $(READY) ## build, sign and verify every kernel series whose source can be had
	$(PKGTOOL) kernel build --keep-going

# kernel-4.9 builds a series, kernel-4.9-debug one of its variants.
.PHONY: kernel-%
kernel-%: $(READY)
	$(PKGTOOL) kernel build $*

.PHONY: show-tags
show-tags: $(READY) ## the full reference of every package
	$(PKGTOOL) show-tag $(PKG)

.PHONY: graph
graph: $(READY) ## the dependency graph
	$(PKGTOOL) graph $(PKG)

.PHONY: test
test: check $(TEST_READY) ## check the code, then run all tests
	$(PYTEST) -n 2 --dist loadgroup

.PHONY: test-unit
test-unit: $(TEST_READY) ## only the tests that need neither network nor engines
	$(PYTEST) tests/unit -n 2

.PHONY: check
check: $(TEST_READY) ## formatting, lint, types, import contracts
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

.PHONY: format
format: $(TEST_READY) ## format the code
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

.PHONY: generate
generate: $(READY) ## write the generated files (JSON schemas, reference pages)
	$(VENV)/bin/python -m pkgtool.config.json_schema
	$(VENV)/bin/python -m pkgtool.cli.reference
	$(VENV)/bin/python -m pkgtool.config.reference

.PHONY: requirements
requirements: $(TEST_READY) ## pin the Python packages anew, with hashes
	$(VENV)/bin/uv pip compile --quiet --universal --upgrade --generate-hashes --no-header --group dev --all-extras \
		pyproject.toml -o requirements/dev.txt
	$(VENV)/bin/uv pip compile --quiet --universal --generate-hashes --no-header --group run \
		-c requirements/dev.txt pyproject.toml -o requirements/run.txt

.PHONY: bench
bench: $(TEST_READY) ## print the benchmarks
	$(VENV)/bin/python -m benchmarks

.PHONY: clean
clean: ## remove the virtual environment and caches; the store stays (see: pkgtool store gc)
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): scripts/setup scripts/packages-build requirements/run.txt pyproject.toml
	scripts/setup build

$(TEST_READY): $(READY) scripts/setup scripts/packages-test requirements/dev.txt
	scripts/setup test
