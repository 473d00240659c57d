"""Tables of a model's answers to files, made block by block, so that a command that was killed goes on."""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from lib.base.workspace import read_table, write_table
from lib.data.listing import escape
from lib.evaluation import limits, pooling
from lib.models.record import Record
from lib.models.temperature import apply_temperature

# Of a class that can occur: more than the others have, where a model gives all of them 0.
MIN_PROBABILITY = 1e-30
# Pictures that are answered before their rows are kept.
BLOCK = 256


@dataclass(frozen=True)
class Answers:
    """What a model says of pictures, in their order."""

    problems: np.ndarray  # str (n,), as of `classify.predict_files`
    y_prob: np.ndarray  # float (n, classes), 0 for a class that can't occur
    distances: (
        np.ndarray
    )  # float (n,), to the training pictures; NaN where none are kept


def answer_files(
    options: argparse.Namespace, record: Record, asked: pd.DataFrame, kept: Path
) -> pd.DataFrame:
    """Ask a model block by block, no group divided, and return the table of its answers.

    Args:
        options: those of `predict.open_parser`.
        record: of the model.
        asked: columns file and group and, if known, taken.
        kept: a CSV file, where the rows so far stand, and a command that is run again finds them.
    """
    answer = _open_model(options, record)
    names = asked.file.map(escape)
    tables = []
    left = asked
    if kept.exists():
        tables.append(read_table(kept))
        left = asked[~names.isin(tables[0].file)]
        print(
            f"{len(left):,} of {len(asked):,} pictures are left: {kept} has the others"
        )
    ends = left.groupby("group", sort=False).file.size().cumsum()
    for _, block in left.groupby(left.group.map(ends) // BLOCK):
        rows = answer(block.reset_index(drop=True)).astype(object)
        tables.append(rows.where(rows.notna(), ""))
        write_table(pd.concat(tables), kept)
    return read_table(kept).set_index("file").loc[names].reset_index()


def _open_model(options, record):
    """Open the model, and say what its answers promise; return a function that answers a block."""
    # Imported late: TensorFlow takes seconds, and what is wrong is told at once.
    from lib.models import classify, resemblance, saved

    model, _ = saved.open_model(options.model)
    if record.thresholds:
        return lambda block: classify.list_labels(
            model, record, list(block.file), options.probabilities
        )
    known = _open_known(options.model, record, model)
    print("temperature:", record.temperature or "none is stored, 08 fits one")
    if options.classes:
        print(f"only {', '.join(options.classes)} can occur here: sets promise nothing")
    elif record.answer_sets.limit is None:
        print("no limit of sets is stored: 10_hand_over finds one in enough pictures")
    else:
        print(limits.describe_sets(record.answer_sets))

    def answer(block: pd.DataFrame) -> pd.DataFrame:
        files = list(block.file)
        y_prob, features, problems = classify.predict_files(model, Path(), files)
        if options.classes:
            possible = np.isin(record.class_names, options.classes)
            y_prob = np.maximum(y_prob, MIN_PROBABILITY) * possible
        distances = np.full(len(files), np.nan)
        if known is not None:
            distances = resemblance.measure_distances(features, known)
        answers = Answers(problems, y_prob, distances)
        return _tabulate(options, record, block, answers)

    return answer


def _open_known(path, record, model):
    """Return the features of training pictures; None, and a line, where these tell no strangers."""
    from lib.models import resemblance
    from lib.models.parts import find_parts

    try:
        find_parts(model)
        known = resemblance.open_features(path.with_suffix(".npz"), record)
    except ValueError as error:
        print(error)
        return None
    print(limits.describe_strangers(record.strangers))
    return known


def _tabulate(options, record, block, answers):
    """Return the rows of a block."""
    from lib.models import classify

    scaled = apply_temperature(answers.y_prob, record.temperature or 1)
    notes = np.array(limits.mark_strangers(answers.distances, record.strangers))
    # What sets promise holds for pictures like those that the model knows.
    is_promised = record.answer_sets.limit is not None and not options.classes
    sets = pd.DataFrame(limits.set_columns(scaled, record))
    columns = sets[is_promised & (notes == "")].reindex(sets.index)
    columns = columns.assign(
        distance=answers.distances.astype(float).round(6), note=notes
    )
    columns = columns.join(block.filter(["taken"]))
    if options.group_by:
        pooled = pooling.group_columns(
            scaled, record.class_names, block.group, usable=answers.problems == ""
        )
        columns = columns.assign(**pooled)
    return classify.predictions_table(
        block.file,
        answers.y_prob,
        answers.problems,
        record,
        top=options.top,
        probabilities=options.probabilities,
        columns=columns.to_dict("series"),
    )
