"""The first click: 00 in Colab runs a whole chain, with 05 and 07; what that writes, on Drive, and leaves alone."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest
from conftest import copy_results, draw_classes, execute_lesson, read_all, save_network
from test_colab import Session, read_outputs

from lib import runner
from lib.base import workspace
from lib.base.workspace import read_table
from lib.evaluation import report
from lib.models.record import read_found, read_record

# Names are data everywhere, in CSV files as in HTML.
HOSTILE_CLASS = "<img src=x onerror=alert(1)>"
HOSTILE_FILE = 'a,"b\n.jpg'
CLASSES = ["007", HOSTILE_CLASS, "NA", "red"]
FIRST = ["file", "label", "predicted"]
AUDIT = "file label suggested self_confidence rank neighbour finding digest".split()
TRANSFER = "mobilenet_32_transfer"
MODELS = ["augmented_cnn", "baseline_cnn", TRANSFER]
UNTRAINED = f"{TRANSFER} (untrained backbone)"
# A third network is broken.
CANDIDATES = {"small", "large_net"}
SMALL = """--only 1 2 3 4 5 7 8 9 10 -p EPOCHS 2 -p IMAGE_SIZE 32 -p IMAGE_SIZES [32]
-p BACKBONE MobileNet@32 -p BACKBONE_OPTIONS {"alpha":0.25} -p WEIGHTS null
-p LEARNING_RATE 0.001 -p REPEATS 1""".split()
# What a whole chain writes, beside the files of each model.
FILES = """split.csv checks.csv pictures.csv metrics.json comparison.csv random_images.csv
report.html answer.json run_paths.json figures/accuracy.html figures/learning_curves.svg
figures/random_images.html figures/class_balance.svg
figures/augmentation.html answer_sets.csv model.html""".split()
OF_MODEL = (
    """models/{}.keras models/{}.json history/{}.csv predictions/{}.csv""".split()
)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """00 in Colab, on four classes, which lie on Drive.

    Of three candidates of 05 one can't take part.
    """
    root = tmp_path_factory.mktemp("chain")
    session = Session(root)
    session.publish()
    mine = session.drive / "MyDrive"
    draw_set(mine / "set")
    (mine / "networks").mkdir()
    save_network(mine / "networks/small.keras", filters=4)
    save_network(mine / "networks/Large Net.keras", filters=12)
    (mine / "networks/broken.keras").write_bytes(b"half of a download")
    results = mine / "image_classifiers"
    before = read_all(mine / "set")
    networks = session.mount / "MyDrive/networks"
    names = ("broken", "small", "Large Net")
    candidates = [str(networks / f"{name}.keras") for name in names]
    options = [*SMALL, "-p", "BACKBONES", json.dumps(candidates)]
    form = {
        "PICTURES": "on Drive/set",
        "RESULTS": "on Drive",
        "OPTIONS": shlex.join(options),
    }

    assert session.run_notebook("00_start_here", form) == 0

    return SimpleNamespace(
        ws=workspace.Workspace(
            mine / "set/train", results, root / "scratch", test=mine / "set/test"
        ),
        session=session,
        before=before,
    )


def draw_set(folder):
    """Draw pictures to learn from and new ones, with odd names among them."""
    for part, count in (("train", 10), ("test", 2)):
        draw_classes(folder / part, count, ["red"], seed=count)
        hostile = (folder / part / "red").rename(folder / part / HOSTILE_CLASS)
        (hostile / "000.png").rename(hostile / HOSTILE_FILE)
        draw_classes(folder / part, count, seed=count + 1)


def read(run, name):
    return read_table(run.ws.results / name)


def read_winner(run):
    """Return the row of the contest that was chosen."""
    (row,) = read(run, "contest.csv").query("chosen == 'True'").to_dict("records")
    return row


def name_winner(run):
    """Return the name of the winner's model."""
    return f"{read_winner(run)['candidate']}_linear"


def test_whole_chain_writes_every_file_of_the_contract_and_none_by_half(run):
    ran = {*runner.NAMES[:10]} - {"06_fine_tuning"}
    names = FILES + [f"notebooks/{name}.ipynb" for name in ran]
    for model in MODELS:
        names += [pattern.format(model) for pattern in OF_MODEL]

    missing = [name for name in names if not (run.ws.results / name).is_file()]

    assert missing == []
    assert not list(run.ws.results.rglob("unfinished*"))


def test_first_click_ends_with_the_answer_figures_and_a_picture_of_ones_own(run):
    path = run.session.find_executed("00_start_here")

    text = str(read_outputs(path))

    # The answer, a figure, a picture, and what is said of it.
    for shown in (" right (", 'class="chart"', "image/png", "says: "):
        assert shown in text


def test_the_model_of_the_answer_is_handed_over_alone(run):
    best = report.read_answer(run.ws).model

    for ending in (".md", ".tflite"):
        (written,) = run.ws.results.glob(f"models/*{ending}")
        assert written.stem == best
    assert read_record(run.ws.results / f"models/{best}.json").answer_sets.groups
    assert set(read(run, "answer_sets.csv")["class"]) == set(CLASSES)


def test_users_pictures_are_untouched(run):
    assert read_all(run.ws.train.parent) == run.before


