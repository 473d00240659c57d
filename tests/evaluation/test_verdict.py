"""The answer box, the steps and the table of pairs, as rendered: they claim no more than their tests."""

import html
import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import simulations
from test_predictions import gather

from lib.evaluation import label_tests, verdict
from lib.evaluation.comparisons import Pair
from lib.evaluation.display import open_template, show_part
from lib.evaluation.report import Answer
from lib.models.record import Found, Rise

# What other notebooks have found.
NOTHING = {
    "demo": False,
    "is_balanced": False,
    "is_quick": False,
    "suspects": 0,
    "corrected": 0,
    "doubt": None,
    "found": Found("", contest=[{}]),
    "series": "",
}
TWO = np.arange(80) % 2
MANY = np.arange(300) % 2


def answer(y_true, share, seed=0):
    """Return probabilities that are right for a share of the pictures."""
    right = round(share * len(y_true))
    place = np.random.default_rng(seed).permutation(len(y_true))
    y_pred = np.where(place < right, y_true, 1 - y_true)
    return np.eye(2)[y_pred] * 0.8 + 0.1


def judge(y_true, y_prob, class_names=("cat", "dog"), files=0, **found):
    """Return what the answer box and the next steps are made of; `y_prob` as in `gather`.

    `files` is the share that is recognised without looking.
    """
    predictions = gather(y_true, y_prob, class_names)
    n = len(y_true)
    told = pd.Series(np.arange(n) < files * n, predictions.files)
    answer = verdict.find_verdict(predictions, told)
    return Answer(**vars(answer), **NOTHING | found)


def read(answer, part="verdict"):
    """Return the paragraphs of the box, or the list of steps, as plain text."""
    shown = show_part(part, answer).data
    texts = re.findall("<(?:p|li)>(.*?)</(?:p|li)>", shown, re.S)
    plain = [html.unescape(re.sub("<[^>]*>", "", text)) for text in texts]
    return [" ".join(text.split()) for text in plain]


def repeat(name, share, seeds):
    """Return the answers of several trainings of a configuration."""
    numbers = range(42, 42 + seeds)
    return {f"{name}@{seed}": answer(MANY, share, seed) for seed in numbers}


def test_first_sentence_names_the_model_and_its_number():
    models = {"poor": answer(TWO, 0.5), "good": answer(TWO, 0.8875, 1)}

    first, others, *_ = read(judge(TWO, models))

    assert first == (
        "Use good: 89 % right (80 to 94), 71 of 80 pictures. None of these pictures was used for "
        "training; in brackets is the 95 % interval."
    )
    assert "better than poor" in others


def test_untrained_networks_rank_as_others_and_are_named_so_in_the_first_sentence():
    page = judge(TWO, {"cnn": answer(TWO, 0.6), "net?": answer(TWO, 0.95)})

    assert list(page.others) == ["cnn"]
    assert read(page)[0].startswith("Use net (untrained backbone): ")


def test_what_is_not_established_stands_beside_its_p():
    # A training that failed.
    failed = repeat("cnn", 0.8, 5) | {"cnn@42": answer(MANY, 0.52)}

    page = judge(MANY, failed)

    assert page.p_labels >= 0.05
    assert "not surely beat always answering cat (50 %), p = 0." in read(page)[0]


@pytest.mark.parametrize(("alone", "is_useful"), [(0.82, False), (0.55, True)])
def test_what_does_not_surely_beat_the_facts_of_files_is_not_recommended(
    alone, is_useful
):
    first, *_ = read(judge(TWO, {"cnn": answer(TWO, 0.8875)}, files=alone))

    assert first.startswith("Use cnn") == is_useful
    said = (
        "does not surely beat size, light and sharpness of the files alone (82 %), p = "
    )
    assert (said in first) != is_useful


def test_files_that_tell_no_more_than_the_commonest_class_have_not_to_be_beaten():
    page = judge(TWO, {"cnn": answer(TWO, 0.8875)}, files=0.4)

    assert page.p_files is None
    assert page.is_useful


