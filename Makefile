# The commands for contributors and CI. `make run` and `make test` need Python 3.11 or newer and a package index.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
SOURCES := $(shell find app -name '*.py' -o -name '*.json') pyproject.toml requirements/runtime.txt requirements/build.txt

.PHONY: run test install lint types contracts unit cluster-test check-long image interop interop-install deploy-install fuzz soak fleet sbom bench lock clean

run: install ## run the emulated cloud and the sidecar, over real sockets
	$(BIN)/idaas-sidecar demo

test: $(VENV)/.test lint types contracts unit ## run lint, types, import contracts and the tests that need only Python

install: $(VENV)/.installed

$(VENV)/.python:
	$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is required: make PYTHON=python3.11 …")'
	$(PYTHON) -m venv $(VENV)
	touch $@

# Two steps: pip checks every download against its hash, and then builds this project's wheel from the working tree.
$(VENV)/.installed: $(VENV)/.python $(SOURCES)
	$(BIN)/pip install --quiet --require-hashes -r requirements/build.txt -r requirements/runtime.txt
	rm -rf build
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --force-reinstall .
	rm -rf build *.egg-info
	touch $@

$(VENV)/.test: $(VENV)/.installed requirements/test.txt
	$(BIN)/pip install --quiet --require-hashes -r requirements/test.txt
	touch $@

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/vulture
	$(BIN)/deptry app
	$(BIN)/bandit --quiet --recursive --configfile pyproject.toml app
	$(BIN)/zizmor --quiet --offline --no-progress .github/workflows

types: $(VENV)/.test
	$(BIN)/mypy

contracts: $(VENV)/.test
	$(BIN)/lint-imports

# A file's tests stay in one process, because they share its fixtures: running sidecars, for example.
unit: $(VENV)/.test
	$(BIN)/pytest -n auto --maxprocesses 4 --dist loadfile -m 'not fuzz and not interop and not cluster'

# K8S_WORK names the folder of a running cluster; tests/cluster/conftest.py says what is in it.
cluster-test: $(VENV)/.test ## test the chart and the injection in a real Kubernetes cluster (K8S_WORK=...)
	$(BIN)/pytest -m cluster -rs tests/cluster

interop-install: $(VENV)/.test ## install the real client SDKs into .interop/
	sh tests/interop/install.sh

deploy-install: $(VENV)/.test ## install helm, kubectl, kube-score and checkov into .deploy/, for tests/deploy
	sh tests/deploy/install.sh

interop: $(VENV)/.test ## run the real client SDKs against a real sidecar
	$(BIN)/pytest -m interop tests/interop

image: $(VENV)/.installed ## build and test the container image without a registry
	sh deploy/image.sh

# FUZZ_EXAMPLES is the number of examples per property. Examples are new in each run; FUZZ_RANDOM= repeats them, as in CI.
FUZZ_EXAMPLES ?= 20000
FUZZ_RANDOM ?= 1
fuzz: $(VENV)/.test ## run the fuzz tests (about half an hour by default; see FUZZ_EXAMPLES)
	FUZZ_EXAMPLES=$(FUZZ_EXAMPLES) FUZZ_RANDOM=$(FUZZ_RANDOM) $(BIN)/pytest -m fuzz tests/fuzz

check-long: image interop sbom cluster-test ## run the checks that take minutes or need more than Python
	$(MAKE) fuzz FUZZ_EXAMPLES=1000 FUZZ_RANDOM=
	$(MAKE) soak

MINUTES ?= 2
soak: $(VENV)/.test ## run a real sidecar with several clients under faults for MINUTES=2; can run for days
	$(BIN)/python bench/soak.py --minutes $(MINUTES) $(SOAK)

fleet: $(VENV)/.installed ## simulate a day of 10,000 sidecars under one account's quota: goals and fleet.png
	$(BIN)/python bench/fleet.py --png fleet.png

# Built from the pinned run-time requirements, with the hash and licence of each. The tool is installed in its own venv.
sbom: $(VENV)/.installed ## write the software bill of materials (CycloneDX) to sbom.json
	VENV=$(VENV) sh deploy/sbom.sh sbom.json

bench: ## measure the table of bench/README.md, as ratios within one run; in a venv without the test tools
	$(MAKE) VENV=.venv/bench .venv/bench/.installed
	.venv/bench/bin/python bench/run.py $(BENCH)

lock: ## rewrite the requirement files and the interop locks (needs uv and npm)
	sh requirements/lock.sh
	sh tests/interop/lock.sh

clean:
	rm -rf $(VENV) .interop .deploy .image build *.egg-info
