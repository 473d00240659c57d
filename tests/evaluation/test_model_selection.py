"""Candidates on the same folds: how rarely a difference is claimed that is none, and the choice."""

import html
import itertools
import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import simulations
from conftest import load_functions, run_cells
from scipy import stats
from sklearn.model_selection import PredefinedSplit, cross_val_predict

from lib.data import split
from lib.evaluation.comparisons import compare_runs, correct_tests
from lib.evaluation.display import show_part
from lib.evaluation.intervals import share_interval
from lib.evaluation.verdict import doubt_contest
from lib.models import linear
from lib.models.record import Record, Rise

EVERY = np.arange(200)
TOOLS = {
    "itertools": itertools,
    "np": np,
    "pd": pd,
    "student": stats.t,
    "correct_tests": correct_tests,
    "share_interval": share_interval,
}


def judge(accuracies, speeds, groups=EVERY):
    """Judge candidates whose answers have the mean of their accuracies, and one without any."""
    n = len(groups)
    folds = {name: np.array(values) for name, values in accuracies.items()}
    y_prob = {}
    for name, shares in folds.items():
        is_right = np.arange(n) < round(shares.mean() * n)
        y_prob[name] = np.stack([is_right, ~is_right], axis=1)[np.newaxis]
    facts = pd.DataFrame({"candidate": ["absent", *accuracies]})
    facts["pictures_per_second"] = [np.nan, *speeds]
    names = TOOLS | {"answers": y_prob, "accuracies": folds, "groups": groups}
    names |= {"facts": facts, "y_true": np.zeros(n, int)}
    return run_cells("05_backbones", ["05-table", "05-test"], names)["contest_table"]


def choose(table, choice):
    """Return the candidate that 05 chooses."""
    names = {"contest_table": table, "CHOICE": choice}
    return run_cells("05_backbones", ["backbones-20"], names)["winner"]


@pytest.mark.parametrize(
    ("low", "kind", "weights", "is_doubted"),
    [
        (0.95, "linear", "imagenet", True),
        (0.4, "linear", "imagenet", False),
        # Random weights have seen no pictures before.
        (0.95, "linear", "untrained", False),
        (0.95, "finetuned", "imagenet", False),
    ],
)
def test_contest_is_doubted_that_a_network_won_by_pictures_it_had_seen(
    low, kind, weights, is_doubted
):
    record = Record("a", ["x"], 8, kind=kind, weights=weights, network="net")
    score = SimpleNamespace(top1=0.5, top1_interval=(0.4, 0.6))
    contest = [{"candidate": "net", "accuracy": 0.98, "low": low, "high": 0.99}]

    doubt = doubt_contest(contest, record, score)

    assert (doubt is not None) == is_doubted


def say(part, value):
    """Return what a part of the page says, as plain text."""
    text = re.sub("<[^>]*>", "", show_part(part, value).data)
    return " ".join(html.unescape(text).split())


@pytest.fixture
def judged():
    """Two candidates that are nearly alike, a weak one, and one that took no part."""
    accuracies = {
        "small": [[0.88, 0.90, 0.91, 0.89, 0.90]],
        "large": [[0.90, 0.90, 0.92, 0.89, 0.91]],
        "weak": [[0.60, 0.62, 0.61, 0.60, 0.62]],
    }
    return judge(accuracies, speeds=[50, 10, 900])


def test_best_and_cheapest_are_chosen_among_those_that_take_part(judged):
    assert choose(judged, "best") == "large"
    assert choose(judged, "cheapest") == "small"


def test_the_most_accurate_stands_first_and_who_did_not_take_part_last(judged):
    assert list(judged.candidate) == ["large", "small", "weak", "absent"]
    assert judged.n.isna().tolist() == [False, False, False, True]


def test_contest_names_who_is_worse_and_who_cannot_be_told_apart(judged):
    said = say("contest", judged)

    assert np.isnan(judged.p_holm[0])
    assert said.startswith("large recognises 0.905 of 200 training pictures")
    assert "It is better than weak." in said
    assert said.endswith("too few to say whether it is better than small.")


def test_of_equals_the_faster_is_best():
    table = judge({"slow": [[0.9, 0.8]], "fast": [[0.9, 0.8]]}, speeds=[10, 20])

    assert choose(table, "best") == "fast"
    assert table.p_holm[1] == 1


def test_one_candidate_alone_is_compared_with_nobody():
    table = judge({"only": [[0.9, 0.8]]}, speeds=[10])

    assert choose(table, "cheapest") == "only"
    assert "no other" in say("contest", table)


