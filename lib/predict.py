"""Predictions for new pictures by one saved model.

The table has a row a picture: file, label, index (of the class, from 0), probability; of a model of
11: file, labels ("cat|dog"), problem. A picture that can't be read has no answer.
"""

import argparse
import contextlib
import os
import sys
from pathlib import Path

from lib.data.label_files import match_files, read_labels
from lib.data.labels import list_new_pictures
from lib.storage import atomic_write, require_room

EXAMPLES = """typically:
  python -m lib.predict results/models/baseline_cnn.keras PICTURES
  python -m lib.predict results/models/baseline_cnn.keras a.jpg b.jpg --csv answers.csv --top 3
  python -m lib.predict results/models/resnet50_transfer.keras PICTURES --strangers --group-by folder
"""


def predict_pictures(arguments: list[str] | None = None) -> int:
    """Run the command line; return 0, 1 where a picture could not be read, 2 where nothing was done."""
    options = open_parser().parse_args(arguments)
    try:
        _check_options(options)
        table = _answer(options, _list_files(options.pictures))
        # Without a word a picture of none of the labels would look like one that can't be read.
        answers = table.drop(columns="problem") if "label" in table else table
        if options.csv is None:
            print(
                answers.astype(object).where(answers.notna(), "").to_string(index=False)
            )
        else:
            with atomic_write(options.csv) as part:
                answers.to_csv(part, index=False, lineterminator="\n")
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    for row in (unusable := table[table.problem != ""]).itertuples():
        print(f"{row.file}: {row.problem}", file=sys.stderr)
    return int(len(unusable) > 0)


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
    top = "name the K best classes: adds label_2, probability_2 and so on"
    add("--top", type=int, default=1, metavar="K", help=top)
    each = 'add a column a class, in the order of class_names; " (class)" is put after a taken name'
    add("--probabilities", action="store_true", help=each)
    sets = "add set, JSON lists of classes that hold the truth as often as COVERAGE of 10, and set_size"
    add("--sets", action="store_true", help=sets)
    strangers = "add distance, to the training pictures, and note, which marks what is unlike them"
    add("--strangers", action="store_true", help=strangers)
    groups = (
        "add the answer of its folder, or of its group in a CSV file,group: group, "
    )
    groups += (
        "group_label, group_probability, and how many pictures of group_size agree"
    )
    add("--group-by", metavar="folder|CSV", help=groups)
    return parser


def _check_options(options: argparse.Namespace) -> None:
    for file in (options.model, options.model.with_suffix(".json")):
        if not file.is_file():
            raise FileNotFoundError(
                f"{file} is not a file: a .keras file has its .json beside it."
            )
    if (
        options.group_by not in (None, "folder")
        and not Path(options.group_by).is_file()
    ):
        remedy = "write folder, or name a CSV file of columns file and group"
        raise FileNotFoundError(f"--group-by {options.group_by}: {remedy}.")
    if options.csv is not None:
        if options.csv.is_dir() or not options.csv.parent.is_dir():
            raise FileNotFoundError(
                f"--csv {options.csv}: name a file in a folder that exists."
            )
        require_room(options.csv.parent, 0, "the answers")


def _list_files(places: list[str]) -> list[str]:
    files = []
    for place in places:
        if Path(place).is_dir():
            # Standard output is for the answers.
            with contextlib.redirect_stdout(sys.stderr):
                inside = list_new_pictures(Path(place), [])
            files += [str(Path(place, name)) for name in inside.file]
        elif Path(place).exists():
            files.append(place)
        else:
            raise FileNotFoundError(
                f"{place} does not exist: name pictures, or folders of them."
            )
    return files


def _list_groups(how: str, files: list[str]) -> list[str]:
    if how == "folder":
        return [str(Path(file).parent) for file in files]
    rows = read_labels(Path(how), ["file", "group"])
    paths = [Path(file).resolve() for file in files]
    folder = Path(os.path.commonpath([path.parent for path in paths]))
    names = [path.relative_to(folder).as_posix() for path in paths]
    rows["file"] = rows.file.map(match_files(rows.file, names, folder))
    group = rows.drop_duplicates(["file", "group"]).set_index("file").group
    if lost := [name for name in names if (group.index == name).sum() != 1]:
        raise ValueError(
            f"{how} has to give {lost[0]} one group (such files: {len(lost):,})."
        )
    return [
        group[name] or name for name in names
    ]  # Without a group a picture is its own.


def _answer(options: argparse.Namespace, files: list[str]):
    # Imported late: TensorFlow takes seconds, and what is wrong is told at once.
    from lib.evaluation import conformal, metrics
    from lib.models import classify, resemblance, saved
    from lib.models.temperature import apply_temperature

    model, metadata = saved.open_model(options.model)
    if "task" in metadata:
        if options.top > 1 or options.sets or options.strangers or options.group_by:
            refused = "leave out --top, --sets, --strangers and --group-by"
            raise ValueError(
                f"{options.model.name} gives a picture several labels: {refused}."
            )
        return classify.list_labels(model, metadata, files, options.probabilities)
    names, says, columns = (
        metadata["class_names"],
        [_describe_probabilities(metadata)],
        {},
    )
    groups = _list_groups(options.group_by, files) if options.group_by else []
    if not 1 <= options.top <= len(names):
        raise ValueError(
            f"--top is {options.top}; the model can name 1 to {len(names)} classes."
        )
    sets = metadata.get("answer_sets") or {}
    if options.sets and "limit" not in sets:
        file, remedy = (
            options.model.with_suffix(".json"),
            "run 10_hand_over with this MODEL",
        )
        raise ValueError(f'{file}: "answer_sets" has no limit: {remedy}.')
    if options.sets:
        says.append(conformal.describe_sets(sets))
    if options.strangers:
        known = resemblance.open_features(
            model, metadata, options.model.with_suffix(".npz")
        )
        like = known["distances"], known["groups"], sets.get("coverage", 0.95)
        says.append(conformal.mark_out_of_distribution([], *like)[1])
    print(*says, sep="\n", file=sys.stderr)
    y_prob, features, problems = classify.predict_files(
        model, Path(), files, options.strangers
    )
    scaled = apply_temperature(y_prob, metadata.get("temperature", 1))
    if options.group_by:
        columns |= metrics.group_columns(scaled, names, groups, problems == "")
    if options.sets:
        columns |= conformal.set_columns(scaled, names, sets["limit"])
    if options.strangers:
        distances = resemblance.measure_distances(features, known["features"])
        columns["distance"] = distances.round(6).tolist()
        columns["note"], _ = conformal.mark_out_of_distribution(distances, *like)
    shown = options.top, options.probabilities, columns
    return classify.predictions_table(files, y_prob, problems, metadata, *shown)


def _describe_probabilities(metadata: dict) -> str:
    if "calibrated_on" in metadata:
        return f"probabilities were calibrated on {metadata['calibrated_on']}"
    if temperature := metadata.get("temperature"):
        return f"probabilities are scaled by the temperature {temperature:.3g} that 08 fitted"
    return "no temperature is stored: probabilities are the model's own; 08 fits one"


if __name__ == "__main__":
    sys.exit(predict_pictures())
