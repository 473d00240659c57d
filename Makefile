PYTHON ?= python3
PATHS ?= drive_paths.json
# A file of exact versions, say tests/colab.txt; its environment lies beside the usual one.
CONSTRAINTS ?=
VENV = .venv$(if $(CONSTRAINTS),-$(basename $(notdir $(CONSTRAINTS))))
BIN = $(VENV)/bin
INSTALL = $(BIN)/python -m pip install --quiet $(addprefix --constraint ,$(CONSTRAINTS)) --requirement

# 1 runs 05 to 07, too.
BEYOND ?=
# Further options of the chain, or of a script: ARGUMENTS="-p EPOCHS 5".
ARGUMENTS ?=
CHAIN = $(BIN)/python -m lib.chain $(if $(filter-out 0,$(BEYOND)),--beyond)
# 00 runs the others, and has a test of its own.
NOTEBOOKS = $(sort $(filter-out notebooks/00_%,$(wildcard notebooks/*.ipynb)))

# Most tests wait for processes that start. A file stays in one process, which shares its fixtures, and
# none needs threads, which would wait for one another.
TWO_AT_A_TIME = --numprocesses 2 --dist loadfile
ALONE = OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 TF_NUM_INTRAOP_THREADS=1
# Where make can, the lines of either side are kept together.
SIDE_BY_SIDE = --jobs=2 $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)

# Quiet: TensorFlow's start-up notes say nothing about the pictures.
export TF_CPP_MIN_LOG_LEVEL = 3

.PHONY: demo run quick lessons test test-rooms test-notebooks faults gpu simulations mutants bench colab handouts format

demo: $(VENV)/installed  ## the whole chain on the drawn pictures
	$(CHAIN) --paths demo $(ARGUMENTS)

run: $(VENV)/installed  ## the whole chain on your pictures: make run PATHS=drive_paths.json
	$(CHAIN) --paths $(PATHS) $(ARGUMENTS)

quick: $(VENV)/installed  ## which network suits your pictures, and how good it is: make quick PATHS=drive_paths.json
	$(CHAIN) --paths $(PATHS) --only 1 5 8 $(ARGUMENTS)

test: $(VENV)/installed-tests  ## every test, and beside them all notebooks on the demo
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(MAKE) $(SIDE_BY_SIDE) test-notebooks test-rooms

# Some of them: ROOMS="tests/data tests/models".
ROOMS ?=
test-rooms: $(VENV)/installed-tests
	$(ALONE) $(BIN)/python -m pytest $(TWO_AT_A_TIME) $(ROOMS)

# In a folder of its own: what `make demo` has trained and written stays as it is. Twenty epochs show a
# student more than two, and a test nothing.
TEST_PATHS = demo/test_paths.json
SHORT = demo/test/notebooks
test-notebooks: $(VENV)/installed-tests
	mkdir -p $(SHORT)
	sed 's|\.\./\.\./demo/pictures|pictures|; s|\.\./\.\./demo/|test/|' lib/base/demo_paths.json > $(TEST_PATHS)
	for path in $(NOTEBOOKS); do \
		$(BIN)/papermill --prepare-only --log-level ERROR -p EPOCHS 2 $$path $(SHORT)/$${path##*/} || exit 1; \
	done
	DRIVE_PATHS=$(CURDIR)/$(TEST_PATHS) $(BIN)/python -m pytest --nbval-lax --nbval-current-env $(SHORT)

# In a folder of its own, too, so that what is taken from files was trained there.
lessons: $(VENV)/installed-tests  ## runs all lessons on the demo, and writes what they put out into notebooks/
	PYTHONPATH=. $(BIN)/python tests/write_lessons.py demo/lessons

faults: $(VENV)/installed-tests  ## the long versions of the tests of faults; prints a table
	PYTHONPATH=. $(BIN)/python tests/faults.py $(ARGUMENTS)

gpu: $(VENV)/installed-tests  ## trainings that change between GPU and CPU, their answers, heatmaps; prints a table
	PYTHONPATH=. $(BIN)/python tests/on_a_gpu.py $(ARGUMENTS)

simulations: $(VENV)/installed-tests  ## how often intervals and tests are wrong; prints a table
	PYTHONPATH=. OMP_NUM_THREADS=1 $(BIN)/python tests/simulations.py

mutants: $(VENV)/installed-tests  ## changes lines of lib, and sees whether a test notices
	PYTHONPATH=. $(ALONE) $(BIN)/python tests/mutants.py $(ARGUMENTS)

bench: $(VENV)/installed-tests  ## the report's way and ours, side by side
	TQDM_DISABLE=1 PYTHONPATH=. $(BIN)/python tests/benchmark.py $(ARGUMENTS)

colab:  ## your copy's address into bootstrap cells and badges: REPO=owner/name
	$(PYTHON) .github/address.py $(REPO)

# A template leaves out what is folded in Jupyter.
LESSONS = --template handouts --TemplateExporter.extra_template_basedirs=$(CURDIR)/lib/evaluation/templates \
	--TemplateExporter.filters split=re.split --TemplateExporter.filters exists=os.path.exists
LAST = $(or $(wildcard $(PATHS)),demo)
handouts: $(VENV)/installed-tests  ## the lessons of the last run for print and phone: PATHS=demo, or your file
	results=$$($(BIN)/python -c "from lib import workspace; print(workspace.read('$(LAST)').results)") && \
		$(BIN)/jupyter nbconvert --log-level ERROR --to html --no-prompt $(LESSONS) \
			--output-dir "$$results/handouts" "$$results"/notebooks/[01]*.ipynb

format: $(VENV)/installed-tests
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

$(VENV)/installed: requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) requirements.txt
	touch $@

$(VENV)/installed-tests: $(VENV)/installed tests/requirements.txt
	$(INSTALL) tests/requirements.txt
	touch $@
