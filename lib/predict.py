"""Predictions for new pictures by one saved model.

python -m lib.predict results/models/baseline_cnn.keras PICTURES            prints a table
python -m lib.predict results/models/baseline_cnn.keras a.jpg b.jpg --csv answers.csv
"""

import argparse
import contextlib
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from lib.data import labels, pictures
from lib.machine import count_cores
from lib.storage import whole_file

BATCH = 32


def predict_pictures(arguments: list[str] | None = None) -> int:
    """Run the command line.

    Returns:
        0; 1 when a picture could not be read; 2 when there was nothing to predict, or with.
    """
    parser = argparse.ArgumentParser(
        prog="python -m lib.predict",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", type=Path, help="a .keras file, with its .json beside it")
    parser.add_argument("pictures", type=Path, nargs="+", help="pictures, or folders of them")
    parser.add_argument("--csv", type=Path, help="write the table there instead of printing it")
    options = parser.parse_args(arguments)
    try:
        files = list_files(options.pictures)
        model, about = load_classifier(options.model)
        table = classify(model, about, Path(), files)
        write_answers(table.drop(columns="problem"), options.csv)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    unusable = table[table.problem != ""]
    for row in unusable.itertuples():
        print(f"{row.file}: {row.problem}", file=sys.stderr)
    return int(len(unusable) > 0)


def write_answers(table: pd.DataFrame, path: Path | None) -> None:
    """Write a table as CSV, or print it where no path is given."""
    if path is None:
        print(table.astype(object).where(table.notna(), "").to_string(index=False))
        return
    with whole_file(path) as part:
        table.to_csv(part, index=False, lineterminator="\n")


def list_files(places: list[Path]) -> list[str]:
    """List files as they are, and of folders all pictures in them.

    Raises:
        ValueError: a folder holds no picture.
    """
    files = []
    for place in places:
        # Standard output is for the answers.
        with contextlib.redirect_stdout(sys.stderr):
            inside = labels.list_new_pictures(place, []).file if place.is_dir() else [""]
        files += [str(place / name) for name in inside]
    return files


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


if __name__ == "__main__":
    sys.exit(predict_pictures())
