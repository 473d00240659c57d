"""08 and 10 on hostile names and untrained models, and the report that a real browser shows of it."""

import contextlib
import html
import io
import re
import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from conftest import (
    copy_results,
    draw_classes,
    execute_lesson,
    find_violations,
    make_workspace,
    open_page,
    plan_make,
    prepare_and_split,
)
from PIL import Image
from test_predictions import SCRATCH, gather

from lib.base.paths_file import read_json
from lib.base.workspace import read_table, write_table
from lib.data import pixels, split
from lib.data.pictures import hash_content
from lib.evaluation import report
from lib.evaluation.display import show_part
from lib.evaluation.metrics import share_interval
from lib.evaluation.wording import format_bounds
from lib.models import saved
from lib.models.record import Found, Rise, read_record, write_found
from lib.models.temperature import apply_temperature

HOSTILE = "<img src=x onerror=alert(1)>"
CLASSES = [HOSTILE, "$x_1$ **b**"]
FILE = 'a,"b\n$\\frac.png'


def save_described(ws, model, **facts):
    """Save a model of the classes of a workspace, as a lesson does."""
    rows = split.read_split(ws)
    record = saved.describe_model(
        model,
        class_names=sorted(set(rows.label)),
        split_hash=split.identify_set(rows),
        family=model.name,
        **facts,
    )
    pictures = np.zeros((1, *model.input_shape[1:]))
    y_prob = model.predict_on_batch(pictures)
    saved.save(model, ws, record, pictures=pictures, y_prob=y_prob)


def save_model(ws, name, weights, **parameters):
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
    save_described(
        ws,
        model,
        kind="scratch",
        seed=0,
        seconds=0.0,
        parameters={"file": HOSTILE} | parameters,
        characteristics=HOSTILE,
        purpose="a test",
        weights=SCRATCH,
    )


