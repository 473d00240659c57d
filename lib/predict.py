"""Predictions for new pictures by one saved model.

python -m lib.predict results/models/baseline_cnn.keras PICTURES            prints a table
python -m lib.predict results/models/baseline_cnn.keras a.jpg b.jpg --csv answers.csv --top 3
python -m lib.predict results/models/baseline_cnn.keras a.jpg --sets 0.95    adds set and set_size
python -m lib.predict results/models/resnet50_transfer.keras a.jpg --strangers  resemblance_p, note

The table has a row a picture: file, label, index (of the class, from 0), probability. All arguments
are checked before the first picture is read.
"""

import argparse
import contextlib
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from lib.data.new_pictures import list_new_pictures
from lib.parameters import ALLOWED
from lib.storage import require_room, whole_file


def predict_pictures(arguments: list[str] | None = None) -> int:
    """Run the command line.

    Returns 0; 1 when a picture could not be read, whose row has no answer; 2 when there was nothing
    to predict, or with, or nowhere to write to.
    """
    options = _open_parser().parse_args(arguments)
    try:
        check_place(options.csv)
        files = list_files(options.pictures)
        # Imported late, so that a wrong path is told at once.
        from lib.models.predict import classify, load_classifier

        model, about = load_classifier(options.model)
        further = prepare_sets(options.model, about, options.sets)
        resemble = prepare_resemblance(options.model, model, about, options.strangers)
        shown = options.top, options.probabilities, further, resemble
        table = classify(model, about, Path(), files, *shown)
        write_answers(table.drop(columns="problem"), options.csv)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    unusable = table[table.problem != ""]
    for row in unusable.itertuples():
        print(f"{row.file}: {row.problem}", file=sys.stderr)
    return int(len(unusable) > 0)


def _open_parser() -> argparse.ArgumentParser:
    form = {"description": __doc__, "formatter_class": argparse.RawDescriptionHelpFormatter}
    parser = argparse.ArgumentParser(prog="python -m lib.predict", **form)
    add = parser.add_argument
    add("model", type=Path, help="a .keras file, with its .json beside it")
    add("pictures", nargs="+", help="pictures, or folders of them")
    add("--csv", type=Path, help="write the table there instead of printing it")
    top = "name the K best classes: adds label_2, probability_2 and so on"
    add("--top", type=int, default=1, metavar="K", help=top)
    each = 'add a column a class, in the order of class_names; " (class)" is put after a taken name'
    add("--probabilities", action="store_true", help=each)
    sets = "add set, JSON lists of classes that hold the truth in a share C of cases, and set_size"
    add("--sets", type=float, metavar="C", help=sets)
    strangers = "add resemblance_p, a p-value, and note, which marks what is unlike all training"
    add("--strangers", action="store_true", help=strangers)
    return parser


def prepare_sets(model: Path, about: dict, coverage: float | None) -> Callable | None:
    """Return the function that makes columns of sets, and say what they promise; None without.

    A ValueError where the coverage is out of range, or 05 has not calibrated sets of this model.
    """
    if coverage is None:
        return None
    low, high = ALLOWED["COVERAGE"]["minimum"], ALLOWED["COVERAGE"]["maximum"]
    if not low <= coverage <= high:
        raise ValueError(f"--sets is {coverage}; it takes a share from {low} to {high}, say 0.95.")
    from lib.judging import conformal

    kept = conformal.check_scores(about, model.with_suffix(".json"))
    print(conformal.describe_sets(kept, coverage), file=sys.stderr)
    names = about["class_names"]
    return lambda y_prob: conformal.write_sets(y_prob, names, kept, coverage)


def prepare_resemblance(path: Path, model, about: dict, asked: bool) -> Callable | None:
    """Return the function that makes columns of features, and say what they tell; None if not asked.

    Errors are those of `resemblance.open_features`.
    """
    if not asked:
        return None
    from lib.judging import strangers
    from lib.models.resemblance import open_features

    kept, reason = open_features(model, about, path.with_suffix(".npz"))
    print(reason or strangers.describe_marks(kept), file=sys.stderr)
    return lambda features: strangers.write_resemblance(features, kept)


def check_place(path: Path | None) -> None:
    """Raise an OSError where a path is a folder, or its folder is missing or can't be written."""
    if path is None:
        return
    if path.is_dir():
        raise IsADirectoryError(f"--csv: {path} is a folder: name a file.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"--csv: {path.parent} is not a folder: make it, or name another.")
    require_room(path.parent, 0, "the answers")


def write_answers(table: pd.DataFrame, path: Path | None) -> None:
    """Write a table as CSV, or print it where no path is given."""
    if path is None:
        print(table.astype(object).where(table.notna(), "").to_string(index=False))
        return
    with whole_file(path) as part:
        table.to_csv(part, index=False, lineterminator="\n")


def list_files(places: list[str]) -> list[str]:
    """List files as they are, and of folders all pictures in them.

    A FileNotFoundError where one does not exist; a ValueError where a folder holds no picture.
    """
    files = []
    for place in places:
        if not Path(place).exists():
            hint = "; addresses of the web go into IMAGES of 06" if "://" in place else ""
            raise FileNotFoundError(
                f"{place} does not exist: name pictures, or folders of them{hint}."
            )
        if not Path(place).is_dir():
            files.append(place)
            continue
        # Standard output is for the answers.
        with contextlib.redirect_stdout(sys.stderr):
            files += [str(Path(place, name)) for name in list_new_pictures(Path(place), []).file]
    return files


if __name__ == "__main__":
    sys.exit(predict_pictures())
