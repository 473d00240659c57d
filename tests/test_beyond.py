"""The notebooks beyond the report's three models, at small size: what they write, and what becomes of bad candidates."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pandas as pd
import pytest
import test_review

from lib import workspace
from lib.data.table import read_table
from lib.models.saved import open_model

FIRST = ["file", "label", "predicted"]
CLASSES = ["007", "NA", "red"]
AUDIT = "file label suggested self_confidence rank neighbour finding".split()


@pytest.fixture(scope="module")
def run(tmp_path_factory, draw_classes, prepare_set, run_chain):
    """05, 07, 08 and 09 on three classes; of four candidates two can't take part, of four pictures one can."""
    root = tmp_path_factory.mktemp("beyond")
    draw_classes(root / "train", 15)
    draw_classes(root / "test", 2, seed=1)
    save_network(root / "small.keras", filters=4)
    save_network(root / "Large Net.keras", filters=12)
    (root / "broken.keras").write_bytes(b"half of a download")
    names = ["broken.keras", "small.keras", "Large Net.keras"]
    backbones = ["NoSuchNet", *[str(root / name) for name in names]]
    picture = (root / "test/NA/000.png").read_bytes()
    (root / "half.png").write_bytes(picture[:200])
    images = [str(root / name) for name in ("test/NA", "half.png", "gone.png")]
    images.append("http://127.0.0.1:9/x.png")
    paths = write_paths(root)
    ws = workspace.open(paths)
    prepare_set(ws, [24])
    ws.save_table(pd.DataFrame(columns=["file", "other"]), "near_duplicates.csv")
    values = ["-p", "BACKBONES", backbones, "-p", "SUBMISSION", True]
    return run_chain(
        paths, "--only", "05", "08", "09", "07", "-p", "IMAGES", images, *values
    )


def save_network(path, filters):
    keras.utils.set_random_seed(filters)
    network = keras.Sequential(
        [
            keras.Input((24, 24, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(filters, 5, strides=3, activation="relu"),
            keras.layers.BatchNormalization(),
        ]
    )
    network.save(path)


def write_paths(root):
    """Write a paths file, and corrections that were decided earlier."""
    (root / "mine.csv").write_text("file,label\nred/003,\nNA/004.png,red\n")
    folders = {
        "train": "train",
        "test": "test",
        "corrections": "mine.csv",
        "results": "r",
        "scratch": "s",
    }
    path = root / "paths.json"
    path.write_text(json.dumps(folders))
    return path


def read_contest(ws):
    return read_table(ws.results / "contest.csv")


def read_winner(ws):
    """Return the row of the contest that was chosen."""
    (row,) = read_contest(ws).query("chosen == 'True'").to_dict("records")
    return row


def test_candidates_that_cannot_be_had_are_rows_with_their_reasons(run):
    contest = read_contest(run).set_index("candidate")
    assert set(contest.index) == {"broken", "nosuchnet", "small", "large_net"}
    assert "broken.keras" in contest.reason["broken"]
    assert "NoSuchNet" in contest.reason["nosuchnet"]
    taking = contest[contest.reason == ""]
    assert set(taking.index) == {"small", "large_net"}
    scores = taking[["accuracy", "low", "high", "pictures_per_second"]]
    assert (scores != "").all(axis=None)
    assert contest.accuracy["broken"] == ""
    assert read_winner(run)["reason"] == ""


def test_held_out_answers_are_of_the_training_part_and_make_the_score(run):
    answers = read_table(run.results / "out_of_fold.csv")
    split = read_table(run.results / "split.csv")
    assert list(answers.columns) == FIRST + CLASSES
    assert list(answers.file) == list(split.file[split.part == "train"])
    probabilities = answers[CLASSES].astype(float)
    assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-3)
    assert (probabilities.idxmax(axis=1) == answers.predicted).all()
    accuracy = (answers.predicted == answers.label).mean()
    assert float(read_winner(run)["accuracy"]) == pytest.approx(accuracy)


def test_winner_is_judged_like_every_other_and_its_calibration_left_alone(run):
    name = f"{read_winner(run)['candidate']}_linear"
    model, metadata = open_model(run.results / f"models/{name}.keras")
    assert metadata["temperature"] == 1 and metadata["calibrated_on"]
    assert {"trained_on", "licence", "base_model"} <= set(metadata["backbone_origin"])
    candidates = {row["candidate"] for row in metadata["candidates"]}
    assert {"small", "broken"} <= candidates
    judged = read_table(run.results / f"predictions/{name}.csv")
    assert list(judged.columns) == FIRST + CLASSES
    assert (run.results / "report.html").is_file()
    assert model.layers[-1].name == "head"


def test_saved_winner_answers_alone(run, tmp_path):
    """In a process that has the one file and its JSON, and no keras-hub."""
    name = f"{read_winner(run)['candidate']}_linear"
    for ending in ("keras", "json"):
        content = (run.results / f"models/{name}.{ending}").read_bytes()
        (tmp_path / f"model.{ending}").write_bytes(content)
    code = (
        "import sys; sys.modules['keras_hub'] = None; "
        "from lib.predict import predict_pictures; "
        "sys.exit(predict_pictures(sys.argv[1:]))"
    )
    answers = tmp_path / "a.csv"
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            code,
            str(tmp_path / "model.keras"),
            str(run.test),
            "--csv",
            str(answers),
        ],
        env=os.environ | {"PYTHONPATH": str(workspace.REPOSITORY)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert len(read_table(answers)) == 6
    assert "held-out answers of the training part" in done.stderr


def test_no_file_of_a_model_tells_the_folder_of_its_network(run):
    paths = list((run.results / "models").glob("*_linear.json"))
    assert paths
    for path in paths:
        assert str(run.train.parent) not in path.read_text(encoding="utf-8")


def test_tables_of_the_audit_have_their_columns(run):
    split = read_table(run.results / "split.csv")
    audited = read_table(run.results / "label_audit.csv")
    assert list(audited.columns) == AUDIT
    assert audited[["file", "label"]].equals(split[["file", "label"]])
    assert len(audited) == 44
    findings = set("; ".join(audited.finding).split("; "))
    assert findings <= {"", "label?", "copy?", "outlier"}
    groups = read_table(run.results / "groups.csv")
    assert list(groups.columns) == ["file", "label", "group"]
    assert groups[["file", "label"]].equals(split[["file", "label"]])


def test_review_carries_earlier_corrections_and_asks_nobody_twice(run):
    _, content = test_review.read_content(run)
    assert content["earlier"] == [["red/003.png", ""], ["NA/004.png", "red"]]
    cases = content["pictures"][: len(content["cases"])]
    shown = {picture["file"] for picture in cases}
    audited = read_table(run.results / "label_audit.csv")
    assert shown <= set(audited.file) - {"red/003.png", "NA/004.png"}


def test_every_picture_that_is_named_has_a_row_with_its_answer_or_its_reason(run):
    root = run.train.parent
    table = read_table(run.results / "random_images.csv")
    expected = {
        f"{root}/test/NA/000.png": "",
        f"{root}/test/NA/001.png": "",
        f"{root}/half.png": "truncated",
        f"{root}/gone.png": "missing_file",
        "http://127.0.0.1:9/x.png": "not_downloaded",
    }
    assert dict(zip(table.file, table.problem)) == expected
    answers = table.filter(like=" probability")
    assert answers.shape[1] > 0
    assert ((answers != "").all(axis=1) == (table.problem == "")).all()
    submission = read_table(run.results / "submission.csv")
    assert list(submission.file) == list(expected)
    assert list(submission.probability[2:].astype(float)) == [0, 0, 0]