def draw_test(ws):
    """Draw ten pictures for a test: a known one, seven more with labels, and two without.

    The next two have one group, the fourth has that of the known one, and the last two whose class
    is one of the model's look alike.
    """
    drawn = ws.test.parent / "drawn"
    draw_classes(drawn, 5, ["red", "007"], (16, 16), seed=1)
    red = sorted(drawn.glob("red/*"))
    blue = sorted(drawn.glob("007/*"))
    red[0] = ws.train / CLASSES[0] / "005.png"
    ws.test.mkdir()
    for number, path in enumerate(red[:4] + blue[:3] + red[4:] + blue[3:]):
        shutil.copyfile(path, ws.test / f"{number}.png")
    brighter = np.asarray(Image.open(blue[1])) // 2 + 128
    Image.fromarray(brighter).save(ws.test / "6.png")
    labels = CLASSES[:1] * 4 + CLASSES[1:] * 3 + ["another species"]
    rows = pd.DataFrame({"file": range(8), "label": labels, "group": ""})
    rows.loc[[1, 2], "group"] = "one animal"
    rows.loc[[0, 3], "group"] = "another one"
    write_table(rows, ws.test_labels)


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A workspace of two classes, one always recognised by one model only, and what 08 printed on it."""
    root = tmp_path_factory.mktemp("report")
    train = root / "train"
    draw_classes(train, 15, ["red", "007"], (16, 16))
    for name, drawn in zip(CLASSES, ["red", "007"]):
        (train / drawn).rename(train / name)
        (train / name / "014.png").rename(train / name / FILE)
    ws = make_workspace(
        root,
        test=root / "test",
        test_labels=root / "labels.csv",
        parents=root / "parents.csv",
    )
    parents = pd.DataFrame({"class": CLASSES, "parent": ["<b>", "<b>"]})
    write_table(parents, ws.parents)
    draw_test(ws)
    listed = prepare_and_split(ws, [16])
    # The file with the hostile name is a validation picture, so galleries show it.
    is_validation = listed.file.str.contains("a,|/00[0-4].png")
    listed["part"] = np.where(is_validation, "validation", "train")
    ws.save_table(listed[["file", "label", "part"]], "split.csv")
    # Classes are in the order of names: "$…" before "<…".
    save_model(ws, "wrong", [[9, -9], [0, 0], [-9, 9]], class_weights="balanced")
    save_model(ws, "one_class", [[-9, 9], [-9, 9], [-9, 9]])
    validated = listed[is_validation][["file", "label"]]
    without_looking = validated.assign(predicted=CLASSES[0])
    ws.save_table(without_looking, "without_looking_answers.csv")
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        execute_lesson("08_evaluation", ws)
    execute_lesson("10_hand_over", ws)
    return ws, printed.getvalue()


@pytest.fixture(scope="module")
def judged(ran):
    return ran[0]


@pytest.fixture(scope="module")
def text(judged):
    """The page."""
    return (judged.results / "report.html").read_text(encoding="utf-8")


def test_one_model_is_handed_over_with_a_card_whose_code_gives_its_predictions(
    judged, monkeypatch
):
    monkeypatch.chdir(judged.results / "models")
    (path,) = Path().glob("*.md")
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


def test_a_note_names_models_that_were_trained_with_class_weights(ran):
    named = re.findall("^Note: class weights in (.*):", ran[1], re.M)
    assert named == ["wrong"]


def test_what_is_handed_over_says_that_its_pictures_chose_it(judged):
    for name in ("models/one_class.md", "model.html"):
        assert "flattered" in (judged.results / name).read_text(encoding="utf-8")


def test_box_page_card_report_and_submission_are_of_one_model(judged, text, tmp_path):
    box = report.read_answer(judged)

    assert box.model == "one_class"
    assert '<a href="model.html">' in text
    record = read_record(judged.results / "models/one_class.json")
    page = (judged.results / "model.html").read_text(encoding="utf-8")
    assert f'name="model" content="{record.file_hash}"' in page
    assert [path.stem for path in judged.results.glob("models/*.md")] == [box.model]
    # One training of another model was the luckiest of five.
    ws = copy_results(judged, tmp_path)
    scores = read_json(ws.results / "metrics.json")
    scores["wrong"]["top1"] = 1.0
    ws.save_json(scores, "metrics.json")
    execute_lesson("09_random_images", ws, SUBMISSION=True)
    submission = read_table(ws.results / "submission.csv")
    assert set(submission.label) == {HOSTILE}


def test_a_page_of_another_model_goes_when_the_report_is_written(prepared, capsys):
    page = prepared.file("model.html")
    page.write_text('<meta name="model" content="0123">')

    write_page(prepared, FOUR, cnn=RIGHT)

    assert not page.exists()
    assert "10_hand_over makes that of this one" in capsys.readouterr().out


def test_test_pictures_are_judged_once_by_the_model_of_the_box(ran, text):
    ws, printed = ran

    judged = read_json(ws.results / "test_metrics.json")

    # It calls everything by the name of the red ones.
    assert judged["model"] == "one_class"
    assert judged["known"] == 2
    assert judged["n"] == 5
    assert judged["top1"] == pytest.approx(2 / 5)
    expected = share_interval([1, 1, 0, 0, 0], [0, 0, 1, 2, 2])
    assert judged["top1_interval"] == pytest.approx(expected)
    assert judged["per_class"] == {HOSTILE: 1, CLASSES[1]: 0}
    assert judged["strangers"] is None
    answers = read_table(ws.results / "test_predictions.csv")
    assert list(answers.columns) == ["file", "label", "predicted", *CLASSES[::-1]]
    # That of another species, too, and no picture without a label.
    assert list(answers.file) == [f"{number}.png" for number in range(8)]
    unscored = "2 pictures in groups with training or validation pictures"
    assert f"Note: not scored: {unscored}, such as 0.png" in printed
    for page in (text, (ws.results / "models/one_class.md").read_text("utf-8")):
        said = page.replace("\xa0", " ").replace("</strong>", "")
        bounds = format_bounds(*expected).replace("\xa0", " ")
        score = f"40 % right ({bounds}), 2 of 5; not scored: {unscored}"
        assert f"chose nothing: {score}" in said


def test_parents_of_the_paths_file_are_scored_and_kept_beside_the_model(judged, text):
    record = read_record(judged.results / "models/wrong.json")

    assert record.parents == dict.fromkeys(CLASSES, "<b>")
    card = (judged.results / "models/one_class.md").read_text("utf-8")
    said = "; 6 of 6 mistakes stay within one parent, where any other class would by chance for 6.0."
    assert said in text
    assert said in card


def test_report_answers_first(text):
    title = "2 image classifiers for 2 classes, from 30 pictures"
    assert re.findall("<(?:title|h1)>([^<]*)", text) == [title, title]
    sections = re.findall('<h2 id="([^"]*)', text)
    assert sections[:3] == ["verdict", "next", "models"]
    assert text.index('class="tile first"') < text.index('id="verdict"')


def test_report_figure_and_card_say_what_files_tell_without_looking(judged):
    words = {
        "report.html": "size, light and sharpness of the files alone: 50&#160;%",
        "models/one_class.md": "size, light and sharpness of the files alone 0.5000",
        "figures/accuracy.html": "size, light and sharpness of the files alone",
    }
    for name, said in words.items():
        assert said in (judged.results / name).read_text(encoding="utf-8")


def test_answer_of_another_split_is_known(judged, tmp_path):
    ws = copy_results(judged, tmp_path)
    rows = read_table(ws.results / "split.csv")
    ws.save_table(rows[1:], "split.csv")

    with pytest.raises(ValueError, match="answer.json is of an earlier split: run 08"):
        report.read_answer(ws)


def test_report_carries_names_only_as_text(text):
    assert "<img src=x" not in text
    assert "&lt;img src=x" in text


def test_answer_is_kept_in_a_small_file_for_the_form_and_for_10(judged, text):
    answer = report.read_answer(judged)

    assert answer.model == answer.label == "one_class"
    assert (judged.results / "answer.json").stat().st_size < 5000
    assert show_part("verdict", answer).data in text


# Two pictures of each class, and answers to them.
FOUR = np.array([0, 0, 1, 1])
RIGHT = np.eye(2)[FOUR]
WRONG = 1 - RIGHT


@pytest.fixture
def prepared(prepared):
    """A workspace in which size, light and sharpness recognise no picture."""
    files = [f"{k}.png" for k in range(400)]
    answers = pd.DataFrame({"file": files, "label": "a", "predicted": ""})
    prepared.save_table(answers, "without_looking_answers.csv")
    return prepared


def describe(ws, y_true, class_names="ab", groups=None, **y_prob):
    """Return what the page says of the answers of some models, with costs that don't matter."""
    predictions = gather(y_true, y_prob, class_names, groups)
    comparison = pd.DataFrame({"model": predictions.labels})
    comparison = comparison.assign(file_megabytes=1.0, pictures_per_second=1.0)
    return report.gather_report(ws, predictions, comparison)


