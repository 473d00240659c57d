"""The lesson on several labels a picture, alone on a flat folder of small scenes; who knows its model."""

import json
import shutil

import keras
import numpy as np
import pytest
from scenes import make_scenes
from sklearn.metrics import f1_score

from lib import chain, predict, workspace
from lib.data.table import read_table
from lib.models import saved

NAME = "small_multilabel"


@pytest.fixture(scope="module")
def run(tmp_path_factory, draw_classes, run_chain):
    """`--only 11` on 60 scenes of noise of three colours, with a small network from a file."""
    root = tmp_path_factory.mktemp("scenes")
    draw_classes(root / "photos", 40)
    scenes = make_scenes(root / "photos", root / "set", 60)
    keras.utils.set_random_seed(1)
    layers = [keras.Input((48, 48, 3)), keras.layers.Rescaling(1 / 255)]
    layers += [keras.layers.Conv2D(24, 5, strides=5, activation="relu")]
    keras.Sequential(layers).save(root / "small.keras")
    # Without class folders it is the only one, and needs no name.
    return run_chain(
        root / "set/paths.json", "-p", "BACKBONE", root / "small.keras"
    ), scenes


def read_scores(ws):
    return json.loads(
        (ws.results / "metrics_multilabel.json").read_text(encoding="utf-8")
    )


def test_lesson_runs_alone_on_a_flat_folder_and_writes_its_files(run):
    ws, scenes = run
    assert [path.name for path in ws.results.glob("notebooks/*")] == [
        "11_multi_label.ipynb"
    ]
    split = read_table(ws.results / "split_multilabel.csv")
    assert list(split.columns) == ["file", "labels", "part"]
    assert dict(zip(split.file, split.labels)) == dict(zip(scenes.file, scenes.labels))
    parts = split.merge(scenes, on="file").groupby("group").part
    assert (parts.nunique() == 1).all() and not (ws.results / "split.csv").exists()
    for name in ("labels_together.svg", "thresholds.svg", "label_sets.html"):
        assert (ws.results / f"figures/{name}").is_file()


def test_scores_are_those_of_the_answers_and_of_the_saved_model(run):
    ws, _ = run
    scores, answers = (
        read_scores(ws),
        read_table(ws.results / "predictions_multilabel.csv"),
    )
    right = answers[NAME] == answers.labels
    assert scores["n"] == len(answers) == 12 and scores["model"] == NAME
    assert scores["exact_match"] == pytest.approx(right.mean())
    low, high = scores["exact_match_interval"]
    assert 0 <= low <= scores["exact_match"] <= high <= 1
    precision = [label["average_precision"] for label in scores["per_label"].values()]
    known = [value for value in precision if value is not None]
    sets = answers[["labels", NAME]].apply(
        lambda column: column.str.get_dummies("|").stack()
    )
    found = sets.fillna(0).astype(bool)
    assert scores["f1_micro"] == pytest.approx(f1_score(found.labels, found[NAME]))
    assert scores["labels_per_picture"] == pytest.approx(found[NAME].sum() / 12)
    assert scores["hamming_loss"] == pytest.approx((found.labels != found[NAME]).mean())
    assert scores["mean_average_precision"] == pytest.approx(np.mean(known))
    # Colours are easily told apart.
    assert (
        scores["mean_average_precision"] > scores["baseline"]["mean_average_precision"]
    )


def test_json_tells_what_a_page_or_a_command_line_needs(run):
    ws, _ = run
    model, metadata = saved.open_model(ws.results / f"models/{NAME}.keras")
    assert metadata["task"] == "multilabel" and metadata["image_size"] == 48
    assert metadata["class_names"] == ["007", "NA", "red"] == [*metadata["thresholds"]]
    assert all(0 < limit < 1 for limit in metadata["thresholds"].values())
    assert model.layers[-1].layers[-1].activation.__name__ == "sigmoid"


def test_predict_writes_the_labels_above_their_thresholds(run, tmp_path, capsys):
    ws, _ = run
    answers = read_table(ws.results / "predictions_multilabel.csv")
    files = [str(ws.train / file) for file in answers.file]
    (tmp_path / "cut.png").write_bytes(b"\x89PNG\r\n\x1a\nhalf")
    model, table = str(ws.results / f"models/{NAME}.keras"), tmp_path / "a.csv"
    wanted = [model, *files, str(tmp_path / "cut.png"), "--csv", str(table)]
    assert predict.predict_pictures(wanted) == 1
    found = read_table(table)
    assert list(found.columns) == ["file", "labels", "problem"]
    assert (found.labels.iloc[-1], found.problem.iloc[-1]) == ("", "corrupt")
    assert list(found.labels[:-1]) == list(answers[NAME])
    assert predict.predict_pictures([*wanted, "--probabilities"]) == 1
    full = read_table(table)
    assert list(full.columns) == ["file", "labels", "problem", "007", "NA", "red"]
    limits = saved.read_metadata(ws, NAME)["thresholds"]
    for row in full[:-1].to_dict("records"):
        above = [
            name for name, limit in limits.items() if float(row[name]) >= limit - 1e-6
        ]
        assert {*row["labels"].split("|")} - {""} <= {*above}
    for option in (
        ["--top", "2"],
        ["--sets"],
        ["--strangers"],
        ["--group-by", "folder"],
    ):
        assert predict.predict_pictures([model, *files, *option]) == 2
        assert (
            "leave out --top, --sets, --strangers and --group-by"
            in capsys.readouterr().err
        )


def test_lists_of_models_pass_it_over_without_a_word(run, prepared, capsys):
    shutil.copytree(run[0].results / "models", prepared.results / "models")
    with pytest.raises(FileNotFoundError, match="no model of the current split"):
        saved.list_models(prepared)
    assert "left out" not in capsys.readouterr().out


def test_page_of_the_labels_is_made_where_no_other_model_is_judged(run):
    ws, _ = run
    judged, scores = saved.read_metadata(ws, NAME)["judged"], read_scores(ws)
    assert judged["exact_match"] == scores["exact_match"] and judged["n"] == 12
    text = (ws.results / "model.html").read_text(encoding="utf-8")
    assert NAME in text and '"thresholds"' in text
    ran = (ws.results / "notebooks/11_multi_label.ipynb").read_text(encoding="utf-8")
    assert "puts another class first" in ran, (
        "its file was asked about the validation pictures"
    )
    (ws.results / "model.html").unlink()


def test_chain_takes_11_where_there_are_labels_for_it(run, ws, tmp_path, draw_classes):
    last, demo = "11_multi_label", workspace.open("demo")
    assert chain.choose_notebooks([], False, run[0]) == [last]
    assert chain.choose_notebooks(["08"], False, run[0]) == ["08_evaluation"]
    for beyond in (False, True):
        names = chain.choose_notebooks([], beyond, ws)
        assert last not in names and "08_evaluation" in names
        assert (last in chain.choose_notebooks([], beyond, demo)) == beyond
    draw_classes(ws.train, 1)
    both = workspace.Workspace(
        ws.train, ws.results, ws.scratch, multi_labels=tmp_path / "a.csv"
    )
    names = chain.choose_notebooks([], False, both)
    assert (
        names[0] == "01_data_prep" and names[-1] == last and "05_backbones" not in names
    )
    assert chain.choose_notebooks(["11"], False, ws) == [last]
