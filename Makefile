# The two commands of README.md are `make demo` and `make test`. Another place for the environment: make test VENV=/tmp/venv
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready

demo: $(READY)
	@mkdir -p build
	$(BIN)/k2t convert fixtures/shapes_cnn.h5 -o build/shapes_cnn.py --no-verify
	@cat build/shapes_cnn.py
	$(BIN)/k2t verify build/shapes_cnn.py fixtures/shapes_cnn.h5

test: lint
	$(BIN)/pytest --numprocesses 2

lint: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# Speed and memory, against the budgets that each script states.
bench: $(READY)
	$(BIN)/python tests/benchmarks/conversion.py
	$(BIN)/python tests/benchmarks/length.py
	$(BIN)/python tests/benchmarks/memory.py
	$(BIN)/python tests/benchmarks/speed.py

# Every network of keras.applications, with random weights.
applications: $(READY)
	$(BIN)/python tests/applications.py

# Writes the parts of README.md that are made from the project.
readme: $(READY)
	$(BIN)/python tests/readme.py

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --no-compile --constraint constraints.txt --editable ".[verify,test]"
	@touch $@

.PHONY: demo test lint format bench applications readme