def describe_four(ws, name="cnn", **facts):
    """Return the answer of one model, right on four pictures, of which the record has these facts."""
    predictions = gather(FOUR, {name: RIGHT}, "ab")
    for label, record in predictions.models.items():
        predictions.models[label] = replace(record, **facts)
    return report.describe_answer(ws, predictions)


def read(part, value, **options):
    return html.unescape(show_part(part, value, **options).data)


def test_models_stand_beside_the_number_of_corrected_validation_labels(prepared):
    files = ["0.png", "3.png", "of_training.png"]
    corrected = pd.DataFrame({"file": files, "problem": "blurred;corrected"})
    prepared.save_table(corrected, "checks.csv")

    shown = read("models", describe(prepared, FOUR, cnn=RIGHT))

    assert "Labels corrected by hand: 2 pictures of these." in shown


def test_files_are_links_on_the_page_alone_and_where_there_are_such(prepared):
    y_prob = {"cnn": WRONG, "wide": WRONG}
    shown = read("steps", describe(prepared, FOUR, **y_prob).answer)
    without = write_page(prepared, FOUR, **y_prob)
    prepared.save_table(pd.DataFrame(), "suspects.csv")
    page = write_page(prepared, FOUR, **y_prob)

    assert "suspects.csv" in shown
    link = '<a href="suspects.csv">'
    assert link in page
    assert link not in without
    assert link not in shown


