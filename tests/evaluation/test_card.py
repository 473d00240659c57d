"""The model card: a head that parses, numbers of metrics.json, names as text, nothing private."""

import html
import re

import numpy as np
import pandas as pd
import pytest
import yaml
from nbconvert.filters import markdown2html

from lib.evaluation import card, metrics
from lib.evaluation.wording import format_score

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
    "characteristics": "frozen <b>Net</b>",
    "purpose": "a test",
    "image_size": 16,
    "seed": 43,
}
ABOUT |= {
    "parameters_total": 1200,
    "parameters_trainable": 300,
    "versions": {"keras": "3.13.2"},
}
ABOUT |= {"split_hash": "0123456789abcdef", "demo": False}


@pytest.fixture
def write(ws):
    """Return a function that judges drawn answers and returns the card's head, text and score."""

    def judge(classes=CLASSES, per_class=COUNTS, skill=0.5, **metadata):
        rng, y_true = (
            np.random.default_rng(0),
            np.repeat(np.arange(len(classes)), per_class),
        )
        chances = (
            rng.random((len(y_true), len(classes)))
            + skill * np.eye(len(classes))[y_true]
        )
        y_prob = chances / chances.sum(axis=1, keepdims=True)
        split = pd.DataFrame(
            {"part": np.repeat(["train", "train", "validation"], len(y_true))}
        )
        split = split.assign(
            file=[f"{k}.png" for k in split.index], label="a", group=0, digest=""
        )
        for name in ("split.csv", "pictures.csv"):
            ws.save_table(split, name)
        score = metrics.evaluate(y_true, y_prob, classes, np.arange(len(y_true)))
        score["compared"] = 3
        names, said = (
            np.array(classes)[y_true],
            np.array(classes)[y_prob.argmax(axis=1)],
        )
        wrong = pd.DataFrame({"label": names, "predicted": said})[names != said]
        mistakes = wrong.value_counts().head(5)
        known = ABOUT | {"name": NAME, "label": NAME, "class_names": classes}
        known |= {"weights": "from scratch", "parameters": {}} | metadata
        card.write_card(ws, known, score, mistakes)
        path = ws.results / f"models/{NAME}.md"
        _, head, text = re.split(
            r"^---$", path.read_text(encoding="utf-8"), maxsplit=2, flags=re.M
        )
        return yaml.safe_load(head), text, score

    return judge


def list_cells(text):
    cells = re.findall(r"<td[^>]*>(.*?)</td>", markdown2html(text), re.S)
    return [html.unescape(cell) for cell in cells]


def test_head_parses_back_and_has_the_numbers_of_metrics_json(write):
    head, _, score = write(parameters={"backbone": "Net: #1\n---\n"}, weights="w.h5")
    assert head["tags"] == ["keras", "image-classification", "Net: #1\n---\n"]
    assert not {"license", "datasets", "base_model"} & set(head), (
        "what isn't known isn't claimed"
    )
    (index,) = head["model-index"]
    values = {one["type"]: one["value"] for one in index["results"][0]["metrics"]}
    names = {"accuracy": "top1", "recall": "average_per_class", "f1": "macro_f1"}
    assert index["name"] == NAME and values == {
        kind: score[name] for kind, name in names.items()
    }


def test_text_has_scores_with_intervals_n_and_the_recall_of_every_class(write):
    _, text, score = write()
    assert "with seed 43, on 120 pictures" in text and "on 60 others" in text
    cells = list_cells(text)
    assert format_score(score, "top1") in cells and f"{score['macro_f1']:.4f}" in cells
    for place, name in enumerate(CLASSES):
        row = cells.index(name) - 1
        low, high = score["per_class_interval"][name]
        recall = f"{score['per_class'][name]:.4f} ({low:.3f} to {high:.3f})"
        assert cells[row : row + 4] == [str(place), name, str(COUNTS[place]), recall]
    assert f"{score['temperature']:.3g}" in text and f"{score['ece_after']:.3f}" in text


