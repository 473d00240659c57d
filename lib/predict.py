"""Predictions for new pictures by one saved model.

The table has one row for each picture: file, label, index (of the class, from 0), probability; set, a
JSON list of classes that holds the truth as often as COVERAGE of 10, and set_size; distance, to the
training pictures, and note, which marks pictures unlike them. These four are blank where the model has
no limit for them, and sets where there is a note. With a model of 11 it has file, labels ("cat|dog"),
problem. A picture that can't be read has no answer.
"""

import argparse
import os
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np

from lib.base.escapes import list_some
from lib.base.machine import stderr_to
from lib.base.paths_file import check_exists
from lib.base.storage import require_room
from lib.base.workspace import write_table
from lib.data.label_files import read_labels
from lib.data.labels import list_new_pictures
from lib.data.names import match_files
from lib.evaluation import conformal, group_answers, strangers
from lib.models.record import read_record
from lib.models.temperature import apply_temperature

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
        _write_answers(table, options.csv)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    unusable = table[table.problem != ""]
    for row in unusable.itertuples():
        print(f"{row.file}: {row.problem}", file=sys.stderr)
    return int(len(unusable) > 0)


def _write_answers(table, csv):
    """Write the table of answers, or print it, a warning before the answer."""
    # With several labels it stays: a picture of none would look like one that can't be read.
    answers = table.drop(columns="problem") if "label" in table else table
    if csv is not None:
        write_table(answers, csv)
        return
    shown = answers.astype(object).where(answers.notna(), "")
    if "note" in shown:
        shown.insert(1, "note", shown.pop("note"))
    print(shown.to_string(index=False))


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
    return parser


def _check_options(options):
    """Return the record of the model, once all is checked that can be without opening the model."""
    record = read_record(options.model)
    if record is None or not options.model.is_file():
        raise ValueError(f"{options.model} is no .keras file with its .json beside it.")
    if record.thresholds and (options.top > 1 or options.group_by):
        raise ValueError(f"{record.name} takes no --top and no --group-by.")
    count = len(record.class_names)
    if not 1 <= options.top <= count:
        raise ValueError(f"--top names 1 to {count} classes of this model.")
    if options.csv is not None:
        if options.csv.exists():
            raise ValueError(f"--csv {options.csv} is there already: name a new file.")
        require_room(options.csv.parent, 0, "the answers")
    return record


def list_files(places: list[str]) -> list[str]:
    """Return pictures, and those in folders, each once.

    Raises:
        OSError: a place does not exist, or can't be entered.
    """
    files = []
    for place in places:
        check_exists(Path(place), "Name pictures, or folders of them.")
        if os.path.isdir(place):
            inside = list_new_pictures(Path(place), [])
            files += [str(Path(place, name)) for name in inside.file]
        else:
            files.append(place)
    return list({os.path.abspath(file): file for file in files}.values())


def list_groups(how: str, files: list[str]) -> list[str]:
    """Return the group of each file: "folder", or as a CSV file of columns file and group says.

    A row names a file as it was given, or by its name alone. A file without a group is its own.

    Raises:
        ValueError: the CSV file gives a file no group, or several.
    """
    if how == "folder":
        return [os.path.dirname(os.path.abspath(file)) for file in files]
    check_exists(Path(how), "--group-by takes a CSV file, or folder.")
    rows = read_labels(Path(how), ["file", "group"])
    meant = rows.file.map(match_files(rows.file, files, Path()))
    groups = rows.group.groupby(meant)
    known = groups.first()[groups.nunique() == 1]
    lost = [file for file in files if file not in known]
    if lost:
        raise ValueError(f"{how} has to give one group to each of {list_some(lost)}.")
    return [known[file] or os.path.abspath(file) for file in files]


def _answer(options, record, files):
    """Ask the model, and return the table of its answers."""
    # Imported late: TensorFlow takes seconds, and what is wrong is told at once.
    from lib.models import classify, saved
    from lib.models.parts import has_backbone

    groups = list_groups(options.group_by, files) if options.group_by else []
    model, _ = saved.open_model(options.model)
    if record.thresholds:
        return classify.list_labels(model, record, files, options.probabilities)
    y_prob, features, problems = classify.predict_files(
        model, Path(), files, with_features=has_backbone(model)
    )
    print("temperature:", record.temperature or "none is stored, 08 fits one")
    scaled = apply_temperature(y_prob, record.temperature or 1)
    of_distance = _list_distances(options.model, model, record, features)
    columns = _list_sets(scaled, record, of_distance["note"]) | of_distance
    if groups:
        columns |= group_answers.group_columns(
            scaled, record.class_names, groups, usable=problems == ""
        )
    return classify.predictions_table(
        files,
        y_prob,
        problems,
        record,
        top=options.top,
        probabilities=options.probabilities,
        columns=columns,
    )


def _list_sets(y_prob, record, notes):
    """Return the columns of sets: what these promise holds for pictures like those that the model knows."""
    kept = record.answer_sets
    if kept.limit is None:
        print("no limit of sets is stored: 10_hand_over finds one in enough pictures")
        return {"set": "", "set_size": ""}
    print(conformal.describe_sets(kept))
    columns = conformal.set_columns(y_prob, record.class_names, kept.limit)
    is_known = np.array(notes) == ""
    return {name: np.where(is_known, cells, None) for name, cells in columns.items()}


def _list_distances(path, model, record, features):
    """Return the columns of distances, and of notes about strangers."""
    from lib.models import resemblance

    try:
        known = resemblance.open_features(model, record, path.with_suffix(".npz"))
    except ValueError as error:
        print(error)
        return {"distance": "", "note": ""}
    distances = resemblance.measure_distances(features, known["features"])
    coverage = record.answer_sets.coverage
    limit = strangers.limit_strangers(known["distances"], known["groups"], coverage)
    print(strangers.describe_strangers(limit))
    notes = strangers.mark_strangers(distances, limit)
    return {"distance": distances.round(6), "note": notes}


if __name__ == "__main__":
    sys.exit(predict_pictures())
