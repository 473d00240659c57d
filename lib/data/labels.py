"""Labels, parts and groups as people have them: CSV files, and folders to try the models on."""

import os
import unicodedata
from pathlib import Path

import pandas as pd

from lib.data.listing import FORMS, PART_NAMES, label_by_folder, walk
from lib.data.pictures import ENDINGS
from lib.storage import read_table


def list_pictures(
    train: Path, labels: Path | None = None, validation: Path | None = None
) -> pd.DataFrame:
    """List every file of the training folder, with its label and, where known, part and group.

    Args:
        train: folder whose sub-folders are the classes, unless there are labels.
        labels: CSV file with the columns file, label and, if you like, part (`train` or
            `validation`) and group: what belongs together, say the pictures of one animal.
        validation: folder of class folders that is the validation part.

    Returns columns file (relative to `train`), label, part, group ("" where not given), problem (""
    where it may be a picture, else one word), sorted by file. Raises a ValueError where the labels
    file can't be used, or fits no picture.
    """
    table = walk(train)
    table = label_by_folder(table, train) if labels is None else _label_by_file(table, labels)
    table = table.reindex(columns=["file", "label", "part", "group", "problem"], fill_value="")
    if validation is not None and (table.part != "").any():
        print(f"{labels.name} gives the parts; {validation} is not used.")
    elif validation is not None:
        further = label_by_folder(walk(validation), validation)
        further["file"] = os.path.relpath(validation, train) + "/" + further.file
        table = pd.concat([table.assign(part="train"), further.assign(part="validation")])
    names = table.label[table.problem == ""].drop_duplicates()
    similar = names[names.map(_fold).duplicated(keep=False)]
    notes = pd.DataFrame({"file": similar, "problem": "similar_class_name"}, dtype=str)
    return pd.concat([table, notes]).fillna("").sort_values("file", ignore_index=True)


def _fold(name: str) -> str:
    letters = unicodedata.normalize("NFKD", name.casefold())
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


def read_labels(path: Path, columns=("file", "label", "part", "group")) -> pd.DataFrame:
    """Read those columns of a CSV file of labels; part and group may lack.

    Commas, semicolons or tabs divide it; a first line such as `sep=;`, as spreadsheets write it,
    and capitals in the names of the columns mean nothing. Returns a row a file, with the line of
    the CSV file as index. Raises a ValueError where it is none, lacks file or label, or says two
    things of one file.
    """
    try:
        with path.open(encoding="utf-8-sig") as file:
            first = file.readline()
            skipped = first.startswith("sep=")
            header = file.readline() if skipped else first
        separator = max(",;\t", key=header.count)
        table = read_table(path, separator, skiprows=int(skipped), skip_blank_lines=False)
    except ValueError as error:
        raise ValueError(
            f"{path} is no CSV file in UTF-8, with commas, semicolons or tabs: {error}"
        ) from error
    labels = table.rename(columns=lambda name: name.strip().casefold())
    labels = labels.loc[:, labels.columns.isin(columns)]
    if not {"file", "label"} <= set(labels.columns) or labels.columns.has_duplicates:
        raise ValueError(
            f"{path} needs the columns file and label, each once, named in its first row. There it "
            f"has: {', '.join(table.columns)}."
        )
    labels.index = range(2 + skipped, len(labels) + 2 + skipped)
    labels = labels.apply(lambda column: column.str.strip()).query("file != ''").drop_duplicates()
    refuse_contradictions(path, labels, "file")
    return labels


def refuse_contradictions(path: Path, rows: pd.DataFrame, column: str) -> None:
    """Raise a ValueError where two rows, indexed by their lines in the file, are of one picture."""
    if (twice := rows[column][rows[column].duplicated()]).size:
        lines = " and ".join(map(str, rows.index[rows[column] == twice.iloc[0]][:2]))
        raise ValueError(f"{path} has two different rows of {twice.iloc[0]!r}: lines {lines}.")


