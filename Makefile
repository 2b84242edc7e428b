# Two commands: `make demo` and `make test`. The rest is what they are made of.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help venv demo clean test lint unit unit-oldest images restic molecule test-long mutations bench docs lock images-lock

# The newest Python that answers, of those that ansible-core supports; a pyenv's versions count.
pyenv = $(lastword $(sort $(wildcard $(HOME)/.pyenv/versions/3.$(1).*/bin/python3.$(1))))
PYTHONS := $(foreach v,14 13 12 11,python3.$(v) $(call pyenv,$(v)))
answers = $(firstword $(foreach p,$(1),$(shell $(p) -c 'print("$(p)")' 2>/dev/null)))
PYTHON ?= $(call answers,$(PYTHONS))
# ansible-core 2.19 still runs on 3.11; both lines are tested where both Pythons are found.
PYTHON_OLDEST := $(call answers,$(filter %3.11,$(PYTHONS)))
# the longest first: three run at a time
SCENARIOS ?= deploy stacks backup routing ec2 default docker base
# what hosts get beside images: restic for their backups
PROGRAMS := $(if $(filter backup ec2 engines,$(SCENARIOS)),restic)
IN_VENV := source .venv/bin/activate &&

help:  ## Show what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 22

venv: .venv/.lock  ## Create the virtual environment from requirements.lock
.venv/.lock: requirements.lock
	@tests/support/make-venv .venv "$(PYTHON)"

demo: venv  ## Launch an instance in a cloud on this desk, converge it, show what it serves
	@$(IN_VENV) localcloud/demo

clean:  ## Remove everything that demo and test made
	@if [ -d .cache/localcloud ] || docker ps -aq --filter label=org.drover.localcloud=$(CURDIR) 2>/dev/null | grep -q .; then \
	  $(MAKE) --no-print-directory venv && .venv/bin/python localcloud/localcloud down; fi
	@if [ -d .cache/testhost ] || docker info >/dev/null 2>&1; then testhost/testhost clean; fi
	@testhost/engine stop
	@testhost/packages remove
	@rm -rf .venv .venv-oldest .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis .ansible inventories/*/.secrets molecule/*/inventory/.secrets molecule/*/inventory/.reports
	@echo "Removed hosts, images, packages, virtual environments and caches."

test: venv  ## Lint, unit and property tests, molecule scenarios
	@$(MAKE) --no-print-directory -j3 --output-sync=target images $(PROGRAMS) unit-oldest unit lint
	@$(MAKE) --no-print-directory molecule
lint: venv  ## ansible-lint (production), yamllint, ruff, mypy, generated files
	@$(IN_VENV) tests/support/lint
unit: venv  ## Unit and property tests, seconds; what needs a Compose is asked by scenario stacks
	@$(IN_VENV) pytest -q -m "not compose" tests/unit
unit-oldest: venv  ## The same on Python 3.11 with ansible-core 2.19, where found
	@tests/support/unit-oldest "$(PYTHON_OLDEST)"
images: venv  ## Images of the test hosts, stand-ins included, in their registry
	@$(IN_VENV) testhost/engine && testhost/testhost registry $(addprefix --scenario=,$(filter engines,$(SCENARIOS)))
restic:  ## The program that keeps backups, built once with Go; scenarios backup and ec2 need it
	@testhost/restic
molecule: images $(PROGRAMS)  ## Converged hosts: SCENARIOS="default stacks" narrows it
	@$(IN_VENV) $(if $(filter ec2,$(SCENARIOS)),localcloud/localcloud up &&) tests/support/molecule $(SCENARIOS)
test-long: venv  ## What CI has no time for
	@$(IN_VENV) SCENARIOS="$(SCENARIOS)" tests/support/test-long
mutations: images $(PROGRAMS)  ## Take away what makes a promise true, see its test turn red, write docs/evidence/mutations.json
	@$(IN_VENV) tests/mutations/run

bench: venv  ## Measure and write docs/evidence/{converge,deploy,backup,cloud,rebuild}.json; DOCKER_ROLLOUT=its script, to compare
	@$(IN_VENV) bench/converge
	@$(IN_VENV) bench/deploy $(addprefix --docker-rollout ,$(DOCKER_ROLLOUT))
	@$(IN_VENV) bench/backup
	@$(IN_VENV) bench/cloud
	@$(IN_VENV) bench/rebuild
docs: venv  ## Regenerate what is generated: reference, argument specs, sample, README tables
	@$(IN_VENV) docs/generate.py
lock: venv  ## Resolve requirements.in into requirements.lock
	@$(IN_VENV) uv pip compile -q --universal --python-version 3.11 --generate-hashes \
	  --custom-compile-command "make lock" requirements.in -o requirements.lock
images-lock:  ## Write the digests of the pinned images, from the registries that hold them
	@compose/lock-images
