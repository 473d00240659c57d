"""Form of the notebooks and of the rooms; parameter counts of the models built in them."""

import ast
import re
from collections import defaultdict
from types import SimpleNamespace

import keras
import nbformat
import numpy as np
import pytest

from lib import machine, workspace
from lib.models import backbones, keys, parts, training

ROOT = workspace.REPOSITORY
PATHS = sorted((ROOT / "notebooks").glob("*.ipynb"))
NOTEBOOKS = {path.stem: nbformat.read(path, as_version=4) for path in PATHS}
ROOMS = """storage machine work parameters paths_file workspace
data.decoders data.pictures data.quality data.table data.drawing data.demo data.names data.listing data.archives data.label_files data.labels data.sources
data.store data.pixels data.hashes data.copies data.split data.generators data.multi_labels
models.temperature models.networks models.parts models.keys models.files models.saved models.origins models.backbones models.descriptions models.checkpoint
models.training models.features models.resemblance models.classifiers models.linear models.heads models.contest models.finetuning models.litert
models.gradcam models.classify
evaluation.intervals evaluation.metrics evaluation.conformal evaluation.thresholds
evaluation.wording evaluation.contests evaluation.answers
evaluation.verdict evaluation.figures evaluation.mistakes evaluation.display evaluation.galleries evaluation.audit evaluation.page
evaluation.card evaluation.review evaluation.report
costs new_pictures predict runner chain start""".split()
WITHOUT_TENSORFLOW = {
    room for room in ROOMS if not room.startswith(("models.", "predict"))
}
# A reason, which Colab shows above the field of its form, and the field.
REASON, FIELD = (
    r"# @markdown \S.{12,}",
    r"(\w+): [\w |]+ = .*?  # @param [\[{].*[\]}](?:  # fmt: skip)?",
)
TREES = {
    room: ast.parse(
        (ROOT / "lib" / f"{room.replace('.', '/')}.py").read_text(encoding="utf-8")
    )
    for room in ROOMS
}
each_notebook = pytest.mark.parametrize("name", NOTEBOOKS)


def has_tag(cell, tag):
    return tag in cell.metadata.get("tags", [])


def list_code(name):
    return [cell for cell in NOTEBOOKS[name].cells if cell.cell_type == "code"]


def is_folded(cell):
    hidden = cell.metadata.get("jupyter", {}).get("source_hidden", False)
    return hidden and cell.metadata.get("cellView") == "form"


def find_parameters(name):
    """Return the two cells of parameters: those that few people turn, and those that a student turns."""
    typed = [
        cell for cell in list_code(name) if re.search(r"^[A-Z_]+: ", cell.source, re.M)
    ]
    few, students = typed
    assert is_folded(few) and not few.metadata.get("tags"), (
        f"{name}: fold the first, untagged"
    )
    assert has_tag(students, "parameters") and not is_folded(students), (
        f"{name}: tag the second"
    )
    assert list_code(name)[1:3] == typed, f"{name}: behind the bootstrap"
    return typed


def test_there_are_the_known_notebooks_and_the_known_rooms():
    topics = """start_here data_prep baseline_cnn augmented_cnn resnet50_transfer backbones fine_tuning label_audit
    evaluation random_images hand_over multi_label""".split()
    assert list(NOTEBOOKS) == [
        f"{number:02d}_{name}" for number, name in enumerate(topics)
    ]
    paths = [
        p.relative_to(ROOT / "lib").with_suffix("")
        for p in (ROOT / "lib").rglob("*.py")
    ]
    found = {".".join(path.parts) for path in paths if path.name != "__init__"}
    assert found == set(ROOMS), "add a new room to ROOMS, in the order of the arrows"


def test_rooms_have_at_most_250_lines():
    for path in (ROOT / "lib").rglob("*.py"):
        count = len(path.read_text(encoding="utf-8").splitlines())
        assert count <= 250, f"{path.name} has {count} lines: a room with two topics?"


