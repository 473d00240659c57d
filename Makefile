PYTHON ?= python3
PATHS ?= drive_paths.json
BIN = .venv/bin

# Quiet: TensorFlow's start-up notes say nothing about the pictures.
export TF_CPP_MIN_LOG_LEVEL = 3

.PHONY: demo run test bench format

demo: .venv/installed  ## the whole chain on the drawn pictures
	$(BIN)/python -m lib.chain --paths demo

run: .venv/installed  ## the whole chain on your pictures: make run PATHS=drive_paths.json
	$(BIN)/python -m lib.chain --paths $(PATHS)

test: .venv/installed-tests  ## every test, then the notebooks on the demo
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/python -m pytest
	DRIVE_PATHS=demo $(BIN)/python -m pytest --nbval-lax --nbval-current-env notebooks

bench: .venv/installed  ## the report's way and ours, side by side
	PYTHONPATH=. $(BIN)/python tests/benchmark.py $(ARGUMENTS)

format: .venv/installed-tests
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

.venv/installed: requirements.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --requirement requirements.txt
	touch $@

.venv/installed-tests: .venv/installed tests/requirements.txt
	$(BIN)/python -m pip install --quiet --requirement tests/requirements.txt
	touch $@
