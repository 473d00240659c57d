import json
import os
import re
from types import SimpleNamespace
from unittest import mock

import nbformat
import numpy as np
import pandas as pd
import pytest

from lib import chain, runner, workspace
from lib.data.table import read_table
from lib.models import saved

# Names are data everywhere, in CSV files as in HTML.
HOSTILE_CLASS = "<img src=x onerror=alert(1)>"
HOSTILE_FILE = 'a,"b\n.jpg'
CLASSES = ["007", HOSTILE_CLASS, "NA", "red"]
TRANSFER = "mobilenet_32_transfer"
MODELS = ["augmented_cnn", "baseline_cnn", TRANSFER]
UNTRAINED = f"{TRANSFER} (untrained backbone)"
SMALL = """-p EPOCHS 2 -p IMAGE_SIZE 32 -p IMAGE_SIZES [32] -p BACKBONE MobileNet@32
-p BACKBONE_OPTIONS {"alpha":0.25} -p WEIGHTS null -p LEARNING_RATE 0.001""".split()
# What a whole chain writes, beside the files of each model.
FILES = """split.csv checks.csv pictures.csv metrics.json comparison.csv random_images.csv
report.html run_paths.json figures/accuracy.svg figures/learning_curves.svg
figures/recall_by_class.svg figures/random_images.html figures/class_balance.svg
figures/augmentation.html answer_sets.csv model.html""".split()
OF_MODEL = """models/{}.keras models/{}.json history/{}.csv predictions/{}.csv
figures/confusion_{}.svg""".split()
each_model = pytest.mark.parametrize("model", MODELS)


