# Everything a contributor or CI types. `make run` and `make test` need nothing but Python 3.11.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
SOURCES := $(shell find app -name '*.py' -o -name '*.json') pyproject.toml requirements/runtime.txt requirements/build.txt

.PHONY: run test install lint types contracts unit check-long image interop interop-install fuzz soak fleet sbom bench lock clean

run: install ## the emulated cloud and the sidecar, talking over real sockets
	$(BIN)/idaas-sidecar demo

test: $(VENV)/.test lint types contracts unit ## everything that needs neither a container engine nor Node

install: $(VENV)/.installed

$(VENV)/.python:
	$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.11 …")'
	$(PYTHON) -m venv $(VENV)
	touch $@

# Two steps: everything downloaded is checked against its hash; our own wheel is built from what lies here.
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

unit: $(VENV)/.test
	$(BIN)/pytest -m 'not fuzz and not interop'

interop-install: $(VENV)/.test ## fetches the real client SDKs into .interop/
	sh tests/interop/install.sh

interop: $(VENV)/.test ## the real client SDKs against a real sidecar
	$(BIN)/pytest -m interop tests/interop

image: $(VENV)/.installed ## the container image, built and tried without a registry
	sh deploy/image.sh

# Each property with FUZZ_EXAMPLES examples, new ones each time; FUZZ_RANDOM= for the same ones, as CI has them.
FUZZ_EXAMPLES ?= 20000
FUZZ_RANDOM ?= 1
fuzz: $(VENV)/.test ## odd bytes and odd answers, for as long as FUZZ_EXAMPLES says (the default: about half an hour)
	FUZZ_EXAMPLES=$(FUZZ_EXAMPLES) FUZZ_RANDOM=$(FUZZ_RANDOM) $(BIN)/pytest -m fuzz tests/fuzz

check-long: image interop sbom ## what takes minutes or needs more than Python
	$(MAKE) fuzz FUZZ_EXAMPLES=1000 FUZZ_RANDOM=
	$(MAKE) soak

MINUTES ?= 2
soak: $(VENV)/.test ## a real sidecar in bad weather for MINUTES=2, with several clients; can run for days
	$(BIN)/python bench/soak.py --minutes $(MINUTES) $(SOAK)

fleet: $(VENV)/.installed ## ten thousand sidecars before one account's quota, a simulated day: goals and fleet.png
	$(BIN)/python bench/fleet.py --png fleet.png

# From the pinned run-time requirements, with each one's hash and licence; the tool has a venv of its own.
sbom: $(VENV)/.installed ## the software bill of materials, CycloneDX: sbom.json
	VENV=$(VENV) sh deploy/sbom.sh sbom.json

bench: ## the table of bench/README.md, as ratios within one run; in a venv without the test tools
	$(MAKE) VENV=.venv/bench .venv/bench/.installed
	.venv/bench/bin/python bench/run.py $(BENCH)

lock: ## rewrites the requirement files and the interop locks (needs uv and npm)
	sh requirements/lock.sh
	sh tests/interop/lock.sh

clean:
	rm -rf $(VENV) .interop .image build *.egg-info
