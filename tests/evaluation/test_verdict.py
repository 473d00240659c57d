"""The answer box, the steps and the table of pairs: they claim no more than their tests."""

import re

import numpy as np
import pandas as pd
import pytest
import simulations
from test_answers import SCRATCH, gather

from lib.evaluation import report, verdict

NOTHING = {
    "chain": "python -m lib.chain",
    "demo": False,
    "suspects": 0,
    "doubtful": 0,
    "contest": True,
    "need": "",
    "runs": 1,
}
TWO = np.arange(80) % 2
MANY = np.arange(300) % 2


def answer(y_true, share, seed):
    """Return probabilities that are right for a share of the pictures."""
    rng = np.random.default_rng(seed)
    is_wrong = rng.permutation(len(y_true)) >= round(share * len(y_true))
    return np.eye(2)[np.where(is_wrong, 1 - y_true, y_true)] * 0.8 + 0.1


def judge(y_true, y_prob, class_names=("cat", "dog"), **found):
    """Return what the answer box and the next steps are made of.

    `y_prob` is name to probabilities; a name that ends in "?" has an untrained backbone.
    """
    rows = []
    for name in y_prob:
        weights = "untrained" if name.endswith("?") else SCRATCH
        rows.append((name.rstrip("?"), weights))
    predictions = gather(
        rows, y_true, list(y_prob.values()), class_names=list(class_names)
    )
    believed = {}
    for label, score in predictions.scores.items():
        believed[label] = verdict.describe_calibration(score)
    return {
        "scores": predictions.scores,
        "believed": believed,
        "answer": verdict.find_answer(predictions),
        "found": NOTHING | found,
        "handed_over": "",
        "more_pictures": 0,
    }


def read(page, part="verdict"):
    """Return the paragraphs of the box, or the list of steps, as plain text."""
    html = report.show_part(page, part).data.replace("&nbsp;", " ")
    tag = "li" if part == "steps" else "p"
    texts = re.findall(f"<{tag}>(.*?)</{tag}>", html, re.S)
    plain = []
    for text in texts:
        words = re.sub("<[^>]*>", "", text).replace("\xa0", " ").split()
        plain.append(" ".join(words))
    return plain


def test_first_sentence_names_the_model_and_its_number():
    page = judge(TWO, {"poor": answer(TWO, 0.5, 0), "good": answer(TWO, 0.8875, 1)})
    first, others, *_ = read(page)
    assert first.startswith(
        "Use good: it recognises 71 of 80 pictures (89 %, 95 % interval 80 to 94 %)."
    )
    assert "always answering cat gets 40 of 80" in first
    assert "better than poor" in others


def test_untrained_networks_rank_as_others_and_are_named_so_in_the_first_sentence():
    models = {"cnn": answer(TWO, 0.6, 0), "net?": answer(TWO, 0.95, 1)}
    page = judge(TWO, models)
    assert page["answer"]["count"] == 2
    assert read(page)[0].startswith("Use net (untrained backbone): it recognises 76")


@pytest.mark.parametrize("seed", range(8))
def test_box_has_at_most_120_words(seed):
    rng = np.random.default_rng(seed)
    names = ["baseline_cnn", "augmented_cnn", "resnet50_transfer", "a_linear", "b_wide"]
    models = {}
    for name in names:
        share = rng.uniform(0.3, 0.95)
        models[name] = answer(MANY, share, rng.integers(99))
        for run in range(43, 43 + rng.integers(0, 4)):
            models[f"{name}@{run}"] = answer(MANY, share + 0.02, rng.integers(99))
    text = " ".join(read(judge(MANY, models)))
    assert len(text.split()) <= 120, text


def test_best_of_several_that_is_not_established_is_told_at_which_level_it_is_asked():
    models = {"a": answer(TWO, 0.6125, 0)}
    models |= {f"b{number}": answer(TWO, 0.5, number) for number in range(4)}
    page = judge(TWO, models)
    first = read(page)[0]
    assert not page["answer"]["is_useful"]
    assert first.startswith("a recognises 49 of 80 pictures (61 %,")
    assert "surely beat always answering cat" in first
    assert "the best of 5 is asked at the level 0.05 / 5" in first