def test_names_are_text_and_the_most_frequent_mistakes_are_counted(write):
    _, text, _ = write()
    page = markdown2html(text)
    assert "<img" not in page and "<b>" not in page and 'href="http://l"' not in page
    table = text.split("## Most frequent mistakes")[1].split("\n## ")[0]
    counts = [int(count) for count in list_cells(table)[2::3]]
    assert (
        len(counts) == 5 and counts == sorted(counts, reverse=True) and counts[-1] > 0
    )


def test_demo_and_untrained_weights_are_said_before_anything_else(write):
    for about, is_said in (({}, False), ({"demo": True, "weights": "untrained"}, True)):
        first = write(**about)[1].split("\n## ")[0]
        assert ("**Demo**" in first) == ("**Untrained backbone**" in first) == is_said


def test_origin_of_the_weights_is_what_the_json_says_or_not_known(write):
    def tell(**metadata):
        _, text, _ = write(**metadata)
        return html.unescape(text.split("## Licence and origin")[1].split("\n## ")[0])

    origin = {
        "trained_on": "ImageNet",
        "licence": "Apache-2.0",
        "source": "a <page>",
        "note": "",
    }
    backbone = {"backbone": "ResNet50"}
    known = tell(weights="imagenet", parameters=backbone, backbone_origin=origin)
    assert "network: ResNet50" in known and "trained on: ImageNet" in known
    assert (
        "source: a <page>" in known and "not known" not in known and "note" not in known
    )
    partly = tell(
        weights="a.h5", parameters=backbone, backbone_origin=origin | {"licence": ""}
    )
    assert "licence: not known: look it up" in partly
    assert "from scratch" in tell() and "not known" not in tell()
    untrained = tell(weights="untrained", parameters=backbone, backbone_origin=origin)
    assert "random" in untrained and "ImageNet" not in untrained


def test_hub_reads_the_head_and_the_base_model_where_it_is_known(write, ws):
    origin = {
        "trained_on": "photographs",
        "licence": "Apache-2.0",
        "source": "",
        "note": "",
    }
    origin["base_model"] = "keras/dinov2_small"
    about = {"weights": "preset", "parameters": {"backbone": "hub:dinov2_small@224"}}
    head, text, score = write(**about, backbone_origin=origin)
    assert head["base_model"] == "keras/dinov2_small" and "write `license: …`" in text
    huggingface_hub = pytest.importorskip("huggingface_hub")
    read = huggingface_hub.ModelCard.load(ws.results / f"models/{NAME}.md").data
    assert read.base_model == "keras/dinov2_small" and read.library_name == "keras"
    assert read.eval_results[0].metric_value == score["top1"]


def test_card_tells_no_folder_of_this_machine(write, ws):
    parameters = {"backbone": str(ws.train / "net.keras"), "file": str(ws.train)}
    _, text, _ = write(weights=str(ws.scratch / "w.h5"), parameters=parameters)
    path = ws.results / f"models/{NAME}.md"
    assert (
        str(ws.train.parent) not in path.read_text(encoding="utf-8") and "w.h5" in text
    )


def test_card_of_a_model_that_was_calibrated_before_says_on_what(write):
    _, text, _ = write(calibrated_on="held-out answers of the training part")
    assert (
        "It was fitted to 120 pictures" in text
        and "seed" not in text.split("## Recall")[0]
    )
    assert (
        "were calibrated on held-out answers" in text and "temperature of" not in text
    )


def test_card_of_300_classes_shows_the_worst_and_folds_the_others_away(write):
    names = [f"class {k:03d}" for k in range(300)]
    _, text, score = write(names, per_class=2)
    shown, folded, _ = (
        re.findall(r"class \d{3}", part) for part in re.split("</?details>", text)
    )
    assert len({*folded}) == 280 and not {*shown} & {*folded}
    recalls = [score["per_class"][name] for name in shown]
    assert recalls == sorted(score["per_class"].values())[:20]
