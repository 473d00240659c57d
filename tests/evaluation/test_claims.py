import html

import numpy as np
import pandas as pd
import pytest
import simulations
from test_comparisons import make_right

from lib.evaluation import claims, comparisons, metrics, wording


def compare(right):
    return comparisons.compare_pairs(right, np.arange(20) % 2)


def test_order_is_claimed_only_where_it_is_established_and_ties_are_said():
    even, odd = make_right(("1", 10), ("0", 10)), make_right(("0", 10), ("1", 10))
    poor, good = np.zeros(20, bool), np.ones(20, bool)
    for other in (even, odd):
        (sentence,) = claims.describe_pairs(compare({"one": even, "two": other}))
        assert sentence.startswith("one and two score the same on 20 pictures: 0.000 (-0.")
        assert "better" not in sentence and sentence.endswith("p = 1 (exact McNemar, Holm).")
    (sentence,) = claims.describe_pairs(compare({"poor": poor, "good": good}))
    assert sentence.startswith("good is better than poor by 1.000 (")
    assert sentence.endswith("p < 0.0001 (exact McNemar, Holm).")
    # 6 of 6: p = 0.031 convinces once, but not as one of three comparisons.
    slight = make_right(("1", 6), ("0", 14))
    pairs = compare({"slight": slight, "poor": poor})
    assert "better" in claims.describe_pairs(pairs)[0] and pairs.low[0] > 0
    pairs = compare({"slight": slight, "poor": poor, "none": poor})
    sentences = claims.describe_pairs(pairs)
    assert not any("better" in sentence for sentence in sentences) and len(sentences) == 3
    assert (pairs.low < 0).all(), "the interval tells what the sentence tells"
    assert claims.describe_pairs(compare({"alone": even})) == []


@pytest.mark.parametrize(
    ("low", "high", "p_value", "words"),
    [
        (0.00004, 0.1, 0.04998, "(0.00004–0.10000), p = 0.04998"),
        (-0.1, 0.0, 0.2, "(-0.100–0.000), p"),
    ],
)
def test_rounding_never_moves_a_number_across_its_limit(low, high, p_value, words):
    row = dict(model="a", other="b", difference=0.05, low=low, high=high, p_holm=p_value, n=9)
    (sentence,) = claims.describe_pairs(pd.DataFrame([row]))
    assert words in sentence


def evaluate(y_true, **answers):
    scores = {label: metrics.evaluate(y_true, p, ["a", "b"]) for label, p in answers.items()}
    right = {label: p.argmax(axis=1) == y_true for label, p in answers.items()}
    return claims.describe_verdict(scores, comparisons.compare_pairs(right, y_true))


def test_verdict_says_who_leads_what_is_established_and_what_to_beware_of():
    y_true = np.arange(200) % 2
    sure, guess = np.array([[0.98, 0.02], [0.02, 0.98]]), np.array([[0.9, 0.1], [0.9, 0.1]])
    first, second, third = evaluate(
        y_true, guess=guess[y_true], again=guess[1 - y_true], good=sure[y_true]
    )
    assert first.startswith("good scores highest: it recognises 1.000 of 200")
    assert first.endswith("where always answering the same class would score 0.500.")
    assert (
        second
        == "Of these runs, good is better than guess and again; guess and again score the same."
    )
    assert "can't be told from n = 200" in third or "too low by 0.020" in third
    first, second, third = evaluate(y_true, guess=guess[y_true])
    assert "does not rule out" in first and "no other model" in second
    assert "0.900 on average, which is too high by 0.400 (0.3" in third


def test_verdict_names_all_of_tied_models_and_the_commonest_class():
    y_true, always = np.repeat([0, 1], [190, 10]), np.repeat([[0.9, 0.1]], 200, axis=0)
    first, second, _ = evaluate(y_true, one=always, two=always.copy())
    assert first.startswith("one and two score highest, all the same: each recognises 0.950")
    assert "always answering a, the commonest class, would score 0.950, which" in first
    assert second == "Of these runs, one and two score the same."


def test_probabilities_that_are_wrong_both_ways_are_never_about_right():
    y_true = np.repeat([0, 1], 200)
    y_prob = np.array([[0.99, 0.01]] * 100 + [[0.51, 0.49]] * 100 + [[0.99, 0.01]] * 100)
    y_prob = np.concatenate([y_prob, [[0.49, 0.51]] * 100])
    text = evaluate(y_true, a=y_prob)[2]
    assert "about right" not in text and "wrong in both directions" in text


def test_numbers_of_one_class_too_few_pictures_are_said_so():
    score = {"nll": 1.25, "nll_interval": None, "ece": 0.1, "ece_interval": [0, 0.25]}
    assert wording.write_score(score, "nll") == "1.2500 (too few pictures for an interval)"
    assert wording.write_score(score, "ece") == "0.1000 (0.000–0.250)"


def test_ways_of_training_are_told_apart_only_by_several_runs():
    columns = ["way", "other", "difference", "low", "high", "runs", "n"]
    differences = pd.DataFrame(
        [("b", "a", 0.09, 0.05, 0.13, 5, 240), ("b", "c", 0.01, -0.02, 0.04, 5, 240)],
        columns=columns,
    )
    ways = pd.DataFrame({"runs": [5, 5, 1]}, index=["a", "b", "d"])
    better, open_, once = claims.describe_ways(ways, differences)
    assert better.startswith(
        "b is better than a by 0.090 (0.050–0.130) on average over 5 trainings"
    )
    assert "not established" in open_ and once.startswith("One training tells of d how")


