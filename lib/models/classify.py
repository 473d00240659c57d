"""The answers of a model: to batches, and to files of any kind."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd

from lib.data import pictures
from lib.data.listing import escape
from lib.machine import count_cores
from lib.models.parts import expose_features
from lib.models.temperature import apply_temperature
from lib.work import show_progress

BATCH = 32


def classify(model, metadata, folder: Path, files, probabilities=False) -> pd.DataFrame:
    """Predict the class of every file: what `predict_files` gives, as `predictions_table` shows it."""
    y_prob, _, problems = predict_files(model, folder, files)
    return predictions_table(
        files, y_prob, problems, metadata, probabilities=probabilities
    )


def predict_files(model, folder: Path, files, with_features=False) -> tuple:
    """Ask a model about one or more files, relative to a folder, in one pass.

    Returns its own probabilities, float32 (n, classes); features, float32 (n, d), d = 0 unless they are
    wanted; and problems, str (n,): "", or the word of `pictures.PictureError` where a file can't be
    read, and its rows mean nothing.
    """
    network = expose_features(model) if with_features else model
    size, paths = model.input_shape[1], [Path(folder, file) for file in files]
    bar = show_progress(
        range(0, len(paths), BATCH), f"predicting with {model.name}", unit="batch"
    )
    # A batch always has 32 places, so that no answer depends on the other pictures.
    images, rows, problems = np.zeros((BATCH, size, size, 3), np.uint8), [], []
    with ThreadPoolExecutor(count_cores()) as pool:
        for start in bar:
            block = paths[start : start + BATCH]
            problems += pool.map(_fill, images, block)
            answers = network.predict_on_batch(images)
            y_prob, features = answers if with_features else (answers, answers[:, :0])
            rows.append((y_prob[: len(block)], features[: len(block)]))
    y_prob, features = (np.concatenate(parts, dtype=np.float32) for parts in zip(*rows))
    return y_prob, features, np.array(problems)


def _fill(place: np.ndarray, path: Path) -> str:
    try:
        place[:] = pictures.load(path, len(place))
    except pictures.PictureError as error:
        return error.problem
    return ""


def predictions_table(
    files, y_prob, problems, metadata, top=1, probabilities=False, columns=None
):
    """Make a table of what `predict_files` returned, probabilities scaled by the JSON's temperature.

    Args:
        top: how many classes to name, the most probable first.
        probabilities: whether each class gets a column, with " (class)" behind a name in use.
        columns: further ones, {name: n values}.

    Returns a row a file: file, label, index (of the class, from 0), probability; label_2, probability_2
    up to `top`; `columns`; problem; the classes. Where there is a problem, there is no answer.
    """
    names, usable = np.array(metadata["class_names"]), problems == ""
    best = np.argsort(-y_prob, axis=1, kind="stable")[:, :top]
    y_prob = apply_temperature(
        y_prob.astype(float), metadata.get("temperature", 1)
    ).round(6)
    answers = {"label": "", "index": best[:, 0]}
    for place, classes in enumerate(best.T, 1):
        ending = f"_{place}" if place > 1 else ""
        answers[f"label{ending}"] = names[classes]
        answers[f"probability{ending}"] = y_prob[np.arange(len(classes)), classes]
    # Whole numbers stay so beside rows without an answer.
    table = pd.DataFrame(answers | (columns or {})).convert_dtypes()
    table = table[usable].reindex(range(len(files))).assign(problem=problems)
    return _finish(table, files, names, y_prob if probabilities else None)


def _finish(table: pd.DataFrame, files, names, y_prob=None) -> pd.DataFrame:
    # A name may be bytes that are no text, which no CSV file holds.
    table.insert(0, "file", [escape(str(file)) for file in files])
    if y_prob is None:
        return table
    columns = [f"{name} (class)" if name in table else name for name in names]
    return table.join(pd.DataFrame(y_prob, columns=columns)[table.problem == ""])


def predict_batches(model, batches) -> tuple[np.ndarray, np.ndarray]:
    """Gather labels and probabilities in one pass, so that they belong together.

    Of `Batches` in fixed order, returns int64 (n,), positions of classes, and float32 (n, classes).
    """
    y_true, y_prob = [], []
    for index in show_progress(
        range(len(batches)), f"predicting with {model.name}", unit="batch"
    ):
        images, one_hot = batches[index]
        y_true.append(one_hot.argmax(axis=1))
        y_prob.append(np.asarray(model.predict_on_batch(images), dtype=np.float32))
    return np.concatenate(y_true), np.concatenate(y_prob)


def list_labels(model, metadata: dict, files, probabilities=False) -> pd.DataFrame:
    """Ask about files: a row each, of file, labels ("cat|dog"), problem, and if wanted a column a label."""
    y_prob, _, problems = predict_files(model, Path(), files)
    names = np.array(metadata["class_names"])
    limits = [metadata["thresholds"][name] for name in names]
    labels = ["|".join(names[has]) for has in y_prob >= limits]
    table = pd.DataFrame(
        {"labels": np.where(problems == "", labels, ""), "problem": problems}
    )
    return _finish(table, files, names, y_prob.round(6) if probabilities else None)
