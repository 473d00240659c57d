import json
import re
from types import SimpleNamespace

import nbformat
import numpy as np
import pandas as pd
import pytest

from lib import chain
from lib.data.table import read_table
from lib.models import saved

# Names are data everywhere, in CSV files as in HTML.
HOSTILE_CLASS = "<img src=x onerror=alert(1)>"
HOSTILE_FILE = 'a,"b\n.jpg'
CLASSES = ["007", HOSTILE_CLASS, "NA", "red"]
MODELS = ["augmented_cnn", "baseline_cnn", "mobilenet_transfer"]
SMALL = (
    """-p EPOCHS 2 -p IMAGE_SIZE 32 -p IMAGE_SIZES [32] -p BACKBONE MobileNet -p WEIGHTS null
-p LEARNING_RATE 0.001""".split()
    + ["-p", "BACKBONE_OPTIONS", "{alpha: 0.25}"]
)


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
    paths = root / "paths.json"
    paths.write_text(
        '{"train": "train", "test": "test", "results": "r", "scratch": "s"}'
    )
    before = read_all(root / "train")
    times = {path: path.stat().st_mtime_ns for path in root.glob("t*/**/*")}
    ws = run_chain(paths, *SMALL)
    arguments = ["--paths", str(paths)]
    return SimpleNamespace(ws=ws, paths=arguments, before=before, times=times)


def read(run, name):
    return read_table(run.ws.results / name)


def read_json(run, name):
    return json.loads((run.ws.results / name).read_text(encoding="utf-8"))


def test_whole_chain_ends_well_and_writes_every_file_of_the_contract(run):
    names = """split.csv checks.csv pictures.csv metrics.json comparison.csv random_images.csv
    report.html drive_paths.json figures/accuracy.svg figures/learning_curves.svg
    figures/recall_by_class.svg figures/random_images.html figures/class_balance.svg
    figures/augmentation.html answer_sets.csv model.html""".split()
    for model in MODELS:
        names.append(f"models/{model}.keras")
        names.append(f"models/{model}.json")
        names.append(f"history/{model}.csv")
        names.append(f"predictions/{model}.csv")
        names.append(f"figures/confusion_{model}.svg")
    for name in chain.choose_notebooks([]):
        names.append(f"notebooks/{name}.ipynb")
    missing = [name for name in names if not (run.ws.results / name).is_file()]
    assert missing == []
    written = [path.name for path in run.ws.results.rglob("*")]
    assert not [name for name in written if name.startswith("unfinished")]


def test_the_best_trained_model_is_handed_over_alone(run):
    scores = read_json(run, "metrics.json")
    trained = {}
    for name, score in scores.items():
        if score["weights"] != "untrained":
            trained[name] = score["top1"]
    best = max(trained, key=trained.get)
    for ending in (".md", ".tflite"):
        (written,) = run.ws.results.glob(f"models/*{ending}")
        assert written.stem == best
    metadata = {name: saved.read_metadata(run.ws, name) for name in MODELS}
    assert [name for name in MODELS if "answer_sets" in metadata[name]] == [best]
    assert set(read(run, "answer_sets.csv")["class"]) == set(CLASSES)


def test_users_pictures_are_untouched(run, read_all):
    assert read_all(run.ws.train) == run.before
    files = run.ws.train.parent.glob("t*/**/*")
    assert {path: path.stat().st_mtime_ns for path in files} == run.times


def test_files_that_are_unusable_are_listed_and_all_others_are_used(run):
    checks = read(run, "checks.csv")
    left_out = checks[checks.action == "left out"]
    found = dict(zip(left_out.file, left_out.problem))
    assert found == {"red/cut.png": "truncated", "notes.txt": "outside_class_folder"}
    split = read(run, "split.csv")
    assert len(split) == 40
    assert len(split) + len(left_out) == len(run.before)
    # Of 30 x 24 pixels, as these pictures are.
    assert set(checks.problem[checks.action == "kept"]) == {"tiny"}
    assert f"{HOSTILE_CLASS}/{HOSTILE_FILE}" in set(split.file)
    validation = split[split.part == "validation"]
    assert dict(validation.label.value_counts()) == dict.fromkeys(CLASSES, 2)