@each_notebook
def test_notebook_is_valid_and_begins_with_its_title(name):
    nbformat.validate(NOTEBOOKS[name])
    first = NOTEBOOKS[name].cells[0]
    assert first.cell_type == "markdown" and first.source.startswith("# "), (
        "begin with an H1"
    )
    text = "\n".join(cell.source for cell in NOTEBOOKS[name].cells)
    assert not re.search(r"@[A-Z]+\d*@", text), "fill in what is still a placeholder"
    assert not re.search(r"^\s*[!%]", text, re.M), (
        "no shell or magic lines: pip is for the Makefile"
    )


@each_notebook
def test_parameters_are_typed_and_each_has_a_reason_that_colab_shows(name):
    for cell in find_parameters(name):
        lines = cell.source.splitlines()
        if is_folded(cell):
            assert lines.pop(0).startswith("# @title ")
        for reason, line in zip(lines[::2], lines[1::2], strict=True):
            assert re.fullmatch(REASON, reason), f"a reason above {line}"
            (knob,) = ast.parse(line).body
            assert re.fullmatch(FIELD, line) and isinstance(knob, ast.AnnAssign), line
            ast.literal_eval(knob.value)


def test_bootstrap_cell_is_short_folded_and_the_same_in_every_notebook():
    found = set()
    for name in NOTEBOOKS:
        cell = list_code(name)[0]
        assert "REPOSITORY = " in cell.source and is_folded(cell), name
        found.add(cell.source)
    assert len(found) == 1, "copy the bootstrap cell of 01 into the others"
    assert len(count_code(found.pop())) <= 16


def count_code(source):
    """Return the lines of code: neither blank nor comments."""
    return [
        line for line in source.splitlines() if line.strip() and line.lstrip()[0] != "#"
    ]


def test_notebooks_are_short():
    for name in NOTEBOOKS:
        count = len(list_code(name))
        assert count <= 28, f"{name} has {count} code cells"


@each_notebook
def test_lesson_says_for_whom_asks_three_questions_and_leads_on(name):
    text = "\n".join(
        c.source for c in NOTEBOOKS[name].cells if c.cell_type == "markdown"
    )
    first = NOTEBOOKS[name].cells[0].source
    for part in (
        "**For whom**",
        "**Afterwards you can**",
        "**What you should see now**",
        "| | |",
    ):
        assert part in first, part
    assert (
        text.count("<details>") == text.count("</details>")
        and len(re.findall(r"Answer</summary>|<summary>\d\. ", text)) == 3
    )
    assert text.count("## Exercise") == 1
    if name != "00_start_here":
        (short,) = re.findall(r"## In short\n\n(.+)\n\n\*\*Next:\*\*", text)
        assert len(re.findall(r"[.?]( |$)", short)) == 3, "three sentences"
    following = dict(zip(NOTEBOOKS, [*NOTEBOOKS][1:]))
    for target in re.findall(r"\]\((\w+\.ipynb)\)", text):
        assert (ROOT / "notebooks" / target).exists(), target
    if name in following:
        assert f"**Next:** [{following[name]}]({following[name]}.ipynb)" in text


@each_notebook
def test_only_cells_that_nbval_compares_carry_output(name):
    for number, cell in enumerate(list_code(name)):
        place = f"{name}, code cell {number}"
        assert len(cell.source.splitlines()) <= 36, (
            f"{place}: split it, 36 lines at most"
        )
        if has_tag(cell, "nbval-check-output"):
            # nbval takes a cell with outputs and no number for a mistake.
            assert cell.outputs and cell.execution_count, (
                f"{place}: store what nbval compares"
            )
        else:
            assert not cell.outputs, f"{place}: clear its output"
            assert cell.execution_count is None, f"{place}: clear its execution_count"


def test_no_function_is_defined_in_two_places():
    named, written = defaultdict(set), defaultdict(set)
    paths = [
        path for folder in ("lib", "tests") for path in (ROOT / folder).rglob("*.py")
    ]
    sources = {path: path.read_text() for path in paths}
    sources |= {
        path: "\n".join(c.source for c in list_code(path.stem)) for path in PATHS
    }
    for path, source in sources.items():
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef):
                body = node.body[ast.get_docstring(node) is not None :]
                text = ast.dump(node.args) + "".join(ast.dump(part) for part in body)
                written[text].add(f"{path.name}: {node.name}")
                # Names with __ are Python's, on_epoch_end and its like are Keras', and a name
                # with _ means nothing outside its room.
                foreign = node.name in ("call", "get_config", "update_step")
                foreign |= node.name.startswith(("_", "on_"))
                if "tests" not in path.parts and not foreign:
                    named[node.name].add(path.name)
    again = [
        places
        for found in (written, named)
        for places in found.values()
        if len(places) > 1
    ]
    assert not again, "keep one and import it"


