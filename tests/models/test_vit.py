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
BLOCKS = {"siglip": "encoder_block_{}", "dinov3": "encoder/layers_{}"}
BLOCKS["dinov2"] = BLOCKS["dinov3"]


def save_preset(kind, folder):
    """Save a network as keras-hub saves one, with what prepares its pictures."""
    from keras_hub import layers, models

    keras.utils.set_random_seed(0)
    sizes = dict(hidden_dim=16, num_layers=3, num_heads=2, intermediate_dim=32)
    sees = dict(image_shape=(48, 48, 3), patch_size=16)
    scale = dict(image_size=(48, 48), scale=[1 / 127.5] * 3, offset=[-1.0] * 3)
    if kind == "dinov2":
        network = models.DINOV2Backbone(
            **sees, **sizes, position_embedding_shape=(48, 48)
        )
        converter = layers.DINOV2ImageConverter
    elif kind == "dinov3":
        network, converter = (
            models.DINOV3Backbone(**sees, **sizes),
            layers.DINOV3ImageConverter,
        )
    else:
        vision, words = (
            models.SigLIPVisionEncoder(**sees, **sizes),
            dict(vocabulary_size=9),
        )
        text = models.SigLIPTextEncoder(
            **words, embedding_dim=16, max_sequence_length=8, **sizes
        )
        network, converter = (
            models.SigLIPBackbone(vision, text),
            layers.SigLIPImageConverter,
        )
    network.save_to_preset(folder)
    converter(**scale).save_to_preset(folder)


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
    before, after = (
        saved.load_model(ws, f"{kind}_48_{way}") for way in ("linear", "finetuned")
    )
    pairs = list(zip(before.weights, after.weights, strict=True))
    moved = {one.path for one, two in pairs if not np.array_equal(one, two)}
    lowest, highest = BLOCKS[kind].format(0), BLOCKS[kind].format(2)
    assert any(highest in path for path in moved)
    assert not any(lowest in path or "embedding" in path for path in moved)
    head = {id(one) for one in before.layers[-1].weights}
    assert all(one.path in moved for one in before.weights if id(one) in head)


def test_every_notebook_has_its_answers(run):
    kind, ws = run
    contest = read_table(ws.results / "contest.csv")
    assert list(contest.candidate) == [f"{kind}_48"] and list(contest.reason) == [""]
    pooling = {"siglip": "own_vector", "dinov3": "class_token", "dinov2": "class_token"}
    assert list(contest.pooling) == [pooling[kind]] and list(contest.image_size) == [
        "48"
    ]
    assert len(read_table(ws.results / "label_audit.csv")) == 45
    for way in ("linear", "finetuned"):
        assert len(read_table(ws.results / f"predictions/{kind}_48_{way}.csv")) == 9
        assert json.loads((ws.results / f"models/{kind}_48_{way}.json").read_text())[
            "temperature"
        ]
    assert set(read_table(ws.results / "random_images.csv").problem) == {""}


def test_saved_model_answers_new_pictures(run, tmp_path):
    kind, ws = run
    model = str(ws.results / f"models/{kind}_48_finetuned.keras")
    assert (
        predict_pictures([model, str(ws.test), "--csv", str(tmp_path / "a.csv")]) == 0
    )
    answers = read_table(tmp_path / "a.csv")
    assert len(answers) == 6 and set(answers.label) <= {"007", "NA", "red"}