@pytest.mark.parametrize("model", MODELS)
def test_predictions_are_probabilities_of_the_validation_pictures(run, model):
    table = read(run, f"predictions/{model}.csv")
    split = read(run, "split.csv")
    class_names = read_json(run, f"models/{model}.json")["class_names"]
    assert list(table.columns) == ["file", "label", "predicted"] + class_names
    validation = split[split.part == "validation"]
    assert np.array_equal(table[["file", "label"]], validation[["file", "label"]])
    y_prob = table[class_names].to_numpy(float)
    assert np.allclose(y_prob.sum(axis=1), 1, atol=1e-4)
    best = np.array(class_names)[y_prob.argmax(axis=1)]
    assert best.tolist() == table.predicted.tolist()


@pytest.mark.parametrize("model", MODELS)
def test_metrics_are_those_of_the_predictions(run, model):
    table = read(run, f"predictions/{model}.csv")
    score = read_json(run, "metrics.json")[model]
    right = table.label == table.predicted
    recall = right.groupby(table.label).mean()
    assert score["n"] == len(table)
    assert score["top1"] == pytest.approx(right.mean())
    assert score["per_class"] == pytest.approx(recall.to_dict())
    assert score["average_per_class"] == pytest.approx(recall.mean())


@pytest.mark.parametrize("model", MODELS)
def test_history_has_a_row_for_each_epoch(run, model):
    history = pd.read_csv(run.ws.results / f"history/{model}.csv")
    assert list(history.epoch) == [1, 2]
    assert read_json(run, f"models/{model}.json")["parameters"]["epochs"] == 2


def test_parameters_of_both_cells_are_set_from_outside(run):
    """EPOCHS is one that a student turns, BACKBONE_OPTIONS lies in the folded cell."""
    metadata = read_json(run, "models/mobilenet_transfer.json")
    assert metadata["parameters"]["epochs"] == 2
    assert metadata["parameters_total"] < 1e6
    assert metadata["parameters"]["backbone_options"] == {"alpha": 0.25}


def test_executed_notebooks_have_nothing_red_and_bars_of_one_line(run):
    executed = sorted(run.ws.results.glob("notebooks/*.ipynb"))
    assert len(executed) == 7
    for path in executed:
        cells = nbformat.read(path, as_version=4).cells
        outputs = [output for cell in cells for output in cell.get("outputs", ())]
        for output in outputs:
            text = output.get("text", "")
            assert output.get("name") != "stderr", (path.name, text)
            assert "WARNING:" not in text, (path.name, text)
            bars = [line for line in text.splitlines() if "|██" in line]
            assert len(bars) <= 2, (path.name, bars)


def test_untrained_backbone_is_called_so_wherever_its_result_stands(run):
    comparison = read(run, "comparison.csv").set_index("model")
    label = "mobilenet_transfer (untrained backbone)"
    assert len(comparison) == 3
    assert comparison.weights[label] == "untrained"
    assert set(comparison.demo) == {"False"}
    content = read_json(run, "metrics.json")
    assert content["mobilenet_transfer"]["weights"] == "untrained"
    assert label in read(run, "random_images.csv").columns
    html = (run.ws.results / "report.html").read_text(encoding="utf-8")
    assert html.count(label) >= 3


def test_random_images_know_their_truth_and_every_models_answer(run):
    table = read(run, "random_images.csv")
    assert len(table) == 5
    assert table.file.is_unique
    assert list(table.truth) == [file.split("/")[0] for file in table.file]
    answers = [name for name in table.columns if f"{name} probability" in table.columns]
    assert len(answers) == 3
    assert list(table.columns[:2]) == ["file", "truth"]
    assert list(table.columns[2 + 2 * len(answers) :]) == ["verdict", "problem"]
    for name in answers:
        assert table[f"{name} probability"].astype(float).between(1 / 4, 1).all()
    for row in table.to_dict("records"):
        right = [name for name in answers if row[name] == row["truth"]]
        assert row["verdict"] == f"{len(right)} of 3 models are right."


