"""The card to go with a model, as the Hugging Face Hub shows it: from its JSON and its scores."""

from pathlib import Path

import numpy as np
import yaml

from lib.data.split import read_split
from lib.evaluation.claims import describe_calibration
from lib.evaluation.wording import escape_text, write_score
from lib.storage import whole_file

SCORES = {"top1": "top-1 accuracy", "average_per_class": "average recall per class"}
SCORES |= {"macro_f1": "macro F1", "roc_auc": "ROC AUC", "ece": "expected calibration error"}
# Scores that the Hub has a name for, classes in plain sight, and what nobody wrote down.
METRICS = {"top1": "accuracy", "average_per_class": "recall", "macro_f1": "f1"}
SHOWN, NOT_KNOWN = 20, "not known: look it up before you publish"
CARD = """---
{head}---

# {label}

{notices}## What it is for
It tells {classes} classes of pictures apart; what is in none of them is given one of them all the same. It is a Keras
model of {parameters_total:,} parameters, {parameters_trainable:,} of them trainable: {characteristics}.
Its part in a comparison, as it was meant and not as measured, is "{purpose}".

## Pictures and scores
It was trained on {trained:,} pictures and judged on {n:,} others (set `{split_hash}`), of which always giving the same answer
would get {baseline:.4f} right at best. In brackets are 95 % intervals. This is one run, with seed {seed}.

{scores}

## Recall of each class
The share of its pictures that are recognised, the worst first, classes without pictures last. The index is the place in the model's answer.

{recalls}

## Calibration
{calibration} {tempered}

## Known mistakes, the most frequent
{mistakes}

## Licence and origin
The licence of this model is not stated: add `license` to the head of this file before you publish. It depends on the
pictures and on the weights that the training started from:
{origin}

## How to load it
Saved with Keras {versions[keras]}, as two files side by side; a third, the `.npz` of a model with a backbone, is optional
and serves `--strangers`. In the project that made it, `python -m lib.predict {file!r} PICTURES` answers for files; by
hand the following does (an address with `hf://` would expect other files):
```python
import json
from pathlib import Path

import keras

model = keras.saving.load_model({file!r})
about = json.loads(Path({file!r}).with_suffix(".json").read_text(encoding="utf-8"))
probabilities = model.predict(pictures)  # (n, {image_size}, {image_size}, 3), RGB, 0-255, upright, squeezed to squares
labels = [about["class_names"][index] for index in probabilities.argmax(axis=1)]
scaled = probabilities ** (1 / about["temperature"])  # then divide each row by its sum
```
"""


def write_card(ws, metadata: dict, score: dict, mistakes) -> None:
    """Write `models/<name>.md`, which becomes README.md on the Hub; it names no folder.

    Args:
        ws: the workspace.
        about: the model's JSON, as `saved.list_models` returns it.
        score: what metrics.json has of the model.
        mistakes: the most frequent ones, as `metrics.list_confusions` lists them.
    """
    texts = {key: escape_text(metadata[key]) for key in ("label", "characteristics", "purpose")}
    values = [[SCORES[key], write_score(score, key)] for key in SCORES]
    told = metadata | score | texts
    told |= dict(
        head=yaml.safe_dump(_make_head(metadata, score), allow_unicode=True, sort_keys=False),
        classes=len(metadata["class_names"]),
        notices=_list_notices(metadata),
        trained=(read_split(ws).part == "train").sum(),
        scores=_write_rows(["score", "value"], values),
        recalls=_list_recalls(score),
        calibration=escape_text(describe_calibration(metadata["label"], score)),
        tempered=_describe_temperature(metadata, score),
        mistakes=_write_rows(["class", "answer", "pictures"], mistakes.iloc[:, :3].to_numpy()),
        origin=_describe_origin(metadata),
        file=f"{metadata['name']}.keras",
    )
    with whole_file(ws.file("models", f"{metadata['name']}.md")) as part:
        part.write_text(CARD.format(**told), encoding="utf-8")


def _make_head(metadata: dict, score: dict) -> dict:
    # In the fields of the Hub's specification (hub-docs, modelcard.md). Left out is what isn't known:
    # the licence, and the Hub's names of data and base model.
    kind = "drawn demo pictures" if metadata["demo"] else "pictures"
    result = {
        "task": {"type": "image-classification"},
        "dataset": {"type": "imagefolder", "name": f"{score['n']} {kind}", "split": "validation"},
        "metrics": [{"type": METRICS[k], "name": SCORES[k], "value": score[k]} for k in METRICS],
    }
    return {
        "library_name": "keras",
        "pipeline_tag": "image-classification",
        "tags": [tag for tag in ("keras", "image-classification", _name_backbone(metadata)) if tag],
        "metrics": list(METRICS.values()),
        "model-index": [{"name": metadata["label"], "results": [result]}],
    }


def _describe_temperature(metadata: dict, score: dict) -> str:
    if "calibrated_on" in metadata:
        return f"The probabilities were calibrated on {metadata['calibrated_on']}."
    return (
        f"The temperature of {score['temperature']:.3g}, fitted on one half of these pictures (1 where "
        "right or wrong answers are too few), takes that error on the other half from "
        f"{score['ece_before']:.3f} to {score['ece_after']:.3f}."
    )


def _name_backbone(metadata: dict) -> str:
    # A backbone may be a file: its folder is no one's business.
    return Path(metadata["parameters"].get("backbone") or "").name


def _list_notices(metadata: dict) -> str:
    notices = ""
    if metadata["demo"]:
        notices += "> **Demo**: learned from drawn pictures; it says nothing about photographs.\n\n"
    if metadata["weights"] == "untrained":
        notices += "> **Untrained backbone**: random weights; it says nothing about transfer.\n\n"
    return notices


def _list_recalls(score: dict) -> str:
    headings, names, rows = ["index", "class", "pictures", "recall"], list(score["per_class"]), []
    for index in np.argsort(np.array(list(score["per_class"].values()), float), kind="stable"):
        name = names[index]
        told = {key: score[key][name] for key in ("support", "per_class", "per_class_interval")}
        rows.append([index, name, told["support"], write_score(told, "per_class")])
    text, folded = _write_rows(headings, rows[:SHOWN]), rows[SHOWN:]
    if folded:
        text += f"\n\n<details><summary>The other {len(folded)} classes</summary>\n\n"
        text += f"{_write_rows(headings, folded)}\n\n</details>"
    return text


def _write_rows(headings: list[str], rows) -> str:
    if not len(rows):
        return "None on these pictures."
    cells = [headings, ["---"] * len(headings), *[map(escape_text, row) for row in rows]]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)


def _describe_origin(metadata: dict) -> str:
    if metadata["weights"] in ("from scratch", "untrained"):
        return f"none but random ones ({metadata['weights']})."
    told = dict(network=_name_backbone(metadata), weights=Path(metadata["weights"]).name)
    told |= dict.fromkeys(("trained_on", "licence", "source"))
    told |= metadata.get("backbone_origin") or {}
    if not told.get("note"):
        told.pop("note", None)
    lines = [f"- {key.replace('_', ' ')}: {escape_text(told[key] or NOT_KNOWN)}" for key in told]
    return "\n".join(lines)
