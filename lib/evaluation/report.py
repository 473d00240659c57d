"""One HTML page that answers in thirty seconds: from tables and figures, by a template."""

import json
from pathlib import Path

import jinja2
import pandas as pd

from lib.data.split import identify_set, read_split
from lib.evaluation import claims, tables, verdict
from lib.storage import read_table, whole_file

TEMPLATES = Path(__file__).with_name("templates")
# Of each model, so many of its most frequent mistakes.
MISTAKES = 5


def describe_evaluation(ws, answers, comparison: pd.DataFrame, histories: dict) -> dict:
    """Gather what the page says of the models, as plain values that JSON can hold.

    Args:
        answers: the `Answers` of all models. comparison: as `tables.compare_models` returns it.
        histories: label to the history of its training, of models with more than one epoch.
    """
    first, (ways, differences) = answers.first, answers.ways
    split, count = read_split(ws), len(first.labels)
    sentences, suspects = claims.describe_ways(ways, differences), answers.trained.list_suspects()
    found = {
        "demo": ws.is_demo,
        "suspects": len(suspects),
        "doubtful": _count_doubtful(ws),
        "contest": (ws.results / "contest.csv").exists(),
        "runs": int(ways.runs.max()),
    }
    shown = {
        "models": tables.show_models(first),
        "pairs": claims.tabulate_pairs(first.pairs),
        "ways": tables.show_ways(ways),
        "classes": tables.show_classes(first),
        "calibration": tables.show_calibration(first),
        "expert": tables.show_expert_scores(first),
        "cost": tables.show_cost(first, comparison),
        "origin": tables.show_origin(first),
    }
    models = "1 image classifier" if count == 1 else f"{count} image classifiers"
    return {
        "title": f"{models} for {split.label.nunique()} classes, from {len(split):,} pictures",
        "untrained": list(first.models.index[first.models.weights == "untrained"]),
        "verdict": verdict.make_verdict(first.scores, first.pairs, sentences),
        "steps": verdict.list_next_steps(first.scores, found),
        "found": found,
        "n": len(answers.files),
        "classes": len(answers.class_names),
        "set": identify_set(ws),
        "sentences": sentences,
        "curves": {label: claims.describe_gap(history) for label, history in histories.items()},
        "matrices": [_describe_matrix(first, label) for label in shown["models"].index],
        "tables": {name: _pack(table) for name, table in shown.items()},
        "reports": {k: _pack(tables.show_class_report(first, k)) for k in first.labels},
    }


def _count_doubtful(ws) -> int:
    path = ws.results / "label_audit.csv"
    if not path.exists():
        return 0
    return int(read_table(path).finding.str.contains("label?", regex=False).sum())


def _describe_matrix(answers, label: str) -> dict:
    alone = answers.select(answers.models.index == label)
    listed = alone.list_mistakes(MISTAKES).itertuples()
    told = [f"{row.true} taken for {row.predicted} ({row.pictures})" for row in listed]
    return {"label": label, "figure": f"confusion_{alone.models.name.iloc[0]}", "mistakes": told}


def _pack(table: pd.DataFrame) -> dict:
    return table.astype(str).to_dict("split")


def describe_pictures(ws, table: pd.DataFrame, origin: str) -> None:
    """Write report.html again with the answers to new pictures, where there is a report.

    `table` has columns file, truth, and one a model; `origin` says where the pictures are from.
    """
    content = read_content(ws)
    if content:
        pictures = {"origin": origin, "table": _pack(table.set_index("file"))}
        write_report(ws, content | {"pictures": pictures})


def read_content(ws) -> dict:
    """Read what report.html was made of; {} where there is none."""
    path = ws.results / "report.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def write_report(ws, content: dict) -> Path:
    """Write report.html, and report.json, which it is made of; figures are those of `figures/`."""
    ws.save_json(content, "report.json")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )

    def read_figure(name: str) -> str:
        path = ws.results / f"figures/{name}.svg"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    page = environment.get_template("report.html.jinja")
    with whole_file(ws.file("report.html")) as part:
        part.write_text(page.render(content, figure=read_figure), encoding="utf-8")
    return ws.results / "report.html"