@pytest.mark.parametrize(("count", "is_established"), [(24, False), (400, True)])
def test_a_temperature_that_is_not_established_is_no_number(
    prepared, count, is_established
):
    # It says 0.9 and is right in about 0.7 of cases.
    y_true = np.arange(count) % 2
    is_right = np.arange(count) // 2 % 10 < 7
    y_prob = 0.1 + 0.8 * np.eye(2)[np.where(is_right, y_true, 1 - y_true)]

    shown = read("calibration", describe(prepared, y_true, cnn=y_prob))

    assert ("not established" in shown) != is_established
    assert "<td>1.00</td>" not in shown


def draw_page(ws, *answers, **y_prob):
    """Describe some answers to black pictures, which are drawn and become the split."""
    page = describe(ws, *answers, **y_prob)
    rows = pd.DataFrame({"file": page.predictions.files})
    paths = [ws.train / file for file in rows.file]
    for path in paths:
        Image.new("RGB", (8, 8)).save(path)
    digest = hash_content(paths[0].read_bytes())
    ws.save_table(rows.assign(label="a", part="validation"), "split.csv")
    ws.save_table(rows.assign(digest=digest, group=0, taken=""), "pictures.csv")
    models = page.predictions.models
    for label, record in models.items():
        models[label] = replace(
            record, seconds=1.0, parameters_total=1, parameters_trainable=1
        )
    return page


def write_page(ws, *answers, **y_prob):
    """Write the report of some answers to black pictures, and return its HTML."""
    page = draw_page(ws, *answers, **y_prob)
    return report.write_report(ws, page).read_text(encoding="utf-8")


def test_report_shows_no_picture_that_has_changed_since_01(prepared):
    page = draw_page(prepared, FOUR, cnn=WRONG)
    Image.new("RGB", (9, 8)).save(prepared.train / "2.png")

    with pytest.raises(OSError, match="2.png.*run 01_data_prep again"):
        report.write_report(prepared, page)


@pytest.mark.parametrize(
    "lesson", ["08_evaluation", "09_random_images", "10_hand_over"]
)
@pytest.mark.parametrize("is_gone", [False, True])
def test_what_has_changed_since_01_is_not_shown_beside_earlier_answers(
    judged, tmp_path, lesson, is_gone
):
    ws = copy_results(judged, tmp_path)
    train = tmp_path / "train"
    shutil.copytree(judged.train, train)
    for path in list(train.glob("*/*")):
        replaced = path.with_name(f"new_{path.name}") if is_gone else path
        path.rename(replaced)
        shutil.copyfile(judged.test / "1.png", replaced)
    changed = replace(ws, train=train, test=None, test_labels=None)

    with pytest.raises(OSError, match="png.* run 01_data_prep again"):
        execute_lesson(lesson, changed)


def test_report_names_an_archive_without_the_key_of_its_address(prepared):
    ws = replace(prepared, train="https://example.org/flowers.zip?key=a/secret")

    page = describe(ws, FOUR, cnn=RIGHT)

    assert page.name == "flowers.zip"


def test_kinds_of_mistakes_have_the_pictures_that_the_model_was_surest_of():
    # Eight of "a" are taken for "b", and two of "b" for "a".
    y_true = np.repeat([0, 1], [8, 2])
    sure = np.array([0.8, 0.9, 0.7, 0.6, 0.6, 0.6, 0.6, 0.6, 0.4, 0.4])
    y_prob = np.stack([1 - sure, sure], axis=1)

    kinds = gather(y_true, {"cnn": y_prob}, "ab").sort_mistakes("cnn")

    assert list(kinds) == [("a", "b"), ("b", "a")]
    assert kinds["a", "b"][:3] == ["1.png", "0.png", "2.png"]


