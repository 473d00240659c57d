"""The answer box: it names a model, counts, and claims no more than its tests."""

import numpy as np
import pytest
import simulations

from lib.evaluation import comparisons, metrics, verdict

NOTHING = {"demo": False, "suspects": 0, "doubtful": 0, "contest": True, "runs": 5}


def answer(y_true, share, seed, classes=2):
    """Return probabilities that are right for a share of the pictures."""
    rng = np.random.default_rng(seed)
    wrong = rng.permutation(len(y_true)) >= round(share * len(y_true))
    y_pred = np.where(wrong, (y_true + 1) % classes, y_true)
    return np.eye(classes, dtype=np.float32)[y_pred] * 0.8 + 0.2 / classes


def judge(y_true, y_prob, class_names=("cat", "dog")):
    groups = np.arange(len(y_true))
    scores = {k: metrics.evaluate(y_true, p, class_names, groups) for k, p in y_prob.items()}
    right = {label: p.argmax(axis=1) == y_true for label, p in y_prob.items()}
    return scores, comparisons.compare_pairs(right, groups)


def test_box_names_the_model_and_counts_in_plain_text():
    y_true = np.arange(80) % 2
    scores, pairs = judge(
        y_true, {"poor": answer(y_true, 0.5, 0), "good": answer(y_true, 0.8875, 1)}
    )
    box = dict(verdict.make_verdict(scores, pairs, ["good was trained once. It can't tell."]))
    assert box["Which model?"].startswith(
        "Use good. It recognises 71 of 80 pictures (89 %; 95 % interval 80 to 94 %)"
    )
    assert "one of the commonest classes, gets 40 of 80 right" in box["Which model?"]
    assert box["And the others?"].startswith("good is better than poor.")
    assert "flattered" in box["And the others?"]
    assert box["Can its probabilities be believed?"].startswith(
        "Not enough pictures to say: it says"
    )
    assert box["What is not established?"] == "good was trained once. It can't tell."


def test_no_model_is_recommended_that_does_not_surely_beat_the_commonest_class():
    y_true = np.repeat([0, 1], [190, 10])
    always = np.repeat([[0.9, 0.1]], 200, axis=0)
    scores, pairs = judge(y_true, {"one": always, "two": always.copy()})
    text = verdict.describe_choice(scores)
    assert text.startswith("No model surely beats always answering cat, the commonest class, which")
    assert "is right for 190 of 200. The highest score is that of one and two: 190 of 200" in text
    assert "Use " not in text


def test_claim_of_the_best_of_several_is_asked_at_a_stricter_level():
    # Just above the baseline: enough for one model, not for the best of eight.
    score = {"top1": 0.575, "n_independent": 240, "baseline": 0.5}
    assert verdict.beats_baseline({"a": score})
    assert not verdict.beats_baseline({k: score | {"top1": 0.5} for k in "bcdefgh"} | {"a": score})
    held, claimed = simulations.cover_best(4, 240, 300)
    assert claimed <= 0.05 and 0.85 <= held <= 0.97


def test_weakest_classes_have_counts_and_perfect_ones_are_never_weak():
    y_true = np.arange(30) % 3
    y_prob = np.eye(3)[y_true] * 0.8 + 0.1
    names = ["cat", "dog", "eel"]
    scores, pairs = judge(y_true, {"good": y_prob}, names)
    box = dict(verdict.make_verdict(scores, pairs, []))
    assert box["Its weakest classes?"] == "No class has a mistake."
    assert "And the others?" not in box and "What is not established?" not in box
    y_prob[y_true == 1] = np.where(np.arange(10)[:, None] < 4, [0.1, 0.8, 0.1], [0.8, 0.1, 0.1])
    scores, _ = judge(y_true, {"good": y_prob}, names)
    assert verdict.list_weakest(scores["good"]) == [("dog", 4, 10)]
    assert "Add pictures of dog." in verdict.list_next_steps(scores, NOTHING)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ({"demo": True}, "your own pictures"),
        ({"suspects": 7}, "Look at the 7 pictures that no model recognises"),
        ({"doubtful": 12}, "Check the 12 labels"),
        ({"contest": False}, "--beyond"),
        ({"runs": 1}, "--seeds 5"),
    ],
)
def test_next_steps_are_chosen_from_what_was_found(found, words):
    y_true = np.arange(20) % 2
    scores, _ = judge(y_true, {"good": answer(y_true, 1, 0)})
    assert verdict.list_next_steps(scores, NOTHING) == []
    (step,) = verdict.list_next_steps(scores, NOTHING | found)
    assert words in step
