"""The answer box: it names a model, counts, and claims no more than its tests."""

import re

import numpy as np
import pytest
import simulations

from lib.evaluation import comparisons, metrics, report, verdict

NOTHING = {"demo": False, "suspects": 0, "doubtful": 0, "contest": True, "runs": 5}


def answer(y_true, share, seed, classes=2):
    """Return probabilities that are right for a share of the pictures."""
    rng = np.random.default_rng(seed)
    wrong = rng.permutation(len(y_true)) >= round(share * len(y_true))
    y_pred = np.where(wrong, (y_true + 1) % classes, y_true)
    return np.eye(classes, dtype=np.float32)[y_pred] * 0.8 + 0.2 / classes


def judge(y_true, y_prob, class_names=("cat", "dog"), unknown=(), **found):
    """Return the page that the answer box and the next steps are made of."""
    groups = np.arange(len(y_true))
    scores = {k: metrics.evaluate(y_true, p, class_names, groups) for k, p in y_prob.items()}
    right = {label: p.argmax(axis=1) == y_true for label, p in y_prob.items()}
    answer = verdict.find_answer(scores, comparisons.compare_pairs(right, groups))
    return {"scores": scores, "answer": answer, "unknown": list(unknown), "found": NOTHING | found}


def read(page, part):
    """Return the texts of a part: question to answer, or the list of steps."""
    text = " ".join(report.show_part(page, part).data.replace("&nbsp;", " ").split())
    if part == "steps":
        return re.findall("<li>(.*?)</li>", text)
    return dict(re.findall("<dt>(.*?)</dt> <dd> ?(.*?) ?</dd>", text))


def test_box_names_the_model_and_counts_in_plain_text():
    y_true = np.arange(80) % 2
    models = {"poor": answer(y_true, 0.5, 0), "good": answer(y_true, 0.8875, 1)}
    box = read(judge(y_true, models, unknown=["It is the luck of a seed."]), "verdict")
    assert box["Which model?"] == (
        "Use good. It recognises 71 of 80 pictures (89 %, 95 % interval 80 to 94 %) that no model "
        "has learned from. By contrast, always answering cat, one of the commonest classes, gets "
        "40 of 80 right."
    )
    assert box["And the others?"] == (
        "good is better than poor. The best of 2 is a little flattered: the same pictures chose it "
        "and scored it."
    )
    believed = box["Can its probabilities be believed?"]
    assert believed.startswith("Not enough pictures to say: it says 90 % on average")
    assert box["What is not established?"] == "It is the luck of a seed."


def test_no_model_is_recommended_that_does_not_surely_beat_the_commonest_class():
    y_true = np.repeat([0, 1], [190, 10])
    always = np.repeat([[0.9, 0.1]], 200, axis=0)
    box = read(judge(y_true, {"one": always, "two": always.copy()}), "verdict")
    assert box["Which model?"].startswith(
        "No model surely beats always answering cat, the commonest class, which is right for 190 of "
        "200. The highest score is that of one and two: 190 of 200 pictures (95 %"
    )
    assert box["And the others?"].startswith("These pictures can't tell one from two.")


def test_a_worse_model_is_called_worse_and_ties_share_the_first_place():
    y_true = np.arange(100) % 2
    models = {"a": answer(y_true, 0.9, 0), "b": answer(y_true, 0.9, 0), "c": answer(y_true, 0.5, 1)}
    page = judge(y_true, models)
    assert page["answer"]["best"] == ["a", "b"] and page["answer"]["better"] == ["c"]
    assert page["answer"]["unsure"] == ["b"] and page["answer"]["worse"] == []
    assert read(page, "verdict")["Which model?"].startswith("Use a or b. Each recognises 90 of 100")


def test_claim_of_the_best_of_several_is_asked_at_a_stricter_level():
    # Just above the baseline: enough for one model, not for the best of eight.
    score = {"top1": 0.575, "n_independent": 240, "baseline": 0.5}
    assert verdict.beats_baseline(score, 1) and not verdict.beats_baseline(score, 8)
    held, claimed = simulations.cover_best(4, 240, 300)
    assert claimed <= 0.05 and 0.85 <= held <= 0.97


def test_weakest_classes_have_counts_and_perfect_ones_are_never_weak():
    y_true = np.arange(30) % 3
    y_prob, names = np.eye(3)[y_true] * 0.8 + 0.1, ["cat", "dog", "<eel>"]
    page = judge(y_true, {"good": y_prob}, names)
    box = read(page, "verdict")
    assert box["Its weakest classes?"] == "No class has a mistake."
    assert "And the others?" not in box and "What is not established?" not in box
    assert read(page, "steps") == []
    y_prob[y_true == 2] = np.where(np.arange(10)[:, None] < 4, [0.1, 0.1, 0.8], [0.8, 0.1, 0.1])
    page = judge(y_true, {"good": y_prob}, names)
    assert page["answer"]["weakest"] == [("<eel>", 4, 10)]
    assert read(page, "verdict")["Its weakest classes?"] == "&lt;eel&gt; (4 of 10)."
    assert read(page, "steps") == [
        "Add pictures of &lt;eel&gt;: these classes are recognised least."
    ]


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ({"demo": True}, "your own pictures"),
        ({"suspects": 7}, "Look at the 7 pictures that no trained model recognises"),
        ({"doubtful": 12}, "Check the 12 labels"),
        ({"contest": False}, "--beyond"),
        ({"runs": 1}, "--seeds 5"),
    ],
)
def test_next_steps_are_chosen_from_what_was_found(found, words):
    y_true = np.arange(20) % 2
    (step,) = read(judge(y_true, {"good": answer(y_true, 1, 0)}, **found), "steps")
    assert words in step
