"""One HTML page that answers in thirty seconds: from what was found and from figures, by a template."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
from IPython.display import HTML

from lib.data import sources
from lib.data.label_files import read_corrections
from lib.data.split import identify_set, read_split
from lib.data.table import read_table
from lib.evaluation import contests, figures, verdict
from lib.evaluation.display import embed, open_template
from lib.storage import atomic_write

# So many kinds of mistakes of each model, pictures of each, and different pictures in all.
KINDS, OF_EACH, PICTURES = 400, 6, 200
SURE = (0.5, 0.8, 0.95)
# What the page says of how each model was made, of comparison.csv what it cost.
MADE = """name characteristics weights seed hardware parameters_total parameters_trainable seconds
parameters versions""".split()
COST = ["file_megabytes", "pictures_per_second"]


def describe_evaluation(ws, answers, comparison: pd.DataFrame, histories: dict) -> dict:
    """Gather what the page says of the models, as plain values that JSON can hold.

    Args:
        answers: the `Predictions` of all models. comparison: as `Predictions.compare` returns it.
        histories: label to the history of its training, of models with more than one epoch.
    """
    first, ways, pairs = answers.first, answers.configurations, answers.pairs
    best_first = sorted(first.labels, key=lambda label: -first.scores[label]["top1"])
    made = first.models[MADE].join(comparison.set_index("model")[COST])
    answer = verdict.find_answer(answers)
    sure = answers.selective_accuracy(answer["label"], SURE)
    return {
        "n": len(answers.files),
        "pictures_in_all": len(read_split(ws)),
        "set": identify_set(ws),
        "found": find_facts(ws, answers),
        "best_first": best_first,
        "worst_first": first.list_classes()["class"].tolist(),
        "answer": answer,
        "scores": first.scores,
        "believed": {
            k: verdict.describe_calibration(s) for k, s in first.scores.items()
        },
        "pairs": verdict.tabulate_pairs(pairs, answer["name"]).to_dict("split"),
        "configurations": json.loads(ways.reset_index().to_json(orient="records")),
        "curves": {
            label: figures.describe_gap(history) for label, history in histories.items()
        },
        "class_names": first.class_names.tolist(),
        "mistakes": find_mistakes(first, best_first),
        "sure": json.loads(sure.to_json(orient="records")),
        "models": json.loads(made.to_json(orient="index")),
    }


def find_facts(ws, answers) -> dict:
    """Find what the next steps depend on, of these answers and of what other notebooks have found."""
    path, doubtful = ws.results / "label_audit.csv", 0
    # What random features doubt is no one's next step.
    if path.exists() and set(answers.models.weights) - {"from scratch"} != {
        "untrained"
    }:
        audit = read_table(path)
        # Of an earlier split it says nothing, nor of what a person has decided.
        decided = {}
        if ws.corrections:
            folder = sources.open_folder(ws, "train")
            decided = read_corrections(ws.corrections, audit.file, folder)
        is_open = audit.file.isin({*read_split(ws).file} - {*decided})
        doubtful = int(audit.finding[is_open].str.contains("label?", regex=False).sum())
    need = ""
    path = ws.results / "pictures_needed.csv"
    if path.exists():
        # A digest of digits is no number.
        table = pd.read_csv(path, dtype={"set": str})
        if table.set.eq(identify_set(ws)).all() and contests.is_rising(table):
            need = contests.describe_learning_curve(table)
    return {
        "demo": ws.is_demo,
        "suspects": len(answers.first.list_suspects()),
        "doubtful": doubtful,
        "contest": (ws.results / "contest.csv").exists(),
        "need": need,
        "runs": int(answers.configurations.runs.max()),
    }


def find_mistakes(answers, labels: list[str]) -> dict[str, list[dict]]:
    """List each model's kinds of mistakes, the most frequent first, with pictures to show of each.

    Returns label to rows of true and predicted, positions of classes, pictures, a count, and shown:
    number and file of those that the model was surest of, until `PICTURES` are shown in all.
    """
    found, seen = {}, set()
    for label in labels:
        place = answers.labels.index(label)
        order = np.argsort(-answers.confidence[place], kind="stable")
        table = pd.DataFrame(
            {"true": answers.y_true, "predicted": answers.y_pred[place]}
        )
        wrong = table.loc[order[~answers.correct[place, order]]]
        kinds = sorted(
            wrong.groupby(["true", "predicted"]), key=lambda kind: -len(kind[1])
        )
        found[label] = []
        for (true, predicted), rows in kinds[:KINDS]:
            shown = rows.index[:OF_EACH].tolist()
            shown = shown if len(seen.union(shown)) <= PICTURES else []
            seen.update(shown)
            kind = {
                "true": int(true),
                "predicted": int(predicted),
                "pictures": len(rows),
            }
            found[label].append(
                kind | {"shown": [(k, str(answers.files[k])) for k in shown]}
            )
    return found


def show_part(page: dict, name: str, **options) -> HTML:
    """Show a part of the page, by the name of its macro in parts.html.jinja, and its options."""
    return HTML(
        getattr(open_template("parts.html.jinja").module, name)(page, **options)
    )


def read_page(ws) -> dict:
    """Read what report.html was made of."""
    return json.loads(
        ws.existing("report.json", made_by="08_evaluation").read_text("utf-8")
    )


def write_report(ws, page: dict) -> Path:
    """Write report.html, and report.json, which it is made of; figures are those of `figures/`."""
    ws.save_json(page, "report.json")

    def figure(name: str, label: str = "") -> str:
        paths = (ws.results / f"figures/{name}.{ending}" for ending in ("svg", "html"))
        return "".join(embed(path, label) for path in paths if path.exists())

    text = open_template("report.html.jinja").render(page=page, figure=figure)
    with atomic_write(path := ws.file("report.html")) as part:
        part.write_text(text, encoding="utf-8")
    return path
