"""What tells strangers: distances, the file that keeps them, and the columns of predict."""

import keras
import numpy as np
import pytest
from conftest import (
    add_head,
    build_classifier,
    draw_classes,
    prepare_and_split,
    run_cells,
)
from keras import layers

from lib import predict
from lib.base.workspace import read_table
from lib.data import pixels, split
from lib.models import backbones, parts, resemblance, saved
from lib.models.features import cached_features
from lib.models.record import (
    Record,
    SetLimit,
    StrangerLimit,
    read_record,
    update_record,
)

# Of pictures that it knows 5 in 100 may be as far away.
MARK = "farther from its training pictures than 95 of 100 validation pictures"


@pytest.fixture(scope="module")
def transfer():
    """Extractor and whole model, as 04 builds them."""
    keras.utils.set_random_seed(1)
    backbone = backbones.load_backbone("sketches", None, 32, {}, None)
    extractor = parts.build_extractor(backbone)
    return extractor, add_head(extractor.input, extractor.output, "small_transfer")


def save_model(ws, model, name):
    """Save a model as far as predict and 10 need it."""
    path = ws.file("models", f"{name}.keras")
    saved.write_model(model, path)
    class_names = sorted(set(split.read_split(ws).label))
    file_hash = saved.hash_model(path, class_names)
    return update_record(ws, Record(name, class_names, 32), file_hash=file_hash)


def find_kept(ws):
    """Return the path of the file that tells strangers."""
    return ws.results / "models/small_transfer.npz"


@pytest.fixture
def judged(ws, transfer):
    """A workspace with a transfer model and its file of features, as 10 leaves it."""
    draw_classes(ws.train, 10)
    prepare_and_split(ws, image_sizes=(32,))
    _, model = transfer
    record = save_model(ws, model, "small_transfer")
    known, distances = resemblance.gather_known(ws, model, record)
    resemblance.keep_features(ws, record, known)
    # As if all validation pictures were a little farther.
    limit_distance(ws, 1.1 * distances.max())
    return ws


def limit_distance(ws, farthest):
    """Keep a limit of strangers in the record, as 10 does."""
    record = read_record(find_kept(ws))
    update_record(ws, record, strangers=StrangerLimit(MARK, float(farthest), 40))


def ask(ws, path, *options, name="small_transfer"):
    """Run predict on five pictures; return its status and its table."""
    model = ws.results / f"models/{name}.keras"
    pictures = sorted(ws.train.rglob("*.png"))[:5]
    arguments = [model, *pictures, "--csv", path, *options]
    status = predict.predict_pictures([str(argument) for argument in arguments])
    return status, read_table(path) if path.exists() else None


def test_one_pass_gives_the_probabilities_of_the_model_and_the_features_of_its_extractor(
    transfer,
):
    extractor, model = transfer
    images = np.random.default_rng(0).integers(0, 256, (32, 32, 32, 3), np.uint8)

    y_prob, features = parts.expose_features(model).predict_on_batch(images)

    assert np.allclose(y_prob, model.predict_on_batch(images), atol=1e-6)
    assert np.allclose(features, extractor.predict_on_batch(images), atol=1e-6)


def test_strangers_are_warned_of_first_and_have_no_set(judged, tmp_path, capsys):
    path = judged.results / "models/small_transfer.keras"
    sets = SetLimit(0.95, limit=0.01, groups=40)
    update_record(judged, read_record(path), answer_sets=sets)
    _, known = ask(judged, tmp_path / "known.csv")
    limit_distance(judged, 1e-6)

    _, strange = ask(judged, tmp_path / "strange.csv")
    picture = str(judged.train / "007/000.png")
    predict.predict_pictures([str(path), picture])

    sets = ["set", "set_size"]
    assert (known[sets] != "").all(axis=None)
    assert (strange[sets] == "").all(axis=None)
    assert set(known.note) == {""}
    assert (known.distance.astype(float) > 0).all()
    assert set(strange.note) == {MARK}
    assert strange.label.equals(known.label)
    header, row = capsys.readouterr().out.splitlines()
    assert header.split()[:3] == ["file", "note", "label"]
    assert row.split(MARK)[0].strip() == picture


