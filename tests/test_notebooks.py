"""Form of the notebooks and of the rooms; parameter counts of the models built in them."""

import ast
import json
import re
from collections import defaultdict

import keras
import nbformat
import numpy as np
import pytest
from conftest import find_imports, run_cells
from write_lessons import MAX_BYTES, hash_code

from lib.base import workspace
from lib.base.parameters import read_defaults
from lib.models import backbones, networks, parts, training

ROOT = workspace.REPOSITORY
LIB = ROOT / "lib"
PATHS = sorted((ROOT / "notebooks").glob("*.ipynb"))
NOTEBOOKS = {path.stem: nbformat.read(path, as_version=4) for path in PATHS}
ROOMS = """base.storage base.machine base.work base.parameters base.escapes base.paths_file base.workspace
data.decoders data.pictures data.quality data.findings data.names data.listing data.archives data.earlier data.split data.series data.label_files data.labels data.sources
data.store data.pixels data.hashes data.copies data.preparation data.generators data.sorting data.multi_labels
models.temperature models.record models.leftovers models.linear models.networks models.parts models.keys models.saved models.backbones models.checkpoint
models.training models.features models.resemblance models.litert
models.gradcam models.classify
evaluation.intervals evaluation.comparisons evaluation.label_tests evaluation.pooling evaluation.parents evaluation.calibration evaluation.metrics
evaluation.limits evaluation.wording evaluation.predictions
evaluation.verdict evaluation.figures evaluation.display evaluation.galleries evaluation.neighbours evaluation.model_page
evaluation.card evaluation.review evaluation.report
answering predict runner chain start cluster""".split()
# A reason, which Colab shows above the field of its form; then name, default and field.
REASON = r"# @markdown \S.{12,}"
FIELD = r"(\w+): [\w |]+ = (.*?)  # @param (.*?)(?:  # fmt: skip)?"
KINDS = {bool: "boolean", int: "integer", float: "number", str: "string"}
each_notebook = pytest.mark.parametrize("name", NOTEBOOKS)


def read_room(room):
    path = LIB / f"{room.replace('.', '/')}.py"
    return path.read_text(encoding="utf-8")


SOURCES = {room: read_room(room) for room in ROOMS}
TREES = {room: ast.parse(source) for room, source in SOURCES.items()}


def list_code(name):
    return [cell for cell in NOTEBOOKS[name].cells if cell.cell_type == "code"]


def join_texts(name):
    """Return all that a reader reads of a lesson."""
    cells = NOTEBOOKS[name].cells
    return "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def is_folded(cell):
    hidden = cell.metadata.get("jupyter", {}).get("source_hidden", False)
    return hidden and cell.metadata.get("cellView") == "form"


def test_every_room_stands_in_the_order_of_the_arrows():
    found = set()
    for path in LIB.rglob("*.py"):
        room = path.relative_to(LIB).with_suffix("")
        if room.name != "__init__":
            found.add(".".join(room.parts))

    assert found == set(ROOMS)


def test_rooms_have_at_most_250_lines():
    for room, source in SOURCES.items():
        assert len(source.splitlines()) <= 250, room


@each_notebook
def test_notebook_is_valid_and_begins_with_its_title(name):
    notebook = NOTEBOOKS[name]
    first = notebook.cells[0]

    nbformat.validate(notebook)

    assert first.cell_type == "markdown"
    assert first.source.startswith("# ")


@each_notebook
def test_two_cells_of_parameters_stand_behind_the_bootstrap_and_are_checked_next(name):
    """A folded one for what few people turn, and one that papermill knows."""
    typed = []
    for cell in list_code(name):
        if re.search(r"^[A-Z_]+: ", cell.source, re.M):
            typed.append(cell)
    few, students = typed

    assert list_code(name)[1:3] == typed
    assert is_folded(few)
    assert not few.metadata.get("tags")
    assert not is_folded(students)
    assert students.metadata.tags == ["parameters"]
    assert "check_parameters(globals())" in list_code(name)[3].source


@each_notebook
def test_each_parameter_has_a_reason_and_the_field_of_its_type(name):
    folded, shown = list_code(name)[1:3]
    title, *lines = folded.source.splitlines() + shown.source.splitlines()
    reasons = lines[::2]
    knobs = lines[1::2]

    assert title.startswith("# @title ")
    for reason, line in zip(reasons, knobs, strict=True):
        assert re.fullmatch(REASON, reason), line
        _, default, field = re.fullmatch(FIELD, line).groups()
        assert_fits(field, ast.literal_eval(default))


