"""Vision transformers of keras-hub, tiny and of random weights, through 05 to 10 and `lib.predict`."""

import importlib.util
import json

import keras
import numpy as np
import pytest

from lib.data import generators
from lib.data.split import read_split
from lib.data.table import read_table
from lib.models import contest, finetuning, linear, saved, training
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
    options = "--only 01 05 06 07 08 09 10 -p EPOCHS 1 -p IMAGE_SIZES [48]".split()
    options += ["-p", "BACKBONES", specs, "-p", "SHARE", str(SHARE)]
    return run_chain(root / "paths.json", *options)


@pytest.fixture(scope="module")
def winner(ws):
    """The name of the network that won."""
    table = read_table(ws.results / "contest.csv")
    return table.candidate[table.chosen == "True"].item()


def fine_tune(ws, name, spec):
    """Do the work of 05 and 06 for a network that has not won, in this process."""
    table = read_split(ws)
    rows = table[table.part == "train"]
    facts, features = contest.gather_features(spec, "imagenet", None, rows, ws, seed=42)
    _, y_true = np.unique(rows.label.to_numpy(str), return_inverse=True)
    classifier, _ = linear.fit(features[name], y_true, 3, rows.group.to_numpy(), 42)
    model = contest.build_model(facts[0], classifier, seed=42)
    images = contest.open_pixels(ws, rows, 48)[:8]
    metadata = {"name": model.name, "notebook": "05_backbones", "image_size": 48}
    metadata |= {"weights": facts[0]["weights"], "parameters": {"backbone": name}}
    answers = model.predict_on_batch(images)
    saved.save(model, ws, metadata, pictures=images, y_prob=answers)

    def build():
        model = saved.load_model(ws, f"{name}_linear")
        finetuning.unfreeze(model, SHARE)
        tuned = keras.Model(model.inputs, model.outputs, name=f"{name}_finetuned")
        tuned.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
        return tuned

    batches = generators.pair(ws, 48, 32, seed=42)
    training.train(build, batches, ws, {"EPOCHS": 1}, [42], base=f"{name}_linear")


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


@each_kind
def test_fine_tuning_moves_the_last_blocks_and_the_head_alone(
    kind, ws, winner, tmp_path
):
    name = f"{kind}_48"
    if name != winner:
        fine_tune(ws, name, f"hub:{ws.train.parent / kind}@48")
    before = saved.load_model(ws, f"{name}_linear")
    after = saved.load_model(ws, f"{name}_finetuned")
    moved = set()
    for weight, new in zip(before.weights, after.weights, strict=True):
        if not np.array_equal(weight, new):
            moved.add(weight.path)
    text = " ".join(sorted(moved))
    assert BLOCKS[kind].format(2) in text
    assert BLOCKS[kind].format(0) not in text
    assert "embedding" not in text
    assert {weight.path for weight in before.layers[-1].weights} <= moved
    model = ws.results / f"models/{name}_finetuned.keras"
    path = tmp_path / "answers.csv"
    assert predict_pictures([str(model), str(ws.test), "--csv", str(path)]) == 0
    answers = read_table(path)
    assert len(answers) == 6
    assert set(answers.label) <= {"007", "NA", "red"}
