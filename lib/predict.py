"""Predictions for new pictures by one saved model.

The table has one row for each picture: file, label, index (of the class, from 0), probability; set, a
JSON list of classes that holds the truth as often as COVERAGE of 10, and set_size; of classes with
parents, parent, the lowest that holds the whole set; distance, to the training pictures, and note, which
marks pictures unlike them. These are blank where the model has no limit for them, and sets where there is
a note or --classes leaves some out. With a model of 11 it has file, labels ("cat|dog"), problem. A picture
that can't be read has no answer.
"""

import argparse
import hashlib
import os
import shutil
import sys
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pandas as pd

from lib.base import workspace
from lib.base.escapes import list_some
from lib.base.machine import stderr_to
from lib.base.storage import require_room
from lib.base.workspace import Workspace, write_table
from lib.data import pixels, preparation, sorting
from lib.data.label_files import read_columns
from lib.data.labels import list_files
from lib.data.series import name_bursts
from lib.data.split import identify_set, read_split
from lib.evaluation.wording import format_known, format_right, format_things
from lib.models.record import read_record

EXAMPLES = """typically:
  python -m lib.predict results/models/baseline_cnn.keras PICTURES
  python -m lib.predict results/models/baseline_cnn.keras a.jpg b.jpg --csv answers.csv --top 3
  python -m lib.predict results/models/NAME_OF_THE_CARD.keras PICTURES --group-by folder
"""


def predict_pictures(arguments: list[str] | None = None) -> int:
    """Run the command line; return 0, 1 where a picture could not be read, 2 where nothing was done."""
    options = open_parser().parse_args(arguments)
    try:
        record = _check_options(options)
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
        type=lambda text: text.split(","),
        default=[],
        metavar="A,B",
        help="only these can occur: their probabilities add up to 1, and sets promise nothing",
    )
    add("--labels", type=Path, help="say how many answers are as in a CSV file,label")
    add(
        "--sort-into",
        type=Path,
        help="copy pictures into folders by answer, in a new or empty folder; strangers into to_check",
    )
    add("--sort-below", type=float, default=0, help="what is less probable")
    return parser


def _check_options(options):
    """Return the record of the model, once all is checked that can be without opening the model."""
    record = read_record(options.model)
    if record is None:
        raise ValueError(
            f"{options.model.with_suffix('.json')} is missing or damaged: copy it with the .keras file."
        )
    names = record.class_names
    one_label = [options.group_by, options.classes, options.labels, options.sort_into]
    if record.thresholds and (options.top > 1 or any(one_label)):
        raise ValueError(
            f"{record.name} names several labels: it takes --csv and --probabilities alone."
        )
    possible = options.classes or names
    unknown = set(possible).difference(names)
    if unknown:
        raise ValueError(
            f"--classes {list_some(unknown)}: the classes are {', '.join(names)}."
        )
    count = len(possible)
    if not 1 <= options.top <= count:
        raise ValueError(f"--top names 1 to {count} classes of this model.")
    if options.csv:
        if options.csv.exists():
            raise ValueError(f"--csv {options.csv} is there already: name a new file.")
        require_room(options.csv.parent, 0, "the answers")
    if options.sort_into:
        sorting.check_target(options.sort_into, options.pictures, names)
        require_room(options.sort_into, 0, "the copies")
    return record


def _predict(options, record, scratch):
    """Return the table of answers, once all is done with them; scratch is empty."""
    # Imported late: TensorFlow takes seconds, and what is wrong is told at once.
    from lib.answering import answer_files

    files = list_files(options.pictures)
    folders = [Path(), *filter(Path.is_dir, map(Path, options.pictures))]
    ws = Workspace(Path(), Path(), scratch)
    if options.labels:
        told = read_columns(options.labels, ["label", "group"], files, folders)
    asked = form_groups(options.group_by, ws, files, folders)
    kept = scratch / "answers"
    if options.csv:
        # Files and groups, too: those of a corrected CSV file are others.
        command = f"{vars(options)} {record} {asked.to_dict('list')}"
        digest = hashlib.md5(command.encode()).hexdigest()
        name = f"{options.csv.stem}_unfinished_{digest}"
        kept = options.csv.with_name(name)
    table = answer_files(options, record, asked, kept)
    if options.labels:
        _score(options, record, ws, table, told)
    # Of several labels the problem stays: none would look like a file that can't be read.
    answers = table if record.thresholds else table.drop(columns="problem")
    if options.csv:
        write_table(answers, options.csv)
    if options.sort_into:
        sorting.sort_pictures(options.sort_into, asked.file, table, options.sort_below)
        write_table(answers, options.sort_into / "predictions.csv")
    shutil.rmtree(kept)
    return table


def form_groups(
    how: str | None, ws: Workspace, files: list[str], folders: list[Path]
) -> pd.DataFrame:
    """Return columns file and group, and taken, the date of Exif, if that makes groups.

    Args:
        how: the folder of each file is its group; or time, its burst, as 01 makes them; or that of a CSV
            file of columns file and group. A file without a group is its own.
        folders: what names of that file may be relative to, see `read_columns`.
    """
    asked = pd.DataFrame({"file": files})
    paths = asked.file.map(os.path.abspath)
    groups = paths
    if how == "folder":
        groups = paths.map(os.path.dirname)
    elif how == "time":
        dated, _ = pixels.decode_pictures(ws, Path.cwd(), asked, [])
        asked = asked.merge(dated[["file", "taken"]], how="left")
        groups = name_bursts(asked.assign(file=paths, label=""))
    elif how:
        given = read_columns(Path(how), ["group"], files, folders)
        groups = given.group.replace("", None).reset_index(drop=True)
    return asked.assign(group=groups).fillna({"group": paths})


def _score(options, record, ws, table, told):
    """Say how many pictures, and groups, are answered rightly, and which are not scored."""
    told = told.fillna("").reset_index()
    told = told[(told.label != "") & (table.problem == "")]
    rows = table.loc[told.index].assign(truth=told.label)
    rows["same"], is_known = _relate(options, record, ws, told)
    is_possible = rows.truth.isin(options.classes or record.class_names)
    scored = rows[is_possible & ~is_known]
    _print_right(scored.label == scored.truth, scored.same, "pictures")
    if options.group_by:
        pairs = scored.drop_duplicates(["group", "truth"])
        groups = pairs[~pairs.group.duplicated(keep=False)]
        _print_right(groups.group_label == groups.truth, groups.group, "groups")
    known = rows[is_possible & is_known]
    if len(known):
        print(f"not scored: {format_known(len(known))}")
    others = rows[~is_possible]
    if len(others):
        marked = (others.note != "").sum()
        count = format_things(len(others), "picture")
        print(
            f"not scored: {count} of other classes, of which {marked} are marked as strangers"
        )


def _print_right(is_right, groups, things):
    if len(is_right):
        print(f"labels: {format_right(is_right, groups)} {things}")


def _relate(options, record, ws, new):
    """Return groups of new pictures, as 08 makes them, and which the split of the model holds."""
    results = options.model.resolve().parents[1]
    try:
        of_model = workspace.read(results / "run_paths.json")
        known = read_split(of_model)
        if identify_set(known) != record.split_hash:
            raise ValueError(f"{results} has another split")
        ws = of_model
    except (OSError, ValueError) as error:
        print(f"Note: {error}. The split of this model is missing: all count as new.")
        known = new[:0]
    size = record.image_size
    decoded, _ = pixels.decode_pictures(ws, Path.cwd(), new, [size])
    return preparation.group_new(ws, decoded, known, size)


if __name__ == "__main__":
    sys.exit(predict_pictures())