def test_where_one_group_is_larger_than_half_a_fold_nothing_is_claimed_and_it_is_said():
    accuracies = {"large": [[0.90, 0.92, 0.89]], "weak": [[0.10, 0.11, 0.12]]}
    # 21 of 200 pictures.
    groups = np.maximum(EVERY - 20, 0)

    judged = judge(accuracies, [10, 900], groups=groups)

    assert np.isnan(judged.p_holm[1])
    assert choose(judged, "cheapest") == "large"
    said = say("contest", judged)
    assert "half a fold, so nothing says whether it is better than weak." in said


def test_test_of_folds_is_that_of_nadeau_and_bengio():
    d = np.array([[0.02, 0.01, 0.03, 0, 0.02], [0.01, 0.03, 0.02, 0.01, 0]])
    error = np.sqrt((1 / 10 + 1 / 4) * d.var(ddof=1))

    p_value = load_functions("05_backbones", "05-test", **TOOLS).compare_folds(d, -0.02)

    assert p_value == pytest.approx(2 * stats.t.sf(0.02 / error, 9))


@pytest.fixture
def measure(ws, monkeypatch):
    """Return a function that runs the learning curve of 05 on classes that lie so far apart."""
    monkeypatch.setattr(linear, "STRENGTHS", (1,))

    def run(classes, per_class, distance, class_weight=None):
        rng = np.random.default_rng(0)
        y_true = np.repeat(np.arange(classes), per_class)
        n = len(y_true)
        centres = distance * rng.normal(size=(classes, 30))
        names = TOOLS | {
            "estimator": linear.TunedLogistic(class_weight),
            "features": {"net": centres[y_true] + rng.normal(size=(n, 30))},
            "winner": "net",
            "y_true": y_true,
            "groups": np.arange(n),
            "split": split,
            "PredefinedSplit": PredefinedSplit,
            "cross_val_predict": cross_val_predict,
            "show_progress": lambda shares, _: shares,
            "compare_runs": compare_runs,
            "Rise": Rise,
            "write_found": lambda *_, **__: None,
            "show_part": lambda *_: None,
            "set_hash": "",
            "ws": ws,
            "SEED": 0,
        }
        cells = ["05-need", "05-need-shares", "05-need-rise"]
        return run_cells("05_backbones", cells, names)

    return run


def test_more_pictures_are_said_to_help_where_half_of_them_were_surely_worse(measure):
    found = measure(classes=10, per_class=12, distance=0.5)

    needed = found["needed"].set_index("share")
    rise = found["rise"]
    assert needed.pictures[[0.5, 1.0]].tolist() == [60, 120]
    assert rise.change == pytest.approx(needed.accuracy[1.0] - needed.accuracy[0.5])
    assert rise.low > 0
    assert f"rose by {rise.change:.3f} (0." in say("rise", rise)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (-0.02, "changed by −0.020 (−0.035 to −0.005)"),
        (0.01, "changed by +0.010 (−0.005 to 0.025)"),
    ],
    ids=["fall", "unsure"],
)
def test_a_fall_or_an_unsure_rise_is_no_rise_and_is_told_with_its_sign(change, words):
    rise = Rise(120, change, low=change - 0.015, high=change + 0.015)

    sentence = say("rise", rise)
    assert "not established" in sentence
    assert words in sentence


def test_learning_curve_tries_each_share_and_names_what_cannot_be_tried(
    measure, capsys
):
    needed = measure(classes=2, per_class=20, distance=3)["needed"]

    # Of the others folds leave a class with one picture, and three parts need two.
    assert needed.share.tolist() == [0.4, 0.5, 0.7, 1.0]
    assert needed.pictures.tolist() == [16, 20, 28, 40]
    notes = re.findall("Note: (.*?) of the pictures", capsys.readouterr().out)
    assert notes == ["10 %", "20 %"]


def test_without_half_of_the_pictures_nothing_is_said_of_more(measure):
    rise = measure(classes=2, per_class=5, distance=3)["rise"]

    assert rise is None
    assert "too few" in say("rise", rise)


def test_a_true_rise_is_seen_by_its_pictures_more_often_than_by_its_folds():
    assert simulations.claim_rise(0, 200) <= 0.05
    assert simulations.claim_rise(0.1, 200) > 0.6


def test_of_fifteen_equal_networks_one_is_rarely_worse_than_the_best():
    assert simulations.claim_contest(60, networks=15) <= 0.08
