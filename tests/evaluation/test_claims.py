import html

import numpy as np
import pandas as pd
import pytest
import simulations
from test_comparisons import make_right

from lib.evaluation import claims, comparisons, metrics, wording


def compare(right):
    return comparisons.compare_pairs(right, np.arange(20))


def read_cells(pairs):
    table = claims.tabulate_pairs(pairs)
    return list(table.index), table.to_numpy().tolist()


def test_order_is_claimed_only_where_it_is_established_and_ties_are_said():
    even, odd = make_right(("1", 10), ("0", 10)), make_right(("0", 10), ("1", 10))
    poor, good = np.zeros(20, bool), np.ones(20, bool)
    for other in (even, odd):
        labels, cells = read_cells(compare({"one": even, "two": other}))
        assert labels == ["1 one", "2 two"]
        assert cells == [["", "+0.000 same"], ["+0.000 same", ""]]
    labels, cells = read_cells(compare({"poor": poor, "good": good}))
    assert labels == ["1 good", "2 poor"], "the best stands first"
    assert cells == [["", "+1.000 better"], ["−1.000 worse", ""]]
    # 6 of 6: p = 0.031 convinces once, but not as one of three comparisons.
    slight = make_right(("1", 6), ("0", 14))
    pairs = compare({"slight": slight, "poor": poor})
    assert "better" in read_cells(pairs)[1][0][1] and pairs.low[0] > 0
    pairs = compare({"slight": slight, "poor": poor, "none": poor})
    assert "better" not in str(read_cells(pairs)) and "not sure" in str(read_cells(pairs))
    assert (pairs.low < 0).all(), "the interval tells what the cell tells"
    assert claims.tabulate_pairs(compare({"alone": even})).empty


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (0.00004, 0.1, "0.00004 to 0.10000"),
        (-0.1, 0.0, "−0.100 to 0.000"),
        (-0.058, 0.135, "−0.058 to 0.135"),
    ],
)
def test_rounding_never_moves_a_bound_across_0(low, high, text):
    assert wording.write_bounds(low, high) == text


def test_scores_are_written_once_alike_and_say_what_is_not_there():
    assert wording.write_p(0.04998) == "p = 0.04998" and wording.write_p(1e-9) == "p < 0.0001"
    score = {"top1": 0.8875, "top1_interval": [0.8, 0.94], "nll": 1.25, "kappa": None}
    assert wording.write_score(score, "top1") == "0.8875 (0.800 to 0.940)"
    assert wording.write_score(score, "nll") == "1.2500"
    assert wording.write_score(score, "kappa") == "not defined"
    assert wording.write_count(0.8875, 80) == "71 of 80"
    assert wording.write_things(1, "picture") == "1 picture"
    assert wording.write_things(2000, "class") == "2,000 classes"
    assert wording.write_number(-0.0001) == "0.000" and wording.write_number(-0.1) == "−0.100"


@pytest.mark.parametrize(
    ("shares", "text"),
    [
        ((0.8875,), "89 %"),
        ((239 / 240,), "99.6 %"),
        ((1,), "100 %"),
        ((0.0004,), "0.04 %"),
        ((0.8, 0.94), "80 to 94 %"),
        ((0.901, 0.904), "90.1 to 90.4 %"),
        ((0.98, 0.9999), "98.00 to 99.99 %"),
        ((0, 1), "0 to 100 %"),
        ((0.5, 0.5), "50 %"),
    ],
)
def test_per_cents_have_the_digits_that_keep_them_apart(shares, text):
    assert wording.write_percent(*shares).replace("\N{NO-BREAK SPACE}", " ") == text


def describe(y_true, y_prob):
    y_prob, groups = np.asarray(y_prob, np.float32), np.arange(len(y_true))
    said = claims.describe_calibration(metrics.evaluate(y_true, y_prob, ["a", "b"], groups))
    return said.replace("\N{NO-BREAK SPACE}", " ")


def test_probabilities_are_believed_only_as_far_as_a_test_tells():
    y_true = np.arange(2000) % 2
    sure = np.where(np.eye(2)[y_true].astype(bool), 0.9, 0.1)
    right = np.random.default_rng(0).random(2000) < 0.9
    y_prob = np.where(right[:, None], sure, sure[:, ::-1])
    assert describe(y_true, y_prob).startswith("yes: it says 90 % on average and is right in ")
    few = describe(y_true[:40], y_prob[:40])
    assert few.startswith("not enough pictures to say: it says 90 %")
    guess = np.repeat([[0.9, 0.1]], 2000, axis=0)
    assert describe(y_true, guess).startswith("too sure by about 40 points: it says 90 %")
    modest = np.where(np.eye(2)[y_true].astype(bool), 0.6, 0.4)
    assert describe(y_true, modest).startswith("not sure enough by about 40 points")


def test_probabilities_that_are_wrong_both_ways_are_never_believed():
    y_true = np.repeat([0, 1], 200)
    y_prob = np.array([[0.99, 0.01]] * 100 + [[0.51, 0.49]] * 100 + [[0.99, 0.01]] * 100)
    text = describe(y_true, np.concatenate([y_prob, [[0.49, 0.51]] * 100]))
    assert text == "no, though their mean of 75 % fits: some are too high, or too low"


