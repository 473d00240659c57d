"""The answer box and the sentences: they name, count, and claim no more than their tests."""

import re

import numpy as np
import pandas as pd
import pytest
import simulations
from test_answers import SCRATCH, gather

from lib.evaluation import report, verdict

NOTHING = {
    "demo": False,
    "suspects": 0,
    "doubtful": 0,
    "contest": True,
    "need": "",
    "runs": 1,
}
TWO = np.arange(80) % 2


def answer(y_true, share, seed):
    """Return probabilities that are right for a share of the pictures."""
    rng = np.random.default_rng(seed)
    wrong = rng.permutation(len(y_true)) >= round(share * len(y_true))
    return np.eye(2)[np.where(wrong, 1 - y_true, y_true)] * 0.8 + 0.1


def judge(y_true, y_prob, class_names=("cat", "dog"), **found):
    """Return the page that the answer box and the next steps are made of.

    `y_prob` is name to probabilities; a name that ends in "?" has an untrained backbone.
    """
    rows = [
        (name.rstrip("?"), "untrained" if "?" in name else SCRATCH) for name in y_prob
    ]
    answers = gather(rows, y_true, list(y_prob.values()), class_names=class_names)
    established, unknown = verdict.describe_pairs(answers.pairs)
    believed = {
        k: verdict.describe_calibration(score) for k, score in answers.scores.items()
    }
    page = {"scores": answers.scores, "believed": believed}
    page |= {"established": established, "unknown": unknown}
    return page | {"answer": verdict.find_answer(answers), "found": NOTHING | found}


def read(page, part="verdict"):
    """Return the texts of a part: question to answer, or the list of steps."""
    text = re.sub("</?bdi>|</?code>", "", report.show_part(page, part).data)
    text = " ".join(text.replace("&nbsp;", " ").split())
    assert " ," not in text and " ." not in text
    if part == "steps":
        return re.findall("<li>(.*?)</li>", text)
    return dict(re.findall("<p><strong>(.*?)</strong><br> ?(.*?) ?</p>", text))


def test_box_doubts_a_contest_that_its_winner_won_by_what_it_had_seen():
    """Of validation it recognises less than the lowest value of the contest's interval."""
    for low, is_doubted in ((0.95, True), (0.4, False)):
        answers = gather(
            [("net_linear", "net.keras")], TWO, [answer(TWO, 0.5, 0)], None, "ab"
        )
        candidates = [{"candidate": "net", "accuracy": 0.98, "low": low, "high": 0.99}]
        answers.models["candidates"] = pd.Series({"net_linear": candidates})
        doubts = [text for text in verdict.find_answer(answers)["doubts"] if text]
        says = "In the contest net recognised 98\xa0%, here 50\xa0%: it may have learned from these"
        assert [text.startswith(says) for text in doubts] == [True] * is_doubted


def test_box_names_the_model_and_counts_in_plain_text():
    box = read(
        judge(TWO, {"poor": answer(TWO, 0.5, 0), "good": answer(TWO, 0.8875, 1)})
    )
    assert box["Which model?"].startswith(
        "Use good. It recognises 71 of 80 pictures (89 %, 95 % interval 80 to 94 %). None of these "
        "80 was used for training. By contrast, always answering cat"
    )
    assert box["And the others?"].startswith(
        "good is better than poor. The best of 2 is a little"
    )
    assert box["Can its probabilities be believed?"].startswith(
        "As sure as right, as far as 80"
    )
    assert box["What is not established?"].startswith(
        "good and poor were trained once:"
    )


def test_with_several_seeds_the_ways_of_training_are_compared():
    y_true, models = np.arange(300) % 2, {}
    for seed in range(8):
        ending = f"@{42 + seed}" if seed else ""
        models[f"lucky{ending}"] = answer(y_true, 0.7 if seed else 0.92, seed)
        models[f"steady{ending}"] = answer(y_true, 0.9, 10 + seed)
        models[f"same{ending}"] = answer(y_true, 0.88 + 0.02 * (seed % 2), 20 + seed)
    models |= {"once": answer(y_true, 0.5, 2), "too": answer(y_true, 0.8, 3)}
    page = judge(y_true, models)
    found, box = page["answer"], read(page)
    # The first run of "lucky" is the best of all, and its way of training the worst.
    assert found["name"] == "steady" and found["configuration"]["runs"] == 8
    others = box["And the others?"]
    assert others.startswith(
        "steady is better than lucky. 300 pictures are too few to say whether"
    )
    assert "it can't be compared" in others
    assert (
        "recognises 90 % of 300 pictures, on average over 8 trainings"
        in box["Which model?"]
    )
    assert box["What is not established?"].startswith(
        "That steady is better than same is not"
    )
    assert box["Can its probabilities be believed?"].startswith(
        "Of its first training: "
    )
    said, _ = page["established"]  # Nothing of those that were trained once.
    assert said.startswith("steady is better than lucky: difference 0.1")
    assert "p < 0.001, on average over 8 trainings and 300 pictures" in said


def test_box_names_no_model_that_the_list_calls_worse():
    y_true = np.arange(300) % 2
    models = {name: answer(y_true, 0.9, 1) for name in ("a", "a@43")}
    models |= {name: answer(y_true, 0.8, 2) for name in ("b", "b@43")}
    # Four more trainings that luck favoured: the higher mean, of other seeds.
    models |= {f"b@{seed}": answer(y_true, 0.99, seed) for seed in range(44, 48)}
    page = judge(y_true, models)
    assert page["answer"]["name"] == "a" and page["answer"]["better"] == ["b"]
    assert read(page)["And the others?"].startswith("a is better than b.")


