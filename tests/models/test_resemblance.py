import keras
import numpy as np
import pytest
from keras import layers

from lib import predict
from lib.data import pixels, split
from lib.data.table import read_table
from lib.evaluation import conformal
from lib.models import backbones, files, keys, parts, resemblance, saved
from lib.models.features import cached_features


@pytest.fixture(scope="module")
def transfer(tmp_path_factory):
    """Extractor and whole model, as 04 builds them, of a small untrained network."""
    keras.utils.set_random_seed(1)
    pixels_in = keras.Input((32, 32, 3))
    patterns = layers.Conv2D(16, 3, strides=2)(layers.Rescaling(1 / 255)(pixels_in))
    patterns = layers.Conv2D(16, 3)(
        layers.ReLU()(layers.BatchNormalization()(patterns))
    )
    path = tmp_path_factory.mktemp("networks") / "small.keras"
    keras.Model(pixels_in, patterns).save(path)
    backbone = backbones.load_backbone(str(path), None, None, {}, None)
    extractor = parts.build_extractor(backbone)
    top = [layers.Dropout(0.5), layers.Dense(3, activation="softmax")]
    head = keras.Sequential(
        [keras.Input(extractor.output.shape[1:]), *top], name="head"
    )
    return extractor, keras.Model(
        extractor.input, head(extractor.output), name="small_transfer"
    )


@pytest.fixture
def judged(ws, transfer, draw_classes, prepare_set):
    """A workspace with a transfer model and a model without a backbone, as 10 leaves them."""
    draw_classes(ws.train, 10)
    prepare_set(ws, image_sizes=(32,))
    plain = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.Flatten(),
            layers.Dense(3, activation="softmax"),
        ]
    )
    table = split.read_split(ws)
    for model, name in ((transfer[1], "small_transfer"), (plain, "plain")):
        path = ws.file("models", f"{name}.keras")
        files.write_model(model, path)
        metadata = {
            "name": name,
            "class_names": sorted(set(table.label)),
            "image_size": 32,
        }
        metadata["file_hash"] = saved.hash_file(path, metadata["class_names"])
        ws.save_json(metadata, f"models/{name}.json")
    resemblance.keep_features(
        ws, transfer[1], saved.read_metadata(ws, "small_transfer")
    )
    # As if the validation part were larger.
    path = ws.results / "models/small_transfer.npz"
    with np.load(path) as file:
        kept = dict(file)
    distances = np.repeat(kept["distances"], 30)
    distances *= (
        np.random.default_rng(0).uniform(0.9, 1.1, len(distances)).astype(np.float32)
    )
    np.savez(
        path, **kept | {"distances": distances, "groups": np.arange(len(distances))}
    )
    return ws


def ask(judged, name, tmp_path, *options):
    model, files = (
        judged.results / f"models/{name}.keras",
        sorted(judged.train.rglob("*.png"))[:5],
    )
    answers = tmp_path / "answers.csv"
    arguments = [model, *files, "--csv", answers, *options]
    status = predict.predict_pictures([str(argument) for argument in arguments])
    return status, read_table(answers) if answers.exists() else None


def test_extractor_of_a_loaded_model_finds_the_features_that_training_kept(
    judged, transfer
):
    model = saved.load_model(judged, "small_transfer")
    assert keys.make_key(parts.find_parts(model)[0]) == keys.make_key(transfer[0])


def test_one_pass_gives_the_probabilities_of_the_model_and_the_features_of_its_extractor(
    transfer,
):
    extractor, model = transfer
    images = np.random.default_rng(0).integers(0, 256, (32, 32, 32, 3), np.uint8)
    y_prob, features = parts.expose_features(model).predict_on_batch(images)
    assert np.allclose(y_prob, model.predict_on_batch(images), atol=1e-6)
    assert np.allclose(features, extractor.predict_on_batch(images), atol=1e-6)


def test_columns_of_resemblance_stand_beside_answers_that_stay_as_they_are(
    judged, tmp_path, capsys
):
    (judged.train / "007/000.png").write_bytes(b"no picture")
    extra = ["--top", 2, "--probabilities"]
    _, plain = ask(judged, "small_transfer", tmp_path, *extra)
    capsys.readouterr()
    status, table = ask(judged, "small_transfer", tmp_path, *extra, "--strangers")
    assert (
        status == 1
        and '"unlike 95 of 100 pictures it knows" marks' in capsys.readouterr().err
    )
    assert list(table.columns[4:8]) == ["label_2", "probability_2", "distance", "note"]
    rest = table.drop(columns=["distance", "note"])
    assert list(rest.columns) == list(plain.columns) and rest.label.equals(plain.label)
    numbers = [
        one[["probability", "probability_2"]][1:].astype(float) for one in (rest, plain)
    ]
    assert np.allclose(*numbers, atol=1e-6)
    assert set(table.note) == {""} and (table.distance[1:].astype(float) > 0).all()
    # As if all that it was validated on were far more alike.
    path = judged.results / "models/small_transfer.npz"
    with np.load(path) as file:
        kept = dict(file)
    np.savez(path, **kept | {"distances": kept["distances"] / 1000})
    _, table = ask(judged, "small_transfer", tmp_path, "--strangers")
    assert table.distance[0] == "" and list(table.note) == [
        "",
        *[conformal.describe_mark(0.95)] * 4,
    ]