def test_test_pictures_of_other_species_are_counted_with_those_that_are_marked(
    ws, transfer
):
    draw_classes(ws.train, 40)
    prepare_and_split(ws, image_sizes=(32,))
    extractor, model = transfer
    # Two pictures as in training, and three black ones.
    images = pixels.open_pixels(ws, split.read_split(ws).head(5), 32)[:]
    images[2:] = 0
    names = {
        "judged": True,
        "tested": "",
        "model": model,
        "record": save_model(ws, model, "small_transfer"),
        "features": extractor.predict(images, verbose=0),
        "groups": np.arange(24),
        # All but the first are of another species.
        "is_class": np.arange(5) == 0,
        "parts": parts,
        "resemblance": resemblance,
        "ws": ws,
    }

    known = run_cells("08_evaluation", ["strangers-code"], names)

    assert known["strangers"] == {"n": 4, "marked": 3}
    assert known["of_others"] == (
        "; of 4 pictures of other species 3 are marked as strangers"
    )


def draw_features(count, seed):
    return np.random.default_rng(seed).normal(1, 1, (count, 64)).astype(np.float32)


def normalize(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_distance_is_the_mean_to_the_five_nearest_directions():
    known = normalize(draw_features(300, 0)).astype(np.float16)
    asked = draw_features(20, 1)
    gaps = normalize(asked)[:, np.newaxis] - known.astype(float)
    every = np.sort(np.linalg.norm(gaps, axis=2), axis=1)
    expected = every[:, :5].mean(axis=1)

    found = resemblance.measure_distances(asked, known)

    assert found.dtype == np.float32
    assert found == pytest.approx(expected, abs=1e-5)
    # Brightness or contrast that only make features longer change nothing.
    longer = resemblance.measure_distances(3 * asked, known)
    assert longer == pytest.approx(expected, abs=1e-5)


def look(ws, extractor, rows):
    """Return the features of rows of the split."""
    return cached_features(extractor, pixels.open_pixels(ws, rows, 32), ws)[:]


def gather(ws, model):
    """Gather what tells strangers, as 10 does."""
    return resemblance.gather_known(ws, model, read_record(find_kept(ws)))


def test_of_many_training_pictures_as_many_of_each_class_are_kept(
    judged, transfer, monkeypatch
):
    extractor, model = transfer
    table = split.read_split(judged)
    training = table[table.part == "train"]
    rows = normalize(look(judged, extractor, training))
    monkeypatch.setattr(resemblance, "MAX_NUMBERS", 6 * rows.shape[1] + 5)

    known, _ = gather(judged, model)

    assert known.dtype == np.float16
    nearest = (known.astype(float) @ rows.T).argmax(axis=1)
    counts = training.label.iloc[nearest].value_counts()
    assert counts.to_dict() == {"007": 2, "NA": 2, "red": 2}


def test_distances_are_those_of_the_validation_pictures(judged, transfer):
    extractor, model = transfer
    table = split.read_split(judged)
    validation = table[table.part == "validation"]
    features = look(judged, extractor, validation)

    known, distances = gather(judged, model)

    expected = resemblance.measure_distances(features, known)
    assert np.array_equal(distances, expected)


def test_model_without_a_backbone_says_so_and_leaves_distances_blank(
    judged, tmp_path, capfd
):
    plain = build_classifier(layers.Flatten(), shape=(32, 32, 3))
    save_model(judged, plain, "plain")

    status, table = ask(judged, tmp_path / "answers.csv", name="plain")

    assert status == 0
    assert "models of 04 to 06, whose backbone" in capfd.readouterr().err
    assert (table[["distance", "note"]] == "").all(axis=None)


def remove(ws):
    find_kept(ws).unlink()


def forget_model(ws):
    path = find_kept(ws)
    known = resemblance.open_features(path, read_record(path))
    np.savez(path, model="0123456789abcdef", features=known)


def cut(ws):
    content = find_kept(ws).read_bytes()
    find_kept(ws).write_bytes(content[: len(content) // 2])


@pytest.mark.parametrize("damage", [remove, forget_model, cut])
def test_file_that_is_missing_damaged_or_of_another_model_is_named_and_not_used(
    damage, judged, tmp_path, capfd
):
    damage(judged)

    status, table = ask(judged, tmp_path / "answers.csv")

    assert status == 0
    said = capfd.readouterr().err
    assert "small_transfer.npz" in said
    assert "10_hand_over" in said
    assert (table[["distance", "note"]] == "").all(axis=None)
