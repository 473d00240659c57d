"""The answers of a model: to batches, and to files of any kind."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from lib.data import pictures
from lib.machine import count_cores

BATCH = 32


def load_classifier(path: Path) -> tuple:
    """Load a saved model and the JSON beside it, which tells its classes and its picture size.

    Raises:
        FileNotFoundError: one of the two is missing.
        ValueError: one of the two is damaged.
    """
    description = path.with_suffix(".json")
    for file in (path, description):
        if not file.is_file():
            raise FileNotFoundError(
                f"{file} is not a file. A model is a .keras file with its .json beside it, as "
                "02, 03 and 04 write them into results/models."
            )
    try:
        about = json.loads(description.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{description} is not valid JSON: {error}")
    # Imported late, so that a wrong path is told at once.
    import keras

    return keras.saving.load_model(path, safe_mode=True), about


def classify(model, about: dict, folder: Path, files) -> pd.DataFrame:
    """Predict the class of every file, a batch at a time.

    A batch always has 32 places, and probabilities have 6 digits, so that the answer to a picture
    does not depend on the other ones.

    Args:
        model: takes uint8 pictures, gives probabilities.
        about: the model's JSON, of which class_names and image_size are used.
        folder: what `files` are relative to.
        files: file names.

    Returns:
        One row a file, in order: file, label, index (of the class, from 0), probability, problem.
        Where there is a problem, the word of `pictures.PictureError`, there is no answer.
    """
    files, names, rows = list(files), np.array(about["class_names"]), []
    images = np.zeros((BATCH, about["image_size"], about["image_size"], 3), np.uint8)
    progress = tqdm(total=len(files), desc=f"predicting with {model.name}", unit="picture")
    with progress, ThreadPoolExecutor(count_cores()) as pool:
        for start in range(0, len(files), BATCH):
            block = files[start : start + BATCH]
            problems = list(
                pool.map(lambda name, place: _fill(place, folder / name), block, images)
            )
            y_prob = np.asarray(model.predict_on_batch(images))[: len(block)]
            index = y_prob.argmax(axis=1)
            rows += zip(block, names[index], index, y_prob.max(axis=1), problems)
            progress.update(len(block))
    table = pd.DataFrame(rows, columns=["file", "label", "index", "probability", "problem"])
    table["probability"] = table.probability.astype(float).round(6)
    table["index"] = table["index"].astype("Int64")
    for column, nothing in (("label", ""), ("index", pd.NA), ("probability", np.nan)):
        table[column] = table[column].where(table.problem == "", nothing)
    return table


def _fill(place: np.ndarray, path: Path) -> str:
    try:
        place[:] = pictures.load(path, len(place))
    except pictures.PictureError as error:
        place[:] = 0
        return error.problem
    return ""


def predict_batches(model, batches) -> tuple[np.ndarray, np.ndarray]:
    """Gather labels and probabilities in one pass, so that they belong together.

    Args:
        model: keras.Model.
        batches: `Batches` in fixed order; the last may be smaller.

    Returns:
        y_true: int64 (n,), positions of the classes.
        y_prob: float32 (n, classes), rows sum to 1.
    """
    y_true, y_prob = [], []
    for index in tqdm(range(len(batches)), desc=f"predicting with {model.name}", unit="batch"):
        images, one_hot = batches[index]
        y_true.append(one_hot.argmax(axis=1))
        y_prob.append(np.asarray(model.predict_on_batch(images), dtype=np.float32))
    return np.concatenate(y_true), np.concatenate(y_prob)