def assert_fits(field, default):
    """Compare a field of Colab, {"type": …} or […] {further options}, with what stands in it."""
    options, end = json.JSONDecoder().raw_decode(field)
    if isinstance(options, dict):
        assert options["type"] == KINDS.get(type(default), "raw")
        return
    further = json.loads(field[end:] or "{}")
    # What is raw is written as Python has it.
    shown = json.dumps(default) if "type" in further else default
    assert shown in options
    assert list(further) in ([], ["allow-input"], ["type", "allow-input"])


def test_bootstrap_cell_is_short_folded_and_the_same_in_every_notebook():
    cells = [list_code(name)[0] for name in NOTEBOOKS]

    (source,) = {cell.source for cell in cells}

    assert all(is_folded(cell) for cell in cells)
    assert len(source.splitlines()) <= 20


@each_notebook
def test_notebook_and_its_cells_are_short(name):
    cells = list_code(name)

    assert len(cells) <= 32
    for cell in cells:
        assert len(cell.source.splitlines()) <= 25, cell.id


@pytest.mark.parametrize(
    ("name", "taught"),
    [
        ("01_data_prep", "DecisionTreeClassifier("),
        ("02_baseline_cnn", "Image.open("),
        ("02_baseline_cnn", ".compile("),
        ("02_baseline_cnn", ".fit("),
        ("03_augmented_cnn", "cv2.warpAffine("),
        ("04_resnet50_transfer", ".fit("),
        ("04_resnet50_transfer", ".evaluate("),
        ("04_resnet50_transfer", ".save("),
        ("05_backbones", "GridSearchCV("),
        ("05_backbones", "StratifiedGroupKFold("),
        ("06_fine_tuning", ".fit("),
        ("08_evaluation", "log_softmax("),
    ],
)
def test_what_a_lesson_teaches_stands_in_an_open_cell(name, taught):
    shown = [cell.source for cell in list_code(name) if not is_folded(cell)]

    assert taught in "\n".join(shown)


@each_notebook
def test_lesson_says_for_whom_it_is_and_what_it_is_for(name):
    first = NOTEBOOKS[name].cells[0].source

    for part in ("For whom", "Afterwards you can", "What you should see now"):
        assert f"**{part}**" in first
    assert "| | |" in first


@each_notebook
def test_lesson_asks_three_questions_and_sets_two_exercises(name):
    text = join_texts(name)

    questions = re.findall(r"Answer</summary>|<summary>\d\. ", text)

    assert len(questions) == 3
    assert text.count("<details>") == text.count("</details>")
    assert text.count("**What do you expect?**") >= 2
    assert re.search(r"## Exercises\n\n\*\*1\.\*\*.*\n\n\*\*2\. ", text, re.S)


@pytest.mark.parametrize("name", list(NOTEBOOKS)[1:])
def test_lesson_ends_with_three_sentences(name):
    short = re.search(r"## In short\n\n(.+)\n\n\*\*Next:\*\*", join_texts(name))[1]

    assert len(re.findall(r"[.?]( |$)", short)) == 3


@pytest.mark.parametrize("number", range(11))
def test_lesson_leads_on_to_the_next(number):
    name, following = list(NOTEBOOKS)[number : number + 2]

    assert f"**Next:** [{following}]({following}.ipynb)" in join_texts(name)


@each_notebook
def test_outputs_are_those_of_this_code(name):
    lesson = NOTEBOOKS[name]
    numbers = [cell.execution_count for cell in list_code(name)]

    assert lesson.metadata.get("outputs_of") == hash_code(lesson), "run make lessons"
    # nbval takes a cell with outputs and no number for a mistake.
    assert numbers == list(range(1, len(numbers) + 1))


def test_lessons_are_as_small_as_github_shows_them():
    sizes = [path.stat().st_size for path in PATHS]

    assert max(sizes) <= MAX_BYTES
    assert sum(sizes) <= 5_000_000


def parse_lesson(name):
    return ast.parse("\n".join(cell.source for cell in list_code(name)))


def list_functions(tree):
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


def find_body(function):
    """Return the statements of a function, without its docstring."""
    has_docstring = ast.get_docstring(function) is not None
    return function.body[has_docstring:]


def find_repeated(trees, describe):
    """Return the places of functions that are described alike; None describes no function."""
    places = defaultdict(set)
    for file, tree in trees.items():
        for function in list_functions(tree):
            places[describe(function)].add(f"{file}: {function.name}")
    places.pop(None, None)
    return [found for found in places.values() if len(found) > 1]


