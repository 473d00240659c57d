"""08 and 10 on hostile names and untrained models, and the report that a real browser shows of it."""

import html
import json
import re
import shlex
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from conftest import execute_lesson, find_violations, open_page
from test_answers import SCRATCH, gather

from lib.base import workspace
from lib.base.workspace import read_table
from lib.data import pixels, split
from lib.evaluation import display, mistakes, report
from lib.evaluation.display import show_part
from lib.evaluation.wording import format_number
from lib.models import checkpoint, saved
from lib.models.record import read_record, update_record
from lib.models.temperature import apply_temperature

HOSTILE = "<img src=x onerror=alert(1)>"
CLASSES = [HOSTILE, "$x_1$ **b**"]
FILE = 'a,"b\n$\\frac.png'


def save_model(ws, name, weights):
    """Save a model that answers by the mean colour; `weights` are its last ones, (3, 2)."""
    layers = [
        keras.Input((16, 16, 3)),
        keras.layers.Rescaling(1 / 255),
        keras.layers.Conv2D(3, 1, use_bias=False),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(2, activation="softmax"),
    ]
    model = keras.Sequential(layers, name=name)
    same = np.eye(3).reshape(1, 1, 3, 3)
    model.set_weights([same, np.array(weights), np.zeros(2)])
    epoch = [1, 0.5, 0.7, 0.5, 0.7, 0.0]
    pictures = np.zeros((1, 16, 16, 3))
    rows = split.read_split(ws)
    record = saved.describe_model(
        model,
        ws,
        name=name,
        configuration=name,
        kind="network",
        notebook=name,
        class_names=sorted(set(rows.label)),
        split_hash=split.identify_set(rows),
        family=name,
        seed=0,
        seconds=0.0,
        parameters={"file": HOSTILE},
        characteristics=HOSTILE,
        purpose="a test",
        weights=SCRATCH,
    )
    saved.save(
        model,
        ws,
        record,
        pictures=pictures,
        y_prob=model.predict_on_batch(pictures),
        history=pd.DataFrame([epoch], columns=checkpoint.HISTORY_COLUMNS),
    )


@pytest.fixture(scope="module")
def judged(tmp_path_factory, draw_classes, prepare_set):
    """A workspace of two classes, one always recognised by one model only, and 08 run on it."""
    root = tmp_path_factory.mktemp("report")
    train = root / "train"
    draw_classes(train, 15, ["red", "007"], (16, 16))
    for name, drawn in zip(CLASSES, ["red", "007"]):
        (train / drawn).rename(train / name)
        (train / name / "014.png").rename(train / name / FILE)
    ws = workspace.Workspace(train, root / "results", root / "scratch")
    listed = prepare_set(ws, [16])
    # The file with the hostile name is a validation picture, so galleries show it.
    is_validation = listed.file.str.contains("a,|/00[0-4].png")
    listed["part"] = np.where(is_validation, "validation", "train")
    ws.save_table(listed[["file", "label", "part"]], "split.csv")
    # Classes are in the order of names: "$…" before "<…".
    save_model(ws, "wrong", [[9, -9], [0, 0], [-9, 9]])
    save_model(ws, "one_class", [[-9, 9], [-9, 9], [-9, 9]])
    without_looking = pd.DataFrame({"measured": ["all"], "accuracy": [0.3941]})
    ws.save_table(without_looking, "without_looking.csv")
    for name in ("08_evaluation", "10_hand_over"):
        execute_lesson(name, ws)
    return ws


