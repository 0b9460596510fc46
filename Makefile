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

.PHONY: setup
setup: $(READY) ## what pkgtool needs, without building anything

.PHONY: check
check: $(TEST_READY) check-workflows ## formatting, lint, types, import contracts, workflows
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

.PHONY: check-workflows
check-workflows: $(TEST_READY) ## the workflows, by actionlint and zizmor at their strictest
	$(VENV)/bin/python -m tests.support.actionlint -shellcheck shellcheck
	$(VENV)/bin/zizmor --quiet --offline --persona auditor --strict-collection .github

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

# CI ------------------------------------------------------------------------------------------------------
# What the jobs in .github/workflows run, and anybody else can: docs/ci.md says what each needs of the environment.
# Values come as variables of the environment ($$NAME), so that none is ever read as a piece of a shell command.

export REGISTRY TARGET VERSION PLATFORM PACKAGES SINCE ISSUER IDENTITY TRUST_CONFIG
SIGNING = --sign --keyless $${TRUST_CONFIG:+--trust-config "$$TRUST_CONFIG"}
RELEASE_DIR ?= dist/release
RELEASE_FILE = $(RELEASE_DIR)/$$VERSION.json
COSIGN ?= $$($(VENV)/bin/python -m tests.support.sid_tools cosign)

.PHONY: ci-login
ci-login: ## log in to the registry, as REGISTRY_USER with the password REGISTRY_TOKEN
	@printf '%s' "$$REGISTRY_TOKEN" | docker login --username "$$REGISTRY_USER" --password-stdin "$${REGISTRY%%/*}"

.PHONY: ci-changed
ci-changed: $(READY) ## the jobs that build what changed since SINCE, none of which needs another
	$(PKGTOOL) ci changes --since "$$SINCE" >&2
	@$(PKGTOOL) ci matrix --since "$$SINCE" --one-wave --format github | tee -a "$${GITHUB_OUTPUT:-/dev/null}"

.PHONY: ci-unpublished
ci-unpublished: $(READY) ## the jobs that build what REGISTRY does not have, in waves
	$(PKGTOOL) ci changes >&2
	@$(PKGTOOL) ci matrix --unpublished --registry "$$REGISTRY" --format github | tee -a "$${GITHUB_OUTPUT:-/dev/null}"

# Nobody has logged in when this runs: what a registry shows to anybody is taken, and all else is built again.
.PHONY: ci-build
ci-build: $(READY) ## build PACKAGES for PLATFORM
	$(PKGTOOL) build $${REGISTRY:+--registry "$$REGISTRY" --registry-optional} --platform "$$PLATFORM" $$PACKAGES

.PHONY: ci-reproduce
ci-reproduce: $(READY) ## build PACKAGES for PLATFORM once more, elsewhere, and compare the bytes
	$(PKGTOOL) reproduce --platform "$$PLATFORM" $$PACKAGES

.PHONY: ci-push-part
ci-push-part: $(READY) ## publish PACKAGES for PLATFORM by digest, signed; the indexes come later
	$(PKGTOOL) push --no-build --no-index $(SIGNING) --registry "$$REGISTRY" --platform "$$PLATFORM" $$PACKAGES

.PHONY: ci-push
ci-push: $(READY) ## publish in REGISTRY what is built here or lies there, make the indexes, sign; builds nothing
	$(PKGTOOL) push --no-build $(SIGNING) --registry "$$REGISTRY" $${PLATFORM:+--platform "$$PLATFORM"} $$PACKAGES

.PHONY: ci-rebuild
ci-rebuild: $(READY) ## rebuild what REGISTRY has for PLATFORM, and attest what has the same bytes
	$(PKGTOOL) attest-rebuild $(filter-out --sign,$(SIGNING)) --registry "$$REGISTRY" --platform "$$PLATFORM" $$PACKAGES

.PHONY: release-record
release-record: $(READY) ## point the tag VERSION of every package at its index in REGISTRY; write and sign the file
	mkdir -p $(RELEASE_DIR)
	$(PKGTOOL) ci changes > $(RELEASE_DIR)/changes.md
	$(PKGTOOL) release "$$VERSION" $(SIGNING) --registry "$$REGISTRY" --file "$(RELEASE_FILE)" \
		$${PLATFORM:+--platform "$$PLATFORM"} $$PACKAGES

# As somebody would who has the release file and trusts an identity: by cosign and python alone, then by a policy.
.PHONY: release-verify
release-verify: $(TEST_READY) ## verify the release VERSION in REGISTRY: who signed it, how it was made
	mkdir -p $(RELEASE_DIR)
	$(PKGTOOL) key trusted-root $${TRUST_CONFIG:+--trust-config "$$TRUST_CONFIG"} > $(RELEASE_DIR)/trusted_root.json
	scripts/release-policy > $(RELEASE_DIR)/policy.yml
	COSIGN="$(COSIGN)" scripts/release-verify "$(RELEASE_FILE)" $(RELEASE_DIR)/trusted_root.json
	$(PKGTOOL) verify --release "$(RELEASE_FILE)" --policy $(RELEASE_DIR)/policy.yml --registry "$$REGISTRY"

.PHONY: release-promote
release-promote: $(READY) ## copy the release VERSION from REGISTRY to TARGET, signatures and all
	$(PKGTOOL) promote --release "$(RELEASE_FILE)" "$$REGISTRY" "$$TARGET"

.PHONY: ci-release
ci-release: $(TEST_READY) ## the release job's steps, with registries and an identity provider of its own
	$(VENV)/bin/python -m tests.support.ci_release "$(MAKE)"

.PHONY: clean
clean: ## remove the virtual environment and caches; the store stays (see: pkgtool store gc)
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): scripts/setup scripts/packages-build requirements/run.txt pyproject.toml
	scripts/setup build

$(TEST_READY): $(READY) scripts/setup scripts/packages-test requirements/dev.txt
	scripts/setup test