def test_averages_per_class_have_sentences_of_their_own():
    y_true = np.repeat([0, 1], [190, 10])
    right = {"constant": y_true == 0, "fair": np.arange(200) % 20 != 0}
    (sentence,) = claims.describe_balance(comparisons.compare_pairs(right, y_true))
    assert "fair is better than constant" in sentence and "paired permutations" in sentence


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
        ("", {"a": "frog", "b": "newt"}, "Truth unknown; the models see 2 different classes."),
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


def test_a_trend_is_claimed_only_where_several_epochs_show_it():
    for losses in ([2.0], [2.0, 1.9]):
        assert claims.describe_gap(make_history(losses)).endswith("too few epochs for a trend.")
    for losses in ([1.5, 1.4, 1.6], [1.5, 1.7, 1.4, 1.6, 1.3, 1.8, 1.25]):
        assert claims.describe_gap(make_history(losses)).endswith("show no trend.")
    text = claims.describe_gap(make_history(np.linspace(2, 1, 8)))
    assert "over the last 8 epochs it was falling (p < 0.0001" in text
    assert "it was rising" in claims.describe_gap(make_history(np.linspace(1, 2, 30)))
    falling, rising = simulations.describe_curves(10, 0, 300)
    assert falling + rising <= 0.08


def make_score(top1, interval, support, **further):
    calibrated = {"confidence": 0.5, "overconfidence": 0.0, "overconfidence_interval": None}
    calibrated |= {"ece": 0.0, "ece_by_chance": 0.0, "calibration_p": 1.0}
    most = max(support, key=support.get)
    n = sum(support.values())
    told = {"n": n, "commonest": most, "baseline": support[most] / n, "support": support}
    return {"top1": top1, "top1_interval": interval} | told | calibrated | further


NO_PAIRS = pd.DataFrame({"model": [], "other": [], "difference": [], "p_holm": []})


@pytest.mark.parametrize(
    ("interval", "words"),
    [
        ([0.43, 0.57], "would score 0.950, which is better."),
        ([0.93, 0.97], "would score 0.950, which the interval does not rule out."),
        ([0.96, 0.99], "would score 0.950."),
    ],
)
def test_verdict_says_on_which_side_of_the_interval_the_commonest_class_scores(interval, words):
    score = make_score(sum(interval) / 2, interval, {"often": 190, "rarely": 10})
    text = claims.describe_verdict({"cnn": score}, NO_PAIRS)[0]
    assert text.endswith(words) and "always answering often, the commonest class" in text


def test_ties_of_classes_are_said():
    score = make_score(0.5, [0.4, 0.6], {"a": 20, "b": 20, "c": 10})
    assert (
        "a, one of the commonest classes," in claims.describe_verdict({"cnn": score}, NO_PAIRS)[0]
    )
    assert claims.describe_extremes({"a": 1.0, "b": 1.0}) == "all classes alike (1.00)."


def test_doubted_probabilities_without_an_interval_get_no_direction():
    score = make_score(0.99, [0.97, 1.0], {"a": 200, "b": 200}, calibration_p=0.001)
    text = claims.describe_calibration("cnn", score | {"overconfidence": -0.005})
    assert "which is wrong" in text and "too low" not in text and "too high" not in text


def test_ways_without_common_seeds_or_enough_pictures_are_not_passed_over_in_silence():
    right = {"a": {0: np.ones(40, bool), 1: np.ones(40, bool)}}
    apart = right | {"b": {2: np.ones(40, bool), 3: np.ones(40, bool)}}
    (sentence,) = claims.describe_ways(*comparisons.compare_ways(apart))
    assert "no two ways" in sentence.lower()
    ways, differences = comparisons.compare_ways(right | {"b": right["a"]})
    assert ways[["low", "high"]].isna().all(axis=None)
    assert "0.000 (too few pictures for an interval)" in claims.describe_ways(ways, differences)[0]


def test_change_tells_mistakes_corrected_and_made_and_is_a_gain_only_where_established():
    was_right = make_right(("1", 190), ("0", 50))
    some = was_right.copy()
    some[190:207], some[:9] = True, False
    sentence = claims.describe_change("frozen", "tuned", was_right, some)
    assert "Of 240 pictures, tuned corrects 17 that frozen gets wrong, and gets 9 wrong" in sentence
    assert "doesn't establish" in sentence and "p = 0.17 (exact McNemar)" in sentence
    for change, better in ((slice(190, 207), "tuned"), (slice(0, 17), "frozen")):
        other = was_right.copy()
        other[change] = ~other[change]
        sentence = claims.describe_change("frozen", "tuned", was_right, other)
        assert f"so {better} is better" in sentence and "establish" not in sentence
    # What belongs together says less.
    groups = np.arange(240) // 17
    sentence = claims.describe_change("frozen", "tuned", was_right, other, groups)
    assert "doesn't establish" in sentence and "exact" not in sentence
    assert sentence.endswith("(McNemar, groups counted once).")
    same = claims.describe_change("frozen", "tuned", was_right, was_right)
    assert "corrects 0" in same and "doesn't establish" in same and "p = 1" in same
