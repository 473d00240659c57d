"""Vision transformers of keras-hub, tiny and of random weights, through 05 to 10 and `lib.predict`."""

import importlib.util
import json

import keras
import numpy as np
import pytest

from lib.data.table import read_table
from lib.models import saved
from lib.predict import predict_pictures

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("keras_hub") is None, reason="keras-hub is not installed"
)
# Three blocks: layers of the network, or all within one layer of it.
BLOCKS = {
    "siglip": "encoder_block_{}",
    "dinov3": "encoder/layers_{}",
    "dinov2": "encoder/layers_{}",
}
SIZES = {"hidden_dim": 16, "num_layers": 3, "num_heads": 2, "intermediate_dim": 32}
PATCHES = {"image_shape": (48, 48, 3), "patch_size": 16}


def save_preset(kind, folder):
    """Save a network as keras-hub saves one, with what prepares its pictures."""
    from keras_hub import layers, models

    keras.utils.set_random_seed(0)
    if kind == "dinov2":
        network = models.DINOV2Backbone(
            position_embedding_shape=(48, 48), **PATCHES, **SIZES
        )
        converter = layers.DINOV2ImageConverter
    elif kind == "dinov3":
        network = models.DINOV3Backbone(**PATCHES, **SIZES)
        converter = layers.DINOV3ImageConverter
    else:
        text = models.SigLIPTextEncoder(
            vocabulary_size=9, embedding_dim=16, max_sequence_length=8, **SIZES
        )
        vision = models.SigLIPVisionEncoder(**PATCHES, **SIZES)
        network = models.SigLIPBackbone(vision, text)
        converter = layers.SigLIPImageConverter
    network.save_to_preset(folder)
    scaled = converter(image_size=(48, 48), scale=[1 / 127.5] * 3, offset=[-1.0] * 3)
    scaled.save_to_preset(folder)


@pytest.fixture(scope="module", params=list(BLOCKS))
def run(request, tmp_path_factory, draw_classes, run_chain):
    """01 and 05 to 10 on three classes of pictures; return the kind of network and the workspace."""
    root = tmp_path_factory.mktemp(request.param)
    draw_classes(root / "train", 15)
    draw_classes(root / "test", 2, seed=1)
    save_preset(request.param, str(root / request.param))
    folders = {"train": "train", "test": "test", "results": "r", "scratch": "s"}
    (root / "paths.json").write_text(json.dumps(folders))
    options = "--only 01 05 06 07 08 09 10 -p EPOCHS 1 -p IMAGE_SIZES [48]".split()
    options += ["-p", "BACKBONES", f"['hub:{root / request.param}@48']"]
    # The attention with which SigLIP pools comes last.
    options += ["-p", "SHARE", "0.4"]
    return request.param, run_chain(root / "paths.json", *options)


def test_fine_tuning_moves_the_last_blocks_and_the_head_alone(run):
    kind, ws = run
    before = saved.load_model(ws, f"{kind}_48_linear")
    after = saved.load_model(ws, f"{kind}_48_finetuned")
    moved = set()
    for weight, new in zip(before.weights, after.weights, strict=True):
        if not np.array_equal(weight, new):
            moved.add(weight.path)
    text = " ".join(sorted(moved))
    assert BLOCKS[kind].format(2) in text
    assert BLOCKS[kind].format(0) not in text
    assert "embedding" not in text
    assert {weight.path for weight in before.layers[-1].weights} <= moved


def test_every_notebook_has_its_answers(run):
    kind, ws = run
    pooling = {"siglip": "own_vector", "dinov3": "class_token", "dinov2": "class_token"}
    (row,) = read_table(ws.results / "contest.csv").to_dict("records")
    assert row["candidate"] == f"{kind}_48"
    assert row["reason"] == ""
    assert row["pooling"] == pooling[kind]
    assert row["image_size"] == "48"
    assert len(read_table(ws.results / "label_audit.csv")) == 45
    for ending in ("linear", "finetuned"):
        name = f"{kind}_48_{ending}"
        assert len(read_table(ws.results / f"predictions/{name}.csv")) == 9
        assert saved.read_metadata(ws, name)["temperature"]
    assert set(read_table(ws.results / "random_images.csv").problem) == {""}


def test_saved_model_answers_new_pictures(run, tmp_path):
    kind, ws = run
    model = ws.results / f"models/{kind}_48_finetuned.keras"
    path = tmp_path / "answers.csv"
    assert predict_pictures([str(model), str(ws.test), "--csv", str(path)]) == 0
    answers = read_table(path)
    assert len(answers) == 6
    assert set(answers.label) <= {"007", "NA", "red"}