def test_box_doubts_a_contest_that_its_winner_won_by_pictures_it_had_seen():
    for low, is_doubted in ((0.95, True), (0.4, False)):
        rows = [("net_linear", "net.keras")]
        predictions = gather(rows, TWO, [answer(TWO, 0.5, 0)], class_names="ab")
        row = {"candidate": "net", "accuracy": 0.98, "low": low, "high": 0.99}
        predictions.models["candidates"] = pd.Series({"net_linear": [row]})
        doubts = verdict.find_answer(predictions)["doubts"]
        assert len(doubts) == is_doubted
        assert all("98.0\xa0%, here 50\xa0%" in doubt for doubt in doubts)


@pytest.fixture(scope="module")
def seeds():
    """Five configurations, three of them of eight trainings."""
    models = {}
    for seed in range(8):
        ending = f"@{42 + seed}" if seed else ""
        # The first run of "lucky" is the best of all, and its mean the lowest.
        lucky = answer(MANY, 0.7 if seed else 0.92, seed)
        models[f"lucky{ending}"] = lucky
        models[f"steady{ending}"] = answer(MANY, 0.9, 10 + seed)
        models[f"same{ending}"] = answer(MANY, 0.88 + 0.02 * (seed % 2), 20 + seed)
    models["once"] = answer(MANY, 0.5, 2)
    models["too"] = answer(MANY, 0.8, 3)
    return judge(MANY, models)


def test_with_several_seeds_configurations_are_compared(seeds):
    found = seeds["answer"]
    assert (found["name"], found["configuration"]["runs"]) == ("steady", 8)
    assert found["better"] == ["lucky"]
    assert found["unsure"] == ["same"]
    assert found["apart"] == ["too", "once"]
    assert found["to_repeat"] == ["too", "once"]


def test_box_of_several_trainings_tells_their_mean(seeds):
    first, others, probabilities, *_ = read(seeds)
    assert first.startswith(
        "Use steady: it recognises 90 % of 300 pictures, the mean of 8 trainings ("
    )
    assert "300 pictures can't tell it from same." in others
    assert "Without common seeds: too and once." in others
    assert probabilities.startswith("Its probabilities (first training):")


def test_two_trainings_tell_nothing_and_more_are_advised():
    models = {}
    for name, share in (("a", 0.95), ("b", 0.5)):
        models[name] = answer(MANY, share, 0)
        models[f"{name}@43"] = answer(MANY, share, 1)
    page = judge(MANY, models)
    assert page["answer"]["two"] == ["b"]
    assert page["answer"]["to_repeat"] == ["a", "b"]
    assert "Two trainings can't tell it from b: --seeds 3 or more." in read(page)[1]


def test_box_names_no_model_that_the_table_calls_worse():
    rows = [("a", SCRATCH), ("b", SCRATCH)]
    y_prob = [answer(MANY, 0.9, 1), answer(MANY, 0.92, 2)]
    predictions = gather(rows, MANY, y_prob, class_names="cd")
    assert verdict.find_answer(predictions)["name"] == "b"
    # Over their common seeds a is better; b had luck with others.
    pair = {"model": "a", "other": "b", "established": True, "p_holm": 0.01}
    predictions.pairs = pd.DataFrame([pair])
    found = verdict.find_answer(predictions)
    assert found["name"] == "a"
    assert found["better"] == ["b"]


@pytest.mark.parametrize(("share", "is_useful"), [(0.5, False), (0.95, True)])
def test_every_training_of_a_useful_configuration_beats_the_commonest_class(
    share, is_useful
):
    models = {"cnn": answer(TWO, 0.8, 0), "cnn@43": answer(TWO, share, 1)}
    assert judge(TWO, models)["answer"]["is_useful"] == is_useful


def test_no_report_contradicts_itself():
    assert simulations.contradict_often(0, 150) == 0


def test_seeds_are_advised_only_for_networks_that_take_several():
    models = {"net_linear": answer(TWO, 0.9, 0), "net_finetuned": answer(TWO, 0.9, 1)}
    page = judge(TWO, models)
    assert not page["answer"]["to_repeat"]
    assert not any("--seeds" in text for text in read(page, "steps") + read(page))
    page = judge(TWO, {"net_linear": answer(TWO, 0.9, 0), "cnn": answer(TWO, 0.9, 1)})
    assert page["answer"]["to_repeat"] == ["cnn"]
    assert "--seeds 5" in read(page, "steps")[-1]


def test_classes_are_weak_where_recalls_surely_differ():
    y_true = np.arange(30) % 3
    y_prob = np.eye(3)[y_true] * 0.8 + 0.1
    hard = np.flatnonzero(y_true == 2)[4:]
    y_prob[hard] = [0.8, 0.1, 0.1]
    page = judge(y_true, {"good_linear": y_prob}, ["cat", "dog", "<eel>"])
    assert page["answer"]["weakest"] == [("<eel>", 4, 10)]
    assert "&lt;eel&gt; (4 of 10)." in read(page)[-1]
    assert read(page, "steps") == ["Add pictures of &lt;eel&gt;: recognised least."]


