import numpy as np
import pytest

from lib.evaluation import answers


def make_about(name, weights="from scratch"):
    label = name if weights != "untrained" else f"{name} (untrained backbone)"
    seed = int(name.partition("@")[2] or 42)
    way = name.split("@")[0]
    return {"name": name, "label": label, "way": way, "seed": seed, "weights": weights}


@pytest.fixture
def gathered():
    """Two ways of training, one with a further run, and an untrained model, on twelve pictures."""
    y_true = np.arange(12) % 3
    found = answers.Answers(["a", "b", "c"], [f"{k}.png" for k in range(12)], y_true)
    exact = np.eye(3)[y_true] * 0.7 + 0.1
    never, rest = exact[:, [2, 0, 1]], np.r_[exact[:9], exact[9:, [1, 2, 0]]]
    for metadata, y_prob in (
        (make_about("cnn"), exact),
        (make_about("cnn@43"), rest),
        (make_about("wide"), rest),
        (make_about("net", "untrained"), never),
    ):
        found.add(metadata, y_prob)
    return found


def test_tables_hold_first_runs_and_galleries_trained_models(gathered):
    assert gathered.labels == ["cnn", "wide", "net (untrained backbone)"]
    assert gathered.trained == ["cnn", "wide"] and len(gathered.scores) == 4
    assert list(gathered.first_scores) == gathered.labels and len(gathered.pairs) == 3
    assert set(gathered.bins) == set(gathered.labels)
    only = answers.Answers(["a", "b"], ["x", "y"], np.array([0, 1]))
    only.add(make_about("net", "untrained"), np.array([[0.6, 0.4], [0.6, 0.4]]))
    assert only.trained == ["net (untrained backbone)"] and only.pairs.empty


def test_a_way_without_a_first_run_is_shown_by_another(gathered):
    found = answers.Answers(["a", "b"], ["x", "y"], np.array([0, 1]))
    for name in ("cnn@44", "cnn@43"):
        found.add(make_about(name), np.eye(2))
    assert found.labels == ["cnn@44"]


def test_answers_belong_to_their_pictures(gathered):
    assert list(gathered.truth[:4]) == ["a", "b", "c", "a"]
    assert list(gathered.predicted["wide"][9:]) != list(gathered.truth[9:])
    assert gathered.right["cnn"].all() and gathered.right["wide"].sum() == 9
    assert gathered.confidence["cnn"] == pytest.approx(np.full(12, 0.8))
    assert gathered.sum_matrices(["cnn", "wide"]).trace() == 21


def test_suspects_are_those_that_no_trained_model_recognises(gathered):
    assert gathered.list_suspects().empty
    del gathered.metadata["cnn"], gathered.metadata["cnn@43"]
    table = gathered.list_suspects()
    assert list(table.index) == [9, 10, 11] and list(table.file) == ["9.png", "10.png", "11.png"]
    assert list(table.columns) == ["file", "label", "wide", "label_probability"]
    assert table.label_probability.to_numpy() == pytest.approx(0.1)


def test_classes_are_listed_worst_first_with_intervals(gathered):
    table = gathered.list_classes()
    assert set(table["class"]) == {"a", "b", "c"} and list(table.pictures) == [4, 4, 4]
    means = table[gathered.labels].mean(axis=1)
    assert means.is_monotonic_increasing
    assert (table["wide low"] <= table["wide"]).all() and (
        table["wide"] <= table["wide high"]
    ).all()


def test_sets_are_judged_on_the_half_that_did_not_calibrate_them():
    rng = np.random.default_rng(0)
    y_true, groups = np.arange(400) % 4, np.repeat(np.arange(100), 4)
    found = answers.Answers(["a", "b", "c", "d"], np.arange(400), y_true, groups)
    y_prob = rng.dirichlet(np.ones(4), 400) / 2 + np.eye(4)[y_true] / 4
    y_prob /= y_prob.sum(axis=1, keepdims=True)
    found.add(make_about("cnn"), y_prob)
    assert found.kept["cnn"]["pictures"] == 50, "groups count as one"
    score = found.judge_sets("cnn", 0.9)
    assert score["n"] == 200 and score["coverage"] > 0.8 and 1 <= score["size"] <= 4
    table = found.list_sets(0.9)
    assert set(table["class"]) == set("abcd") and table.pictures.sum() == 200
    assert table.coverage.is_monotonic_increasing
    assert table.coverage @ table.pictures / 200 == pytest.approx(score["coverage"])
    assert table["size"] @ table.pictures / 200 == pytest.approx(score["size"])
    assert ((table.low <= table.coverage) & (table.coverage <= table.high)).all()


@pytest.mark.parametrize("groups", [None, np.zeros(8, int)])
def test_a_single_group_calibrates_and_judges_nothing(groups):
    count = 1 if groups is None else 8
    found = answers.Answers(["a", "b"], np.arange(count), np.arange(count) % 2, groups)
    found.add(make_about("cnn"), np.tile([0.7, 0.3], (count, 1)))
    score = found.judge_sets("cnn", 0.9)
    assert score["n"] == 0 and score["coverage"] is None and score["size"] is None
    assert found.list_sets(0.9).empty and found.kept["cnn"]["pictures"] == 1


def test_ways_of_training_are_compared_over_their_runs(gathered):
    runs = gathered.list_runs()
    assert list(runs.way) == ["cnn", "cnn", "wide", "net (untrained backbone)"]
    assert list(runs.seed) == [42, 43, 42, 42]
    ways, differences = gathered.ways
    assert list(ways.runs) == [2, 1, 1] and ways["mean"]["cnn"] == pytest.approx(0.875)
    assert differences.empty, "one run of a way tells nothing of the way"
