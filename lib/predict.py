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
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np

from lib.base.escapes import list_some
from lib.base.machine import stderr_to
from lib.base.storage import require_room
from lib.base.workspace import write_table
from lib.data import sorting
from lib.data.label_files import read_columns
from lib.data.labels import list_files, list_groups
from lib.evaluation import conformal, group_answers, strangers
from lib.evaluation.wording import format_right
from lib.models.record import read_record
from lib.models.temperature import apply_temperature

# Of a class that can occur: more than the others have, where a model gives all of them 0.
MIN_PROBABILITY = 1e-30
EXAMPLES = """typically:
  python -m lib.predict results/models/baseline_cnn.keras PICTURES
  python -m lib.predict results/models/baseline_cnn.keras a.jpg b.jpg --csv answers.csv --top 3
  python -m lib.predict results/models/NAME_OF_THE_CARD.keras PICTURES --group-by folder
"""


def predict_pictures(arguments: list[str] | None = None) -> int:
    """Run the command line; return 0, 1 where a picture could not be read, 2 where nothing was done."""
    options = open_parser().parse_args(arguments)
    null = Path(os.devnull)
    try:
        record = _check_options(options)
        # TensorFlow greets on stderr, and standard output is for the answers.
        with stderr_to(null) as shown, redirect_stderr(shown), redirect_stdout(shown):
            files = list_files(options.pictures)
            table = _answer(options, record, files)
        _write_answers(options, files, table)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    unusable = table[table.problem != ""]
    for row in unusable.itertuples():
        print(f"{row.file}: {row.problem}", file=sys.stderr)
    return int(len(unusable) > 0)


def _write_answers(options, files, table):
    """Write the table of answers, or print it, a warning before the answer."""
    # With several labels it stays: a picture of none would look like one that can't be read.
    answers = table.drop(columns="problem") if "label" in table else table
    if options.sort_into:
        _sort_pictures(options, files, table)
        write_table(answers, options.sort_into / "predictions.csv")
    if options.csv:
        write_table(answers, options.csv)
    if options.csv or options.sort_into:
        return
    shown = answers.astype(object).where(answers.notna(), "")
    if "note" in shown:
        shown.insert(1, "note", shown.pop("note"))
    print(shown.to_string(index=False))


def _sort_pictures(options, files, table):
    """Copy the pictures that can be read into folders by answer."""
    is_unsure = (table.note != "") | (table.probability < options.sort_below)
    names = table.label.mask(is_unsure, sorting.TO_CHECK)
    sorting.copy_pictures(
        options.sort_into, files, names.where(table.problem == "", "")
    )


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
    add("--csv", type=Path, help="write the table into this new file")
    add("--top", type=int, default=1, metavar="K", help="name the K best classes")
    add("--probabilities", action="store_true", help="add a column for each class")
    add(
        "--group-by",
        metavar="folder|CSV",
        help="add the answer of its folder, or of its group in a CSV file,group: group, group_label, "
        "group_probability, and how many pictures of group_size agree",
    )
    _add_uses(add)
    return parser


def _add_uses(add):
    """Add the options that do something with answers."""
    add(
        "--classes",
        type=lambda text: text.split(","),
        default=[],
        metavar="A,B",
        help="only these can occur here: their probabilities add up to 1, and sets promise nothing",
    )
    add(
        "--labels", type=Path, help="say how many answers are as in this CSV file,label"
    )
    add(
        "--sort-into",
        type=Path,
        metavar="FOLDER",
        help="copy the pictures into folders by answer, strangers into to_check, with predictions.csv; a "
        "new folder, or that of an earlier run, which is replaced",
    )
    add(
        "--sort-below",
        type=float,
        default=0,
        metavar="P",
        help="copy less probable answers into to_check, too",
    )