def test_equal_classes_are_not_called_weak():
    # The classes have 35 and 37 of 40: one of them is always below the average.
    y_prob = answer(TWO, 0.9, 0)
    page = judge(TWO, {"good_linear": y_prob})
    assert page["answer"]["weakest"] == []
    assert read(page, "steps") == []
    assert not any("eakest" in text for text in read(page))
    assert simulations.claim_weakest(np.full(10, 8), 0.9, 200) <= 0.08
    assert simulations.claim_weakest(np.full(10, 8), 0.9, 200, burst=3) <= 0.08


def test_three_classes_at_most_are_named_the_worst_first():
    y_true = np.repeat(np.arange(7), 20)
    y_prob = np.eye(7)[y_true]
    for number in range(1, 6):
        wrong = np.flatnonzero(y_true == number)[: 2 * number]
        y_prob[wrong] = np.eye(7)[0]
    found = verdict.list_weakest(
        gather([("cnn", SCRATCH)], y_true, [y_prob], None, "abcdefg")
    )
    assert found == [("f", 10, 20), ("e", 12, 20), ("d", 14, 20)]


def test_next_steps_stand_in_the_order_of_what_they_bring():
    found = {
        "demo": True,
        "suspects": 7,
        "doubtful": 1,
        "contest": False,
        "need": "It rose.",
    }
    page = judge(TWO, {"good": answer(TWO, 0.95, 0)}, **found)
    steps = read(page, "steps")
    words = ["your own", "--beyond", "1 label", "7 pictures", "It rose.", "--seeds 5"]
    assert len(steps) == 6
    assert all(word in step for word, step in zip(words, steps))
    in_form = report.show_part(page, "steps", form=True).data
    assert all(word in in_form for word in ("PICTURES", "tick BEYOND", "OPTIONS"))
    assert "lib.chain" not in in_form


def believe(confidence, top1, n, compared=1):
    score = {"confidence": confidence, "top1": top1, "n": n, "effective_n": n}
    said = verdict.describe_calibration(score | {"compared": compared})
    return said.replace("\xa0", " ")


def test_probabilities_are_doubted_only_as_far_as_the_accuracy_is_known():
    says = "it says 90 % on average and is right in 80 % of cases"
    assert believe(0.9, 0.8, 400) == f"too sure by about 10 points: {says}"
    assert believe(0.7, 0.8, 400).startswith("too modest by about 10 points")
    assert believe(0.9, 0.8, 20).startswith("as sure as right, as far as 20 pictures")


def test_below_twenty_pictures_nothing_is_said_of_probabilities():
    assert believe(1.0, 0.5, 2).startswith("too few to say: 2 pictures")
    assert believe(1.0, 0.1, 19).startswith("too few to say")
    assert believe(1.0, 0.1, 20).startswith("too sure")


def test_one_of_fifteen_models_is_doubted_at_a_stricter_level():
    assert believe(0.85, 0.8, 260).startswith("too sure")
    assert believe(0.85, 0.8, 260, compared=15).startswith("as sure as right")
    assert simulations.judge_calibration(240, 0, 200, models=15) <= 0.08


def test_table_of_pairs_has_a_row_per_pair_and_those_of_the_best_first():
    columns = ["model", "other", "difference", "low", "high", "p_holm", "established"]
    rows = [
        ["b", "c", 0.1, 0.01, 0.2, 0.0004, True],
        ["a", "b", 0.02, -0.03, 0.07, 0.0498, True],
        ["c", "a", 0.2, 0.1, 0.3, np.nan, False],
    ]
    table = verdict.tabulate_pairs(pd.DataFrame(rows, columns=columns), best="a")
    assert table.values.tolist() == [
        ["a", "b", "0.020", "−0.030 to 0.070", "0.049", "yes"],
        ["c", "a", "0.200", "0.100 to 0.300", "–", "no"],
        ["b", "c", "0.100", "0.010 to 0.200", "< 0.001", "yes"],
    ]


def test_one_model_has_no_pair():
    page = judge(TWO, {"only": answer(TWO, 0.9, 0)})
    assert all(not page["answer"][kind] for kind in verdict.KINDS)
    assert "The others" not in " ".join(read(page))
