import numpy as np
import pandas as pd
import pytest

from lib.evaluation.answers import Predictions

COLUMNS = ["name", "configuration", "seed", "weights"]


def gather(rows, y_true, y_prob, groups=None, class_names="abc"):
    """Return the answers of models given as (name, weights); the first's label is its name."""
    models = []
    for name, weights in rows:
        configuration, _, seed = name.partition("@")
        ending = " (untrained backbone)" if weights == "untrained" else ""
        row = [name, configuration, int(seed or 42), weights]
        models.append(pd.Series(row, COLUMNS, name=name + ending))
    files = [f"{k}.png" for k in range(len(y_true))]
    if groups is None:
        groups = np.arange(len(y_true))
    models = pd.DataFrame(models)
    return Predictions(list(class_names), files, y_true, groups, models, y_prob)


Y_TRUE = np.arange(12) % 3
EXACT = np.eye(3)[Y_TRUE] * 0.7 + 0.1
NEVER = EXACT[:, [2, 0, 1]]
REST = np.concatenate([EXACT[:9], NEVER[9:]])
SCRATCH = "from scratch"


@pytest.fixture
def gathered():
    """Two ways of training, one with a further run, and an untrained model, on twelve pictures."""
    rows = [(name, SCRATCH) for name in ("cnn", "cnn@43", "wide")]
    rows.append(("net", "untrained"))
    return gather(rows, Y_TRUE, [EXACT, REST, REST, NEVER])


def test_first_runs_are_predictions_of_their_own(gathered):
    first = gathered.first
    assert first.labels == ["cnn", "wide", "net (untrained backbone)"]
    assert len(gathered.scores) == 4
    assert list(first.scores) == list(first.bins) == first.labels
    assert first.correct.sum(axis=1).tolist() == [12, 9, 0]


def test_one_model_has_no_pair():
    assert gather([("net", "untrained")], Y_TRUE, [NEVER]).pairs.empty


def test_suspects_are_those_that_no_model_recognises(gathered):
    assert gathered.first.list_suspects().empty
    table = gathered.select(gathered.models.index == "wide").list_suspects()
    assert list(table.file) == ["9.png", "10.png", "11.png"]
    assert list(table.columns) == ["file", "label", "wide", "label_probability"]
    assert table.label_probability.to_numpy() == pytest.approx(0.1)


def test_classes_are_listed_worst_first_with_intervals(gathered):
    table = gathered.first.list_classes()
    assert set(table["class"]) == {"a", "b", "c"}
    assert list(table.pictures) == [4, 4, 4]
    assert table[gathered.first.labels].mean(axis=1).is_monotonic_increasing
    assert table["wide"].between(table["wide low"], table["wide high"]).all()
    assert table["wide precision"].tolist() == pytest.approx([0.75] * 3)


def test_ways_of_training_are_compared_over_their_runs(gathered):
    table = gathered.configurations
    assert table.index.tolist() == ["cnn", "wide", "net (untrained backbone)"]
    assert table.runs.tolist() == [2, 1, 1]
    assert table["mean"]["cnn"] == pytest.approx(0.875)
    (row,) = gathered.pairs.itertuples()
    assert (row.model, row.other, row.runs) == ("wide", "net (untrained backbone)", 1)


def test_a_linear_model_has_no_seed_and_stands_beside_every_run():
    rows = [("cnn", SCRATCH), ("cnn@43", SCRATCH), ("net_linear", "imagenet")]
    found = gather(rows, Y_TRUE, [REST, REST, EXACT])
    assert found.runs.seed.isna().tolist() == [False, False, True]
    (row,) = found.pairs.itertuples()
    assert (row.model, row.other, row.runs) == ("net_linear", "cnn", 2)


def test_what_was_calibrated_before_keeps_its_probabilities(gathered):
    y_true = np.arange(200) % 3
    y_prob = np.random.default_rng(0).dirichlet([0.3] * 3, 200)
    found = gather([("cnn", SCRATCH), ("net_linear", "imagenet")], y_true, [y_prob] * 2)
    found.models["calibrated_on"] = [None, "held-out answers"]
    own = found.scores["cnn"]
    before = found.scores["net_linear"]
    assert own["temperature"] != 1
    assert before["temperature"] == 1
    assert before["ece_after"] == before["ece_before"] == own["ece_before"]


def test_surer_answers_are_fewer_and_counted_with_those_that_are_right():
    y_prob = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.45, 0.55]])
    answers = gather([("cnn", SCRATCH)], [0, 1, 1, 1], [y_prob], class_names="ab")
    table = answers.selective_accuracy("cnn", (0.5, 0.8, 0.95))
    assert table.answered.tolist() == [4, 2, 0]
    assert table.share.tolist() == [1, 0.5, 0]
    assert table.correct.tolist() == [3, 1, 0]
    assert table.accuracy[:2].tolist() == [0.75, 0.5]
    # Of fewer pictures less is known.
    assert table.low[1] < table.low[0] < 0.75 < table.high[0]
    assert np.isnan(table.accuracy[2])
