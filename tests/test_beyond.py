"""The notebooks beyond the report's three models, at small size: what they write, and what becomes of bad candidates."""

import json
import os
import re
import subprocess
import sys

import keras
import numpy as np
import pandas as pd
import pytest

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
    files = [str(root / f"{name}.keras") for name in ("broken", "small", "Large Net")]
    picture = (root / "test/NA/000.png").read_bytes()
    (root / "half.png").write_bytes(picture[:200])
    images = [str(root / name) for name in ("test/NA", "half.png", "gone.png")]
    images.append("http://127.0.0.1:9/x.png")
    (root / "mine.csv").write_text("file,label\nred/003,\nNA/004.png,red\n")
    folders = {"train": "train", "test": "test", "results": "r", "scratch": "s"}
    folders["corrections"] = "mine.csv"
    paths = root / "paths.json"
    paths.write_text(json.dumps(folders))
    ws = workspace.open(paths)
    prepare_set(ws, [24])
    ws.save_table(pd.DataFrame(columns=["file", "other"]), "near_duplicates.csv")
    values = ["-p", "BACKBONES", ["NoSuchNet", *files], "-p", "SUBMISSION", True]
    values += ["-p", "IMAGES", images]
    return run_chain(paths, "--only", "05", "07", "08", "09", *values)


def save_network(path, filters):
    keras.utils.set_random_seed(filters)
    layers = [
        keras.Input((24, 24, 3)),
        keras.layers.Rescaling(1 / 255),
        keras.layers.Conv2D(filters, 5, strides=3, activation="relu"),
        keras.layers.BatchNormalization(),
    ]
    keras.Sequential(layers).save(path)


def read(ws, name):
    return read_table(ws.results / name)


def read_winner(ws):
    """Return the row of the contest that was chosen."""
    (row,) = read(ws, "contest.csv").query("chosen == 'True'").to_dict("records")
    return row


def find_model(ws):
    """Return the path, without an ending, of the winner's model."""
    return ws.results / f"models/{read_winner(ws)['candidate']}_linear"


def test_candidates_that_cannot_be_had_are_rows_with_their_reasons(run):
    contest = read(run, "contest.csv").set_index("candidate")

    assert set(contest.index) == {"broken", "nosuchnet", "small", "large_net"}
    assert (contest.reason[["broken", "nosuchnet"]] != "").all()
    scores = contest[["accuracy", "low", "high", "pictures_per_second"]]
    assert (scores.loc[["small", "large_net"]] != "").all(axis=None)
    assert (scores.loc[["broken", "nosuchnet"]] == "").all(axis=None)
    assert read_winner(run)["candidate"] in ("small", "large_net")


def test_held_out_answers_are_of_the_training_part_and_make_the_score(run):
    answers = read(run, "out_of_fold.csv")
    split = read(run, "split.csv")

    assert list(answers.columns) == FIRST + CLASSES
    assert list(answers.file) == list(split.file[split.part == "train"])
    probabilities = answers[CLASSES].astype(float)
    assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-3)
    assert list(probabilities.idxmax(axis=1)) == list(answers.predicted)
    accuracy = (answers.predicted == answers.label).mean()
    assert float(read_winner(run)["accuracy"]) == pytest.approx(accuracy)


def test_winner_is_judged_like_every_other_and_its_calibration_left_alone(run):
    path = find_model(run)

    model, metadata = open_model(path.with_suffix(".keras"))

    assert metadata["temperature"] == 1
    assert metadata["calibrated_on"]
    assert model.layers[-1].name == "head"
    judged = read(run, f"predictions/{path.name}.csv")
    assert list(judged.columns) == FIRST + CLASSES


def test_json_of_the_winner_tells_its_network_and_who_took_part(run):
    _, metadata = open_model(find_model(run).with_suffix(".keras"))

    origin = metadata["backbone_origin"]
    assert {"trained_on", "licence", "base_model"} <= set(origin)
    candidates = {row["candidate"] for row in metadata["candidates"]}
    assert candidates == {"broken", "nosuchnet", "small", "large_net"}
    # Not the folder in which the network lies.
    assert str(run.train.parent) not in json.dumps(metadata)


def test_saved_winner_answers_alone(run, tmp_path):
    """In a process that has the one file and its JSON, and no keras-hub."""
    for ending in (".keras", ".json"):
        content = find_model(run).with_suffix(ending).read_bytes()
        (tmp_path / f"model{ending}").write_bytes(content)
    code = (
        "import sys; sys.modules['keras_hub'] = None; "
        "from lib.predict import predict_pictures; "
        "sys.exit(predict_pictures(sys.argv[1:]))"
    )
    answers = tmp_path / "a.csv"
    command = [sys.executable, "-c", code, tmp_path / "model.keras", run.test]
    command += ["--csv", answers]
    environment = os.environ | {"PYTHONPATH": str(workspace.REPOSITORY)}

    done = subprocess.run(command, env=environment, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    assert len(read_table(answers)) == 6
    assert "calibrated on" in done.stderr


def test_tables_of_the_audit_have_their_columns(run):
    rows = read(run, "split.csv")[["file", "label"]]
    audited = read(run, "label_audit.csv")
    groups = read(run, "groups.csv")

    assert list(audited.columns) == AUDIT
    assert list(groups.columns) == ["file", "label", "group"]
    # Of 45 pictures one is left out by a correction.
    assert len(rows) == 44
    assert audited[["file", "label"]].equals(rows)
    assert groups[["file", "label"]].equals(rows)
    findings = set("; ".join(audited.finding).split("; "))
    assert findings <= {"", "label?", "copy?", "outlier"}


def test_review_carries_earlier_corrections_and_asks_nobody_twice(run):
    page = (run.results / "review.html").read_text(encoding="utf-8")

    content = json.loads(re.search('id="data">(.*?)</script>', page)[1])

    assert content["earlier"] == [["red/003.png", ""], ["NA/004.png", "red"]]
    assert len(content["cases"]) > 0
    cases = content["pictures"][: len(content["cases"])]
    assert not {picture["file"] for picture in cases} & {"red/003.png", "NA/004.png"}


def list_problems(ws):
    """Return each picture that IMAGES names, with what is wrong with it."""
    root = ws.train.parent
    return {
        f"{root}/test/NA/000.png": "",
        f"{root}/test/NA/001.png": "",
        f"{root}/half.png": "truncated",
        f"{root}/gone.png": "missing_file",
        "http://127.0.0.1:9/x.png": "not_downloaded",
    }


def test_every_picture_that_is_named_has_a_row_with_its_answer_or_its_reason(run):
    table = read(run, "random_images.csv")

    assert dict(zip(table.file, table.problem)) == list_problems(run)
    answers = table.filter(like=" probability")
    assert answers.shape[1] > 0
    assert ((answers != "").all(axis=1) == (table.problem == "")).all()


def test_submission_guesses_pictures_that_can_not_be_read(run):
    submission = read(run, "submission.csv")

    assert list(submission.file) == list(list_problems(run))
    sure = submission.probability.astype(float) > 0
    assert list(sure) == [True, True, False, False, False]