WRONG = {
    "-p EPOCH 3": ["-p EPOCH", "EPOCHS"],
    "--seeds 0": ["SEEDS is 0", "minimum 1"],
    "--only 08 --seeds 2": ["-p SEEDS", "EXAMPLES"],
    "--only backbonse": ["--only backbonse", 'did you mean "05_backbones"'],
    "-p SEED [1": ["-p SEED", "YAML"],
    "--paths nowhere.json": ["nowhere.json", "does not exist"],
}


@pytest.mark.parametrize("words", WRONG)
def test_wrong_argument_is_an_error_that_names_it(words, tmp_path, capsys):
    arguments = ["--results", str(tmp_path / "r"), *words.split()]
    assert chain.main(arguments) == 1
    assert chain.main(["--results", str(tmp_path / "r")] + arguments) == 1
    message = capsys.readouterr().err
    for part in WRONG[words]:
        assert part in message
    assert not (tmp_path / "r").exists()


def test_results_among_the_pictures_are_an_error_and_write_nothing(
    run, read_all, capsys
):
    results = run.ws.train / "red"
    assert chain.main(run.paths + ["--results", str(results)]) == 1
    assert 'inside "train"' in capsys.readouterr().err
    assert read_all(run.ws.train) == run.before


def test_help_ends_with_three_commands_that_are_understood_in_full_words_alone(capsys):
    with pytest.raises(SystemExit):
        chain.parse_arguments(["--help"])
    ending = capsys.readouterr().out.partition("typically:")[2]
    commands = re.findall(r"python -m lib\.chain (.*?)(?:   .*)?$", ending, re.M)
    assert len(commands) == 3
    for command in commands:
        chain.parse_arguments(command.split())
        with pytest.raises(SystemExit):
            chain.parse_arguments(command.split() + ["--res", "r"])
    assert "unrecognized arguments: --res" in capsys.readouterr().err


def test_wrong_backbone_is_an_error_before_the_first_notebook(run, capsys):
    results = run.ws.results.with_name("none")
    arguments = ["--results", str(results), "-p", "BACKBONE", "ResNet5"]
    assert chain.main(run.paths + arguments) == 1
    message = capsys.readouterr().err
    assert "has no 'ResNet5'; did you mean \"ResNet50\"?" in message
    assert "Traceback" not in message and "internet" not in message
    assert not list(results.glob("notebooks/*.ipynb"))


def test_without_network_nor_weights_the_chain_stops_before_the_first_notebook(
    run, tmp_path, capsys, monkeypatch
):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    assert chain.main(run.paths + ["--results", str(tmp_path / "r")]) == 1
    message = capsys.readouterr().err
    assert "ResNet50" in message
    assert "name a file" in message
    assert "WEIGHTS" in message
    assert "Traceback" not in message
    assert not list(tmp_path.glob("r/notebooks/*.ipynb"))


def test_folder_without_pictures_is_named_before_any_weights(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    (tmp_path / "train").mkdir()
    (tmp_path / "paths.json").write_text(
        '{"train": "train", "results": "r", "scratch": "s"}'
    )
    assert chain.main(["--paths", str(tmp_path / "paths.json")]) == 1
    message = capsys.readouterr().err
    assert f"{tmp_path / 'train'} holds no picture" in message
    assert "ResNet50" not in message


def test_error_without_words_ends_the_chain_too(run, tmp_path, capsys, monkeypatch):
    def run_out_of_memory(*arguments):
        raise MemoryError

    monkeypatch.setattr(chain, "check_backbone", run_out_of_memory)
    assert chain.main(run.paths + ["--results", str(tmp_path / "r")]) == 1
    assert "MemoryError" in capsys.readouterr().err


def test_values_are_read_as_yaml_and_go_to_the_notebooks_that_have_them():
    names = chain.choose_notebooks(["03", "01"])
    assert names == ["01_data_prep", "03_augmented_cnn"]
    pairs = [["AUGMENT", "false"], ["SEED", "7"], ["IMAGE_SIZES", "[32, 64]"]]
    values = chain.read_parameters(pairs, names)
    assert values["03_augmented_cnn"] == {"AUGMENT": False, "SEED": 7}
    assert values["03_augmented_cnn"]["AUGMENT"] is False
    assert values["01_data_prep"] == {"SEED": 7, "IMAGE_SIZES": [32, 64]}