@pytest.mark.parametrize(("share", "is_useful"), [(0.5, False), (0.95, True)])
def test_every_training_of_a_useful_way_beats_the_commonest_class(share, is_useful):
    models = {"cnn": answer(TWO, 0.8, 0), "cnn@43": answer(TWO, share, 1)}
    assert judge(TWO, models)["answer"]["is_useful"] == is_useful


def test_no_report_contradicts_itself():
    assert simulations.contradict_often(0, 150) == 0


def test_seeds_are_advised_only_for_networks_that_take_several():
    page = judge(
        TWO, {"net_linear": answer(TWO, 0.9, 0), "net_finetuned": answer(TWO, 0.9, 1)}
    )
    assert not page["answer"]["to_repeat"] and "--seeds" not in str(read(page, "steps"))
    assert "trained once" not in str(read(page))
    page = judge(TWO, {"net_linear": answer(TWO, 0.9, 0), "cnn": answer(TWO, 0.9, 1)})
    assert (
        page["answer"]["to_repeat"] == ["cnn"]
        and "--seeds 5" in read(page, "steps")[-1]
    )


def test_weakest_classes_have_counts_and_perfect_ones_are_never_weak():
    y_true = np.arange(30) % 3
    y_prob, names = np.eye(3)[y_true] * 0.8 + 0.1, ["cat", "dog", "<eel>"]
    box = read(judge(y_true, {"good_linear": y_prob}, names))
    assert (
        box["Its weakest classes?"] == "No class has a mistake."
        and "And the others?" not in box
    )
    y_prob[y_true == 2] = np.where(
        np.arange(10)[:, None] < 4, [0.1, 0.1, 0.8], [0.8, 0.1, 0.1]
    )
    page = judge(y_true, {"good_linear": y_prob}, names)
    assert read(page)["Its weakest classes?"] == "&lt;eel&gt; (4 of 10)."
    assert read(page, "steps") == ["Add pictures of &lt;eel&gt;: recognised least."]
    score = {"per_class": dict.fromkeys("abcdef", 0.0) | {"g": 1.0}}
    found = verdict.list_weakest(score | {"support": dict.fromkeys("abcdefg", 2)})
    assert found == {
        "weakest": [("a", 0, 2), ("b", 0, 2), ("c", 0, 2)],
        "weakest_more": 3,
    }
    none = judge(TWO, {"bad": answer(TWO, 0, 0)})
    assert read(none)["Its weakest classes?"].startswith(
        "cat (0 of 40) and dog (0 of 40)"
    )


def test_next_steps_stand_in_the_order_of_what_they_bring():
    y_prob = answer(TWO, 0.95, 0)
    found = {
        "demo": True,
        "suspects": 7,
        "doubtful": 1,
        "contest": False,
        "need": "It rose.",
    }
    page = judge(TWO, {"good": y_prob}, **found)
    steps, in_form = (
        read(page, "steps"),
        report.show_part(page, "steps", form=True).data,
    )
    words = [
        "your own pictures",
        "--beyond",
        "the 1 label that",
        "the 7 pictures that no trained",
    ]
    words += ["recognised least. It rose.", "--seeds 5"]
    assert len(steps) == 6 and all(word in step for word, step in zip(words, steps))
    assert all(word in in_form for word in ("PICTURES", "tick BEYOND", "OPTIONS"))
    assert "lib.chain" not in in_form and "drive_paths" not in in_form


def believe(confidence, top1, n, compared=1):
    score = {"confidence": confidence, "top1": top1, "n": n, "effective_n": n}
    return verdict.describe_calibration(score | {"compared": compared}).replace(
        "\xa0", " "
    )


def test_probabilities_are_doubted_only_as_far_as_the_accuracy_is_known():
    says = "it says 90 % on average and is right in 80 % of cases"
    assert believe(0.9, 0.8, 400) == f"too sure by about 10 points: {says}"
    assert believe(0.7, 0.8, 400).startswith("too modest by about 10 points")
    assert believe(0.9, 0.8, 20).startswith(
        "as sure as right, as far as 20 pictures can tell"
    )
    # Of fifteen models one is doubted by chance more easily than one alone.
    assert (
        believe(0.85, 0.8, 260).startswith("too")
        and believe(0.85, 0.8, 260, 15)[:2] == "as"
    )
    assert simulations.judge_calibration(240, 0, 200, models=15) <= 0.08


def test_change_tells_mistakes_corrected_and_made_and_is_a_gain_only_where_established():
    was_correct, alone = np.arange(240) < 190, np.arange(240)
    told = was_correct, was_correct ^ (alone >= 190) ^ (alone >= 207) ^ (alone < 9)
    sentence = verdict.describe_change("frozen", "tuned", *told, alone)
    assert "tuned corrects 17 that frozen gets wrong, and gets 9 wrong" in sentence
    assert "240 pictures are too few to say" in sentence and "p = 0.130" in sentence
    told = was_correct, alone < 207
    assert "So b is the better one" in verdict.describe_change("a", "b", *told, alone)
    assert "So b is the better one" in verdict.describe_change(
        "b", "a", *told[::-1], alone
    )
    # What belongs together says less.
    assert "too few" in verdict.describe_change("a", "b", *told, alone // 17)
