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
from lib.models.parts import expose_features
from lib.models.record import Record
from lib.models.temperature import apply_temperature

BATCH = 32


def predict_files(model: keras.Model, folder: Path, files: list) -> tuple:
    """Ask a model about one or more files, relative to a folder, in one pass.

    A `litert.LiteRTModel` is asked like any other model.

    Returns:
        Its own probabilities, float32 (n, classes); features, float32 (n, d), where d is
        0 of a model without a backbone; and problems, str (n,): "", or the word of
        `pictures.PictureError` for a file that can't be read, whose rows mean nothing, as those of a
        picture whose answer is no number, which is told, too.
    """
    network = expose_features(model) if isinstance(model, keras.Model) else model
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
            if not isinstance(answers, list):
                answers = [answers, answers[:, :0]]
            y_prob.append(answers[0][: len(block)])
            features.append(answers[1][: len(block)])
    y_prob = np.concatenate(y_prob)
    # The first class would be the answer.
    is_number = np.isfinite(y_prob).all(axis=1)
    problems = np.where(is_number, problems, "the model gives no number")
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
    columns: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Make a table of the answers of `predict_files`, scaled by the record's temperature.

    Args:
        probabilities: whether each class gets a column, called "x (class)" if x is taken.
        columns: further ones, n rows from index 0.

    Returns:
        One row per file: file; label, index (from 0), probability, label_2 and so on up to `top`, or
        labels ("cat|dog"); `columns`; problem; classes. With a problem there is no answer.
    """
    names = np.array(record.class_names)
    table = pd.DataFrame({"file": [escape(str(file)) for file in files]})
    if record.thresholds:
        shown = y_prob.round(6)
        has_label = y_prob >= [record.thresholds[name] for name in names]
        table["labels"] = ["|".join(names[has]) for has in has_label]
    else:
        scaled = apply_temperature(y_prob.astype(float), record.temperature or 1)
        shown = scaled.round(6)
        ranked = np.argsort(-y_prob, axis=1, kind="stable")
        table = table.join(_name_classes(ranked[:, :top], shown, names))
    if columns is not None:
        table = table.join(columns)
    # Whole numbers stay so beside rows without an answer.
    table = table.assign(problem=problems).convert_dtypes()
    if probabilities:
        called = [f"{name} (class)" if name in table else name for name in names]
        table = table.join(pd.DataFrame(shown, columns=called))
    answers = table.columns.drop(["file", "problem"])
    table.loc[table.problem != "", answers] = None
    return table


def _name_classes(ranked, shown, names):
    """Return the columns of the most probable classes; of the first one its index, too."""
    highest = np.take_along_axis(shown, ranked, axis=1)
    columns = {"label": names[ranked[:, 0]], "index": ranked[:, 0]}
    columns["probability"] = highest[:, 0]
    for rank in range(1, ranked.shape[1]):
        columns[f"label_{rank + 1}"] = names[ranked[:, rank]]
        columns[f"probability_{rank + 1}"] = highest[:, rank]
    return pd.DataFrame(columns)
