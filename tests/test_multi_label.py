"""The lesson on several labels for a picture, alone on a flat folder of small scenes; who knows its model."""

import json
import shutil

import keras
import numpy as np
import pytest
from scenes import make_scenes
from sklearn.metrics import f1_score
from sklearn.preprocessing import MultiLabelBinarizer

from lib import chain, predict, workspace
from lib.data.table import read_table
from lib.models import saved

NAME = "small_multilabel"
LABELS = ["007", "NA", "red"]


@pytest.fixture(scope="module")
def run(tmp_path_factory, draw_classes, run_chain):
    """`--only 11` on 60 scenes of noise of three colours, with a small network from a file."""
    root = tmp_path_factory.mktemp("scenes")
    draw_classes(root / "photos", 40)
    scenes = make_scenes(root / "photos", root / "set", 60)
    keras.utils.set_random_seed(1)
    network = keras.Sequential(
        [
            keras.Input((48, 48, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(24, 5, strides=5, activation="relu"),
        ]
    )
    network.save(root / "small.keras")
    # Without class folders it is the only one, and needs no name.
    paths = root / "set/paths.json"
    return run_chain(paths, "-p", "BACKBONE", root / "small.keras"), scenes


def read_scores(ws):
    path = ws.results / "metrics_multilabel.json"
    return json.loads(path.read_text(encoding="utf-8"))


def read_answers(ws):
    return read_table(ws.results / "predictions_multilabel.csv")


def split_labels(texts):
    """Make bool (n, labels) of texts like "NA|red"."""
    sets = [set(text.split("|")) - {""} for text in texts]
    return MultiLabelBinarizer(classes=LABELS).fit_transform(sets).astype(bool)


def predict_answers(ws, path, *options):
    """Run predict on the validation pictures and a damaged one; return its table."""
    files = [ws.train / file for file in read_answers(ws).file]
    cut = path.with_name("cut.png")
    cut.write_bytes(b"\x89PNG\r\n\x1a\nhalf")
    model = ws.results / f"models/{NAME}.keras"
    arguments = [model, *files, cut, "--csv", path, *options]
    assert predict.predict_pictures([str(argument) for argument in arguments]) == 1
    return read_table(path)


def test_lesson_runs_alone_on_a_flat_folder_and_writes_its_files(run):
    ws, scenes = run
    (notebook,) = ws.results.glob("notebooks/*")
    assert notebook.name == "11_multi_label.ipynb"
    assert not (ws.results / "split.csv").exists()
    for name in ("labels_together.svg", "thresholds.svg", "label_sets.html"):
        assert (ws.results / f"figures/{name}").is_file()
    split = read_table(ws.results / "split_multilabel.csv")
    assert list(split.columns) == ["file", "labels", "part"]
    assert dict(zip(split.file, split.labels)) == dict(zip(scenes.file, scenes.labels))
    parts = split.merge(scenes, on="file").groupby("group").part
    assert (parts.nunique() == 1).all()


def test_scores_are_those_of_the_answers(run):
    ws, _ = run
    scores = read_scores(ws)
    answers = read_answers(ws)
    exact = (answers[NAME] == answers.labels).mean()
    assert scores["n"] == len(answers) == 12 and scores["model"] == NAME
    assert scores["exact_match"] == pytest.approx(exact)
    low, high = scores["exact_match_interval"]
    assert 0 <= low <= exact <= high <= 1
    truth = split_labels(answers.labels)
    found = split_labels(answers[NAME])
    micro = f1_score(truth, found, average="micro")
    assert scores["f1_micro"] == pytest.approx(micro)
    assert scores["labels_per_picture"] == pytest.approx(found.sum() / 12)
    assert scores["hamming_loss"] == pytest.approx((truth != found).mean())


def test_mean_average_precision_is_that_of_the_labels_that_are_there(run):
    ws, _ = run
    scores = read_scores(ws)
    precisions = [row["average_precision"] for row in scores["per_label"].values()]
    known = [precision for precision in precisions if precision is not None]
    found = scores["mean_average_precision"]
    assert found == pytest.approx(np.mean(known))
    # Colours are easily told apart.
    assert found > scores["baseline"]["mean_average_precision"]


def test_json_tells_what_a_page_or_a_command_line_needs(run):
    ws, _ = run
    model, metadata = saved.open_model(ws.results / f"models/{NAME}.keras")
    assert metadata["task"] == "multilabel" and metadata["image_size"] == 48
    assert metadata["class_names"] == list(metadata["thresholds"]) == LABELS
    assert all(0 < limit < 1 for limit in metadata["thresholds"].values())
    assert model.layers[-1].layers[-1].activation.__name__ == "sigmoid"


def test_predict_writes_the_labels_of_the_lesson(run, tmp_path):
    ws, _ = run
    found = predict_answers(ws, tmp_path / "a.csv")
    assert list(found.columns) == ["file", "labels", "problem"]
    assert list(found.labels[:-1]) == list(read_answers(ws)[NAME])
    assert (found.labels.iloc[-1], found.problem.iloc[-1]) == ("", "corrupt")


def test_labels_of_predict_are_those_above_their_thresholds(run, tmp_path):
    ws, _ = run
    full = predict_answers(ws, tmp_path / "a.csv", "--probabilities")
    assert list(full.columns) == ["file", "labels", "problem", *LABELS]
    thresholds = saved.read_metadata(ws, NAME)["thresholds"]
    limits = np.array([thresholds[label] for label in LABELS])
    y_prob = full[LABELS][:-1].to_numpy(float)
    named = split_labels(full.labels[:-1])
    assert (y_prob[named] >= np.tile(limits, (12, 1))[named] - 1e-6).all()


@pytest.mark.parametrize(
    "options", [["--top=2"], ["--sets"], ["--strangers"], ["--group-by", "folder"]]
)
def test_predict_refuses_options_for_one_label(run, options, capsys):
    ws, _ = run
    model = str(ws.results / f"models/{NAME}.keras")
    assert predict.predict_pictures([model, str(ws.train), *options]) == 2
    assert "--group-by" in capsys.readouterr().err


def test_lists_of_models_pass_it_over_without_a_word(run, prepared, capsys):
    ws, _ = run
    shutil.copytree(ws.results / "models", prepared.results / "models")
    with pytest.raises(FileNotFoundError, match="no model of the current split"):
        saved.list_models(prepared)
    assert "left out" not in capsys.readouterr().out


def test_page_of_the_labels_is_made_where_no_other_model_is_judged(run):
    ws, _ = run
    metadata = saved.read_metadata(ws, NAME)
    judged = metadata["judged"]
    assert judged["exact_match"] == read_scores(ws)["exact_match"]
    assert judged["n"] == 12
    assert metadata["lacks"] == "", "the file for phones answers as the model does"
    text = (ws.results / "model.html").read_text(encoding="utf-8")
    assert NAME in text and '"thresholds"' in text


def test_chain_takes_11_where_there_are_labels_for_it(run, ws, tmp_path, draw_classes):
    alone, _ = run
    last = "11_multi_label"
    demo = workspace.open("demo")
    assert chain.choose_notebooks([], False, alone) == [last]
    assert chain.choose_notebooks(["08"], False, alone) == ["08_evaluation"]
    assert chain.choose_notebooks(["11"], False, ws) == [last]
    for beyond in (False, True):
        names = chain.choose_notebooks([], beyond, ws)
        assert last not in names and "08_evaluation" in names
        assert (last in chain.choose_notebooks([], beyond, demo)) == beyond
    draw_classes(ws.train, 1)
    both = workspace.Workspace(
        ws.train, ws.results, ws.scratch, multi_labels=tmp_path / "a.csv"
    )
    names = chain.choose_notebooks([], False, both)
    assert names[0] == "01_data_prep" and names[-1] == last
    assert "05_backbones" not in names
