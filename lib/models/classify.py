"""The answers of a model to files of any kind."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from lib.base.machine import count_cores
from lib.base.work import show_progress
from lib.data import pictures
from lib.data.listing import escape
from lib.models.parts import expose_features, has_backbone
from lib.models.record import Record
from lib.models.temperature import apply_temperature

BATCH = 32


def predict_files(model: keras.Model, folder: Path, files: list) -> tuple:
    """Ask a model about one or more files, relative to a folder, in one pass.

    A `LiteRTModel` is asked like any other model.

    Returns:
        Its own probabilities, float32 (n, classes); features, float32 (n, d), where d is
        0 of a model without a backbone; and problems, str (n,): "", or the word of
        `pictures.PictureError` for a file that can't be read, whose rows mean nothing, as those of a
        picture whose answer is no number, which is told, too.
    """
    gives_features = isinstance(model, keras.Model) and has_backbone(model)
    network = expose_features(model) if gives_features else model
    size = model.input_shape[1]
    paths = [Path(folder, file) for file in files]
    # A batch always has 32 places, so that no answer depends on the other pictures.
    images = np.zeros((BATCH, size, size, 3), np.uint8)
    y_prob = []
    features = []
    problems = []
    starts = range(0, len(paths), BATCH)
    bar = show_progress(starts, f"predicting with {model.name}", unit="batch")
    with ThreadPoolExecutor(count_cores()) as pool:
        for start in bar:
            block = paths[start : start + BATCH]
            problems += pool.map(_fill, images, block)
            answers = network.predict_on_batch(images)
            if not gives_features:
                answers = [answers, answers[:, :0]]
            y_prob.append(answers[0][: len(block)])
            features.append(answers[1][: len(block)])
    y_prob = np.concatenate(y_prob)
    # The first class would be the answer.
    is_number = np.isfinite(y_prob).all(axis=1)
    is_told = is_number | (np.array(problems) != "")
    problems = np.where(is_told, problems, "the model gives no number")
    return y_prob, np.concatenate(features), problems


def _fill(image, path):
    """Read a picture into an array; return "", or the word for a file that can't be read."""
    try:
        image[:] = pictures.load(path, len(image))
    except pictures.PictureError as error:
        return error.problem
    return ""


def predictions_table(
    files: list,
    y_prob: np.ndarray,
    problems: np.ndarray,
    record: Record,
    top: int = 1,
    probabilities: bool = False,
    columns: dict | None = None,
) -> pd.DataFrame:
    """Make a table of the answers of `predict_files`, scaled by the record's temperature.

    Args:
        top: how many classes to name, the most probable first.
        probabilities: whether each class gets a column, with " (class)" behind a name
            that is taken.
        columns: further ones, name to n values.

    Returns:
        One row per file: file, label, index (of the class, from 0), probability;
        label_2, probability_2 and so on up to `top`; `columns`; problem; the classes.
        A file with a problem has no answer.
    """
    names = np.array(record.class_names)
    scaled = apply_temperature(y_prob.astype(float), record.temperature or 1).round(6)
    ranked = np.argsort(-y_prob, axis=1, kind="stable")
    highest = np.take_along_axis(scaled, ranked, axis=1)
    table = pd.DataFrame({"file": _escape(files)})
    for rank in range(top):
        ending = f"_{rank + 1}" if rank else ""
        table[f"label{ending}"] = names[ranked[:, rank]]
        table[f"probability{ending}"] = highest[:, rank]
    table.insert(2, "index", ranked[:, 0])
    table = table.assign(**columns or {}, problem=problems)
    return _finish(table, names, scaled, probabilities)


def _escape(files):
    """Return names as text; one may be bytes that are none, which no CSV file holds."""
    return [escape(str(file)) for file in files]


def _finish(table, names, y_prob, probabilities):
    """Add, where wanted, columns of classes; a file with a problem keeps its name alone."""
    # Whole numbers stay so beside rows without an answer.
    table = table.convert_dtypes()
    if probabilities:
        columns = [f"{name} (class)" if name in table else name for name in names]
        table = table.join(pd.DataFrame(y_prob, columns=columns))
    answers = table.columns.drop(["file", "problem"])
    table.loc[table.problem != "", answers] = None
    return table


def list_labels(
    model: keras.Model,
    record: Record,
    files: list,
    probabilities: bool = False,
) -> pd.DataFrame:
    """Ask a model of several labels about files.

    Returns:
        One row per file: file, labels ("cat|dog"), problem, and if wanted one column
        per label.
    """
    y_prob, _, problems = predict_files(model, Path(), files)
    names = np.array(record.class_names)
    thresholds = [record.thresholds[name] for name in names]
    labels = ["|".join(names[has]) for has in y_prob >= thresholds]
    table = {"file": _escape(files), "labels": labels, "problem": problems}
    return _finish(pd.DataFrame(table), names, y_prob.round(6), probabilities)
