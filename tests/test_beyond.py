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


@pytest.fixture(scope="module")
def run(tmp_path_factory, draw_classes, prepare_set, run_chain):
    """05, 07, 08 and 09 on three classes; of four candidates two can't take part, of four pictures one can."""
    root = tmp_path_factory.mktemp("beyond")
    draw_classes(root / "train", 15)
    draw_classes(root / "test", 2, seed=1)
    entries = [str(root / "broken.keras"), "NoSuchNet"]
    (root / "broken.keras").write_bytes(b"half of a download")
    for name, filters in (("small", 4), ("Large Net", 12)):
        keras.utils.set_random_seed(filters)
        layers = [keras.Input((24, 24, 3)), keras.layers.Rescaling(1 / 255)]
        layers += [keras.layers.Conv2D(filters, 5, strides=3, activation="relu")]
        layers += [keras.layers.BatchNormalization()]
        keras.Sequential(layers).save(root / f"{name}.keras")
        entries.append(str(root / f"{name}.keras"))
    paths = root / "paths.json"
    (root / "mine.csv").write_text("file,label\nred/003,\nNA/004.png,red\n")
    folders = {"train": "train", "test": "test", "corrections": "mine.csv"}
    paths.write_text(json.dumps(folders | {"results": "r", "scratch": "s"}))
    ws = workspace.open(paths)
    prepare_set(ws, [24])
    ws.save_table(pd.DataFrame(columns=["file", "other"]), "near_duplicates.csv")
    picture = (root / "test/NA/000.png").read_bytes()
    (root / "half.png").write_bytes(picture[:200])
    named = [
        root / "test/NA",
        root / "half.png",
        root / "gone.png",
        "http://127.0.0.1:9/x.png",
    ]
    values = ["-p", "BACKBONES", entries, "-p", "SUBMISSION", True]
    values += ["-p", "IMAGES", [*map(str, named)]]
    return run_chain(paths, "--only", "05", "08", "09", "07", *values)


def test_candidates_that_cannot_be_had_are_rows_with_their_reasons(run):
    contest = read_table(run.results / "contest.csv").set_index("candidate")
    assert set(contest.index) == {"broken", "nosuchnet", "small", "large_net"}
    assert "broken.keras can't be used" in contest.reason["broken"]
    assert "NoSuchNet" in contest.reason["nosuchnet"]
    taking = contest[contest.reason == ""]
    assert set(taking.index) == {"small", "large_net"}
    assert (taking[["accuracy", "low", "high", "pictures_per_second"]] != "").all(
        axis=None
    )
    assert (contest.chosen == "True").sum() == 1 and contest.accuracy["broken"] == ""


def test_held_out_answers_are_of_the_training_part_and_make_the_score(run):
    answers = read_table(run.results / "out_of_fold.csv")
    split = read_table(run.results / "split.csv")
    assert list(answers.columns) == [*FIRST, "007", "NA", "red"]
    assert list(answers.file) == list(split.file[split.part == "train"])
    probabilities = answers[["007", "NA", "red"]].astype(float)
    assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-3)
    assert (probabilities.idxmax(axis=1) == answers.predicted).all()
    contest = read_table(run.results / "contest.csv").set_index("chosen")
    right = (answers.predicted == answers.label).mean()
    assert float(contest.accuracy["True"]) == pytest.approx(right)


def test_winner_is_judged_like_every_other_and_its_calibration_left_alone(run):
    contest = read_table(run.results / "contest.csv").set_index("chosen")
    name = f"{contest.candidate['True']}_linear"
    model, metadata = open_model(run.results / f"models/{name}.keras")
    assert metadata["temperature"] == 1 and metadata["calibrated_on"]
    assert {"trained_on", "licence", "base_model"} <= {*metadata["backbone_origin"]}
    assert {row["candidate"] for row in metadata["candidates"]} >= {"small", "broken"}
    judged = read_table(run.results / f"predictions/{name}.csv")
    assert list(judged.columns) == [*FIRST, "007", "NA", "red"]
    assert (run.results / "report.html").is_file()
    assert model.layers[-1].name == "head"


def test_saved_winner_answers_alone(run, tmp_path):
    """In a process that has the one file and its JSON, and no keras-hub."""
    contest = read_table(run.results / "contest.csv").set_index("chosen")
    source = run.results / f"models/{contest.candidate['True']}_linear"
    for ending in (".keras", ".json"):
        (tmp_path / f"model{ending}").write_bytes(
            source.with_suffix(ending).read_bytes()
        )
    block = "import sys; sys.modules['keras_hub'] = None; from lib.predict import predict_pictures"
    command = f"{block}; sys.exit(predict_pictures(sys.argv[1:]))"
    arguments = [
        str(tmp_path / "model.keras"),
        str(run.test),
        "--csv",
        str(tmp_path / "a.csv"),
    ]
    path = {**os.environ, "PYTHONPATH": str(workspace.REPOSITORY)}
    done = subprocess.run(
        [sys.executable, "-c", command, *arguments],
        env=path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert len(read_table(tmp_path / "a.csv")) == 6
    assert "held-out answers of the training part" in done.stderr


def test_no_file_of_a_model_tells_the_folder_of_its_network(run):
    for path in (run.results / "models").glob("*_linear.*"):
        if path.suffix in (".json", ".md"):
            assert str(run.train.parent) not in path.read_text(encoding="utf-8"), (
                path.name
            )


def test_tables_of_the_audit_have_their_columns_and_carry_earlier_corrections(run):
    split = read_table(run.results / "split.csv")
    audited = read_table(run.results / "label_audit.csv")
    columns = [
        "file",
        "label",
        "suggested",
        "self_confidence",
        "rank",
        "neighbour",
        "finding",
    ]
    assert list(audited.columns) == columns
    assert (
        audited[["file", "label"]].equals(split[["file", "label"]])
        and len(audited) == 44
    )
    findings = {one for text in audited.finding for one in text.split("; ")}
    assert findings <= {"", "label?", "copy?", "outlier"}
    groups = read_table(run.results / "groups.csv")
    assert list(groups.columns) == ["file", "label", "group"]
    assert groups[["file", "label"]].equals(split[["file", "label"]])
    content = test_review.read_content(run)[1]
    assert content["earlier"] == [["red/003.png", ""], ["NA/004.png", "red"]]
    decided = {"red/003.png", "NA/004.png"}
    shown = [one["file"] for one in content["pictures"][: len(content["cases"])]]
    assert {*shown} <= {*audited.file} - decided


def test_every_picture_that_is_named_has_a_row_with_its_answer_or_its_reason(run):
    root = run.train.parent
    table = read_table(run.results / "random_images.csv")
    expected = {f"{root}/test/NA/{number:03d}.png": "" for number in range(2)}
    expected |= {f"{root}/half.png": "truncated", f"{root}/gone.png": "missing_file"}
    expected |= {"http://127.0.0.1:9/x.png": "not_downloaded"}
    assert dict(zip(table.file, table.problem)) == expected
    answers = table[
        [f"{name} probability" for name in table if f"{name} probability" in table]
    ]
    assert ((answers != "").all(axis=1) == (table.problem == "")).all()
    submission = read_table(run.results / "submission.csv")
    assert list(submission.file) == [*expected]
    assert list(submission.probability[2:].astype(float)) == [0, 0, 0]