def test_tiles_say_where_they_are_of_the_first_of_several_trainings(prepared):
    y_true = np.repeat([0, 1], 20)
    y_prob = np.eye(2)[np.where(np.arange(40) < 10, 1, y_true)]

    thrice = dict.fromkeys(["cnn", "cnn@7", "cnn@8"], y_prob)
    tiles = read("tiles", describe(prepared, y_true, **thrice))

    assert "mean of 3 trainings" in tiles
    assert "weakest class, 10 of 20 (first training)" in tiles


def test_matrix_shows_classes_of_one_parent_beside_one_another(prepared):
    y_true = np.arange(9) % 3
    page = describe(prepared, y_true, "abc", cnn=np.eye(3)[y_true])
    record = page.predictions.models["cnn"]
    page.predictions.models["cnn"] = replace(record, parents={"a": "x", "c": "x"})

    shown = read("matrix", page)

    names = re.findall('scope="row(?:group" colspan="4)?"><bdi>(.)', shown)
    assert names == ["b", "x", "a", "c"]
    assert shown.count("data-parent") == 4


def test_above_forty_classes_mistakes_are_listed_in_place_of_a_matrix(prepared):
    y_true = np.arange(82) % 41
    y_prob = np.eye(41)[np.where(y_true == 7, 30, y_true)]
    names = [f"c{number:02}" for number in range(41)]

    page = write_page(prepared, y_true, names, cnn=y_prob)

    assert "Table: confusion matrix" not in page
    assert "<bdi>c30</bdi> → <bdi>c07</bdi> (2)" in page


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


def test_tables_have_the_numbers_of_both_models(tables):
    # Of 12 pictures, 6 of each class, one model recognises one class and the other none.
    models = tables["the models"]
    assert [row[:5] for row in models[1:]] == [
        ["one_class", "0.500", "6 of 12", "0.254 to 0.746", "0.500"],
        ["wrong", "0.000", "0 of 12", "0.000 to 0.242", "0.000"],
    ]
    assert tables["classes"][1:] == [
        [CLASSES[1], "6", "0.000", "0.000 to 0.390", "0.000", "0.000"],
        [html.escape(HOSTILE), "6", "1.000", "0.610 to 1.000", "0.500", "0.667"],
    ]
    matrix = [row[1:] for row in tables["confusion matrix"][1:]]
    assert matrix == [["", "6"], ["", "6"]]


def test_answers_from_some_probabilities_on_are_counted(prepared):
    sure = np.array([0.99, 0.96, 0.92, 0.85, 0.6])
    y_prob = np.stack([sure, 1 - sure], axis=1)

    page = describe(prepared, [0, 0, 1, 0, 1], cnn=y_prob)

    cells = re.findall("<td>(.*?)</td>", read("sure", page))
    assert cells == ["4 of 5", "3 of 4", "3 of 5", "2 of 3", "2 of 5", "2 of 2"]


FOUND = {"doubtful": 54, "to_check": 124, "copies": 2}


def test_what_05_and_07_found_counts_for_this_set_alone(prepared):
    this = split.identify_set(split.read_split(prepared))
    write_found(prepared, this, **FOUND)
    assert describe_four(prepared).found == Found(this, **FOUND)

    write_found(prepared, "another set", **FOUND)
    assert describe_four(prepared).found == Found(this)


def test_box_doubts_its_model_that_was_surely_better_in_the_contest(prepared):
    contest = [{"candidate": "net", "accuracy": 0.98, "low": 2}]
    write_found(
        prepared, split.identify_set(split.read_split(prepared)), contest=contest
    )

    answer = describe_four(prepared, kind="linear", network="net")

    said = read("verdict", answer).replace("\xa0", " ")
    assert "In the contest net recognised 98 %, here 100 %" in said