def _check_options(options):
    """Return the record of the model, once all is checked that can be without opening the model."""
    record = read_record(options.model)
    if record is None or not options.model.is_file():
        raise ValueError(
            f"{options.model} or its .json is missing or damaged: copy both, the .json beside the .keras file."
        )
    one_label = [options.group_by, options.classes, options.labels, options.sort_into]
    if record.thresholds and (options.top > 1 or any(one_label)):
        raise ValueError(
            f"{record.name} names several labels: it takes --csv and --probabilities alone."
        )
    unknown = set(options.classes).difference(record.class_names)
    if unknown:
        known = ", ".join(record.class_names)
        raise ValueError(f"--classes {list_some(unknown)}: the classes are {known}.")
    count = len(options.classes or record.class_names)
    if not 1 <= options.top <= count:
        raise ValueError(f"--top names 1 to {count} classes of this model.")
    if options.csv is not None:
        if options.csv.exists():
            raise ValueError(f"--csv {options.csv} is there already: name a new file.")
        require_room(options.csv.parent, 0, "the answers")
    if options.sort_into:
        sorting.check_target(options.sort_into, options.pictures, record.class_names)
    return record


def _answer(options, record, files):
    """Ask the model, and return the table of its answers."""
    # Imported late: TensorFlow takes seconds, and what is wrong is told at once.
    from lib.models import classify, saved

    folders = [Path(), *filter(Path.is_dir, map(Path, options.pictures))]
    groups = list_groups(options.group_by, files, folders) if options.group_by else []
    if options.labels:
        truth = read_columns(options.labels, ["label"], files, folders).label
    model, _ = saved.open_model(options.model)
    if record.thresholds:
        return classify.list_labels(model, record, files, options.probabilities)
    y_prob, features, problems = classify.predict_files(model, Path(), files)
    print("temperature:", record.temperature or "none is stored, 08 fits one")
    if options.classes:
        possible = np.maximum(y_prob, MIN_PROBABILITY)
        y_prob = possible * np.isin(record.class_names, options.classes)
    scaled = apply_temperature(y_prob, record.temperature or 1)
    of_distance = _list_distances(options.model, model, record, features)
    columns = _list_sets(options, scaled, record, of_distance["note"]) | of_distance
    if groups:
        columns |= group_answers.group_columns(
            scaled, record.class_names, groups, usable=problems == ""
        )
    table = classify.predictions_table(
        files,
        y_prob,
        problems,
        record,
        top=options.top,
        probabilities=options.probabilities,
        columns=columns,
    )
    if options.labels:
        _score(record, table, truth.fillna("").array, np.array(groups or files))
    return table


def _score(record, table, truth, groups):
    """Say how many answers are right, and how many pictures of other species are marked."""
    is_asked = (table.problem == "") & (truth != "")
    is_class = np.isin(truth, record.class_names)
    known = is_asked & is_class
    print("labels:", format_right((table.label == truth)[known], groups[known]))
    marks = table.note[is_asked & ~is_class]
    marked = (marks != "").sum()
    print(f"of {len(marks)} pictures of other species {marked} are marked as strangers")


def _list_sets(options, y_prob, record, notes):
    """Return the columns of sets: what these promise holds for pictures like those that the model knows."""
    kept = record.answer_sets
    columns = conformal.set_columns(y_prob, record)
    if options.classes:
        print(f"only {', '.join(options.classes)} can occur here: sets promise nothing")
        return dict.fromkeys(columns, "")
    if kept.limit is None:
        print("no limit of sets is stored: 10_hand_over finds one in enough pictures")
        return dict.fromkeys(columns, "")
    print(conformal.describe_sets(kept))
    is_known = np.array(notes) == ""
    return {name: np.where(is_known, cells, None) for name, cells in columns.items()}


def _list_distances(path, model, record, features):
    """Return the columns of distances, and of notes about strangers."""
    from lib.models import resemblance
    from lib.models.parts import find_parts

    try:
        find_parts(model)
        known = resemblance.open_features(path.with_suffix(".npz"), record)
    except ValueError as error:
        print(error)
        return {"distance": "", "note": ""}
    distances = resemblance.measure_distances(features, known)
    print(strangers.describe_strangers(record.strangers))
    notes = strangers.mark_strangers(distances, record.strangers)
    return {"distance": distances.round(6), "note": notes}


if __name__ == "__main__":
    sys.exit(predict_pictures())
