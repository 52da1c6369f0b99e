# Two commands for a newcomer: `make demo` and `make test`. Both make .venv first, from exact versions.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
JOBS ?= 2
LOCKED_EXTRAS ?= codecs,curate,network,verify
MINUTES ?= 10
FUZZ_SECONDS ?= $(shell expr 60 \* $(MINUTES))
export NO_ALBUMENTATIONS_UPDATE := 1

.PHONY: demo test test-slow fuzz lint format docs clean lock audit wheel

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade -c constraints.txt pip
	PIP_CONSTRAINT=constraints.txt $(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  -c constraints.txt -e '.[codecs,curate,dask,federated,jpegxl,mlflow,network,onnx,pandas,signing,sweep,tensorboard,verify,video]' --group dev
	touch $@

demo: $(VENV)/installed
	$(BIN)/heart2heart demo --out demo_output

test: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m "not slow" --nbmake tests notebooks

test-slow: $(VENV)/installed
	$(BIN)/python -m pytest -n $(JOBS) -m slow

# Give hostile input to every reader: for MINUTES in all, by coverage where atheris can be installed.
fuzz: $(VENV)/installed
	-$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --group fuzz
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.fuzz.run --seconds $(FUZZ_SECONDS) --jobs $(JOBS) $(FUZZ_FLAGS)

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf demo_output fuzz_output site docs/reference .mypy_cache .ruff_cache .pytest_cache

docs: $(VENV)/installed
	$(BIN)/python -m tools.docs_pages
	$(BIN)/zensical build --strict --clean

# Requirements with hashes and the SBOM of a release, for this Python and platform.
lock: $(VENV)/installed
	$(BIN)/python -m tools.lock --out dist --constraints constraints.txt '.[$(LOCKED_EXTRAS)]'

# Known weaknesses of the locked dependencies; exit code 4 where there is no network to ask.
audit: lock
	-$(BIN)/python -m pip install --quiet --disable-pip-version-check pip-audit
	$(BIN)/python -m tools.audit_dependencies dist/requirements.lock

# Two builds with the same bytes, or none.
wheel: $(VENV)/installed
	$(BIN)/python -m tools.wheel --out dist
