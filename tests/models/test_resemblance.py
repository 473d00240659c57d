import re
from types import SimpleNamespace

import keras
import numpy as np
import pandas as pd
import pytest
from keras import layers

from lib import predict
from lib.data import pixels, split
from lib.evaluation import strangers
from lib.models import backbones, classify, configs, pooling, resemblance, saved, training
from lib.models.features import cached_features
from lib.storage import read_table


@pytest.fixture(scope="module")
def transfer(tmp_path_factory):
    """Extractor and whole model, as 04 builds them, of a small untrained network."""
    keras.utils.set_random_seed(1)
    pixels_in = keras.Input((32, 32, 3))
    patterns = layers.Conv2D(16, 3, strides=2)(layers.Rescaling(1 / 255)(pixels_in))
    patterns = layers.Conv2D(16, 3)(layers.ReLU()(layers.BatchNormalization()(patterns)))
    path = tmp_path_factory.mktemp("networks") / "small.keras"
    keras.Model(pixels_in, patterns).save(path)
    backbone = backbones.load_backbone(str(path), None, None, {}, None)
    extractor = pooling.build_extractor(backbone)
    parts = [layers.Dropout(0.5), layers.Dense(3, activation="softmax")]
    head = keras.Sequential([keras.Input(extractor.output.shape[1:]), *parts], name="head")
    return extractor, keras.Model(extractor.input, head(extractor.output), name="small_transfer")


@pytest.fixture
def judged(ws, transfer, draw_classes, prepare_set):
    """A workspace with a transfer model and a model without a backbone, as 08 leaves them."""
    draw_classes(ws.train, 10)
    prepare_set(ws, image_sizes=(32,))
    plain = keras.Sequential(
        [keras.Input((32, 32, 3)), layers.Flatten(), layers.Dense(3, activation="softmax")]
    )
    table = split.read_split(ws)
    for model, name in ((transfer[1], "small_transfer"), (plain, "plain")):
        path = ws.file("models", f"{name}.keras")
        configs.write_model(model, path)
        metadata = {"name": name, "class_names": sorted(set(table.label)), "image_size": 32}
        ws.save_json(metadata | {"file_hash": saved.hash_file(path)}, f"models/{name}.json")
    images = [pixels.open_pixels(ws, files, 32) for _, files in table.groupby("part").file]
    features = [cached_features(transfer[0], part, ws) for part in images]
    # As if the validation part were larger: each of its pictures with a little noise.
    rng = np.random.default_rng(0)
    many = np.repeat(features[1][:], 30, axis=0)
    many += rng.normal(0, 0.1 * many.std(), many.shape).astype(np.float32)
    metadata = saved.read_metadata(ws, "small_transfer")
    resemblance.keep_features(ws, metadata, strangers.keep_distances(features[0], many))
    return ws


def ask(judged, name, tmp_path, *options):
    model, files = judged.results / f"models/{name}.keras", sorted(judged.train.rglob("*.png"))[:5]
    answers = tmp_path / "answers.csv"
    arguments = [model, *files, "--csv", answers, *options]
    status = predict.predict_pictures([str(argument) for argument in arguments])
    return status, read_table(answers) if answers.exists() else None


def test_extractor_of_a_loaded_model_finds_the_features_that_training_kept(judged, transfer):
    model = saved.open_model(judged.results / "models/small_transfer.keras")[0]
    assert configs.make_key(pooling.find_parts(model)[0]) == configs.make_key(transfer[0])


def test_one_pass_gives_the_probabilities_of_the_model_and_the_features_of_its_extractor(transfer):
    extractor, model = transfer
    images = np.random.default_rng(0).integers(0, 256, (32, 32, 32, 3), np.uint8)
    y_prob, features = pooling.expose_features(model).predict_on_batch(images)
    assert np.allclose(y_prob, model.predict_on_batch(images), atol=1e-6)
    assert np.allclose(features, extractor.predict_on_batch(images), atol=1e-6)
    plain = keras.Sequential([keras.Input((32, 32, 3)), layers.Flatten(), layers.Dense(3)])
    y_prob, features = pooling.expose_features(plain).predict_on_batch(images)
    assert features.shape == (32, 0) and np.allclose(y_prob, plain.predict_on_batch(images))