def test_a_perfect_model_of_a_rare_class_is_useful():
    y_true = np.repeat([0, 1], [99, 1])
    always_common = np.eye(2)[np.zeros(100, int)]

    page = judge(y_true, {"good": np.eye(2)[y_true], "lazy": always_common})

    assert "Use good: 100 % right (96 to 100)" in read(page)[0]
    assert page.score.baseline == 0.99


@pytest.fixture(scope="module")
def seeds():
    """Five configurations, three of them of eight trainings."""
    models = (
        repeat("lucky", 0.7, 8) | repeat("steady", 0.9, 8) | repeat("same", 0.89, 8)
    )
    # The first run of "lucky" is the best of all, and its mean the lowest.
    models["lucky@42"] = answer(MANY, 0.92)
    models |= {"once": answer(MANY, 0.5, 2), "too": answer(MANY, 0.8, 3)}
    return judge(MANY, models)


def test_with_several_seeds_configurations_are_compared(seeds):
    found = seeds
    assert (found.name, found.configuration["runs"]) == ("steady", 8)
    unsure = {"same": "unsure", "too": "unsure", "once": "unsure"}
    assert found.others == unsure | {"lucky": "worse"}
    assert found.to_repeat == ["too", "once"]


def test_box_of_several_trainings_tells_their_mean(seeds):
    first, others, *_ = read(seeds)

    assert first.startswith("Use steady: 90 % right (")
    assert "), mean of 8 trainings, 300 pictures." in first
    assert "These pictures can't tell it from same, too and once." in others


@pytest.mark.parametrize("seeds", [2, 4])
def test_two_to_four_trainings_tell_nothing_and_five_are_advised(seeds):
    page = judge(MANY, repeat("a", 0.95, seeds) | repeat("b", 0.5, seeds))

    assert page.others == {"b": "unsure"}
    assert page.to_repeat == ["a", "b"]
    assert "Train a and b with five seeds" in read(page, "steps")[-1]


# Over their common seeds "a" is better, and "b" had luck with others; or "b" failed once.
@pytest.mark.parametrize(("again", "kind"), [(0.92, "worse"), (0.5, "better")])
def test_box_names_no_model_that_the_table_calls_worse_or_that_is_not_useful(
    again, kind
):
    models = {"a": answer(MANY, 0.8), "b@42": answer(MANY, 0.99)}
    predictions = gather(MANY, models | {"b@43": answer(MANY, again)}, "cd")
    ahead, other = ("a", "b") if kind == "worse" else ("b", "a")

    predictions.pairs = [make_pair(ahead, other, 0.1, 0.05, 0.15, 0.01, True)]
    found = verdict.find_verdict(predictions, pd.Series(False, predictions.files))

    assert found.name == "a"
    assert found.others == {"b": kind}


def test_a_single_training_that_was_never_compared_is_not_recommended_before_others():
    once = {"lucky": answer(MANY, 0.95)}

    page = judge(MANY, once | repeat("a", 0.9, 5) | repeat("b", 0.9, 5))

    assert page.name == "a"
    assert page.others["lucky"] == "unsure"


def test_a_page_says_rarely_anything_false_of_equal_models():
    box, page = simulations.claim_anything(60)

    assert box <= page <= 0.18


def test_no_report_contradicts_itself():
    assert simulations.contradict_often(0, 30) == 0


def test_seeds_are_advised_only_for_networks_that_take_several():
    good = answer(TWO, 0.9)

    models = {"a_linear": good, "b_finetuned": good, "poor": answer(TWO, 0.5)}
    page = judge(TWO, models | {"cnn": good})

    # Nor for those that are surely worse.
    assert page.list_others("worse") == ["poor"]
    assert page.to_repeat == ["cnn"]
    assert "--seeds 5" in read(page, "steps")[-1]


def test_classes_are_weak_where_recalls_surely_differ():
    y_true = np.arange(30) % 3
    y_pred = y_true.copy()
    y_pred[14::3] = 0  # six of the ten eels
    page = judge(y_true, {"a_linear": np.eye(3)[y_pred]}, ["cat", "dog", "<eel>"])

    assert page.weakest == [("<eel>", 4, 10)]
    (step,) = read(page, "steps")
    assert step.endswith("that are recognised least: <eel> (40 % of 10).")