def test_bodies_of_functions_have_at_most_35_lines():
    for room, tree in TREES.items():
        for node in ast.walk(tree):
            if not isinstance(node, ast.FunctionDef):
                continue
            body = node.body[ast.get_docstring(node) is not None :]
            if body:
                lines = body[-1].end_lineno - body[0].lineno + 1
                assert lines <= 35, f"lib/{room}.py, {node.name}: {lines}, split it"


def list_imports(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            # `from lib.data import pixels` names a room, `from lib.data.store import Store` a part.
            joined = node.module in ("lib", "lib.data", "lib.models", "lib.evaluation")
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from names if joined else [node.module]


def test_rooms_import_only_rooms_above_them_and_tensorflow_only_where_it_belongs():
    reached = {}
    for position, room in enumerate(ROOMS):
        imported = set(list_imports(TREES[room]))
        rooms = {
            module.removeprefix("lib.")
            for module in imported
            if module.startswith("lib.")
        }
        assert rooms <= set(ROOMS[:position]), (
            f"{room} imports a room that is not above it"
        )
        # What a function imports when it is called does not come with the room.
        body = [
            n for n in TREES[room].body if isinstance(n, ast.Import | ast.ImportFrom)
        ]
        with_it = set(list_imports(ast.Module(body, [])))
        rooms = {
            module.removeprefix("lib.")
            for module in with_it
            if module.startswith("lib.")
        }
        reached[room] = {module.split(".")[0] for module in with_it}
        reached[room] |= {module for above in rooms for module in reached[above]}
        assert not reached[room] & {"dask", "distributed"}, (
            f"{room} imports Dask unasked"
        )
        if room in WITHOUT_TENSORFLOW:
            assert not reached[room] & {"tensorflow", "keras", "jax"}, (
                f"{room} imports Keras"
            )


@pytest.mark.parametrize(
    ("name", "changes", "total", "trainable", "dropout"),
    [
        ("02_baseline_cnn", {}, 11_850_058, 11_850_058, []),
        ("02_baseline_cnn", {"IMAGE_SIZE": 128}, 7_393_610, 7_393_610, []),
        ("03_augmented_cnn", {}, 23_680_714, 23_680_714, [0.3, 0.5]),
        ("04_resnet50_transfer", {"WEIGHTS": None}, 23_851_274, 263_562, [0.5, 0.3]),
    ],
)
def test_model_built_in_the_notebook_has_the_parameters_of_the_report(
    name, changes, total, trainable, dropout, ws
):
    space = {"keras": keras, "layers": keras.layers, "ws": ws}
    space |= {
        "backbones": backbones,
        "machine": machine,
        "keys": keys,
        "training": training,
    }
    space |= {"parts": parts, "learning_rate": 1e-4}
    for cell in find_parameters(name):
        exec(cell.source, space)
    space |= changes | {"train": SimpleNamespace(num_classes=10), "num_classes": 10}
    for cell in list_code(name):
        if re.search(
            r"(load_backbone|_extractor|keras\.(Sequential|Model))\(", cell.source
        ):
            exec(cell.source, space)
    model = space.get("model") or space["cnn"]
    assert model.count_params() == total
    assert (
        sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
        == trainable
    )
    layers = space.get("head", model).layers
    assert [
        layer.rate for layer in layers if isinstance(layer, keras.layers.Dropout)
    ] == dropout
    stored = [c.outputs for c in list_code(name) if has_tag(c, "nbval-check-output")]
    if stored and "IMAGE_SIZE" not in changes:
        assert f"{total:,}" in str(stored), "store the output of summary()"
