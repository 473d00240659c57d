"""Predictions for new pictures by one saved model.

The table has one row for each picture: file, label, index (of the class, from 0), probability; set, a
JSON list of classes that holds the truth as often as COVERAGE of 10, and set_size; of classes with
parents, parent, the lowest that holds the whole set; distance, to the training pictures, and note, which
marks pictures unlike them. These are blank where the model has no limit for them, and sets where there is
a note or --classes leaves some out. With a model of 11 it has file, labels ("cat|dog"), problem. A picture
that can't be read has no answer.
"""

import argparse
import os
import sys
import tempfile
from contextlib import redirect_stderr, redirect_stdout, suppress
from pathlib import Path

import joblib

from lib.base.escapes import list_some
from lib.base.machine import stderr_to
from lib.base.paths_file import (
    ABOUT_UNFINISHED,
    MARKER,
    find_unfinished,
    require_free,
)
from lib.base.storage import require_room
from lib.base.workspace import Workspace, write_table
from lib.data import preparation, sorting
from lib.data.labels import list_files
from lib.models.record import read_record

EXAMPLES = """typically:
  python -m lib.predict results/models/baseline_cnn.keras PICTURES
  python -m lib.predict results/models/baseline_cnn.keras a.jpg b.jpg --csv answers.csv --top 3
  python -m lib.predict results/models/NAME_OF_THE_CARD.keras PICTURES --group-by folder
"""
# The options that decide what a row says.
DECISIVE = "top probabilities group_by classes".split()


def predict_pictures(arguments: list[str] | None = None) -> int:
    """Run the command line.

    Returns:
        0; 1 where a picture could not be read; 2 where the command is wrong or can't go on; 130 where Ctrl-C
        stopped it.
    """
    options = open_parser().parse_args(arguments)
    try:
        record = _open_record(options.model)
        options.classes = _name_classes(options.classes, record.class_names)
        _check_options(options, record)
        # TensorFlow greets on stderr, and standard output is for the answers.
        with (
            stderr_to(Path(os.devnull)) as shown,
            tempfile.TemporaryDirectory() as folder,
        ):
            with redirect_stderr(shown), redirect_stdout(shown):
                table = _predict(options, record, Path(folder))
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; a command with --csv goes on when run again", file=sys.stderr)
        return 130
    if not options.csv and not options.sort_into:
        answers = table.drop(columns="problem")
        # A warning stands before the answer.
        if "note" in answers:
            answers.insert(1, "note", answers.pop("note"))
        print(answers.to_string(index=False))
    unusable = table[table.problem != ""]
    for row in unusable.itertuples():
        print(f"{row.file}: {row.problem}", file=sys.stderr)
    return int(not unusable.empty)


def open_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m lib.predict",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("model", type=Path, help="a .keras file, with its .json beside it")
    add("pictures", nargs="+", help="pictures, or folders of them")
    add("--csv", type=Path, help="write a new file; after a kill the command goes on")
    add("--top", type=int, default=1, metavar="K", help="name the K best classes")
    add("--probabilities", action="store_true", help="add a column for each class")
    add(
        "--group-by",
        metavar="folder|time|CSV",
        help="add the answer of its folder, of its burst by the date of Exif (then with a column taken), or "
        "of its group in a CSV file,group: group, group_label, group_probability, and how many pictures of "
        "group_size agree",
    )
    add(
        "--classes",
        action="append",
        default=[],
        metavar="A,B",
        help="only these can occur: their probabilities add up to 1, and sets promise nothing; --classes A "
        "--classes B means the same, and can name a class with a comma",
    )
    add(
        "--sort-into",
        type=Path,
        help="copy pictures into folders by answer, in a new or empty folder; strangers into to_check",
    )
    add("--sort-below", type=float, help="what is less probable, too; from 0 to 1")
    return parser


def _open_record(path):
    """Return the record of a model; an error where there is none."""
    record = read_record(path)
    if record is None:
        raise ValueError(
            f"{path.with_suffix('.json')} is missing or damaged: copy it with the .keras file."
        )
    return record


