"""The scripts beside the tests, each on its smallest work, so that a changed signature is seen."""

import contextlib
import json
import sys

import alike
import benchmark
import draw_demo
import faults
import judge_sketches
import numpy as np
import page_speed
import pandas as pd
import planted
import pretrain_sketches
import pytest
import scale
import simulations
import tensorflow as tf
from conftest import (
    add_head,
    execute_lesson,
    find_browser,
    make_workspace,
    plain_environment,
    prepare_and_split,
)
from drawing import CLASS_NAMES
from test_report import save_described

from lib import chain, runner
from lib.base import workspace
from lib.evaluation import model_page
from lib.models import backbones, parts

LINEAR = "sketches_linear"
# There are fewer batches than steps; the others are of Keras and TensorFlow.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Your input ran out of data"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:keras"),
    pytest.mark.filterwarnings("ignore:Even though the `tf.config"),
]


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """A folder of fifteen small pictures of three classes."""
    folder = tmp_path_factory.mktemp("photographs")
    return benchmark.draw_photographs(folder, 15, (80, 60), classes=3)


@pytest.fixture
def eager():
    """Run layers one by one: to compile them takes longer than so little work."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture
def small(monkeypatch, eager):
    """Make what the benchmark measures small."""
    values = {"EPOCHS": 2, "PAIRS": 1, "CNN_SIZE": 16, "TRANSFER_SIZE": 32}
    values |= {"BACKBONE": "MobileNet", "MATRIX_SIDE": 8, "HEADS": ((60, 3, 0.4),)}
    for name, value in values.items():
        monkeypatch.setattr(benchmark, name, value)


@pytest.fixture
def measured(photographs, small, tmp_path):
    """The pictures, prepared for the benchmark."""
    return benchmark.prepare(photographs, tmp_path)


def test_quick_rows_of_the_benchmark_are_measured_and_kept(
    photographs, small, tmp_path, capsys
):
    arguments = ["--quick", "--photos", photographs, "--json", tmp_path / "rows.json"]

    benchmark.main([str(argument) for argument in arguments])

    rows = json.loads((tmp_path / "rows.json").read_text())
    printed = capsys.readouterr().out
    assert len(rows) == 4
    for row in rows:
        assert row["ours"] > 0
        assert f"| {row['what']} |" in printed


def test_benchmark_fits_on_tensors_and_on_batches(measured):
    row = benchmark.measure_fit(measured, 1)

    assert row["report's way"] > 0
    assert row["ours"] > 0


def test_benchmark_trains_all_models_in_both_ways(measured, tmp_path):
    row, *transfer = benchmark.measure_transfer(measured, 1, tmp_path)

    (whole,) = benchmark.measure_chain(measured, 1, transfer)

    assert whole["report's way"] > row["report's way"] > 0
    assert whole["ours"] > row["ours"] > 0


def test_benchmark_measures_the_memory_of_large_pictures(tmp_path):
    row = benchmark.measure_memory(tmp_path, large=(80, 60), huge=(90, 60))

    assert row["note"] == "{'used': 28}"


def test_benchmark_finds_planted_copies(tmp_path):
    row = benchmark.measure_copies(tmp_path, count=200, planted=10)

    assert "10 of 10 planted copies found, 0 other pairs" in row["note"]


def test_benchmark_measures_pictures_that_are_all_alike(tmp_path):
    row = benchmark.measure_alike(tmp_path, count=200)

    assert row["ours"] > 0


def test_benchmark_measures_many_classes(tmp_path, monkeypatch):
    # The fixture `whole` measures a chain.
    monkeypatch.setattr(benchmark, "run_chain", lambda paths, arguments: [(0.5, 9)])

    row = benchmark.measure_classes(tmp_path / "new", count=30, classes=3)

    assert row["ours"] == 0.5


def test_benchmark_compares_predict_with_the_model(small, tmp_path):
    row = benchmark.measure_answers(tmp_path, pairs=1, count=4)

    assert row["report's way"] > 0
    assert row["ours"] > 0


def test_benchmark_asks_the_page_again_and_again(tmp_path):
    if find_browser() is None:
        pytest.skip("no Chromium is installed; .ci/run installs one")
    try:
        model_page.fetch_runtime(make_workspace(tmp_path).scratch / "downloads")
    except OSError as error:
        pytest.skip(f"the page can't be tried: {error}")

    row = page_speed.measure_page(tmp_path, count=200)

    assert 0 < row["ratio"] < 100
    assert row["note"].endswith("200 rows")


def test_benchmark_cross_validates_a_linear_head(small, tmp_path):
    benchmark.main(["--heads", "--json", str(tmp_path / "rows.json")])

    (row,) = json.loads((tmp_path / "rows.json").read_text())
    assert "accuracy" in row["note"]


def test_benchmark_compares_workers(photographs, tmp_path, monkeypatch):
    # Threads do the work of workers, which take long to start.
    monkeypatch.setattr(scale, "TWO", None)
    monkeypatch.setattr(scale, "running", lambda count: contextlib.nullcontext(1.0))

    rows = list(scale.measure_workers(photographs, tmp_path, pairs=1, count=20))

    assert [row["pairs"] for row in rows] == [1, 1, 1]


@pytest.fixture(scope="module")
def thousand(tmp_path_factory):
    """A folder of a thousand pictures for the steps of the way to a million."""
    folder = tmp_path_factory.mktemp("thousand")
    scale.make_pictures(folder, 1000)
    scale.draw_thumbnails(folder / "thumbnails", 1000, 10)
    return folder


@pytest.mark.parametrize("step", scale.STEPS)
def test_step_of_the_way_to_a_million_runs(step, thousand, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["", str(thousand), "1000"])

    exec(scale.HEAD + scale.STEPS[step] + scale.TAIL, {})

    assert float(capsys.readouterr().out) > 0


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A folder in which `whole` is an undisturbed chain, which the benchmark has measured."""
    root = tmp_path_factory.mktemp("chains")
    paths = faults.make_paths(root / "whole")
    with plain_environment():
        benchmark.run_chain(paths, faults.SHORT)
    return root