def draw_features(count, seed):
    return np.random.default_rng(seed).normal(1, 1, (count, 64)).astype(np.float32)


def point(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_distance_is_the_mean_to_the_five_nearest_directions():
    known, asked = point(draw_features(300, 0)).astype(np.float16), draw_features(20, 1)
    gaps = np.linalg.norm(point(asked)[:, np.newaxis] - known.astype(float), axis=2)
    found = resemblance.measure_distances(asked, known)
    assert found.dtype == np.float32
    assert found == pytest.approx(np.sort(gaps, axis=1)[:, :5].mean(axis=1), abs=1e-5)
    # Brightness or contrast that only make features longer change nothing.
    assert resemblance.measure_distances(3 * asked, known) == pytest.approx(
        found, abs=1e-5
    )
    # Of float16, whose squares are soon too large for it, too.
    half = (20 * asked).astype(np.float16)
    assert resemblance.measure_distances(half, known) == pytest.approx(found, abs=1e-3)


def test_features_that_are_no_numbers_have_no_distance_and_others_keep_theirs():
    known, asked = point(draw_features(30, 0)).astype(np.float16), draw_features(4, 1)
    expected = resemblance.measure_distances(asked, known)
    asked[1, 3] = np.nan
    asked[2, 0] = np.inf
    found = resemblance.measure_distances(asked, known)
    assert np.isnan(found).tolist() == [False, True, True, False]
    assert np.array_equal(found[[0, 3]], expected[[0, 3]])


def test_of_many_training_pictures_as_many_of_each_class_are_kept(
    judged, transfer, monkeypatch
):
    monkeypatch.setattr(resemblance, "MAX_NUMBERS", 6 * 16 + 5)
    metadata = saved.read_metadata(judged, "small_transfer")
    resemblance.keep_features(judged, transfer[1], metadata)
    path = judged.results / "models/small_transfer.npz"
    known = resemblance.open_features(transfer[1], metadata, path)
    parts = dict(list(split.read_split(judged).groupby("part")))
    training, validation = parts["train"], parts["validation"]
    rows = point(
        cached_features(transfer[0], pixels.open_pixels(judged, training, 32), judged)[
            :
        ]
    )
    nearest = (known["features"].astype(float) @ rows.T).argmax(axis=1)
    assert (training.label.iloc[nearest].value_counts() == 2).all()
    assert known["features"].shape == (6, 16) and known["features"].dtype == np.float16
    assert np.linalg.norm(known["features"].astype(float), axis=1) == pytest.approx(
        1, abs=1e-2
    )
    features = cached_features(
        transfer[0], pixels.open_pixels(judged, validation, 32), judged
    )
    expected = resemblance.measure_distances(features[:], known["features"])
    assert np.array_equal(known["distances"], expected)
    assert np.array_equal(known["groups"], validation.group)


def test_model_without_a_backbone_says_so_before_the_first_picture(
    judged, tmp_path, capsys, no_picture_is_read
):
    assert ask(judged, "plain", tmp_path, "--strangers") == (2, None)
    assert "plain has no backbone" in capsys.readouterr().err


@pytest.mark.parametrize("damage", ["none", "other", "half"])
def test_file_that_is_missing_damaged_or_of_another_model_is_an_error_that_names_it(
    damage, judged, tmp_path, capsys, no_picture_is_read
):
    path = judged.results / "models/small_transfer.npz"
    with np.load(path) as file:
        kept = dict(file)
    half = path.read_bytes()[: path.stat().st_size // 2]
    path.unlink()
    if damage == "other":
        np.savez(path, **kept | {"model": "0123456789abcdef"})
    elif damage == "half":
        path.write_bytes(half)
    assert ask(judged, "small_transfer", tmp_path, "--strangers") == (2, None)
    said = capsys.readouterr().err
    assert "small_transfer.npz is missing, damaged or of another model: run 10" in said


def test_what_was_kept_is_the_same_bytes_again(judged, transfer):
    path = judged.results / "models/small_transfer.npz"
    metadata = saved.read_metadata(judged, "small_transfer")
    resemblance.keep_features(judged, transfer[1], metadata)
    first = path.read_bytes()
    resemblance.keep_features(judged, transfer[1], metadata)
    assert path.read_bytes() == first