@pytest.fixture(scope="module")
def run(tmp_path_factory, draw_classes, run_chain, read_all):
    """The whole chain at small size, on four classes with a stray and a truncated file."""
    root = tmp_path_factory.mktemp("chain")
    for part, count in (("train", 10), ("test", 2)):
        draw_classes(root / part, count, ["red"], seed=count)
        hostile = (root / part / "red").rename(root / part / HOSTILE_CLASS)
        (hostile / "000.png").rename(hostile / HOSTILE_FILE)
        draw_classes(root / part, count, seed=count + 1)
    picture = (root / "train/red/000.png").read_bytes()
    (root / "train/red/cut.png").write_bytes(picture[: len(picture) // 2])
    (root / "train/notes.txt").write_text("mine")
    folders = {"train": "train", "test": "test", "results": "r", "scratch": "s"}
    paths = root / "paths.json"
    paths.write_text(json.dumps(folders))
    before = read_all(root / "train")
    times = read_times(root)
    (root / "kernels").mkdir()
    with mock.patch.dict(os.environ, TMPDIR=str(root / "kernels")):
        ws = run_chain(paths, *SMALL)
    arguments = ["--paths", str(paths)]
    return SimpleNamespace(ws=ws, paths=arguments, before=before, times=times)


def read_times(root):
    """Return when the pictures, and their folders, were last changed."""
    return {path: path.stat().st_mtime_ns for path in root.glob("t*/**/*")}


def read(run, name):
    return read_table(run.ws.results / name)


def read_json(run, name):
    return json.loads((run.ws.results / name).read_text(encoding="utf-8"))


def test_whole_chain_writes_every_file_of_the_contract_and_none_by_half(run):
    names = FILES + [f"notebooks/{name}.ipynb" for name in chain.choose_notebooks([])]
    for model in MODELS:
        names += [pattern.format(model) for pattern in OF_MODEL]

    written = {path.name for path in run.ws.results.rglob("*")}

    missing = [name for name in names if not (run.ws.results / name).is_file()]
    assert missing == []
    assert not [name for name in written if name.startswith("unfinished")]


def test_kernels_leave_no_temporary_file(run):
    assert list(run.ws.train.with_name("kernels").iterdir()) == []


def test_the_best_trained_model_is_handed_over_alone(run):
    scores = read_json(run, "metrics.json")
    del scores[TRANSFER]

    best = max(scores, key=lambda name: scores[name]["top1"])

    for ending in (".md", ".tflite"):
        (written,) = run.ws.results.glob(f"models/*{ending}")
        assert written.stem == best
    metadata = {name: saved.read_metadata(run.ws, name) for name in MODELS}
    assert [name for name in MODELS if "answer_sets" in metadata[name]] == [best]
    assert set(read(run, "answer_sets.csv")["class"]) == set(CLASSES)


def test_users_pictures_are_untouched(run, read_all):
    assert read_all(run.ws.train) == run.before
    assert read_times(run.ws.train.parent) == run.times


def test_files_that_are_unusable_are_listed_and_all_others_are_used(run):
    checks = read(run, "checks.csv")
    split = read(run, "split.csv")

    left_out = checks[checks.action == "left out"]
    found = dict(zip(left_out.file, left_out.problem))
    assert found == {"red/cut.png": "truncated", "notes.txt": "outside_class_folder"}
    # Four classes of ten.
    assert len(split) == 40
    assert f"{HOSTILE_CLASS}/{HOSTILE_FILE}" in set(split.file)
    # Of 30 x 24 pixels, as these pictures are.
    assert set(checks.problem[checks.action == "kept"]) == {"tiny"}


def test_validation_part_holds_a_fifth_of_each_class(run):
    split = read(run, "split.csv")

    counts = split.label[split.part == "validation"].value_counts()

    assert dict(counts) == dict.fromkeys(CLASSES, 2)


@each_model
def test_predictions_are_probabilities_of_the_validation_pictures(run, model):
    table = read(run, f"predictions/{model}.csv")
    split = read(run, "split.csv")
    validation = split[split.part == "validation"].reset_index()

    assert list(table.columns) == ["file", "label", "predicted", *CLASSES]
    assert table[["file", "label"]].equals(validation[["file", "label"]])
    y_prob = table[CLASSES].astype(float)
    assert np.allclose(y_prob.sum(axis=1), 1, atol=1e-4)
    assert list(y_prob.idxmax(axis=1)) == list(table.predicted)


@each_model
def test_metrics_are_those_of_the_predictions(run, model):
    table = read(run, f"predictions/{model}.csv")
    score = read_json(run, "metrics.json")[model]

    right = table.label == table.predicted

    recall = right.groupby(table.label).mean()
    assert score["n"] == 8
    assert score["top1"] == pytest.approx(right.mean())
    assert score["per_class"] == pytest.approx(recall.to_dict())


def test_parameters_of_both_cells_are_set_from_outside(run):
    """EPOCHS is one that a student turns, BACKBONE_OPTIONS lies in the folded cell."""
    metadata = read_json(run, f"models/{TRANSFER}.json")
    history = pd.read_csv(run.ws.results / f"history/{TRANSFER}.csv")

    assert list(history.epoch) == [1, 2]
    assert metadata["parameters"]["backbone_options"] == {"alpha": 0.25}
    assert metadata["parameters_total"] < 1e6


def test_executed_notebooks_have_nothing_red_and_bars_of_one_line(run):
    executed = sorted(run.ws.results.glob("notebooks/*.ipynb"))

    for path in executed:
        cells = nbformat.read(path, as_version=4).cells
        outputs = [output for cell in cells for output in cell.get("outputs", ())]
        for output in outputs:
            text = output.get("text", "")
            assert output.get("name") != "stderr", (path.name, text)
            assert "WARNING:" not in text, (path.name, text)
            assert text.count("|██") <= 2, (path.name, text)


def test_untrained_backbone_is_called_so_wherever_its_result_stands(run):
    comparison = read(run, "comparison.csv").set_index("model")
    html = (run.ws.results / "report.html").read_text(encoding="utf-8")

    assert comparison.weights[UNTRAINED] == "untrained"
    assert UNTRAINED in read(run, "random_images.csv").columns
    # In the answer, in a table, in a figure.
    assert html.count(UNTRAINED) >= 3


def test_random_images_know_their_truth_and_every_models_answer(run):
    table = read(run, "random_images.csv")

    # Five of the eight new pictures.
    assert len(set(table.file)) == 5
    assert list(table.truth) == [file.split("/")[0] for file in table.file]
    models = ["baseline_cnn", "augmented_cnn", UNTRAINED]
    sure = [f"{name} probability" for name in models]
    columns = {"file", "truth", "verdict", "problem", *models, *sure}
    assert set(table.columns) == columns
    # The answer is the likeliest of four classes.
    assert (table[sure].astype(float) > 1 / 4).all(axis=None)
    right = table[models].eq(table.truth, axis=0).sum(axis=1)
    assert list(table.verdict.str[:6]) == [f"{count} of 3" for count in right]


WRONG = {
    "-p EPOCH 3": "-p EPOCH.*EPOCHS",
    "--seeds 0": "SEEDS is 0.*minimum 1",
    "--only backbonse": 'backbonse.*"05_backbones"',
    "-p SEED [1": "-p SEED.*YAML",
    "--paths nowhere.json": "nowhere.json",
}


@pytest.mark.parametrize("words", WRONG)
def test_wrong_argument_is_an_error_that_names_it(words, tmp_path, capsys):
    arguments = ["--results", str(tmp_path / "r"), *words.split()]

    assert chain.main(arguments) == 1

    assert re.search(WRONG[words], capsys.readouterr().err)
    assert not (tmp_path / "r").exists()


def test_help_ends_with_three_commands_that_are_understood(capsys):
    with pytest.raises(SystemExit):
        chain.parse_arguments(["--help"])

    ending = capsys.readouterr().out.partition("typically:")[2]
    commands = re.findall(r"python -m lib\.chain (.*?)(?:   .*)?$", ending, re.M)
    assert len(commands) == 3
    for command in commands:
        chain.parse_arguments(command.split())


def test_options_are_full_words(capsys):
    with pytest.raises(SystemExit):
        chain.parse_arguments(["--res", "r"])

    assert "--res" in capsys.readouterr().err


def test_wrong_backbone_is_an_error_before_the_first_notebook(
    run, tmp_path, capsys, monkeypatch
):
    """On the demo, too, which does without one that is not named."""
    monkeypatch.setattr(workspace.Workspace, "is_demo", True)
    arguments = ["--results", str(tmp_path / "r"), "-p", "BACKBONE", "ResNet5"]

    assert chain.main(run.paths + arguments) == 1

    assert '"ResNet50"?' in capsys.readouterr().err
    assert not (tmp_path / "r/notebooks").exists()


def test_without_network_nor_weights_the_chain_stops_before_the_first_notebook(
    run, tmp_path, capsys, monkeypatch
):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")

    assert chain.main(run.paths + ["--results", str(tmp_path / "r")]) == 1

    message = capsys.readouterr().err
    assert "ResNet50" in message
    assert "WEIGHTS" in message
    assert not (tmp_path / "r/notebooks").exists()


def test_folder_without_pictures_is_named_before_any_weights(ws, capsys, monkeypatch):
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")

    assert chain.main(["--paths", str(ws.save_paths())]) == 1

    message = capsys.readouterr().err
    assert f"{ws.train} holds no picture" in message
    assert "ResNet50" not in message


def test_error_without_words_ends_the_chain_too(run, tmp_path, capsys, monkeypatch):
    def run_out_of_memory(*arguments):
        raise MemoryError

    monkeypatch.setattr(chain, "check_backbone", run_out_of_memory)

    assert chain.main(run.paths + ["--results", str(tmp_path / "r")]) == 1

    assert "MemoryError" in capsys.readouterr().err


def test_parameter_that_no_chosen_notebook_has_is_a_note(capsys):
    values = chain.read_parameters([["SEEDS", "2"]], ["08_evaluation"])

    assert values == {"08_evaluation": {}}
    assert "Note: -p SEEDS reaches 02_baseline_cnn, " in capsys.readouterr().out


def test_image_size_reaches_the_networks_that_are_built_here_alone():
    names = runner.list_notebooks()

    values = chain.read_parameters([["IMAGE_SIZE", "64"]], names)

    reached = [name for name in names if values[name]]
    assert reached == ["02_baseline_cnn", "03_augmented_cnn"]


def test_values_are_read_as_yaml_and_go_to_the_notebooks_that_have_them():
    pairs = [["AUGMENT", "false"], ["SEED", "7"], ["IMAGE_SIZES", "[32, 64]"]]

    values = chain.read_parameters(pairs, ["01_data_prep", "03_augmented_cnn"])

    assert values["03_augmented_cnn"] == {"AUGMENT": False, "SEED": 7}
    assert values["01_data_prep"] == {"SEED": 7, "IMAGE_SIZES": [32, 64]}