@pytest.fixture(scope="module")
def scores(judged):
    return json.loads((judged.results / "metrics.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def text(judged):
    """The page."""
    return (judged.results / "report.html").read_text(encoding="utf-8")


def test_models_keep_the_temperature_of_their_scores(judged, scores):
    assert list(scores) == ["one_class", "wrong"]
    for name, score in scores.items():
        record = read_record(judged.results / f"models/{name}.json")
        assert record.temperature == score["temperature"]


def test_one_model_is_handed_over_with_a_card_whose_code_gives_its_predictions(
    judged, monkeypatch
):
    monkeypatch.chdir(judged.results / "models")
    (path,) = Path().glob("*.md")
    # The best.
    assert path.stem == "one_class"
    (code,) = re.findall("```python\n(.*?)```", path.read_text("utf-8"), re.S)
    table = read_table("../predictions/one_class.csv")
    validation = split.read_split(judged).query("part == 'validation'")
    pictures = pixels.open_pixels(judged, validation, 16)[np.arange(len(table))]
    space = {"pictures": pictures}

    exec(code, space)

    assert space["labels"] == list(table.predicted)
    scaled = space["scaled"] / space["scaled"].sum(axis=1, keepdims=True)
    y_prob = table[CLASSES[::-1]].to_numpy(float)
    record = read_record(judged.results / "models/one_class.json")
    expected = apply_temperature(y_prob, record.temperature)
    assert np.allclose(scaled, expected, atol=1e-4)
    assert record.answer_sets["coverage"] == 0.95


@pytest.mark.parametrize("name", ["models/one_class.md", "model.html"])
def test_what_is_handed_over_says_that_its_pictures_chose_it(judged, name):
    assert "flattered" in (judged.results / name).read_text(encoding="utf-8")


def test_report_says_of_no_model_that_the_page_of_another_answers_with_it(
    judged, tmp_path
):
    shutil.copytree(judged.results, tmp_path / "results")
    ws = replace(judged, results=tmp_path / "results")
    name = "tags_multilabel"
    save_model(ws, name, np.zeros((3, 2)))
    record = read_record(ws.results / f"models/{name}.json")
    limits = dict.fromkeys(CLASSES, 0.5)
    update_record(ws, record, thresholds=limits, lacks="no converter", split_hash="own")

    execute_lesson("10_hand_over", ws, MODEL=name)

    page = (ws.results / "report.html").read_text(encoding="utf-8")
    assert "<strong><bdi>one_class</bdi></strong> recognises" in page
    assert "Try it" not in page
    assert "it names its model" in page


def test_report_answers_first(text):
    title, heading = re.findall("<(?:title|h1)>([^<]*)", text)
    assert title == heading
    for count in ("2 image classifiers", "2 classes", "30 pictures"):
        assert count in title
    sections = re.findall('<h2 id="([^"]*)', text)
    assert sections[:3] == ["verdict", "next", "models"]
    assert text.index('class="plot"') < text.index('id="next"')


def test_report_figure_and_card_say_what_files_tell_without_looking(judged, text):
    (card,) = (judged.results / "models").glob("*.md")
    figure = judged.results / "figures/accuracy.svg"

    assert "Size, light and sharpness of the files alone: 0.394." in text
    words = "size, light and sharpness of the files alone 0.3941"
    assert words in card.read_text(encoding="utf-8")
    assert "size, light and sharpness alone" in figure.read_text(encoding="utf-8")


def test_pages_and_answer_of_another_split_are_known(judged, tmp_path):
    """The report links to no such model.html, and 00 and 10 read no such answer."""
    shutil.copytree(judged.results, tmp_path / "results")
    ws = replace(judged, results=tmp_path / "results")
    assert not display.is_stale(ws, "report.html")
    rows = read_table(ws.results / "split.csv")
    ws.save_table(rows[1:], "split.csv")

    assert display.is_stale(ws, "report.html")
    with pytest.raises(ValueError, match="answer.json is of an earlier split: run 08"):
        report.read_answer(ws)


def test_report_is_small_and_carries_names_only_as_text(text):
    assert len(text) < 2e6
    assert "<img src=x" not in text
    assert "&lt;img src=x" in text


def test_answer_is_kept_in_a_small_file_for_the_form_and_for_10(judged):
    answer = report.read_answer(judged)

    assert answer["model"] == answer["label"] == "one_class"
    assert answer["count"] == 2
    assert (judged.results / "answer.json").stat().st_size < 5000
    box = show_part("verdict", answer).data
    page = (judged.results / "report.html").read_text(encoding="utf-8")
    assert box in page


def describe(ws, predictions):
    """Return what the page says of predictions, with costs that don't matter."""
    comparison = pd.DataFrame({"model": predictions.labels})
    comparison = comparison.assign(file_megabytes=1.0, pictures_per_second=1.0)
    return report.gather_report(ws, predictions, comparison, {})


def test_equal_numbers_are_rounded_alike(prepared):
    # Of 20 pictures of each of four classes 9, 2, 1 and 3 are missed: 65 of 80 are 0.8125.
    y_true = np.repeat(np.arange(4), 20)
    is_missed = np.arange(80) % 20 < np.repeat([9, 2, 1, 3], 20)
    y_prob = np.eye(4)[(y_true + is_missed) % 4]

    page = describe(prepared, gather(y_true, {"cnn": y_prob}, "abcd"))

    shown = show_part("models", page).data
    top1, average = re.findall(r"<td>(0\.81\d)</td>", shown)
    assert top1 == average


def test_the_model_that_the_box_names_stands_first_and_orders_the_classes(prepared):
    y_true = np.arange(90) % 3
    good = np.eye(3)[y_true]
    good[y_true == 2] = [0.6, 0.3, 0.1]
    bad = np.tile([0.1, 0.2, 0.7], (90, 1))

    page = describe(prepared, gather(y_true, {"bad": bad, "good": good}))

    assert page["best_first"] == ["good", "bad"]
    assert page["worst_first"] == ["c", "a", "b"]
    shown = show_part("classes", page).data
    assert shown.index(">c<") < shown.index(">a<")


def read_box(ws):
    page = describe(ws, gather(FOUR, {"cnn": RIGHT}, "ab"))
    return html.unescape(show_part("verdict", page["answer"]).data)


def test_box_says_how_many_series_lie_in_both_parts(ws, draw_classes, prepare_set):
    draw_classes(ws.train, 12)
    for path in ws.train.glob("*/*.png"):
        film, frame = divmod(int(path.stem), 4)
        path.rename(path.with_name(f"film{film}_{frame}.png"))
    listed = prepare_set(ws)
    parts = listed.groupby(listed.file.str.rpartition("_")[0]).part.nunique()

    box = read_box(ws)

    assert f"by name: {(parts == 2).sum()} of 9, as " in box
    assert "GROUP_BY" in box


@pytest.mark.parametrize(("right", "needed"), [(10, 390), (20, 0)])
def test_a_wide_interval_asks_for_pictures_first(prepared, right, needed):
    every = np.arange(20)
    y_true = every % 2
    y_pred = np.where(every < right, y_true, 1 - y_true)

    page = describe(prepared, gather(y_true, {"cnn": np.eye(2)[y_pred]}, "ab"))

    # Wilson's interval of a half: n + z² = z² / (4 · 0.05²), so n = 380.3.
    assert page["answer"]["limit"] == ("pictures" if needed else "")
    assert page["answer"]["pictures_needed"] == needed or not needed
    steps = show_part("steps", page["answer"]).data
    first = steps.index("<li>")
    assert ("± 5 points" in steps[first : first + 150]) == bool(needed)


def test_no_pictures_are_asked_for_where_trainings_or_groups_limit(prepared):
    y_true = np.arange(20_000) % 2
    models = {}
    for name, share in (("cnn", 0.85), ("cnn@43", 0.9)):
        y_pred = np.where(np.arange(20_000) < share * 20_000, y_true, 1 - y_true)
        models[name] = np.eye(2)[y_pred]

    seeds = describe(prepared, gather(y_true, models, "ab"))
    group = np.maximum(np.arange(20_000) - 12_000, 0)
    one = gather(y_true, {"cnn": models["cnn"]}, "ab", group)
    groups = describe(prepared, one)

    assert seeds["answer"]["limit"] == "seeds"
    assert "differ more" in show_part("steps", seeds["answer"]).data
    assert groups["answer"]["limit"] == "groups"
    assert "count as 3" in show_part("steps", groups["answer"]).data


def test_models_stand_beside_the_number_of_corrected_validation_labels(prepared):
    table = split.read_split(prepared)
    validation = table[table.part == "validation"]
    checks = read_table(prepared.results / "checks.csv")
    files = [*validation.file[:2], table.file[table.part == "train"].iloc[0]]
    corrected = pd.DataFrame({"file": files, "problem": "blurred;corrected"})
    y_true = np.arange(len(validation)) % 2
    predictions = gather(y_true, {"cnn": np.eye(2)[y_true]}, "ab")
    predictions.files = validation.file.to_numpy()

    prepared.save_table(pd.concat([checks, corrected]), "checks.csv")
    page = describe(prepared, predictions)

    shown = show_part("models", page).data
    assert "Labels corrected by hand: those of 2 of these pictures." in shown


# Two pictures of each class, and answers to them.
FOUR = np.array([0, 0, 1, 1])
RIGHT = np.eye(2)[FOUR]
WRONG = 1 - RIGHT


def test_commands_are_those_of_make_and_files_are_links_on_the_page_alone(prepared):
    page = describe(prepared, gather(FOUR, {"cnn": WRONG, "wide": WRONG}, "ab"))

    steps = show_part("steps", page["answer"]).data
    linked = show_part("steps", page["answer"], linked=True).data

    command = f"{MAKE} BEYOND=1 ARGUMENTS=--as-before"
    assert f"<code>{command}</code>" in html.unescape(steps)
    assert "<a" not in steps
    assert '<a href="suspects.csv">' in linked


@pytest.mark.parametrize(("count", "is_established"), [(24, False), (400, True)])
def test_a_temperature_that_is_not_established_is_no_number(
    prepared, count, is_established
):
    # It says 0.9 and is right in about 0.7 of cases.
    y_true = np.arange(count) % 2
    is_right = np.arange(count) // 2 % 10 < 7
    y_prob = np.where(np.eye(2)[np.where(is_right, y_true, 1 - y_true)] == 1, 0.9, 0.1)

    page = describe(prepared, gather(y_true, {"cnn": y_prob}, "ab"))

    shown = show_part("calibration", page).data
    assert "too sure by about" in shown
    assert ("not established" in shown) != is_established
    assert "<td>1.00</td>" not in shown


def test_each_calibration_error_says_of_which_pictures_it_is(tables):
    assert tables["calibration"][0][3:] == ["ECE before, of half", "ECE after, of half"]
    assert "ECE, of all" in tables["further scores"][0]


def test_kinds_of_mistakes_have_the_pictures_that_the_model_was_surest_of(
    monkeypatch,
):
    monkeypatch.setattr(mistakes, "MAX_OF_KIND", 2)
    # Three of "a" are taken for "b", and two of "b" for "a".
    sure = np.array([0.8, 0.9, 0.7, 0.4, 0.4])
    y_prob = np.stack([1 - sure, sure], axis=1)
    mistaken = gather([0, 0, 0, 1, 1], {"cnn": y_prob}, "ab")

    first, second = mistakes.find_mistakes(mistaken, mistaken.labels)["cnn"]

    surest = [(1, "1.png"), (0, "0.png")]
    assert first == {"true": 0, "predicted": 1, "pictures": 3, "shown": surest}
    assert len(second["shown"]) == 2


def read_page(ws, predictions):
    """Write the report of predictions, and return its HTML."""
    models = {}
    for label, record in predictions.models.items():
        models[label] = replace(
            record, seconds=1.0, parameters_total=1, parameters_trainable=1
        )
    predictions.models = models
    path = report.write_report(ws, describe(ws, predictions))
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize(("page", "links"), [("of other classes", 0), (None, 1)])
def test_page_of_another_set_is_not_linked(prepared, page, links):
    if page is not None:
        prepared.file("model.html").write_text(page)

    shown = read_page(prepared, gather(FOUR, {"cnn": RIGHT}, "ab"))

    assert shown.count('href="model.html"') == links


def test_a_kind_of_mistake_says_how_many_of_its_pictures_are_shown(
    prepared, monkeypatch
):
    monkeypatch.setattr(mistakes, "MAX_OF_KIND", 2)
    y_prob = np.eye(2)[[1, 1, 1, 0, 1, 1]]
    predictions = gather([0, 0, 0, 0, 1, 1], {"cnn": y_prob}, "ab")

    page = read_page(prepared, predictions)

    assert "a taken for b (3), the surest 2" in re.sub("<.*?>", "", page)


@pytest.mark.parametrize(("classes", "is_listed"), [(40, False), (41, True)])
def test_above_forty_classes_mistakes_are_listed_in_place_of_a_matrix(
    prepared, classes, is_listed
):
    y_true = np.arange(2 * classes) % classes
    y_pred = np.where(y_true == 7, 30, y_true)
    names = [f"c{number:02}" for number in range(classes)]
    predictions = gather(y_true, {"cnn": np.eye(classes)[y_pred]}, names)

    page = read_page(prepared, predictions)

    assert ("Table: confusion matrix" not in page) == is_listed
    assert "<bdi>c07</bdi> taken for <bdi>c30</bdi> (2)" in page


@pytest.fixture
def tables(text):
    """The tables of the page by their names: a row of heads, and rows of texts."""
    found = {}
    kind = r'aria-label="Table: (.*?)">\s*<table.*?>(.*?)</table>'
    for name, table in re.findall(kind, text, re.S):
        found[name] = []
        for row in re.findall("<tr>(.*?)</tr>", table, re.S):
            cells = re.findall("<t[hd].*?>(.*?)</t[hd]>", row, re.S)
            found[name].append([re.sub("<.*?>", "", cell) for cell in cells])
    return found


def test_tables_have_the_numbers_of_both_models(judged, tables):
    # Of 12 pictures, 6 of each class, one model recognises one class and the other none.
    models = tables["the models"]
    assert [row[:5] for row in models[1:]] == [
        ["one_class", "0.500", "6 of 12", "0.254 to 0.746", "0.500"],
        ["wrong", "0.000", "0 of 12", "0.000 to 0.242", "0.000"],
    ]
    assert models[0][5:] == ["MB"]
    costs = read_table(judged.results / "comparison.csv").astype(
        {"file_megabytes": float}
    )
    megabytes = [format_number(size, 1) for size in costs.file_megabytes]
    assert [row[5] for row in models[1:]] == megabytes
    assert tables["classes"][1:] == [
        [CLASSES[1], "6", "0.000", "0.000 to 0.390", "0.000", "0.000"],
        [html.escape(HOSTILE), "6", "1.000", "0.610 to 1.000", "0.500", "0.667"],
    ]
    matrix = [row[1:] for row in tables["confusion matrix of one_class"][1:]]
    assert matrix == [["", "6"], ["", "6"]]
    ((_, other, difference, *_, established),) = tables["pairs of models"][1:]
    assert (other, difference, established) == ("wrong", "0.500", "yes")


def test_further_scores_are_those_of_metrics_json(tables, scores):
    keys = "average_per_class top3 macro_f1 roc_auc ece brier nll"
    expected = []
    for label in ("one_class", "wrong"):
        numbers = [format_number(scores[label][key]) for key in keys.split()]
        expected.append([label, *numbers])

    assert tables["further scores"][1:] == expected


@pytest.fixture
def audited(prepared):
    """A workspace with doubts about a picture of the split, and about one that isn't there."""
    rows = split.read_split(prepared)[["file", "label"]].head(3)
    audit = rows.assign(suggested=rows.label, finding=["label?; copy?", "", "label?"])
    audit.loc[0, "suggested"] = "another class"
    audit.loc[2, "file"] = "of another set.png"
    prepared.save_table(audit, "label_audit.csv")
    return prepared


MAKE = "make run PATHS=drive_paths.json"


def test_facts_are_those_of_the_answers_where_nothing_else_was_run(prepared):
    answers = gather(FOUR, {"cnn": WRONG, "cnn@43": RIGHT}, "ab")

    assert report.find_facts(prepared, answers) == {
        "demo": False,
        "beyond": f"{MAKE} BEYOND=1 ARGUMENTS=--as-before",
        "seeds": f"{MAKE} ARGUMENTS='--seeds 5 --as-before'",
        "audit": f"{MAKE} ARGUMENTS='--only 7 8 --as-before'",
        "hand_over": f"{MAKE} ARGUMENTS='--only 10 --as-before'",
        "is_quick": False,
        "suspects": 0,
        "doubtful": 0,
        "corrected": 0,
        "contest": False,
        "rise": {},
        "runs": 2,
        "series": "",
    }


# Doubts of random features are no one's next step.
@pytest.mark.parametrize(("name", "count"), [("cnn", 1), ("cnn?", 0)])
def test_doubtful_labels_of_this_split_are_counted(audited, name, count):
    answers = gather(FOUR, {name: RIGHT}, "ab")

    assert report.find_facts(audited, answers)["doubtful"] == count


def test_doubts_of_a_classifier_that_is_mostly_wrong_are_no_next_step(audited):
    audit = read_table(audited.results / "label_audit.csv")
    audited.save_table(audit.assign(suggested="another class"), "label_audit.csv")
    answers = gather(FOUR, {"cnn": RIGHT}, "ab")

    assert report.find_facts(audited, answers)["doubtful"] == 0


def test_doubts_about_other_contents_are_counted_in_a_note(audited, capsys):
    audit = read_table(audited.results / "label_audit.csv")
    audited.save_table(audit.assign(digest="of another one"), "label_audit.csv")

    found = report.find_facts(audited, gather(FOUR, {"cnn": RIGHT}, "ab"))

    assert found["doubtful"] == 0
    assert "Note: label_audit.csv" in capsys.readouterr().out


def read_make(command):
    """Return the options of the chain that make would run by a command."""
    plan = [*shlex.split(command), "--dry-run", "--no-print-directory"]
    lines = subprocess.check_output(plan, cwd=workspace.REPOSITORY, text=True)
    return shlex.split(lines.partition("lib.chain ")[2].splitlines()[0])


def test_next_commands_are_options_of_the_chain(prepared):
    found = report.find_facts(prepared, gather(FOUR, {"cnn": RIGHT}, "ab"))

    paths = ["--paths", "drive_paths.json"]
    before = "--as-before"
    assert read_make(found["beyond"]) == ["--beyond", *paths, before]
    assert read_make(found["seeds"]) == [*paths, "--seeds", "5", before]
    assert read_make(found["audit"]) == [*paths, "--only", "7", "8", before]
    assert read_make(found["hand_over"]) == [*paths, "--only", "10", before]


@pytest.mark.parametrize(("names", "is_told"), [("x_linear", True), ("cnn", False)])
def test_after_the_quick_way_audit_and_hand_over_are_next(prepared, names, is_told):
    answers = gather(FOUR, {names: RIGHT}, "ab")

    shown = read_page(prepared, answers)

    for option in ("--only 7 8", "--only 10"):
        assert (option in shown) == is_told


def test_after_the_audit_none_is_next(audited):
    answers = gather(FOUR, {"x_linear": RIGHT}, "ab")

    assert "--only 7 8" not in read_page(audited, answers)


def test_labels_that_a_person_has_decided_are_not_doubtful(audited):
    file = split.read_split(audited).file[0]
    decided = audited.results / "decided.csv"
    decided.write_text(f"file,label\n{file},\n")
    known = replace(audited, corrections=decided)

    found = report.find_facts(known, gather(FOUR, {"cnn": RIGHT}, "ab"))

    assert found["doubtful"] == 0


@pytest.mark.parametrize(("of_set", "is_told"), [("0081", True), ("another", False)])
def test_a_rising_learning_curve_of_this_set_is_told(
    prepared, monkeypatch, of_set, is_told
):
    # A digest may have digits alone; it is no number for that.
    monkeypatch.setattr(report, "identify_set", lambda rows: "0081")
    half = {
        "share": 0.5,
        "pictures": 2,
        "set": of_set,
        "difference": -0.2,
        "difference_low": -0.3,
        "difference_high": -0.1,
        "p_value": 0.001,
    }
    whole = {"share": 1.0, "pictures": 4, "set": of_set}
    prepared.save_table(pd.DataFrame([half, whole]), "pictures_needed.csv")

    found = report.find_facts(prepared, gather(FOUR, {"cnn": RIGHT}, "ab"))

    assert bool(found["rise"]) == is_told


WIDE = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
RIGHTS = "all => all.map(one => one.getBoundingClientRect().right)"


@pytest.fixture
def opened(judged, browser):
    """The report on a desk."""
    with open_page(browser, judged.results / "report.html", viewport=WIDE) as page:
        yield page


@pytest.mark.parametrize("screen", [WIDE, PHONE])
def test_report_fits_its_screen(opened, screen):
    opened.set_viewport_size(screen)
    width = screen["width"]

    assert opened.evaluate("document.documentElement.scrollWidth") == width
    overflow = """[...document.querySelectorAll("table, img, td div")].filter(part => {
        const box = part.closest(".scroll") || document.body;
        return part.getBoundingClientRect().right > innerWidth
            && getComputedStyle(box).overflowX != "auto"; }).length"""
    assert opened.evaluate(overflow) == 0
    # The scores are seen without scrolling.
    scores = opened.locator("#models ~ .scroll").first
    assert scores.evaluate("box => box.scrollWidth <= box.clientWidth")
    assert max(opened.locator(".plot").evaluate_all(RIGHTS)) < width


BOXES = """all => all.map(one => one.getBoundingClientRect()).map(
    ({left, right, top, bottom}) => ({left, right, top, bottom}))"""


def test_box_figure_and_next_steps_fill_the_width(opened):
    (box,) = opened.locator(".answer").evaluate_all(BOXES)
    verdict, steps = opened.locator(".answer > section").evaluate_all(BOXES)
    (figure,) = opened.locator(".answer > .scroll").evaluate_all(BOXES)

    assert verdict["left"] == steps["left"]
    assert verdict["bottom"] <= steps["top"]
    assert figure["left"] >= verdict["right"]
    assert figure["top"] < steps["top"]
    assert box["right"] - figure["right"] < 40


def test_the_chosen_model_is_open_and_one_fold_has_the_others(opened):
    (fold,) = opened.locator("details").all()

    assert opened.locator("details[open]").count() == 0
    # The only other model made mistakes, too.
    for part in ("#others", "#evidence", ".matrix"):
        assert fold.locator(part).count() == 1
    for name in opened.locator("nav a").all():
        assert opened.locator(name.get_attribute("href")).is_visible()


def test_a_table_that_scrolls_shows_that_it_does(opened):
    opened.set_viewport_size(PHONE)

    style = "box => getComputedStyle(box).backgroundAttachment"
    shadows = opened.locator("#pairs ~ .scroll").first.evaluate(style)

    assert set(shadows.split(", ")) == {"local", "scroll"}


def test_a_click_on_a_matrix_shows_the_pictures_of_the_cell(opened):
    opened.locator(".matrix a").first.click()

    shown = opened.locator(".kind:visible li i")
    styles = "all => all.map(one => getComputedStyle(one).backgroundImage)"
    images = shown.evaluate_all(styles)
    assert [image[:9] for image in images] == ['url("data'] * 6


@pytest.mark.parametrize("screen", [WIDE, PHONE])
def test_report_serves_everybody(opened, screen):
    opened.set_viewport_size(screen)
    assert find_violations(opened) == ""
