"""Which pictures there are: the scan of the class folders, the stratified split, the new pictures."""

import hashlib
import os
from pathlib import Path

import pandas as pd
from sklearn.model_selection import train_test_split

EXTENSIONS = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"}
FEWEST_PER_CLASS = 5
VALIDATION_SHARE = 0.2
PICTURE_COLUMNS, CHECK_COLUMNS = ["file", "label"], ["file", "problem", "action"]


def scan(train: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """List every file below a folder of class folders.

    Args:
        train: folder whose sub-folders are the classes.

    Returns:
        pictures: columns file (relative to `train`, with /) and label, sorted by file.
        checks: columns file, problem, action: everything that was passed over.

    Raises:
        ValueError: there is no class folder.
    """
    pictures, checks = [], []
    for folder in os.scandir(train):
        if not folder.is_dir():
            checks.append((folder.name, "outside_class_folder", "left out"))
            continue
        found = len(pictures)
        for entry in os.scandir(folder):
            file = f"{folder.name}/{entry.name}"
            if entry.is_dir():
                checks.append((file, "folder_in_class_folder", "left out"))
            elif Path(entry.name).suffix.lower() in EXTENSIONS:
                pictures.append((file, folder.name))
            else:
                checks.append((file, "not_a_picture_name", "left out"))
        if len(pictures) == found:
            checks.append((folder.name, "empty_class", "left out"))
    if not pictures:
        raise ValueError(
            f"{train} has no class folder with pictures in it. Put one folder a class there, each "
            f"with its pictures ({', '.join(sorted(EXTENSIONS))})."
        )
    checks = pd.DataFrame(sorted(checks), columns=CHECK_COLUMNS)
    return pd.DataFrame(sorted(pictures), columns=PICTURE_COLUMNS), checks


def drop_unusable(
    pictures: pd.DataFrame, checks: pd.DataFrame, problems: pd.Series
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Move the pictures that can't be decoded from the pictures to the checks.

    Args:
        pictures, checks: as `scan` returns them.
        problems: one text a picture, in the same order; empty where it decodes.

    Returns:
        pictures, checks: every row of `pictures` stands in exactly one of them.

    Raises:
        ValueError: fewer than two classes are left, or a class has fewer than five pictures.
    """
    bad = (problems != "").to_numpy()
    unusable = pictures[["file"]][bad].assign(problem=problems[bad].to_numpy(), action="left out")
    usable = pictures[~bad].reset_index(drop=True)
    support = usable.label.value_counts().reindex(sorted(set(pictures.label)), fill_value=0)
    if not len(usable):
        raise ValueError(
            f"None of the {len(pictures)} files can be used as a picture; "
            f"the first, {unusable.file.iloc[0]}, is {unusable.problem.iloc[0]}."
        )
    for name, count in support.items():
        if count < FEWEST_PER_CLASS:
            raise ValueError(
                f'The class "{name}" has {count} usable pictures and needs at least '
                f"{FEWEST_PER_CLASS}: add pictures, or move its folder out of train."
            )
    if len(support) < 2:
        raise ValueError(
            f'There is one class only, "{support.index[0]}"; a classifier needs two or more: add '
            "a second class folder. (Is train the folder above the class folders?)"
        )
    checks = pd.concat([checks, unusable]).sort_values("file", ignore_index=True)
    return usable, checks


def split(pictures: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Divide the pictures 80/20, the classes in equal proportion in both parts.

    Args:
        pictures: columns file, label, in any order.
        seed: the same seed and pictures give the same split.

    Returns:
        columns file, label, part (`train` or `validation`), sorted by file.
    """
    pictures = pictures.sort_values("file", ignore_index=True)
    _, validation = train_test_split(
        pictures.file, test_size=VALIDATION_SHARE, stratify=pictures.label, random_state=seed
    )
    part = pictures.file.isin(validation).map({True: "validation", False: "train"})
    return pictures.assign(part=part)


def read_split(ws) -> pd.DataFrame:
    """Read split.csv: columns file, label, part; its hash is in `.attrs["hash"]`.

    Raises:
        FileNotFoundError: 01_data_prep has not been run.
    """
    path = ws.existing("split.csv", made_by="01_data_prep")
    table = read_table(path)
    table.attrs["hash"] = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    return table


def read_table(path: Path) -> pd.DataFrame:
    """Read a CSV file as text; a class named "NA" or "007" stays what it is."""
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def list_new_pictures(ws, class_names: list[str], images) -> tuple[Path, pd.DataFrame, str]:
    """List pictures to try the models on: the user's own, else those of `test`, else validation.

    Args:
        ws: the workspace.
        class_names: of the trained models.
        images: the user's own pictures, as a list of paths or as a folder; empty for none.

    Returns:
        folder: what the files are relative to.
        pictures: columns file, label; label is "" where it is unknown.
        origin: where they come from, in words.

    Raises:
        FileNotFoundError: a picture or folder of `images` does not exist.
        ValueError: there is no picture, or the labels file can't be used.
    """
    if isinstance(images, (list, tuple)) and images:
        for path in images:
            if not Path(path).is_file():
                raise FileNotFoundError(f"IMAGES: {Path(path).resolve()} is not a file.")
        return Path(), pd.DataFrame({"file": [str(path) for path in images], "label": ""}), "IMAGES"
    if images:
        folder = Path(images).resolve()
        return folder, _list_folder(folder, class_names), f"the folder {folder}"
    if ws.test is None:
        table = read_split(ws)
        validation = table[table.part == "validation"][PICTURE_COLUMNS]
        return ws.train, validation, "the validation part, as no test folder is configured"
    pictures = _list_folder(ws.test, class_names)
    if ws.test_labels is not None:
        labels = _read_labels(ws.test_labels, class_names)
        pictures["label"] = pictures.file.map(labels).fillna(pictures.label)
    return ws.test, pictures, "the test folder"


def _list_folder(folder: Path, class_names: list[str]) -> pd.DataFrame:
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not a folder; name a folder of pictures.")
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in EXTENSIONS and p.is_file())
    if not paths:
        raise ValueError(f"{folder} holds no picture ({', '.join(sorted(EXTENSIONS))}).")
    files = pd.Series([path.relative_to(folder).as_posix() for path in paths])
    # Pictures that lie in class folders tell their own label.
    top = files.str.split("/").str[0]
    return pd.DataFrame({"file": files, "label": top.where(top.isin(class_names), "")})


def _read_labels(path: Path, class_names: list[str]) -> dict[str, str]:
    labels = read_table(path)
    if not {"file", "label"} <= set(labels.columns):
        raise ValueError(f"{path} needs the columns file and label, named in its first row.")
    unknown = sorted(set(labels.label) - set(class_names) - {""})
    if unknown:
        raise ValueError(
            f'{path}: the class "{unknown[0]}" is not one of the trained classes '
            f"({', '.join(class_names[:20])}). Correct the labels file."
        )
    return dict(zip(labels.file, labels.label))
