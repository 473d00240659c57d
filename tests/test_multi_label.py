"""The lesson on several labels for a picture, alone on a flat folder of small scenes; who knows its model."""

import json
import re

import numpy as np
import pytest
from conftest import draw_classes, plain_environment, run_cells, save_network
from scenes import make_scenes
from sklearn.metrics import f1_score
from sklearn.preprocessing import MultiLabelBinarizer

from lib import chain, predict, runner
from lib.base import workspace
from lib.base.workspace import read_table

NAME = "small_multilabel"
LAST = "11_multi_label"
LABELS = ["007", "NA", "red"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """11 on 60 scenes of noise of three colours, with a small network from a file; its workspace."""
    root = tmp_path_factory.mktemp("scenes")
    draw_classes(root / "photos", 40)
    make_scenes(root / "photos", root / "set", 60)
    save_network(root / "small.keras", filters=24, side=48)
    paths = str(root / "set/paths.json")
    options = ["--only", "11", "-p", "BACKBONE", str(root / "small.keras")]
    with plain_environment():
        assert chain.main(["--paths", paths, *options]) == 0
    return workspace.open(paths)


def read_scores(ws):
    path = ws.results / "metrics_multilabel.json"
    return json.loads(path.read_text(encoding="utf-8"))


def read_answers(ws):
    return read_table(ws.results / "predictions_multilabel.csv")


def split_labels(texts):
    """Make bool (n, labels) of texts like "NA|red"."""
    sets = [set(text.split("|")) - {""} for text in texts]
    return MultiLabelBinarizer(classes=LABELS).fit_transform(sets).astype(bool)


def test_lesson_runs_alone_on_a_flat_folder_and_writes_its_files(run):
    (notebook,) = run.results.glob("notebooks/*")

    assert notebook.name == "11_multi_label.ipynb"
    assert not (run.results / "split.csv").exists()
    for name in ("labels_together.svg", "thresholds.svg", "label_sets.html"):
        assert (run.results / f"figures/{name}").is_file()


def test_split_has_the_labels_of_the_scenes_and_parts_no_group(run):
    scenes = read_table(run.multi_labels)
    split = read_table(run.results / "split_multilabel.csv")

    both = split.merge(scenes, on="file")

    assert list(split.columns) == ["file", "labels", "part"]
    assert len(both) == 60
    assert list(both.labels_x) == list(both.labels_y)
    assert (both.groupby("group").part.nunique() == 1).all()


def test_scores_are_those_of_the_answers(run):
    scores = read_scores(run)
    answers = read_answers(run)
    truth = split_labels(answers.labels)
    found = split_labels(answers[NAME])

    exact = (truth == found).all(axis=1).mean()

    # A fifth of 60.
    assert scores["n"] == len(answers) == 12
    assert scores["model"] == NAME
    assert scores["exact_match"] == pytest.approx(exact)
    low, high = scores["exact_match_interval"]
    assert 0 <= low <= exact <= high <= 1
    micro = f1_score(truth, found, average="micro")
    assert scores["f1_micro"] == pytest.approx(micro)
    precisions = [row["average_precision"] for row in scores["per_label"].values()]
    # A label that no picture has is None.
    known = np.array(precisions, dtype=float)
    assert scores["mean_average_precision"] == pytest.approx(np.nanmean(known))


def test_predict_writes_the_labels_of_the_lesson(run, tmp_path):
    (tmp_path / "cut.png").write_bytes(b"\x89PNG\r\n\x1a\nhalf")
    files = [run.train / file for file in read_answers(run).file]
    model = run.results / f"models/{NAME}.keras"
    arguments = [model, *files, tmp_path / "cut.png", "--csv", tmp_path / "a.csv"]
    arguments.append("--probabilities")

    assert predict.predict_pictures([str(argument) for argument in arguments]) == 1

    predicted = read_table(tmp_path / "a.csv")
    *others, cut = predicted.to_dict("records")
    assert list(predicted.columns) == ["file", "labels", "problem", *LABELS]
    assert [row["labels"] for row in others] == list(read_answers(run)[NAME])
    assert (cut["labels"], cut["problem"]) == ("", "corrupt")


@pytest.mark.parametrize("option", ["--top=2", "--group-by=folder"])
def test_predict_refuses_options_for_one_label(run, option, capfd):
    model = str(run.results / f"models/{NAME}.keras")

    assert predict.predict_pictures([model, str(run.train), option]) == 2

    assert "--csv and --probabilities alone" in capfd.readouterr().err


def test_page_of_the_labels_is_made_where_no_other_model_is_judged(run):
    text = (run.results / "model.html").read_text(encoding="utf-8")

    # The file for phones answers as the model does.
    assert read_scores(run)["lacks"] == ""
    assert NAME in text
    assert '"thresholds": {' in text


def test_validation_pictures_of_11_can_be_tried_in_its_page(run, monkeypatch):
    monkeypatch.setenv("DRIVE_PATHS", str(run.results / "run_paths.json"))
    names = {"workspace": workspace, "MODEL": NAME, "COVERAGE": 0.9, "EXAMPLES": 2}

    run_cells("10_hand_over", ["hand-05", "hand-06"], names)

    text = (run.results / "model.html").read_text(encoding="utf-8")
    shown = re.findall('<img alt="([^"]+)"', text)
    assert len(shown) == 2
    assert set(shown) <= {f"{run.train.name}/{file}" for file in read_answers(run).file}


def test_chain_takes_11_beside_the_others_where_there_are_labels_for_it(run, ws):
    assert runner.choose_notebooks(["08"], False, run) == ["08_evaluation"]
    assert LAST not in runner.choose_notebooks([], True, ws)
    names = runner.choose_notebooks([], False, run)
    assert (names[0], names[-1]) == ("01_data_prep", LAST)