@pytest.mark.parametrize("burst", [1, 3])
def test_a_weak_class_is_named_and_none_beside_it(burst):
    named, others = simulations.name_weakest(0.2, 40, burst=burst)

    assert named >= 0.8
    assert others <= 0.08


def test_a_class_of_one_group_is_never_called_weak():
    y_true = np.repeat([0, 1], [99, 3])
    groups = np.minimum(np.arange(102), 99)

    assert len(label_tests.find_weak_classes(y_true, y_true == 0, groups)) == 0


@pytest.fixture
def many_steps():
    """A page from which all steps follow."""
    rise = Rise(pictures=100, change=0.1, low=0.01, high=0.2)
    found = Found("", curve=rise, doubtful=1, copies=4, to_check=3)
    model = {"good": answer(TWO, 0.95)}
    return judge(TWO, model, demo=True, suspects=7, found=found)


def test_next_steps_stand_in_the_order_of_what_they_bring(many_steps):
    steps = read(many_steps, "steps")

    words = ["your own", "BEYOND=1", "1 doubtful label, then 2 more", "4 pairs"]
    words += ["7 pictures", "rose by 0.100 (0.010 to 0.200)", "--seeds 5"]
    assert len(steps) == len(words)
    for word, step in zip(words, steps):
        assert word in step


def test_steps_in_the_form_name_its_fields(many_steps):
    shown = show_part("steps", many_steps, form=True).data

    for field in ("PICTURES", "all and beyond", "RUN", "OPTIONS"):
        assert field in shown
    assert "make demo" not in shown


def believe(confidence, top1, n, compared=1):
    is_right = np.arange(n) < round(top1 * n)
    judged = simulations.believe(np.full(n, confidence), is_right, compared)
    macro = open_template("parts.html.jinja").module.believed
    return macro(judged).strip().replace("\xa0", " ")


@pytest.mark.parametrize(
    ("said", "facts"),
    [
        (
            "too modest: it says 70 % on average and is right in 80 % of 400",
            (0.7, 0.8, 400),
        ),
        # Below twenty pictures nothing is said, and one of fifteen is asked more strictly.
        ("too few", (0.99, 0.1, 19)),
        ("too sure", (0.99, 0.1, 20)),
        ("too sure", (0.85, 0.8, 260)),
        ("neither", (0.85, 0.8, 260, 15)),
    ],
)
def test_probabilities_are_doubted_only_as_far_as_chance_does_not_explain_it(
    said, facts
):
    assert believe(*facts).startswith(said)


def test_models_that_are_too_sure_are_called_so_and_others_rarely():
    assert simulations.judge_calibration(100, 0.1, 200) > 0.5
    assert simulations.judge_calibration(40, 0, 200) <= 0.08


def make_pair(model, other, difference, low, high, p_holm, established):
    return Pair(model, other, difference, low, high, p_holm, established)


def test_table_of_pairs_says_who_is_ahead_by_how_much_and_how_surely():
    pairs = [
        make_pair("a", "b", 0.02, -0.03, 0.0702, 0.0498, True),
        make_pair("<c>", "a", 0.2, 0.1, 0.3, np.nan, False),
        make_pair("b", "c", 0.1, 0.01, 0.2, 0.2, False),
    ]

    predictions = SimpleNamespace(pairs=pairs)
    answer = SimpleNamespace(name="a")
    shown = show_part("pairs", {"predictions": predictions, "answer": answer}).data

    cells = re.findall("<t[hd].*?>(?:<bdi>)?(.*?)(?:</bdi>)?</t[hd]>", shown)
    assert np.reshape(cells[6:], (2, 6)).tolist() == [
        ["a", "b", "0.020", "−0.030 to 0.070", "0.049", "yes"],
        ["&lt;c&gt;", "a", "0.200", "0.100 to 0.300", "–", "no"],
    ]


@pytest.mark.parametrize("answers", ["one", "film", "picture"])
def test_a_model_that_does_not_know_the_labels_of_films_is_rarely_said_to(answers):
    assert simulations.call_constant_useful(answers, 20) <= 0.15


def test_a_class_of_large_bursts_makes_no_other_weak():
    assert simulations.claim_weak_in_bursts(0.7, 60) <= 0.08
