"""A contest of networks: who takes part, who doesn't and why, and what is built of the winner."""

import keras
import numpy as np
import pytest

from lib.data import split
from lib.models import backbones, contest, linear, parts
from lib.models.features import compute_batch


@pytest.fixture
def networks(tmp_path):
    """Two small networks in files, a broken one, and a name that Keras doesn't know."""
    entries = []
    for name, filters in (("small", 3), ("large", 6)):
        keras.utils.set_random_seed(filters)
        layers = [
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(filters, 3, activation="relu"),
        ]
        keras.Sequential(layers).save(tmp_path / f"{name}.keras")
        entries.append(str(tmp_path / f"{name}.keras"))
    (tmp_path / "broken.keras").write_bytes(b"half of a download")
    return [str(tmp_path / "broken.keras"), "NoSuchNet", *entries]


def list_training(ws):
    table = split.read_split(ws)
    return table[table.part == "train"]


def test_what_cannot_be_had_is_a_row_with_its_reason_and_the_others_go_on(
    prepared, networks
):
    files = list_training(prepared)
    facts, features = contest.gather_features(
        networks, "imagenet", None, files, prepared, seed=0
    )
    assert [row["candidate"] for row in facts] == [
        "broken",
        "nosuchnet",
        "small",
        "large",
    ]
    assert "broken.keras can't be used" in facts[0]["reason"]
    assert "has no 'NoSuchNet'" in facts[1]["reason"]
    assert list(features) == ["small", "large"] and not facts[2]["reason"]
    assert facts[3]["features"] == 6 and facts[3]["parameters"] == 6 * 28
    assert facts[3]["megabytes"] == pytest.approx(4 * 6 * 28 / 1e6)
    assert facts[3]["pictures_per_second"] > 0
    # The validation part has passed no network.
    for found in features.values():
        assert len(found) == len(files) == len(found.store)
    told = contest.gather_features(
        ", ".join(networks), None, None, files, prepared, seed=0
    )[0]
    assert [row["candidate"] for row in told] == [row["candidate"] for row in facts]


def test_none_left_is_an_error_with_every_reason(prepared, networks):
    files = list_training(prepared)
    with pytest.raises(ValueError, match="(?s)none.*broken.keras.*NoSuchNet.*ResNet50"):
        contest.gather_features(networks[:2], "imagenet", None, files, prepared, seed=0)


def test_on_the_demo_sketches_and_a_random_twin_compete_where_no_other_network_can(
    prepared, monkeypatch
):
    monkeypatch.setattr(type(prepared), "is_demo", True)
    rows = list_training(prepared)
    facts, features = contest.gather_features(
        "NoSuchNet", "imagenet", None, rows, prepared, seed=3
    )
    assert list(features) == ["sketches", "sketches_random", "sketches_96"]
    assert [row.get("weights") for row in facts] == [
        None,
        "sketches",
        "untrained",
        "sketches",
    ]
    assert facts[1]["licence"] and facts[3]["image_size"] == 96
    # The random one can be built again.
    numbers = np.arange(len(rows))
    classifier, _ = linear.fit(
        features["sketches_random"], numbers % 3, 3, numbers, seed=0
    )
    extractor, _ = parts.find_parts(contest.build_model(facts[2], classifier, seed=3))
    images = contest.open_pixels(prepared, rows, facts[2]["image_size"])[:4]
    answers = compute_batch(extractor, images)
    assert np.allclose(answers, features["sketches_random"][:4], atol=1e-5)


def test_all_networks_compute_in_the_precision_that_was_chosen(
    prepared, networks, monkeypatch
):
    seen = []
    load = backbones.load_backbone

    def told(*arguments):
        seen.append(keras.config.dtype_policy().name)
        return load(*arguments)

    monkeypatch.setattr(backbones, "load_backbone", told)
    keras.config.set_dtype_policy("mixed_float16")
    try:
        files = list_training(prepared)
        contest.gather_features(networks[2:], "imagenet", None, files, prepared, seed=0)
        assert seen == ["mixed_float16"] * 2
        assert keras.config.dtype_policy().name == "mixed_float16"
    finally:
        keras.config.set_dtype_policy("float32")


@pytest.mark.parametrize(
    ("kernel", "reason"), [(1e38, "no finite numbers"), (0, "the same for all")]
)
def test_features_that_say_nothing_keep_a_network_out_and_the_others_go_on(
    prepared, networks, kernel, reason
):
    broken = keras.saving.load_model(networks[2])
    broken.layers[0].kernel.assign(
        np.full(broken.layers[0].kernel.shape, kernel, np.float32)
    )
    broken.save(networks[2])
    files = list_training(prepared)
    facts, features = contest.gather_features(
        networks[2:], None, None, files, prepared, seed=0
    )
    assert list(features) == ["large"] and reason in facts[0]["reason"]


def test_two_of_one_name_are_an_error_before_any_work(prepared):
    entries = ["a/net.keras", "b/net.keras"]
    with pytest.raises(ValueError, match="two are called net"):
        contest.gather_features(entries, None, None, [], prepared, seed=0)


def test_model_of_the_winner_answers_pictures_as_the_classifier_answers_their_features(
    prepared, networks
):
    files = list_training(prepared)
    facts, features = contest.gather_features(
        networks[3:], None, None, files, prepared, seed=0
    )
    y_true = np.arange(len(files)) % 3
    classifier, _ = linear.fit(
        features["large"], y_true, 3, np.arange(len(files)), seed=0
    )
    model = contest.build_model(facts[0], classifier, seed=0)
    assert model.name == "large_linear" and parts.has_backbone(model)
    pictures = contest.open_pixels(prepared, files, 8)
    answers = model.predict(pictures[:], verbose=0)
    assert np.allclose(answers, classifier.predict_proba(features["large"]), atol=1e-5)