def test_ways_of_training_are_told_apart_only_by_several_runs():
    columns = ["way", "other", "difference", "low", "high", "runs", "n"]
    differences = pd.DataFrame(
        [("b", "a", 0.09, 0.05, 0.13, 5, 240), ("b", "c", 0.01, -0.02, 0.04, 5, 240)],
        columns=columns,
    )
    ways = pd.DataFrame({"runs": [5, 5, 1]}, index=["a", "b", "d"])
    (better,), (unsure, once) = claims.describe_ways(ways, differences)
    assert better.startswith(
        "b is better than a: difference 0.090 (0.050 to 0.130) on average over 5 trainings"
    )
    assert "not established" in unsure and once.startswith("d was trained once.")
    _, (both,) = claims.describe_ways(
        pd.DataFrame({"runs": [1, 1]}, index=["a", "b"]), differences[:0]
    )
    assert both.startswith("a and b were trained once.") and "luck of a seed" in both


def test_escaped_names_are_shown_as_they_are_by_markdown_and_html():
    name = "<img src=x onerror=alert(1)> **b** `c` [d](e) $f$ _g_ h_i a\nb & \\"
    text = wording.escape_text(name)
    assert not set(text) & set("<>*`[]$\\\n=") and "h_i" in text
    assert html.unescape(text) == name.replace("\n", " ")


@pytest.mark.parametrize(
    ("names", "text"), [("", ""), ("a", "a"), ("ab", "a and b"), ("abc", "a, b and c")]
)
def test_names_are_joined_as_people_do(names, text):
    assert wording.join_names(names) == text
    assert wording.join_names("abcde") == "a, b, c and 2 more"


@pytest.mark.parametrize(
    ("truth", "predicted", "words"),
    [
        ("frog", {"a": "frog", "b": "frog"}, "Every model is right."),
        ("frog", {"a": "newt", "b": "bird"}, "No model is right."),
        ("frog", {"a": "newt", "b": "frog"}, "b is right."),
        ("frog", {"a": "frog", "b": "newt", "c": "frog"}, "a and c are right."),
        ("", {"a": "frog", "b": "frog"}, "Truth unknown; the models agree on frog."),
        ("", {"a": "frog", "b": "newt"}, "Truth unknown; the models see 2 classes."),
    ],
)
def test_agreement_says_which_models_are_right(truth, predicted, words):
    assert claims.describe_agreement(truth, predicted) == words


def make_history(losses):
    epochs = np.arange(len(losses)) + 1
    fixed = {"accuracy": 0.9, "val_accuracy": 0.45}
    return pd.DataFrame({"epoch": epochs, "val_loss": losses} | fixed)


def test_gap_says_how_far_training_is_from_validation():
    text = claims.describe_gap(make_history([2.0, 1.25, 1.75]))
    for words in (
        "epoch 3",
        "0.900",
        "0.450 above",
        "lowest after epoch 2 (1.250)",
        "ends at 1.75",
    ):
        assert words in text


def test_losses_that_are_no_numbers_are_told():
    said = claims.describe_gap(make_history([1.0, np.nan, np.nan]))
    assert said.endswith("The validation loss is no number from epoch 2 on.")


def test_a_trend_is_claimed_only_where_several_epochs_show_it():
    for losses in ([2.0], [2.0, 1.9]):
        assert claims.describe_gap(make_history(losses)).endswith("too few epochs for a trend.")
    for losses in ([1.5, 1.4, 1.6], [1.5, 1.7, 1.4, 1.6, 1.3, 1.8, 1.25]):
        assert claims.describe_gap(make_history(losses)).endswith("it shows no trend.")
    text = claims.describe_gap(make_history(np.linspace(2, 1, 8)))
    assert "Over the last 8 epochs it was falling (p < 0.0001" in text
    assert "it was rising" in claims.describe_gap(make_history(np.linspace(1, 2, 30)))
    falling, rising = simulations.describe_curves(10, 0, 300)
    assert falling + rising <= 0.08


def test_ways_without_common_seeds_or_enough_pictures_are_not_passed_over_in_silence():
    right = {"a": {0: np.ones(40, bool), 1: np.ones(40, bool)}}
    apart = right | {"b": {2: np.ones(40, bool), 3: np.ones(40, bool)}}
    _, (sentence,) = claims.describe_ways(*comparisons.compare_ways(apart, np.arange(40)))
    assert "no two ways" in sentence.lower()
    ways, differences = comparisons.compare_ways(right | {"b": right["a"]}, np.arange(40))
    assert ways[["low", "high"]].isna().all(axis=None)
    assert "0.000 (without an interval)" in claims.describe_ways(ways, differences)[1][0]


def test_change_tells_mistakes_corrected_and_made_and_is_a_gain_only_where_established():
    was_right, alone = make_right(("1", 190), ("0", 50)), np.arange(240)
    some = was_right.copy()
    some[190:207], some[:9] = True, False
    sentence = claims.describe_change("frozen", "tuned", was_right, some, alone)
    assert "Of 240 pictures, tuned corrects 17 that frozen gets wrong, and gets 9 wrong" in sentence
    assert "doesn't establish" in sentence and "p = 0.17 (exact McNemar)" in sentence
    assert "08 asks about every pair" in sentence, "another question, corrected for more tests"
    for change, better in ((slice(190, 207), "tuned"), (slice(0, 17), "frozen")):
        other = was_right.copy()
        other[change] = ~other[change]
        sentence = claims.describe_change("frozen", "tuned", was_right, other, alone)
        assert f"So {better} is better" in sentence and "establish" not in sentence
    # What belongs together says less, and groups are spoken of only where there are some.
    assert "groups" not in sentence
    sentence = claims.describe_change("frozen", "tuned", was_right, other, np.arange(240) // 17)
    assert "doesn't establish" in sentence and "(McNemar, groups counted once)" in sentence
    same = claims.describe_change("frozen", "tuned", was_right, was_right, alone)
    assert "corrects 0" in same and "doesn't establish" in same and "p = 1 (" in same