def match_files(names, files) -> dict[str, str]:
    """Find the file that each name of a labels file means; what fits none is absent.

    A name may lack the ending, or name other folders, where one file alone fits; letters compare
    in Unicode's composed form (NFC), as Macs and others write them differently.
    """
    forms = (str, _cut_ending, os.path.basename, lambda path: _cut_ending(os.path.basename(path)))
    found = {}
    for form in forms:
        fitting = {}
        for file in set(files) - set(found.values()):  # the closer form has the first claim
            fitting.setdefault(form(compose_name(file)), []).append(file)
        for name in names:
            # Of a/b/1.png also b/1.png and 1.png, where the folders have other names here.
            folders = compose_name(name).split("/")
            tails = ["/".join(folders[start:]) for start in range(len(folders))]
            keys = [key for tail in tails for key in (tail, form(tail)) if key in fitting]
            if name not in found and keys and len(fitting[keys[0]]) == 1:
                found[name] = fitting[keys[0]][0]
    return found


def _cut_ending(path: str) -> str:
    stem, ending = os.path.splitext(path)
    return stem if ending.lower() in ENDINGS else path


def compose_name(name: str) -> str:
    """Write a path with /, without a leading ./, in Unicode's composed form (NFC)."""
    return unicodedata.normalize("NFC", name.strip().replace("\\", "/")).removeprefix("./")


def _label_by_file(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    labels = read_labels(path)
    if "part" in labels:
        known = {name: part for part in ("train", "validation") for name in PART_NAMES[part]}
        if (others := labels.part[~labels.part.str.lower().isin(known)]).size:
            raise ValueError(f"{path}: part {others.iloc[0]!r}; write train or validation.")
        labels["part"] = labels.part.str.lower().map(known)
    candidates = table.file[table.problem == ""]
    labels["found"] = labels.file.map(match_files(labels.file, candidates))
    lost = labels.found.isna()
    if lost.all():
        raise ValueError(
            f"{path}: none of its {len(labels)} rows names a picture of the folder. Its first row "
            f"has {labels.file.iloc[0]!r}, and a file there is {next(iter(candidates), None)!r}."
        )
    missing = labels[lost][["file", "label"]].assign(problem="missing_file")
    known = labels[~lost].drop_duplicates("found").set_index("found").drop(columns="file")
    table = table.join(known, on="file").fillna("")
    table.loc[(table.problem == "") & (table.label == ""), "problem"] = "no_label"
    return pd.concat([table, missing], ignore_index=True).fillna("")


def list_new_pictures(
    folder: Path, class_names: list[str], labels: Path | None = None
) -> pd.DataFrame:
    """List pictures to try the models on: columns file (relative to `folder`) and label.

    The label is that of the labels file, else the class folder a picture lies in, else "". It is
    an error where there is no folder or no picture, or the labels file can't be used.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not a folder; name a folder of pictures.")
    table = walk(folder)
    passed = table.problem[~table.problem.isin(["", "junk"])].value_counts()
    if len(passed):
        print("passed over:", ", ".join(f"{count} {word}" for word, count in passed.items()))
    pictures = table.loc[table.problem == "", ["file"]].reset_index(drop=True)
    if not len(pictures):
        raise ValueError(f"{folder} holds no picture ({FORMS}).")
    # Pictures that lie in class folders tell their own label.
    top = pictures.file.str.split("/").str[0]
    pictures["label"] = top.where(top.isin(class_names), "")
    if labels is None:
        return pictures
    known = read_labels(labels)
    if unknown := sorted(set(known.label) - {*class_names, ""}):
        raise ValueError(
            f'{labels}: the class "{unknown[0]}" is not one of the trained classes '
            f"({', '.join(class_names[:20])}). Correct the labels file."
        )
    found = match_files(known.file, pictures.file)
    if lost := [name for name in known.file if name not in found]:
        print(f"{labels.name}: {len(lost)} rows name no picture, say {lost[0]!r}")
    by_file = dict(zip(known.file.map(found), known.label))
    return pictures.assign(label=pictures.file.map(by_file).fillna(pictures.label))
