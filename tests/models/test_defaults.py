"""The networks that compete in 05 by default, small and of random weights: each through 05, 06 and 10."""

import json

import numpy as np
import pytest
import tensorflow as tf
from conftest import draw_classes, prepare_and_split, run_cells
from keras.src.applications import convnext, efficientnet_v2
from test_presets import save_preset

from lib.base import workspace
from lib.base.parameters import read_defaults
from lib.base.workspace import read_table
from lib.data.split import read_split
from lib.models import litert, networks, resemblance, saved

NOTEBOOKS = workspace.REPOSITORY / "notebooks"
PARAMETERS = read_defaults(NOTEBOOKS / "05_backbones.ipynb")
DEFAULTS = ", ".join([PARAMETERS["ON_CPU"], PARAMETERS["ON_GPU"]]).split(", ")
# A larger DINOv2 is built of the same layers.
LARGER = "hub:dinov2_with_registers_base@224"
# As each preset begins, and what keras-hub calls its kind.
KINDS = {"dinov2": "DINOV2", "dinov3": "DINOV3", "efficientnet": "EfficientNet"}

# The cells of 05 that make the model.
CONTEST = """backbones-05 backbones-07 backbones-09 05-look 05-gather 05-gather-all backbones-11 backbones-14 05-table
05-test backbones-20 backbones-23 05-need backbones-25 backbones-27 05-record 05-save"""


def run_lesson(name, ids, **changes):
    """Execute cells of a notebook, some parameters changed; return all names that are known then."""
    names = read_defaults(NOTEBOOKS / f"{name}.ipynb")
    # To build graphs would take longer than a few pictures take without them.
    tf.config.run_functions_eagerly(True)
    try:
        return run_cells(name, ids, names | {"workspace": workspace} | changes)
    finally:
        tf.config.run_functions_eagerly(False)


@pytest.fixture(scope="module", params=[spec for spec in DEFAULTS if spec != LARGER])
def spec(request, tmp_path_factory):
    """A default on small pictures, one block of each kind; of a preset, a small network of its family."""
    network, _ = networks.split_spec(request.param)
    if network.startswith(networks.PRESET):
        family, *_ = network.removeprefix(networks.PRESET).split("_")
        preset = tmp_path_factory.mktemp("presets") / family
        save_preset(KINDS[family], str(preset))
        yield f"{networks.PRESET}{preset}@48"
        return
    with pytest.MonkeyPatch.context() as patch:
        tiny = {"depths": [1, 1, 1, 1], "projection_dims": [8, 16, 32, 64]}
        patch.setitem(convnext.MODEL_CONFIGS, "tiny", tiny | {"default_size": 224})
        blocks = efficientnet_v2.DEFAULT_BLOCKS_ARGS
        patch.setitem(blocks, "efficientnetv2-b0", blocks["efficientnetv2-b0"][::3])
        yield f"{network}@32"


@pytest.fixture(scope="module")
def ws(spec, tmp_path_factory):
    """Three classes of pictures, and the model that 05 has made of the network."""
    root = tmp_path_factory.mktemp("defaults")
    draw_classes(root / "train", 15)
    folders = {"train": "train", "results": "r", "scratch": "s"}
    paths = root / "paths.json"
    paths.write_text(json.dumps(folders))
    _, size = networks.split_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DRIVE_PATHS", str(paths))
        ws = workspace.open()
        prepare_and_split(ws, [size])
        run_lesson(
            "05_backbones",
            CONTEST.split(),
            BACKBONES=spec,
            WEIGHTS="none",
            REPEATS=1,
        )
        yield ws


@pytest.fixture(scope="module")
def lesson(ws):
    """All that 06 knows after an epoch of fine-tuning."""
    ids = "05-imports 07-load loop cut 11-table schedule build 18-runs 18-fit 22-still"
    ids = [f"06-{name}" for name in ids.split()]
    return run_lesson("06_fine_tuning", ids, FINE_EPOCHS=1)


def test_network_takes_part_in_the_contest(ws):
    (row,) = read_table(ws.results / "contest.csv").to_dict("records")

    assert row["reason"] == ""
    assert (ws.results / f"models/{row['candidate']}_linear.keras").exists()


def test_fine_tuned_model_is_handed_over(ws, lesson):
    """As a file for phones that answers alike, with features that tell strangers."""
    path = ws.results / f"models/{lesson['name']}.keras"
    model, record = saved.open_model(path)
    images = lesson["validation_batches"].part.pictures[:]
    y_prob = model.predict(images, verbose=0)

    reason = litert.try_export(model, path.with_suffix(".tflite"))
    known, _ = resemblance.gather_known(ws, model, record)

    assert reason == ""
    phone = litert.LiteRTModel(path.with_suffix(".tflite"))
    assert np.allclose(phone.predict_on_batch(images), y_prob, atol=0.01)
    assert len(known) == (read_split(ws).part == "train").sum()


def test_page_and_lesson_tell_what_the_table_of_networks_holds():
    table = read_table(workspace.REPOSITORY / "lib/models/networks.csv")
    lesson = (NOTEBOOKS / "05_backbones.ipynb").read_text("utf-8")
    page = (NOTEBOOKS / "networks.md").read_text("utf-8")
    entries = set(table.entry)

    for row in table.itertuples():
        scores = f"{row.million_parameters} | {row.newt} | {row.inat21} |"
        entry = f"`{row.entry}`" if row.entry else ""
        assert f"| {row.network} | {entry} | {scores}\n" in page
        assert f"| {row.network} | {scores}\\n" in lesson
    # Nobody has measured EfficientNet-Lite0 there.
    measured = [spec for spec in DEFAULTS if "dino" in spec]
    assert set(measured) <= entries
    assert all(f"`{spec}`" in page for spec in DEFAULTS)