def test_box_says_that_class_weights_make_rare_classes_too_sure(prepared):
    answer = describe_four(prepared, parameters={"class_weights": "balanced"})

    assert "names a rare class more often" in read("verdict", answer)


def read_make(command):
    """Return the options of the chain that make would run by a command."""
    _, *arguments = shlex.split(command)
    _, _, planned = plan_make(*arguments).partition("lib.chain ")
    return shlex.split(planned.splitlines()[0])


@pytest.mark.parametrize(
    ("kind", "commands"),
    [
        ("linear", ["--only 7 8", "--only 10", "--seeds 5"]),
        ("scratch", ["--seeds 5"]),
    ],
)
def test_next_commands_are_options_of_the_chain(prepared, kind, commands):
    """Audit and hand-over are told after the quick way, and corrections have a command of their own."""
    paths = ["--paths", "drive_paths.json"]
    facts = {"configuration": {"mean": 0.5}, "to_repeat": ["cnn"]}
    before = replace(describe_four(prepared, kind=kind), **facts)
    after = replace(before, found=Found("", contest=[{}], **FOUND))

    asked = [[*paths, *command.split(), "--as-before"] for command in commands]
    assert read_commands(before) == [["--beyond", *paths, "--as-before"], *asked]
    again, *_ = read_commands(after, has_page=True)
    new = ["--only", "1", "5", "7", "8"] if kind == "linear" else ["--beyond"]
    assert sorted(again) == sorted([*paths, *new, "--as-before"])


def read_commands(answer, **options):
    commands = re.findall("<code>(make.*?)</code>", read("steps", answer, **options))
    return list(map(read_make, commands))


def test_a_rising_learning_curve_has_its_section(prepared):
    curve = Rise(960, change=0.025, low=0.014, high=0.035)
    write_found(prepared, split.identify_set(split.read_split(prepared)), curve=curve)

    page = write_page(prepared, FOUR, cnn=RIGHT)

    assert "Would more pictures help?" in page
    assert "accuracy rose by 0.025" in page


WIDE = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
RIGHTS = "all => all.map(one => one.getBoundingClientRect().right)"


@pytest.fixture
def opened(judged, browser):
    """The report on a desk."""
    files = judged.train.as_uri()
    path = judged.results / "report.html"
    with open_page(browser, path, files, viewport=WIDE) as page:
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
    scores = opened.locator("#models ~ .beside .scroll").first
    assert scores.evaluate("box => box.scrollWidth <= box.clientWidth")
    assert max(opened.locator(".plot").evaluate_all(RIGHTS)) < width


def test_a_click_on_a_matrix_shows_the_pictures_of_the_cell(opened):
    opened.locator(".matrix a").first.click()

    shown = opened.locator(".kind:visible li img:visible")
    widths = shown.evaluate_all("all => all.map(one => one.naturalWidth)")
    assert widths == [16] * 6


@pytest.mark.parametrize("screen", [WIDE, PHONE])
def test_report_serves_everybody(opened, screen):
    opened.set_viewport_size(screen)
    assert find_violations(opened) == ""


def test_the_answer_is_on_the_first_screen_of_a_phone(opened):
    opened.set_viewport_size(PHONE)

    for part in (".tile.first", "#verdict + p"):
        box = opened.locator(part).bounding_box()
        assert box["y"] + box["height"] < PHONE["height"]


def test_a_click_shows_the_file_itself_and_another_one_puts_it_back(opened, judged):
    """It is not blown up beyond its pixels."""
    picture = opened.locator(".gallery summary:visible").first

    picture.click()
    whole = picture.locator(".whole")
    has_loaded = "image => image.complete && image.naturalWidth"
    opened.wait_for_function(has_loaded, arg=whole.element_handle())
    source = whole.evaluate("image => decodeURI(image.src)")

    assert source.startswith(judged.train.as_uri())
    assert whole.evaluate("image => [image.width, image.height]") == [16, 16]
    picture.click()
    assert not whole.is_visible()