def _name_classes(texts, names):
    """Return the classes that texts name: each is one class, or several with commas between them."""
    chosen = []
    for text in texts:
        chosen += [text] if text in names else text.split(",")
    unknown = set(chosen).difference(names)
    if unknown:
        raise ValueError(
            f"--classes {list_some(unknown)}: the classes are {', '.join(names)}."
        )
    if len(set(chosen)) < len(chosen):
        raise ValueError("--classes names a class twice: name each once.")
    return chosen


def _check_options(options, record):
    """Check what can be checked without listing pictures; nothing is written."""
    of_one_label = [options.group_by, options.classes, options.sort_into]
    if record.thresholds and (options.top > 1 or any(of_one_label)):
        raise ValueError(
            f"{record.name} names several labels: it takes --csv and --probabilities alone."
        )
    if options.group_by == "":
        raise ValueError("--group-by is empty: write folder, time, or a CSV file.")
    count = len(options.classes or record.class_names)
    if not 1 <= options.top <= count:
        raise ValueError(f"--top names 1 to {count} classes of this model.")
    if options.sort_below is not None:
        if options.sort_into is None or not 0 <= options.sort_below <= 1:
            raise ValueError(
                "--sort-below is a probability, 0 to 1, and needs --sort-into."
            )
    if options.sort_into:
        taken = [*options.pictures]
        if options.csv:
            taken += [options.csv, find_unfinished(options.csv)]
        sorting.check_target(options.sort_into, taken, record.class_names)


def _predict(options, record, scratch):
    """Return the table of answers, once all is done with them; scratch is empty."""
    files = list_files(options.pictures)
    folders = [Path(), *filter(Path.is_dir, map(Path, options.pictures))]
    ws = Workspace(Path(), Path(), scratch)
    asked = preparation.form_groups(options.group_by, ws, files, folders)
    kept = scratch / "answers"
    goes_on = False
    if options.csv:
        kept = find_unfinished(options.csv)
        goes_on = _open_answers(options, record, kept)
    kept.mkdir(exist_ok=True)
    if options.sort_into:
        sorting.reserve(options.sort_into, files, goes_on)
    # Imported late: TensorFlow takes seconds, and what is wrong is told at once.
    from lib.answering import answer_files

    table = answer_files(options, record, asked, kept)
    # Of several labels the problem stays: none would look like a file that can't be read.
    answers = table if record.thresholds else table.drop(columns="problem")
    whole = kept / sorting.TABLE
    write_table(answers, whole)
    if options.sort_into:
        least = options.sort_below or 0
        sorting.sort_pictures(options.sort_into, asked.file, table, least, whole)
    if options.csv:
        os.replace(whole, options.csv)
        _remove_answers(kept)
    return table


def _open_answers(options, record, kept):
    """Open the folder of the first answers, and tell whether it has some of this command, which goes on."""
    decisive = [getattr(options, name) for name in DECISIVE]
    about = f"{ABOUT_UNFINISHED}{joblib.hash([decisive, record])}\n"
    marker = kept / MARKER
    if marker.exists() and marker.read_text() == about:
        print(f"{kept} has the first answers: going on")
        return True
    if options.csv.exists():
        # A kill at the very end may have left it empty.
        with suppress(OSError):
            kept.rmdir()
        raise ValueError(f"--csv {options.csv} is there already: name a new file.")
    require_free(kept)
    if marker.exists():
        print(f"Note: {kept} is of other options or another model: beginning anew")
        _remove_answers(kept)
    require_room(kept, 0, "the answers")
    marker.write_text(about)
    return False


def _remove_answers(kept):
    """Remove the folder of the first answers; it is ours to the end, since its marker goes last."""
    for path in sorted(kept.iterdir(), key=lambda path: path.name == MARKER):
        path.unlink()
    kept.rmdir()


if __name__ == "__main__":
    sys.exit(predict_pictures())
