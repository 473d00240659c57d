"""Predictions for new pictures by one saved model.

python -m lib.predict results/models/baseline_cnn.keras PICTURES            prints a table
python -m lib.predict results/models/baseline_cnn.keras a.jpg b.jpg --csv answers.csv
"""

import argparse
import contextlib
import sys
from pathlib import Path

import pandas as pd

from lib.data import labels
from lib.models.predict import classify, load_classifier
from lib.storage import whole_file


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


if __name__ == "__main__":
    sys.exit(predict_pictures())
