"""Predictions for new pictures by one saved model.

The table has one row for each picture: file, label, index (of the class, from 0), probability; set, a
JSON list of classes that holds the truth as often as COVERAGE of 10, and set_size; distance, to the
training pictures, and note, which marks pictures unlike them. These four are blank where the model has
no limit for them, and sets where there is a note. With a model of 11 it has file, labels ("cat|dog"),
problem. A picture that can't be read has no answer.
"""

import argparse
import contextlib
import os
import re
import sys
from pathlib import Path

from lib.base.machine import stderr_to
from lib.base.storage import require_room
from lib.base.workspace import read_columns, write_table
from lib.models.record import read_record
from lib.new_pictures import list_files, list_groups

# How tables of answers begin, and what they may have beside the classes.
ONE_LABEL = ["file", "label", "index", "probability"]
SEVERAL_LABELS = ["file", "labels", "problem"]
COLUMNS = re.compile(
    r"file|labels?|index|probability|problem|(label|probability)_\d+|set|set_size|distance|note|"
    r"group(_label|_probability|_agree|_size)?"
)

EXAMPLES = """typically:
  python -m lib.predict results/models/baseline_cnn.keras PICTURES
  python -m lib.predict results/models/baseline_cnn.keras a.jpg b.jpg --csv answers.csv --top 3
  python -m lib.predict results/models/NAME_OF_THE_CARD.keras PICTURES --group-by folder
"""


def predict_pictures(arguments: list[str] | None = None) -> int:
    """Run the command line; return 0, 1 where a picture could not be read, 2 where nothing was done."""
    options = open_parser().parse_args(arguments)
    try:
        _check_options(options)
        files = list_files(options.pictures)
        if options.csv is not None:
            _check_target(options.csv, options.model)
        # TensorFlow greets there.
        nowhere = Path(os.devnull)
        with stderr_to(nowhere) as shown, contextlib.redirect_stderr(shown):
            table = _answer(options, files)
        _write_answers(table, options.csv)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    unusable = table[table.problem != ""]
    for row in unusable.itertuples():
        print(f"{row.file}: {row.problem}", file=sys.stderr)
    return int(len(unusable) > 0)


def _write_answers(table, csv):
    # With several labels it stays: a picture of none would look like one that can't be read.
    answers = table.drop(columns="problem") if "label" in table else table
    if csv is None:
        shown = answers.astype(object).where(answers.notna(), "")
        if "note" in shown:  # A warning goes before the answer.
            shown.insert(1, "note", shown.pop("note"))
        print(shown.to_string(index=False))
        return
    write_table(answers, csv)


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
    add("--csv", type=Path, help="write the table there instead of printing it")
    add(
        "--top",
        type=int,
        default=1,
        metavar="K",
        help="name the K best classes: adds label_2, probability_2 and so on",
    )
    add(
        "--probabilities",
        action="store_true",
        help='add one column for each class, in their order; " (class)" is put after a taken name',
    )
    add(
        "--group-by",
        metavar="folder|CSV",
        help="add the answer of its folder, or of its group in a CSV file,group: group, group_label, "
        "group_probability, and how many pictures of group_size agree",
    )
    return parser


def _check_options(options):
    for file in (options.model, options.model.with_suffix(".json")):
        if not file.is_file():
            raise FileNotFoundError(
                f"{file} is not a file: a .keras file has its .json beside it."
            )
    groups = options.group_by
    if groups not in (None, "folder") and not Path(groups).is_file():
        raise FileNotFoundError(
            f"--group-by {groups}: write folder, or name a CSV file of columns file and group."
        )


def _check_target(csv, model):
    """Raise an error where the answers would take the place of something else, or find none."""
    if not csv.parent.is_dir():
        raise FileNotFoundError(f"--csv {csv}: name a file in a folder that exists.")
    if csv.exists() and not _holds_answers(csv, model):
        raise ValueError(
            f"--csv {csv} is there already, and is no table of answers of {model.name} alone: name a new file."
        )
    require_room(csv.parent, 0, "the answers")


def _holds_answers(path, model):
    """Tell whether a file has the columns of answers of a model, and no others."""
    record = read_record(model)
    if record is None or not path.is_file():
        return False
    columns = read_columns(path)
    if columns[:4] != ONE_LABEL and columns[:3] != SEVERAL_LABELS:
        return False
    further = [name for name in columns if not COLUMNS.fullmatch(name)]
    classes = [name.removesuffix(" (class)") for name in further]
    return set(classes).issubset(record.class_names)


def _answer(options, files):
    # Imported late: TensorFlow takes seconds, and what is wrong is told at once.
    from lib.evaluation import group_answers
    from lib.models import classify, saved
    from lib.models.parts import has_backbone
    from lib.models.temperature import apply_temperature

    model, record = saved.open_model(options.model)
    _check_model(options, record)
    if record.thresholds:
        return classify.list_labels(model, record, files, options.probabilities)
    names = record.class_names
    groups = list_groups(options.group_by, files) if options.group_by else []
    y_prob, features, problems = classify.predict_files(
        model, Path(), files, with_features=has_backbone(model)
    )
    print(_describe_probabilities(record), file=sys.stderr)
    scaled = apply_temperature(y_prob, record.temperature or 1)
    kept = record.answer_sets
    columns = _list_sets(scaled, names, kept)
    columns |= _list_strangers(options.model, model, record, features, kept)
    if options.group_by:
        columns |= group_answers.group_columns(scaled, names, groups, problems == "")
    table = classify.predictions_table(
        files,
        y_prob,
        problems,
        record,
        top=options.top,
        probabilities=options.probabilities,
        columns=columns,
    )
    # What sets promise holds for pictures like those that the model knows.
    sets = table[["set", "set_size"]].mask(table.note.fillna("") != "")
    return table.assign(**sets)


def _check_model(options, record):
    if record.thresholds and (options.top > 1 or options.group_by):
        raise ValueError(
            f"{options.model.name} gives a picture several labels: leave out --top and --group-by."
        )
    count = len(record.class_names)
    if not 1 <= options.top <= count:
        raise ValueError(
            f"--top is {options.top}; the model can name 1 to {count} classes."
        )


def _list_sets(y_prob, names, kept):
    from lib.evaluation import conformal

    if kept.get("limit") is None:
        print(
            "no limit of sets is stored: 10_hand_over finds one in enough pictures",
            file=sys.stderr,
        )
        return {"set": "", "set_size": ""}
    print(conformal.describe_sets(kept), file=sys.stderr)
    return conformal.set_columns(y_prob, names, kept["limit"])


def _list_strangers(path, model, record, features, kept):
    from lib.evaluation import strangers
    from lib.models import resemblance

    try:
        known = resemblance.open_features(model, record, path.with_suffix(".npz"))
    except ValueError as error:
        print(error, file=sys.stderr)
        return {"distance": "", "note": ""}
    distances = resemblance.measure_distances(features, known["features"])
    limit = strangers.limit_strangers(
        known["distances"], known["groups"], kept.get("coverage", 0.95)
    )
    notes = strangers.mark_strangers(distances, limit)
    print(strangers.describe_strangers(limit), file=sys.stderr)
    return {"distance": distances.round(6), "note": notes}


def _describe_probabilities(record):
    if record.temperature is None:
        return (
            "no temperature is stored: probabilities are the model's own; 08 fits one"
        )
    pictures = record.calibrated_on or "validation pictures"
    return f"probabilities have the temperature {record.temperature:.3g}, calibrated on {pictures}"


if __name__ == "__main__":
    sys.exit(predict_pictures())