LONG = {
    "scale": benchmark.SCALE_ARGUMENTS,
    "faults": [*faults.SMALL, "--anew"],
    "faults, spread": [*faults.SPREAD, "--cluster", "local:2"],
}


@pytest.mark.parametrize("arguments", LONG.values(), ids=LONG)
def test_long_chains_have_arguments_that_the_chain_takes(arguments):
    options = chain.parse_arguments(arguments)
    names = runner.choose_notebooks(options.only, False, workspace.read("demo"))
    parameters = chain.parse_parameters(options.parameter)

    values = chain.share_parameters(names, parameters, before={})

    assert values["04_resnet50_transfer"]["BACKBONE_OPTIONS"] == {"alpha": 0.25}


def test_kill_is_injected_and_survived(whole):
    assert faults.survive_kills(1, whole, faults.SHORT, most=3) == 1


def test_crowd_is_started_and_survived(whole):
    assert faults.survive_crowds(1, whole) == 1


def test_stop_is_sent_and_survived(tmp_path):
    assert faults.survive_stops(2, tmp_path, seconds=60) == 2


def test_chain_is_repeated_and_survived(tmp_path):
    assert faults.survive_repetition(1, tmp_path, faults.SHORT) == 1


def test_table_of_faults_is_printed(capsys):
    assert faults.main(["fuzz", "--count", "2"]) == 0

    assert capsys.readouterr().out.endswith("| 2 | 2 |\n")


def list_simulations():
    """List one job of each function that simulates, for each number of arguments."""
    chosen = {}
    for job in simulations.list_jobs(4):
        _, _, function, arguments = job
        chosen.setdefault((function.__name__, len(arguments)), job)
    return chosen


SIMULATED = list_simulations()


@pytest.mark.parametrize("job", SIMULATED.values(), ids=map(str, SIMULATED))
def test_simulation_gives_shares(job):
    shares = np.atleast_1d(simulations.simulate(job))

    assert ((shares >= 0) & (shares <= 1)).all()


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A folder of six pictures of each class of the demo."""
    folder = tmp_path_factory.mktemp("drawn")
    draw_demo.draw_train(folder, per_class=6)
    return folder / "train"


def test_altered_copies_are_counted(drawn, monkeypatch, capsys):
    monkeypatch.setattr(alike, "COUNT", 3)

    alike.main([str(drawn)])

    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(alike.ALTERATIONS) + len(alike.MORE)
    assert all(" of 3 found" in line for line in lines)


def test_pairs_that_are_called_copies_are_counted(drawn, tmp_path, capsys):
    pairs = pd.DataFrame({"file": ["Aves/aves_000.jpg"], "same": ["no"]})
    pairs["other"] = "Aves/aves_001.jpg"
    pairs.to_csv(tmp_path / "pairs.csv", index=False)

    alike.main([str(drawn), "--pairs", str(tmp_path / "pairs.csv")])

    assert "same: no: 0 of 1 are called copies" in capsys.readouterr().out


@pytest.fixture(scope="module")
def audited(drawn, tmp_path_factory):
    """The workspace of pictures with planted labels and copies, which 07 has audited by a small network."""
    folder = tmp_path_factory.mktemp("planted")
    planted.main(["plant", str(drawn), str(folder), "--labels", "0.1", "--copies", "2"])
    ws = make_workspace(folder)
    prepare_and_split(ws, [80])
    save_linear(ws)
    execute_lesson("07_label_audit", ws)
    return ws


def save_linear(ws):
    """Save a model on the demo's network whose head has learned nothing, as 05 does it."""
    network = backbones.load_backbone("sketches", None, None, {}, None)
    extractor = parts.build_extractor(network)
    model = add_head(extractor.input, extractor.output, LINEAR, len(CLASS_NAMES))
    save_described(ws, model, kind="linear", weights="sketches")


def test_planted_labels_and_copies_are_looked_for_in_the_tables_of_07(audited, capsys):
    planted.main(["measure", str(audited.train.parent), str(audited.results)])

    printed = capsys.readouterr().out
    assert "6 wrong labels of 66" in printed
    for kind in planted.KINDS:
        assert f"{kind}: " in printed


def test_labels_are_planted_in_kept_features(audited, capsys):
    paths = audited.results / "run_paths.json"

    planted.main(["repeat", str(paths), LINEAR, "--seeds", "1"])

    assert "20% planted, 13 labels, 1 seeds" in capsys.readouterr().out


def test_sketches_and_models_are_judged_by_fresh_drawings(audited, capsys):
    judge_sketches.judge(audited, [LINEAR], count=1)

    printed = capsys.readouterr().out
    assert f"{LINEAR}: " in printed
    assert printed.count("of 10 fresh drawings") == 2


def test_sketches_are_drawn_and_learned(eager, tmp_path):
    path = tmp_path / "sketches.keras"

    pretrain_sketches.train(path, count=6, per_kind=2, epochs=1)

    assert (
        backbones.load_backbone(str(path), None, None, {}, None).image_size
        == pretrain_sketches.SIDE
    )