def name_public(function):
    """Return a name, unless it is one of Python or Keras, or means nothing outside its room."""
    name = function.name
    is_foreign = name in ("call", "get_config", "update_step")
    if is_foreign or name.startswith(("_", "on_")):
        return None
    return name


def describe_code(function):
    body = ast.Module(find_body(function), [])
    return ast.dump(function.args) + ast.dump(body)


def test_no_function_has_the_name_of_another():
    lessons = {name: parse_lesson(name) for name in NOTEBOOKS}

    assert find_repeated(TREES | lessons, name_public) == []


def test_no_function_is_written_twice():
    lessons = {name: parse_lesson(name) for name in NOTEBOOKS}
    files = (ROOT / "tests").rglob("*.py")
    tests = {path.name: ast.parse(path.read_text("utf-8")) for path in files}

    assert "conftest.py" in tests
    assert find_repeated(TREES | lessons | tests, describe_code) == []


def test_bodies_of_functions_have_at_most_35_lines():
    for room, tree in TREES.items():
        for function in list_functions(tree):
            body = find_body(function) or function.body
            lines = body[-1].end_lineno - body[0].lineno + 1
            assert lines <= 35, f"{room}: {function.name}"


def find_rooms(modules):
    """Return the rooms among some modules."""
    return {name.removeprefix("lib.") for name in modules} & set(ROOMS)


def test_rooms_import_only_rooms_above_them():
    for position, room in enumerate(ROOMS):
        rooms = find_rooms(find_imports(ast.walk(TREES[room])))
        assert rooms <= set(ROOMS[:position]), room


def test_keras_comes_only_with_models_and_dask_with_no_room():
    reached = {}
    for room in ROOMS:
        # What a function imports when it is called does not come with the room.
        modules = find_imports(TREES[room].body)
        reached[room] = {module.split(".")[0] for module in modules}
        for above in find_rooms(modules):
            reached[room] |= reached[above]

    assert "keras" in reached["models.training"]
    for room, packages in reached.items():
        assert not packages & {"dask", "distributed"}, room
        # `answering` asks models, so `predict` imports it once its options are checked.
        if not room.startswith(("models.", "answering")):
            assert not packages & {"tensorflow", "keras", "jax"}, room


REPORTED = [
    ("02_baseline_cnn", ["02-11-model"], {}, 11_850_058, 11_850_058, []),
    (
        "03_augmented_cnn",
        ["03-first", "03-09-model"],
        {},
        23_680_714,
        23_680_714,
        [0.3, 0.5],
    ),
    (
        "04_resnet50_transfer",
        ["04-07-backbone", "04-13-extractor", "04-15-model"],
        {"WEIGHTS": None},
        23_851_274,
        263_562,
        [0.5, 0.3],
    ),
]


@pytest.mark.parametrize(
    ("name", "cells", "changes", "total", "trainable", "dropout"), REPORTED
)
def test_model_built_in_the_notebook_has_the_parameters_of_the_report(
    name, cells, changes, total, trainable, dropout, ws
):
    known = {"keras": keras, "layers": keras.layers, "backbones": backbones}
    known |= {"networks": networks, "parts": parts, "training": training, "ws": ws}
    known |= {"num_classes": 10, "learning_rate": 1e-4}
    parameters = read_defaults(ROOT / f"notebooks/{name}.ipynb")

    made = run_cells(name, cells, known | parameters | changes)

    model = made.get("model") or made["cnn"]
    learning = sum(np.prod(weight.shape) for weight in model.trainable_weights)
    layers = made.get("head", model).layers
    rates = [one.rate for one in layers if isinstance(one, keras.layers.Dropout)]
    assert model.count_params() == total
    assert learning == trainable
    assert rates == dropout


def test_the_plain_code_of_04_builds_the_extractor_that_lib_builds():
    (code,) = re.findall(
        r"```python\n(inputs = .*?)```", join_texts("04_resnet50_transfer"), re.S
    )
    # The smallest that it takes, for the sake of time.
    network = backbones.load_backbone("ResNet50", None, 32, {}, None)
    expected = parts.build_extractor(network)
    known = {"keras": keras}

    exec(code.replace('"imagenet"', "None").replace("224", "32"), known)

    plain = known["extractor"]
    plain.set_weights(expected.get_weights())
    picture = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3))
    assert plain.trainable_variables == []
    answers = plain.predict(picture, verbose=0)
    assert np.allclose(answers, expected.predict(picture, verbose=0), rtol=1e-4)
