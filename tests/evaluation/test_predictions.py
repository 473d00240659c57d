"""The answers of all models to the same pictures: first runs, configurations, suspects, classes."""

import numpy as np
import pytest

from lib.evaluation.predictions import Predictions, read_scores, save_scores
from lib.models.record import Record, update_record

SCRATCH = "from scratch"


def gather(y_true, y_prob, class_names="abc", groups=None):
    """Return the answers of models.

    `y_prob` is name to probabilities; a name that ends in "?" has an untrained backbone.
    """
    models = {}
    for label in y_prob:
        name = label.rstrip("?")
        configuration, _, seed = name.partition("@")
        record = Record(
            name=name,
            class_names=list(class_names),
            image_size=8,
            configuration=configuration,
            kind=name.rpartition("_")[2] if "_" in name else "scratch",
            seed=None if name.endswith("_linear") else int(seed or 42),
            weights=SCRATCH if name == label else "untrained",
        )
        models[record.label] = record
    if groups is None:
        groups = np.arange(len(y_true))
    files = [f"{k}.png" for k in range(len(y_true))]
    answers = [np.asarray(of_model, np.float32) for of_model in y_prob.values()]
    return Predictions(
        list(class_names), files, np.asarray(y_true), groups, models, answers
    )


Y_TRUE = np.arange(12) % 3
EXACT = np.eye(3)[Y_TRUE] * 0.7 + 0.1
NEVER = EXACT[:, [2, 0, 1]]
REST = np.concatenate([EXACT[:9], NEVER[9:]])


@pytest.fixture
def gathered():
    """Two ways of training, one with a further run, and an untrained model, on twelve pictures."""
    y_prob = {"cnn": EXACT, "cnn@43": REST, "wide": REST, "net?": NEVER}
    return gather(Y_TRUE, y_prob)


def test_first_runs_are_predictions_of_their_own(gathered):
    first = gathered.first_runs

    assert first.labels == ["cnn", "wide", "net (untrained backbone)"]
    assert first.correct.sum(axis=1).tolist() == [12, 9, 0]


def test_answers_that_are_no_numbers_are_an_error_that_names_the_model():
    y_prob = EXACT.copy()
    y_prob[3] = np.nan

    # Else the first class would be the answer, which is right here.
    with pytest.raises(ValueError, match="wide answers"):
        gather(Y_TRUE, {"cnn": EXACT, "wide": y_prob})


def test_suspects_are_listed_with_answers_and_the_probability_of_their_label():
    y_prob = EXACT.copy()
    y_prob[9:] = [[0.1, 0.8, 0.1], [0.7, 0.2, 0.1], [0.9, 0.05, 0.05]]

    table = gather(Y_TRUE, {"wide": y_prob, "deep": y_prob}).list_suspects()

    # The least probable label first.
    expected = {
        "file": ["11.png", "9.png", "10.png"],
        "label": ["c", "a", "b"],
        "wide": ["a", "b", "a"],
        "deep": ["a", "b", "a"],
        "label_probability": pytest.approx([0.05, 0.1, 0.2]),
    }
    assert table.to_dict("list") == expected


def test_mistakes_of_one_model_alone_and_of_its_seeds_are_no_suspects():
    assert gather(Y_TRUE, {"wide": NEVER, "wide@43": NEVER}).list_suspects().empty


def test_classes_are_listed_worst_first_with_intervals():
    # Of "b" three of four are taken for "a", of "c" two.
    y_pred = Y_TRUE.copy()
    y_pred[[1, 4, 7, 2, 5]] = 0

    table = gather(Y_TRUE, {"wide": np.eye(3)[y_pred]}).list_classes()

    assert list(table["class"]) == ["b", "c", "a"]
    assert list(table.pictures) == [4, 4, 4]
    assert list(table["wide"]) == [0.25, 0.5, 1]
    assert table["wide"].between(table["wide low"], table["wide high"]).all()
    assert list(table["wide precision"]) == pytest.approx([1, 1, 4 / 9])


def test_ways_of_training_are_compared_over_their_runs(gathered):
    table = gathered.configurations

    assert table.index.tolist() == ["cnn", "wide", "net (untrained backbone)"]
    assert table.runs.tolist() == [2, 1, 1]
    # The mean of 12 and 9 of 12.
    assert table["mean"].tolist() == pytest.approx([0.875, 0.75, 0])


def test_a_linear_model_has_no_seed_and_stands_beside_every_run():
    found = gather(Y_TRUE, {"cnn": REST, "cnn@43": REST, "net_linear": EXACT})

    assert found.runs.seed.isna().tolist() == [False, False, True]
    (pair,) = found.pairs
    assert (pair.model, pair.other, pair.difference) == ("net_linear", "cnn", 0.25)


@pytest.fixture
def scored(ws):
    """A workspace with the scores of a model, and the answers of one that is of another split."""
    save_scores(ws, gather(Y_TRUE, {"cnn": EXACT}))
    update_record(ws, Record("older", ["x", "y"], 8))
    ws.file("predictions", "older.csv").write_text("file,label,predicted,x,y\n")
    return ws


@pytest.mark.parametrize("groups", [None, Y_TRUE])
def test_scores_are_read_as_they_were_written(scored, groups):
    answers = gather(Y_TRUE, {"cnn": REST}, groups=groups)

    save_scores(scored, answers)

    assert read_scores(scored) == answers.scores


def test_answers_of_an_earlier_run_go_and_tables_of_others_stay(scored):
    mine = scored.file("predictions", "mine.csv")
    mine.write_text("file,label,predicted,a,b,c\n")

    save_scores(scored, gather(Y_TRUE, {"cnn": REST}))

    names = sorted(path.name for path in mine.parent.iterdir())
    assert names == ["cnn.csv", "mine.csv"]
    assert mine.read_text() == "file,label,predicted,a,b,c\n"