def test_predictions_are_probabilities_of_the_validation_pictures(run):
    table = read(run, f"predictions/{TRANSFER}.csv")
    split = read(run, "split.csv")
    validation = split[split.part == "validation"].reset_index()

    assert list(table.columns) == [*FIRST, *CLASSES]
    assert table[["file", "label"]].equals(validation[["file", "label"]])
    y_prob = table[CLASSES].astype(float)
    assert list(y_prob.idxmax(axis=1)) == list(table.predicted)


def test_parameters_of_both_cells_are_set_from_outside(run):
    """EPOCHS is one that a student turns, BACKBONE_OPTIONS lies in the folded cell."""
    record = read_record(run.ws.results / f"models/{TRANSFER}.json")

    assert record.parameters["epochs"] == 2
    assert record.parameters["backbone_options"] == {"alpha": 0.25}


def test_executed_notebooks_have_nothing_red_and_bars_of_one_line(run):
    executed = sorted(run.ws.results.glob("notebooks/*.ipynb"))
    executed.append(run.session.find_executed("00_start_here"))

    for path in executed:
        for output in read_outputs(path):
            text = output.get("text", "")
            assert output.get("name") != "stderr", (path.name, text)
            assert "WARNING:" not in text, (path.name, text)
            unfinished = text.count("%|█") - text.count("100%|█")
            assert unfinished <= 1, (path.name, text)


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
    models = ["baseline_cnn", "augmented_cnn", UNTRAINED, name_winner(run)]
    sure = table[[f"{name} probability" for name in models]].astype(float)
    # The answer is the likeliest of four classes.
    assert (sure > 1 / 4).all(axis=None)


def test_held_out_answers_are_of_the_training_part_and_make_the_score(run):
    answers = read(run, "out_of_fold.csv")
    split = read(run, "split.csv")

    assert list(answers.columns) == FIRST + CLASSES
    assert list(answers.file) == list(split.file[split.part == "train"])
    accuracy = (answers.predicted == answers.label).mean()
    assert float(read_winner(run)["accuracy"]) == pytest.approx(accuracy)


def test_json_of_the_winner_tells_its_network_who_took_part_and_what_calibrated_it(run):
    path = run.ws.results / f"models/{name_winner(run)}.json"

    record = read_record(path)

    assert {"trained_on", "licence", "base_model"} <= set(record.backbone_origin)
    contest = read_found(run.ws, record.split_hash).contest
    assert {row["candidate"] for row in contest} == CANDIDATES
    # 05 calibrates it, so 08 leaves its temperature alone.
    assert (record.temperature, record.kind) == (1, "linear")
    # Not the folder in which the network lies.
    assert str(run.session.mount) not in path.read_text(encoding="utf-8")


def test_saved_winner_answers_alone(run, tmp_path):
    """In a process that has no more of it than two files, and without keras-hub."""
    for ending in (".keras", ".json"):
        path = run.ws.results / f"models/{name_winner(run)}{ending}"
        shutil.copy(path, tmp_path / f"model{ending}")
    code = (
        "import sys; sys.modules['keras_hub'] = None; "
        "from lib.predict import predict_pictures; "
        "sys.exit(predict_pictures(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, tmp_path / "model.keras", run.ws.test / "NA"]
    environment = os.environ | {"PYTHONPATH": str(workspace.REPOSITORY)}

    asked = subprocess.run(command, env=environment, capture_output=True, text=True)

    assert asked.returncode == 0, asked.stderr
    # The names of the columns, and two pictures.
    assert len(asked.stdout.splitlines()) == 3


def test_tables_of_the_audit_have_their_columns(run):
    rows = read(run, "split.csv")[["file", "label"]]
    audited = read(run, "label_audit.csv")
    groups = read(run, "groups.csv")

    assert list(audited.columns) == AUDIT
    assert list(groups.columns) == ["file", "label", "group"]
    assert audited[["file", "label"]].equals(rows)


@pytest.fixture(scope="module")
def named(run, tmp_path_factory):
    """A workspace in which 09 was asked about pictures that are named."""
    root = tmp_path_factory.mktemp("named")
    ws = replace(copy_results(run.ws, root), test=None)
    picture = (run.ws.test / "NA/000.png").read_bytes()
    (root / "half.png").write_bytes(picture[:200])
    images = [str(run.ws.test / "NA"), str(root / "half.png"), str(root / "gone.png")]
    images.append("http://127.0.0.1:9/x.png")
    execute_lesson("09_random_images", ws, IMAGES=images, SUBMISSION=True)
    return ws


def list_problems(run, ws):
    """Return each picture that IMAGES names, with what is wrong with it."""
    root = ws.results.parent
    return {
        f"{run.ws.test}/NA/000.png": "",
        f"{run.ws.test}/NA/001.png": "",
        f"{root}/half.png": "truncated",
        f"{root}/gone.png": "unreadable",
        "http://127.0.0.1:9/x.png": "unreadable",
    }


def test_every_picture_that_is_named_has_a_row_with_its_answer_or_its_reason(
    run, named
):
    table = read_table(named.results / "random_images.csv")

    assert dict(zip(table.file, table.problem)) == list_problems(run, named)
    answers = table.filter(like=" probability")
    assert ((answers != "").all(axis=1) == (table.problem == "")).all()


def test_submission_guesses_pictures_that_can_not_be_read(run, named):
    submission = read_table(named.results / "submission.csv")

    assert list(submission.file) == list(list_problems(run, named))
    sure = submission.probability.astype(float) > 0
    assert list(sure) == [True, True, False, False, False]