def test_columns_of_resemblance_stand_beside_answers_that_stay_as_they_are(
    judged, tmp_path, capsys
):
    extra = ["--top", 2, "--probabilities"]
    _, plain = ask(judged, "small_transfer", tmp_path, *extra)
    capsys.readouterr()
    status, table = ask(judged, "small_transfer", tmp_path, *extra, "--strangers")
    assert status == 0 and "marked as unlike anything trained on" in capsys.readouterr().err
    assert list(table.columns[4:8]) == ["label_2", "probability_2", "resemblance_p", "note"]
    rest = table.drop(columns=["resemblance_p", "note"])
    assert list(rest.columns) == list(plain.columns) and rest.label.equals(plain.label)
    numbers = [one[["probability", "probability_2"]].astype(float) for one in (rest, plain)]
    assert np.allclose(*numbers, atol=1e-6)
    assert set(table.note) == {""} and (table.resemblance_p.astype(float) > 0.01).all()


def test_a_stranger_is_marked_and_a_file_that_cannot_be_read_has_no_mark(judged, tmp_path):
    path = judged.results / "models/small_transfer.keras"
    model, metadata = classify.load_classifier(path)
    known, reason = resemblance.open_features(model, metadata, path.with_suffix(".npz"))
    (judged.train / "red/000.png").write_bytes(b"no picture")
    files = ["007/000.png", "red/000.png"]
    y_prob, features, problems = classify.answer_files(model, judged.train, files, True)
    # Opposite to all that was trained on: of so small a network no picture is sure to be that.
    columns = strangers.write_resemblance(-features, known)
    table = classify.list_answers(files, y_prob, problems, metadata, columns=columns)
    assert reason == "" and table.note[0] == strangers.NOTE and table.note.isna()[1]
    assert table.resemblance_p.isna().tolist() == [False, True]


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("plain", None, "plain can't tell .* no backbone"),
        ("small_transfer", "further seed", "small_transfer@43 can't tell .* first runs only"),
        ("small_transfer", "gone", "small_transfer.npz is missing"),
    ],
)
def test_model_that_cannot_tell_says_so_and_leaves_the_columns_empty(
    name, change, words, judged, tmp_path, capsys
):
    path = judged.results / f"models/{name}.npz"
    if change == "further seed":
        name += "@43"
        for suffix in (".keras", ".json"):
            path.with_suffix(suffix).rename(judged.results / f"models/{name}{suffix}")
    elif change == "gone":
        path.unlink()
    status, table = ask(judged, name, tmp_path, "--strangers")
    said = " ".join(capsys.readouterr().err.split())
    assert status == 0 and re.search(words, said), said
    assert (table[["resemblance_p", "note"]] == "").all(axis=None) and (table.label != "").all()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("other", "belongs to another"),
        ("half", "is damaged"),
        ("page", "is damaged"),
        ("", "is damaged"),
    ],
)
def test_file_of_another_model_or_a_damaged_one_is_an_error_that_names_it(
    damage, words, judged, tmp_path, capsys
):
    path = judged.results / "models/small_transfer.npz"
    if damage == "other":
        with np.load(path) as arrays:
            np.savez(path, **dict(arrays) | {"model": "0123456789abcdef"})
    else:
        half = path.read_bytes()[: path.stat().st_size // 2]
        path.write_bytes({"half": half, "page": b"<html>404</html>", "": b""}[damage])
    assert ask(judged, "small_transfer", tmp_path, "--strangers") == (2, None)
    said = capsys.readouterr().err
    assert f"small_transfer.npz {words}" in said and "08_evaluation" in said


def test_picture_without_finite_features_costs_no_other_picture_its_answer(
    judged, tmp_path, monkeypatch
):
    _, plain = ask(judged, "small_transfer", tmp_path, "--strangers")
    measured = classify.expose_features

    def overflow(model):
        network = measured(model)

        def answer(images):
            y_prob, features = map(np.array, network.predict_on_batch(images))
            features[2, 0] = np.inf
            return y_prob, features

        return SimpleNamespace(predict_on_batch=answer)

    monkeypatch.setattr(classify, "expose_features", overflow)
    status, table = ask(judged, "small_transfer", tmp_path, "--strangers")
    assert status == 0 and table.label.equals(plain.label)
    assert list(table.resemblance_p[[1, 3]]) == list(plain.resemblance_p[[1, 3]])
    assert table.resemblance_p[2] == "" != plain.resemblance_p[2] and table.note[2] == ""


def test_what_was_kept_is_the_same_bytes_again_and_goes_with_the_model(judged, transfer):
    path = judged.results / "models/small_transfer.npz"
    before, metadata = path.read_bytes(), saved.read_metadata(judged, "small_transfer")
    with np.load(path) as arrays:
        kept = {name: arrays[name] for name in ("features", "distances")}
    resemblance.keep_features(judged, metadata, kept)
    assert path.read_bytes() == before
    run = training.Run(pd.DataFrame({"epoch": [1], "seconds": [0.1]}), "a key", taken=False)
    with saved.save(transfer[1], run, judged, "small_transfer", {}):
        assert path.exists(), "until the new model has passed its check"
    assert not path.exists()
