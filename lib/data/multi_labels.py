"""Several labels a picture: the CSV file that tells them, in any of three forms; the demo's scenes."""

import os
from pathlib import Path

import numpy as np
import pandas as pd

from lib.data.demo import CLASS_NAMES, draw_picture
from lib.data.label_files import apply_labels, read_labels
from lib.data.listing import clean, holds_pictures, walk
from lib.data.split import ONE_IN, rank_groups
from lib.data.table import note
from lib.storage import atomic_write

BESIDES = ("file", "part", "group")
YES_OR_NO = dict.fromkeys(("1", "1.0", "true"), True) | dict.fromkeys(
    ("0", "0.0", "false"), False
)


def read_label_sets(path: Path) -> pd.DataFrame:
    """Read which labels each file has: rows of `read_labels`, of file, label and, if given, part and group.

    `labels`, divided by | or ;, in one row a file or several; or one column of 0 and 1 a label. In
    `label` each of them ends in |, and | alone means none. A ValueError names file and line.
    """
    rows = read_labels(path, ["file"])
    lists = [name for name in rows if name in ("label", "labels")]
    # A column without a name is pandas' index, or a comma too many.
    others = [name for name in rows if name and name not in (*BESIDES, *lists)]
    has_it = rows[others].apply(lambda column: column.str.casefold().map(YES_OR_NO))
    if len(lists) == 1 and not has_it.notna().all().any():
        sets = _read_lists(path, rows.file, rows[lists[0]])
    elif others and not lists:
        for name in others:
            for line, value in rows.loc[has_it[name].isna(), name].head(1).items():
                raise ValueError(
                    f"{path}, line {line}: {name} is {value!r}, neither 0 nor 1."
                )
        names = np.array([clean(name) for name in others])
        sets = [names[row] for row in has_it.to_numpy(bool)]
    else:
        raise ValueError(
            f"{path} needs columns file and labels (cat|dog), or file and one of 0 and 1 for each label, "
            f"and not both: {', '.join(rows)}"
        )
    rows["label"] = [
        "".join(f"{name}|" for name in sorted({*names})) or "|" for names in sets
    ]
    return rows[["label", *(name for name in BESIDES if name in rows)]]


def _read_lists(path: Path, files: pd.Series, cells: pd.Series) -> list[list[str]]:
    sets = cells.str.split("[|;]").map(
        lambda names: [clean(name) for name in names if clean(name)]
    )
    names = sets.explode().dropna()
    if len(lists := names[names.str.contains(r"^\[|,")]):
        line, name = lists.index[0], lists.iloc[0]
        raise ValueError(
            f"{path}, line {line}: {name!r}: write several labels as cat|dog, none with a comma."
        )
    together = sets.groupby(files).sum()
    return [together[file] for file in files]


def draw_scenes(folder: Path, count: int = 200) -> None:
    """Draw scenes of none to three kinds and, beside the folder, their labels, unless they are there."""
    file, rng, rows = (
        folder.with_suffix(".csv"),
        np.random.default_rng(11),
        ["file,labels"],
    )
    if file.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        kind, *others = rng.permutation(10)
        company = (
            [(kind + 5) % 10, *others] if rng.random() < 0.5 else others
        )  # often its friend
        most = rng.choice(4, p=(0.1, 0.3, 0.35, 0.25))
        names = [CLASS_NAMES[one] for one in dict.fromkeys([kind, *company][:most])]
        draw_picture(names, rng).save(folder / f"{number:03d}.jpg", quality=90)
        rows.append(f"{number:03d}.jpg,{'|'.join(names)}")
    with atomic_write(
        file
    ) as part:  # One label is misspelt, so that there is something to find.
        part.write_text(
            "\n".join([*rows, ""]).replace("Insecta", "Insekta", 1), newline="\n"
        )


def list_label_sets(ws, train: Path) -> pd.DataFrame:
    """List pictures, as of `lib.data.table`, with their labels, as of `read_label_sets`.

    They lie in the folder beside the CSV file that is called like it, else in `train`, the folder of
    the training pictures.
    """
    folder = ws.multi_labels.with_suffix("")
    if ws.is_demo:
        draw_scenes(folder)
    if (
        not folder.is_dir()
        or train.is_relative_to(folder)
        or not holds_pictures(folder)
    ):
        folder = train
    rows = read_label_sets(ws.multi_labels)
    table = apply_labels(walk(folder), ws.multi_labels, folder, rows, strict=True)
    place = os.path.relpath(folder, train)
    table["file"] = [os.path.normpath(f"{place}/{file}") for file in table.file]
    note(table, table.label == "", "no_label")
    return table


def split_label_sets(
    pictures: pd.DataFrame, y_true: pd.DataFrame, seed: int
) -> pd.Series:
    """Divide pictures of several labels 80/20 as `split.split`: in the order of hashes, no group divided.

    First come groups that overfill no label's fifth by more than half of what they bring, then those by
    which the labels, the pictures without any and all pictures come nearer to their fifths, all in all.
    Of columns digest and group, and bool (n, labels), returns the part of each, `train` or `validation`.
    """
    ranks = rank_groups(pictures, seed)
    kinds = np.column_stack([y_true, ~y_true.any(axis=1), np.ones(len(y_true))]).astype(
        float
    )
    counts = pd.DataFrame(kinds, ranks.index).groupby(ranks).sum()
    rows, is_chosen = counts.to_numpy(), np.zeros(len(counts), bool)
    support = np.maximum(rows.sum(axis=0), 1)
    room = support / ONE_IN
    for is_strict in (True, False):
        for k in np.flatnonzero(~is_chosen):
            nearer = (rows[k] / support) @ (2 * room - rows[k]) > 0
            is_chosen[k] = (
                (rows[k] <= 2 * room)[rows[k] > 0].all() if is_strict else nearer
            )
            room = room - is_chosen[k] * rows[k]
    for own in map(np.flatnonzero, rows.T):
        # A label of few groups, all of them too large, gives the smallest.
        if len(own) > 1 and not is_chosen[own].any():
            is_chosen[own[rows[own].sum(axis=1).argmin()]] = True
    return ranks.isin(counts.index[is_chosen]).map({True: "validation", False: "train"})
