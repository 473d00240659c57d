"""Tables of a model's answers to files, made block by block, so that a command that was killed goes on."""

import argparse
import os
import zlib
from pathlib import Path

import joblib
import numpy as np
import pandas as pd

from lib.base.workspace import read_table, write_table
from lib.data.listing import escape
from lib.evaluation import limits, pooling
from lib.models import classify, resemblance, saved
from lib.models.record import Record
from lib.models.temperature import apply_temperature

# Of a class that can occur: more than the others have, where a model gives all of them 0.
MIN_PROBABILITY = 1e-30
# Pictures that are answered before their rows are kept.
BLOCK = 256


def answer_files(
    options: argparse.Namespace, record: Record, asked: pd.DataFrame, kept: Path
) -> pd.DataFrame:
    """Ask a model block by block, no group divided, and return the table of its answers, as text.

    Args:
        options: those of `predict.open_parser`.
        record: of the model.
        asked: columns file and group and, if known, taken.
        kept: the folder of the blocks, which a command that is run again takes where their pictures have not
            changed.
    """
    model, _ = saved.open_model(options.model)
    known = None
    if not record.thresholds:
        known = _open_known(options.model, record)
        print("temperature:", record.temperature or "none is stored, 08 fits one")
        if record.answer_sets.limit and not options.classes:
            print(limits.describe_sets(record.answer_sets))
    states = asked.assign(state=asked.file.map(_read_state))
    tables = []
    ends = asked.groupby("group", sort=False).file.size().cumsum()
    for _, block in states.groupby(asked.group.map(ends) // BLOCK):
        block = block.reset_index(drop=True)
        # A picture that has changed is another one.
        path = kept / f"{joblib.hash(block.to_csv())}.csv.gz"
        table = _read_block(path)
        if table is None:
            answers = classify.predict_files(model, Path(), list(block.file))
            table = _tabulate(options, record, known, block, *answers)
            write_table(table, path)
            table = read_table(path)
        tables.append(table)
    names = asked.file.map(escape)
    by_name = pd.concat(tables).set_index("file")
    return by_name.loc[names].reset_index()


def _read_state(file):
    """Return the size of a file and when it was changed; None of one that isn't there."""
    try:
        state = os.stat(file)
    except OSError:
        return None
    return state.st_size, state.st_mtime_ns


def _read_block(path):
    """Return the answers that were kept; None where they are missing or, as gzip tells, damaged."""
    try:
        return read_table(path)
    except (OSError, EOFError, ValueError, zlib.error):
        return None


def _open_known(path, record):
    """Return the features of training pictures; None, and a line, where there are none to tell strangers."""
    try:
        known = resemblance.open_features(path.with_suffix(".npz"), record)
    except ValueError as error:
        print(error)
        return None
    print(limits.describe_strangers(record.strangers))
    return known


def _tabulate(options, record, known, block, y_prob, features, problems):
    """Return the rows of a block, of answers as of `classify.predict_files`."""
    if options.classes:
        possible = np.isin(record.class_names, options.classes)
        y_prob = np.maximum(y_prob, MIN_PROBABILITY) * possible
    columns = None
    if not record.thresholds:
        distances = np.full(len(block), np.nan)
        if known is not None:
            distances = resemblance.measure_distances(features, known).astype(float)
        scaled = apply_temperature(y_prob, record.temperature or 1)
        columns = _qualify(record, scaled, distances, bool(options.classes))
        columns = columns.join(block.filter(["taken"]))
        if options.group_by:
            of_groups = pooling.group_columns(
                scaled, record.class_names, block.group, usable=problems == ""
            )
            columns = columns.assign(**of_groups)
    return classify.predictions_table(
        block.file,
        y_prob,
        problems,
        record,
        top=options.top,
        probabilities=options.probabilities,
        columns=columns,
    )


def _qualify(record, scaled, distances, is_chosen):
    """Return answer sets, distances and the notes of strangers; a set is promised where every class can occur."""
    notes = np.array(limits.mark_strangers(distances, record.strangers))
    sets = pd.DataFrame(limits.set_columns(scaled, record))
    # Sets hold for pictures like those known.
    is_promised = record.answer_sets.limit is not None and not is_chosen
    promised = sets[is_promised & (notes == "")].reindex(sets.index)
    return promised.assign(distance=distances.round(6), note=notes)
