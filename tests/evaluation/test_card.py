"""The model card: a head that parses, numbers of metrics.json, names as text, nothing private."""

import html
import re

import numpy as np
import pandas as pd
import pytest
import yaml
from nbconvert.filters import markdown2html

from lib.base.workspace import Workspace
from lib.evaluation import card, metrics
from lib.models.record import Record, SetLimit

CLASSES = [
    "<img src=x>",
    '"q": `b` --- # |x|',
    "007",
    "[l](http://l) **b** $$x$$",
    "null",
    "漢_x_",
]
COUNTS = [4, 6, 8, 10, 14, 18]
NAME = 'odd \'"name": #1 [x] @43'
ABOUT = {
    "name": NAME,
    "class_names": CLASSES,
    "characteristics": "frozen <b>Net</b>",
    "purpose": "a test",
    "image_size": 16,
    "seed": 43,
    "parameters_total": 1200,
    "parameters_trainable": 300,
    "versions": {"keras": "3.13.2"},
}
ORIGIN = {
    "trained_on": "ImageNet",
    "licence": "Apache-2.0",
    "source": "a <page>",
    "asks": "a copy of it",
    "note": "",
}
PRETRAINED = {"network": "ResNet50", "weights": "imagenet", "backbone_origin": ORIGIN}


@pytest.fixture
def write(ws):
    """Return a function that writes a card, and returns its head, its text and the score."""
    files = [f"{index}.png" for index in range(120)]
    split = pd.DataFrame({"file": files, "label": "a", "part": "train"})
    ws.save_table(split, "split.csv")
    ws.save_table(split.assign(group=0, digest="", taken=""), "pictures.csv")
    ws.save_table(split.assign(predicted=""), "without_looking_answers.csv")
    mistakes = pd.Series({(CLASSES[0], CLASSES[1]): 5, (CLASSES[3], CLASSES[0]): 2})

    def judge_and_write(per_class=COUNTS, **facts):
        record = Record(**ABOUT | facts)
        classes = len(record.class_names)
        y_true = np.repeat(np.arange(classes), per_class)
        every = np.arange(len(y_true))
        # Half are right.
        y_pred = np.where(every % 2, y_true, 0)
        score = metrics.evaluate(y_true, np.eye(classes)[y_pred], every, record)
        card.write_card(ws, record, score, mistakes, is_flattered=False)
        written = (ws.results / f"models/{NAME}.md").read_text(encoding="utf-8")
        _, head, text = re.split(r"^---$", written, maxsplit=2, flags=re.M)
        return yaml.safe_load(head), text, score

    return judge_and_write


def list_cells(text):
    cells = re.findall(r"<td[^>]*>(.*?)</td>", markdown2html(text), re.S)
    return [html.unescape(cell) for cell in cells]


def find_section(text, title):
    _, after = text.split(f"## {title}")
    return html.unescape(after.split("\n## ")[0])


def test_head_parses_back_and_has_the_numbers_of_metrics_json(write):
    origin = ORIGIN | {"base_model": "keras/dinov2_small"}
    network = "Net: #1\n---\n"

    head, _, score = write(network=network, weights="a", backbone_origin=origin)

    assert head["tags"] == ["keras", "image-classification", network]
    assert head["base_model"] == "keras/dinov2_small"
    (index,) = head["model-index"]
    assert index["name"] == NAME
    found = {one["type"]: one["value"] for one in index["results"][0]["metrics"]}
    assert found == {
        "accuracy": score.top1,
        "recall": score.average_per_class,
        "f1": score.macro_f1,
    }


def test_head_claims_nothing_that_is_not_known(write):
    head, _, _ = write(weights="w.h5")

    assert not {"license", "datasets", "base_model"} & set(head)


def test_text_has_scores_and_the_recall_of_every_class_with_intervals_and_n(write):
    _, text, score = write()

    cells = list_cells(text)
    low, high = score.top1_interval
    assert f"{score.top1:.4f} ({low:.3f} to {high:.3f})" in cells
    for index, name in enumerate(CLASSES):
        row = cells.index(name) - 1
        low, high = score.per_class_interval[name]
        recall = f"{score.per_class[name]:.4f} ({low:.3f} to {high:.3f})"
        expected = [str(index), name, str(COUNTS[index]), recall]
        assert cells[row : row + 4] == expected


def test_names_are_text(write):
    _, text, _ = write()

    page = markdown2html(text)
    for harmful in ("<img", "<b>", 'href="http://l"'):
        assert harmful not in page


def test_card_says_what_answer_sets_promise_and_which_class_they_serve_least(write):
    _, text, _ = write(answer_sets=SetLimit(0.95, 0.1, 40, lowest=["007", 3, 9]))

    assert "about 95 of 100 pictures, on average over all classes" in text
    assert "007 they held it for 3 of 9 pictures" in text


def test_most_frequent_mistakes_are_counted(write):
    _, text, _ = write()

    cells = list_cells(text.split("## Most frequent mistakes")[1])
    assert cells == [CLASSES[0], CLASSES[1], "5", CLASSES[3], CLASSES[0], "2"]


@pytest.mark.parametrize(
    ("notice", "is_demo", "weights"),
    [
        ("**Demo**", True, "from scratch"),
        ("**Untrained backbone**", False, "untrained"),
        ("", False, "from scratch"),
    ],
)
def test_demo_and_untrained_weights_are_said_before_anything_else(
    write, notice, is_demo, weights, monkeypatch
):
    monkeypatch.setattr(Workspace, "is_demo", is_demo)

    _, text, _ = write(weights=weights)

    before = text.split("\n## ")[0]
    assert notice in before
    assert ("**" in before) == bool(notice)


def test_origin_of_the_weights_is_what_the_json_says(write):
    _, text, _ = write(**PRETRAINED)

    said = find_section(text, "Licence and origin")
    assert said.count("\n- ") == 6
    for line in ("network: ResNet50", "source: a <page>", "asks: a copy of it"):
        assert line in said
    assert "not known" not in said


def test_card_tells_no_folder_of_this_machine(write, ws):
    head, text, _ = write(weights=str(ws.scratch / "w.h5"))

    assert "weights: w.h5\n" in text
    assert "licence: not known" in text
    assert str(ws.train.parent) not in f"{head}{text}"


def test_licence_and_dataset_are_those_of_the_record(ws, write):
    """A card that a person has changed, or cut, is written anew."""
    ws.file("models", f"{NAME}.md").write_text("license: mit")

    head, text, _ = write(licence="cc-by-4.0", dataset="me/birds: #1")

    assert head["license"] == "cc-by-4.0"
    assert head["datasets"] == ["me/birds: #1"]
    assert "no licence yet" not in text


def test_card_of_a_model_that_was_calibrated_before_says_on_what(write):
    _, text, score = write(kind="linear")

    assert "seed" not in text.split("## Recall")[0]
    calibration = find_section(text, "Calibration")
    assert "held-out answers" in calibration
    assert "temperature" not in calibration
    assert f"{score.calibration.ece_before:.3f}" in calibration


def test_card_of_300_classes_shows_the_worst_and_folds_the_others_away(write):
    names = [f"class {index:03d}" for index in range(300)]

    _, text, score = write(2, class_names=names)

    shown, folded, _ = re.split("</?details>", text)
    listed = re.findall(r"class \d{3}", shown + folded)
    assert listed == score.worst_first
    assert len(set(re.findall(r"class \d{3}", folded))) == 280
