import numpy as np
import pytest

from lib.evaluation import strangers


def draw_features(count, seed, centre=0.0):
    """Draw features of five classes, or of something else where the centre is moved."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(5, 64)) + 2 + centre
    rows = centres[rng.integers(0, 5, count)] + rng.normal(0, 0.5, (count, 64))
    return rows.astype(np.float32)


def test_distance_is_the_mean_to_the_five_nearest_directions():
    training, asked = draw_features(300, 0), draw_features(20, 1)
    kept = strangers.keep_distances(training, asked)
    directions = [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (asked, training)]
    gaps = np.linalg.norm(directions[0][:, np.newaxis] - directions[1], axis=2)
    expected = np.sort(gaps, axis=1)[:, :5].mean(axis=1)
    found = strangers.measure_distances(asked, kept["features"])
    assert found == pytest.approx(expected, abs=1e-3)
    # Brightness or contrast that only make features longer change nothing.
    assert strangers.measure_distances(3 * asked, kept["features"]) == pytest.approx(
        found, abs=1e-5
    )
    # Of float16, whose squares are soon too large for it, too.
    half = (20 * asked).astype(np.float16)
    assert strangers.measure_distances(half, kept["features"]) == pytest.approx(found, abs=1e-3)
    assert kept["features"].dtype == np.float16 and np.array_equal(
        kept["distances"], np.sort(found)
    )


def test_pictures_like_validation_are_marked_as_rarely_as_promised_and_strangers_are_found():
    training, known, other = draw_features(500, 0), 0, 0
    for seed in range(1, 7):
        kept = strangers.keep_distances(training, draw_features(150, seed))
        known += strangers.write_resemblance(draw_features(1000, 1000 + seed), kept)["note"].count(
            strangers.NOTE
        )
        strange = strangers.write_resemblance(draw_features(10, seed, centre=-4), kept)
        other += strange["note"].count(strangers.NOTE)
    assert 0.002 < known / 6000 <= 0.013, known / 6000
    assert other / 60 > 0.95, other / 60


def test_p_value_counts_validation_pictures_as_far_or_further():
    kept = strangers.keep_distances(draw_features(50, 0), draw_features(199, 1))
    order = np.argsort(strangers.measure_distances(draw_features(199, 1), kept["features"]))
    p_values = np.array(strangers.write_resemblance(draw_features(199, 1), kept)["resemblance_p"])
    assert p_values[order] == pytest.approx((200 - np.arange(199)) / 200)
    assert (np.array(p_values) < strangers.RARE).sum() == 0, "one of 200 is its own equal"
    far = strangers.write_resemblance(draw_features(3, 2, centre=-4), kept)
    assert far == {"resemblance_p": [0.005] * 3, "note": [strangers.NOTE] * 3}


def test_pictures_of_one_group_count_as_one():
    training, once = draw_features(200, 0), draw_features(120, 1)
    groups = np.repeat(np.arange(120), 3)
    kept = strangers.keep_distances(training, once[groups], groups)
    assert np.array_equal(kept["distances"], strangers.keep_distances(training, once)["distances"])


@pytest.mark.parametrize(("count", "marked"), [(99, False), (100, True)])
def test_too_few_validation_pictures_mark_nothing_and_that_is_said(count, marked):
    kept = strangers.keep_distances(draw_features(50, 0), draw_features(count, 1))
    columns = strangers.write_resemblance(draw_features(1, 2, centre=-4), kept)
    assert columns["resemblance_p"] == [round(1 / (count + 1), 6)]
    assert (columns["note"] == [strangers.NOTE]) == marked
    assert ("too few" in strangers.describe_marks(kept)) != marked


def test_of_many_training_pictures_always_the_same_sample_is_drawn():
    assert np.array_equal(strangers.draw_sample(7), np.arange(7))
    first = strangers.draw_sample(50_000)
    assert len(np.unique(first)) == strangers.MOST and first.max() > 40_000
    assert np.array_equal(first, strangers.draw_sample(50_000))


def test_fewer_training_pictures_than_neighbours_and_features_of_zeros_do_no_harm():
    kept = strangers.keep_distances(draw_features(3, 0), draw_features(4, 1))
    columns = strangers.write_resemblance(np.zeros((2, 64), np.float32), kept)
    assert columns["resemblance_p"] == [0.2, 0.2]


@pytest.mark.parametrize("wrong", [np.inf, np.nan])
def test_features_that_are_not_finite_tell_nothing_and_can_not_be_kept(wrong):
    training, validation = draw_features(50, 0), draw_features(120, 1)
    kept, asked = strangers.keep_distances(training, validation), draw_features(3, 2, centre=-4)
    alone = strangers.write_resemblance(asked, kept)
    asked[1, 7] = wrong
    columns = strangers.write_resemblance(asked, kept)
    assert np.isnan(columns["resemblance_p"][1]) and columns["note"][1] == ""
    for name, values in columns.items():
        assert values[::2] == alone[name][::2], "the others are told as before"
    for part in (training, validation):
        part[5, 3], before = wrong, part[5, 3]
        with pytest.raises(ValueError, match="net has features .* not finite.* PRECISION float32"):
            strangers.keep_distances(training, validation, name="net")
        part[5, 3] = before
