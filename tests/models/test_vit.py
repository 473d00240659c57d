"""Vision transformers of keras-hub, tiny and of random weights, through 05 to 10 and `lib.predict`."""

import importlib.util
import json

import keras
import numpy as np
import pytest

from lib.data.table import read_table
from lib.models import backbones, files, finetuning, parts, saved
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
POOLING = {"siglip": "own_vector", "dinov3": "class_token", "dinov2": "class_token"}
SIZES = {"hidden_dim": 16, "num_layers": 3, "num_heads": 2, "intermediate_dim": 32}
PATCHES = {"image_shape": (48, 48, 3), "patch_size": 16}
# The attention with which SigLIP pools comes last.
SHARE = 0.4
each_kind = pytest.mark.parametrize("kind", BLOCKS)


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


@pytest.fixture(scope="module")
def ws(tmp_path_factory, draw_classes, run_chain):
    """01 and 05 to 10 on three classes of pictures; the network that wins in 05 goes through all."""
    root = tmp_path_factory.mktemp("vit")
    draw_classes(root / "train", 15)
    draw_classes(root / "test", 2, seed=1)
    for kind in BLOCKS:
        save_preset(kind, str(root / kind))
    specs = ", ".join(f"hub:{root / kind}@48" for kind in BLOCKS)
    folders = {"train": "train", "test": "test", "results": "r", "scratch": "s"}
    (root / "paths.json").write_text(json.dumps(folders))
    options = "--only 01 05 06 07 08 09 10 -p EPOCHS 1 -p REPEATS 1".split()
    options += ["-p", "IMAGE_SIZES", "[48]", "-p", "SHARE", str(SHARE)]
    options += ["-p", "BACKBONES", specs]
    return run_chain(root / "paths.json", *options)


@pytest.fixture(scope="module")
def winner(ws):
    """The name of the network that won."""
    table = read_table(ws.results / "contest.csv")
    return table.candidate[table.chosen == "True"].item()


@each_kind
def test_contest_pools_each_kind_of_network_as_it_should(kind, ws):
    table = read_table(ws.results / "contest.csv").set_index("candidate")
    row = table.loc[f"{kind}_48"]
    assert row.reason == ""
    assert row.pooling == POOLING[kind]
    assert row.image_size == "48"


def test_every_notebook_has_its_answers(ws, winner):
    assert len(read_table(ws.results / "label_audit.csv")) == 45
    for ending in ("linear", "finetuned"):
        name = f"{winner}_{ending}"
        assert len(read_table(ws.results / f"predictions/{name}.csv")) == 9
        assert saved.read_metadata(ws, name)["temperature"]
    assert set(read_table(ws.results / "random_images.csv").problem) == {""}


def test_no_notebook_has_red_output(ws):
    executed = sorted((ws.results / "notebooks").glob("*.ipynb"))
    assert len(executed) == 7
    for path in executed:
        assert '"name": "stderr"' not in path.read_text(encoding="utf-8")


def test_fine_tuning_moves_the_last_blocks_and_the_head_alone(ws, winner):
    before = saved.load_model(ws, f"{winner}_linear")
    after = saved.load_model(ws, f"{winner}_finetuned")
    moved = set()
    for weight, new in zip(before.weights, after.weights, strict=True):
        if not np.array_equal(weight, new):
            moved.add(weight.path)
    assert_last_blocks(moved, winner.removesuffix("_48"))
    assert {weight.path for weight in before.layers[-1].weights} <= moved


def assert_last_blocks(paths, kind):
    text = " ".join(sorted(paths))
    assert BLOCKS[kind].format(2) in text
    assert BLOCKS[kind].format(0) not in text
    assert "embedding" not in text


def test_saved_model_answers_new_pictures(ws, winner, tmp_path):
    model = ws.results / f"models/{winner}_finetuned.keras"
    path = tmp_path / "answers.csv"
    assert predict_pictures([str(model), str(ws.test), "--csv", str(path)]) == 0
    answers = read_table(path)
    assert len(answers) == 6
    assert set(answers.label) <= {"007", "NA", "red"}


@each_kind
def test_file_of_each_kind_answers_as_its_model_and_its_last_blocks_can_learn(
    kind, ws, tmp_path
):
    spec = f"hub:{ws.train.parent / kind}@48"
    backbone = backbones.load_backbone(spec, "imagenet", None, {}, None)
    extractor = parts.build_extractor(backbone)
    inputs = keras.Input(extractor.output.shape[1:])
    head = keras.Sequential([inputs, keras.layers.Dense(3)], name="head")
    model = keras.Model(extractor.input, head(extractor.output), name=kind)
    files.write_model(model, tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    images = np.random.default_rng(0).uniform(0, 255, (2, 48, 48, 3))
    images = images.astype(np.float32)
    assert np.allclose(again(images), model(images), atol=1e-5)
    learning = finetuning.unfreeze(again, SHARE)
    assert_last_blocks({variable.path for variable in learning}, kind)
