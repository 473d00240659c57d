"""The answers of a model: to batches, and to files of any kind."""

import reprlib
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import softmax
from tqdm import tqdm

from lib.data import pictures
from lib.data.listing import escape
from lib.machine import count_cores
from lib.models.backbones import expose_features
from lib.models.saved import open_model

BATCH = 32


def load_classifier(path: Path) -> tuple:
    """Load a saved model and the JSON beside it, and hold one against the other.

    Errors are those of `saved.open_model` and `check_description`.
    """
    model, metadata = open_model(path)
    check_description(metadata, model, path.with_suffix(".json"))
    return model, metadata


def check_description(metadata: dict, model, file) -> None:
    """Raise a ValueError, naming `file` and key, where a key of a model's JSON lacks or misfits."""
    names, size, temperature = map(metadata.get, ("class_names", "image_size", "temperature"))
    outputs, sides = model.output_shape[-1], model.input_shape[1:3]
    is_list = isinstance(names, list) and all(isinstance(name, str) for name in names)
    is_number = isinstance(temperature, int | float) and 0 < temperature < np.inf
    for key, fits, wanted in (
        ("class_names", is_list and len(names) == outputs, f"the names of its {outputs} classes"),
        ("image_size", isinstance(size, int) and {*sides} <= {None, size}, f"{sides[0]} pixels"),
        ("temperature", "temperature" not in metadata or is_number, "a finite number above 0"),
    ):
        if not fits:
            found = reprlib.repr(metadata[key]) if key in metadata else "missing"
            raise ValueError(f'{file}: "{key}" is {found}, and should be {wanted}.')


def classify(
    model, metadata, folder: Path, files, top=1, probabilities=False, further=None, resemble=None
):
    """Predict the class of every file.

    Probabilities are scaled by the JSON's temperature, and have 6 digits; standard error says so.
    The answers stay the same.

    Args:
        model: takes uint8 pictures, gives probabilities.
        about: the model's JSON: class_names, image_size and, where 08 fitted one, temperature.
        folder: what `files` are relative to.
        top: how many classes to name.
        probabilities: whether each class gets a column.
        further, resemble: functions of the model's own probabilities, float (n, classes), and of its
            features, float32 (n, d), that make further columns, {name: n values}.

    Returns one row a file, in order: file, label, index (of the class, from 0), probability;
    label_2, probability_2 up to `top`; further columns; problem; a column a class, " (class)" added
    to a name in use. Where there is a problem, the word of `pictures.PictureError`, there is no
    answer.
    """
    check_description(metadata, model, f"{model.name}.json")
    names, files = np.array(metadata["class_names"]), list(files)
    if not 1 <= top <= len(names):
        raise ValueError(f"--top is {top}; {model.name} can name 1 to {len(names)} classes.")
    paths = [folder / file for file in files]
    y_prob, features, problems = _predict_files(
        model, paths, metadata["image_size"], bool(resemble)
    )
    best = np.argsort(-y_prob, axis=1, kind="stable")[:, :top]
    columns = (further(y_prob) if further else {}) | (resemble(features) if resemble else {})
    y_prob = _scale(y_prob, metadata).round(6)
    y_prob[problems != ""] = np.nan
    table = _tabulate(files, y_prob, best, problems, names, columns)
    for index, name in enumerate(names if probabilities else []):
        while name in table:
            name += " (class)"
        table[name] = y_prob[:, index]
    return table


def _tabulate(files, y_prob, best, problems, names, columns) -> pd.DataFrame:
    usable, ranked = problems == "", np.take_along_axis(y_prob, best, axis=1)
    labels = np.where(usable[:, np.newaxis], names[best], "")
    # A name may be bytes that are no text, which no CSV file holds.
    table = {"file": [escape(str(file)) for file in files], "label": labels[:, 0]}
    table["index"] = pd.Series(best[:, 0], dtype="Int64").where(usable)
    table["probability"] = ranked[:, 0]
    for place in range(1, best.shape[1]):
        table[f"label_{place + 1}"] = labels[:, place]
        table[f"probability_{place + 1}"] = ranked[:, place]
    for name, values in columns.items():
        table[name] = pd.Series(values).convert_dtypes().where(usable)
    return pd.DataFrame(table | {"problem": problems})


def _scale(y_prob: np.ndarray, metadata: dict) -> np.ndarray:
    temperature = metadata.get("temperature")
    if "calibrated_on" in metadata:
        says = f"probabilities were calibrated on {metadata['calibrated_on']}"
    elif temperature is None:
        says = "no temperature is stored: probabilities are the model's own; 08 fits one"
    else:
        says = f"probabilities are scaled by the temperature {temperature:.3g} that 08 fitted"
        # As calibration.soften does it (Guo et al. 2017).
        logits = np.log(np.maximum(y_prob, np.finfo(np.float32).tiny))
        y_prob = softmax(logits / temperature, axis=1)
    print(says, file=sys.stderr)
    return y_prob


def _predict_files(model, paths: list[Path], image_size: int, with_features: bool) -> tuple:
    network, features = expose_features(model) if with_features else model, []
    # A batch always has 32 places, so that no answer depends on the other pictures.
    images = np.zeros((BATCH, image_size, image_size, 3), np.uint8)
    y_prob, problems = np.zeros((len(paths), model.output_shape[-1])), []
    progress = tqdm(total=len(paths), desc=f"predicting with {model.name}", unit="picture")
    with progress, ThreadPoolExecutor(count_cores()) as pool:
        for start in range(0, len(paths), BATCH):
            block = paths[start : start + BATCH]
            problems += pool.map(_fill, images, block)
            answers = network.predict_on_batch(images)
            if with_features:
                answers, patterns = answers
                features.append(np.asarray(patterns, np.float32)[: len(block)])
            y_prob[start : start + BATCH] = np.asarray(answers)[: len(block)]
            progress.update(len(block))
    return y_prob, np.concatenate(features) if features else None, np.array(problems, str)


def _fill(place: np.ndarray, path: Path) -> str:
    try:
        place[:] = pictures.load(path, len(place))
    except pictures.PictureError as error:
        place[:] = 0
        return error.problem
    return ""


def predict_batches(model, batches) -> tuple[np.ndarray, np.ndarray]:
    """Gather labels and probabilities in one pass, so that they belong together.

    Of `Batches` in fixed order, returns int64 (n,), positions of the classes, and float32
    (n, classes), whose rows sum to 1.
    """
    y_true, y_prob = [], []
    for index in tqdm(range(len(batches)), desc=f"predicting with {model.name}", unit="batch"):
        images, one_hot = batches[index]
        y_true.append(one_hot.argmax(axis=1))
        y_prob.append(np.asarray(model.predict_on_batch(images), dtype=np.float32))
    return np.concatenate(y_true), np.concatenate(y_prob)
