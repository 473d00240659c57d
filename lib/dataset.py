"""Which pictures there are: the scan of the class folders, copies, the split, the new pictures."""

import hashlib
import os
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pandas as pd

from lib import sources

EXTENSIONS = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"}
FEWEST_PER_CLASS = 5
ONE_IN = 5  # pictures of which one is for validation
# Standard deviation, in grey levels, below which a picture has no pattern to compare.
FLAT = 2
HASH_BLOCK, PAIR_BLOCK, MOST_PAIRS = 64, 16, 100_000
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
        problem, entries = _judge_entry(folder, is_class=True), []
        if not problem:
            try:
                entries = list(os.scandir(folder))
            except OSError:
                problem = "unreadable"
        before = len(pictures)
        for entry in entries:
            file, flaw = f"{folder.name}/{entry.name}", _judge_entry(entry, is_class=False)
            if flaw:
                checks.append((_escape(file), flaw, "left out"))
            else:
                pictures.append((file, folder.name))
        if problem or len(pictures) == before:
            checks.append((_escape(folder.name), problem or "empty_class", "left out"))
    if not pictures:
        raise ValueError(
            f"{train} has no class folder with pictures in it. Put one folder a class there, each "
            f"with its pictures ({', '.join(sorted(EXTENSIONS))})."
        )
    checks = pd.DataFrame(sorted(checks), columns=CHECK_COLUMNS)
    return pd.DataFrame(sorted(pictures), columns=PICTURE_COLUMNS), checks


def _judge_entry(entry: os.DirEntry, is_class: bool) -> str:
    if os.path.isdir(entry) != is_class:
        return "outside_class_folder" if is_class else "folder_in_class_folder"
    if _escape(entry.name) != entry.name:
        return "odd_name"
    is_named = is_class or Path(entry.name).suffix.lower() in EXTENSIONS
    return "" if is_named else "not_a_picture_name"


def _escape(name: str) -> str:
    # Bytes that are no text, and the return that ends a line to a reader of CSV files.
    return name.encode("utf-8", "backslashreplace").decode().replace("\r", "\\r")


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
    if not len(usable):
        raise ValueError(
            f"None of the {len(pictures)} files can be used as a picture; "
            f"the first, {unusable.file.iloc[0]}, is {unusable.problem.iloc[0]}."
        )
    _require_enough(usable, set(pictures.label))
    return usable, pd.concat([checks, unusable]).sort_values("file", ignore_index=True)


def _require_enough(usable: pd.DataFrame, class_names: set[str]) -> None:
    support = usable.label.value_counts().reindex(sorted(class_names), fill_value=0)
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


def settle_copies(
    pictures: pd.DataFrame, checks: pd.DataFrame, rule: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Decide what becomes of files with equal content, and list them in the checks.

    Args:
        pictures: usable ones, columns file, label, digest (of the content), sorted by file.
        checks: as `scan` returns them.
        rule: "together": all stay, and `split` gives them one part. "drop": the first file of each
            content stays; where copies contradict each other, being in different classes, none.

    Returns:
        pictures: those that stay.
        checks: with the copies, as `duplicate` or, in different classes, `duplicate_other_class`.

    Raises:
        ValueError: the rule is neither, or too few pictures are left.
    """
    if rule not in ("together", "drop"):
        raise ValueError(f'DUPLICATES is {rule!r}; it is "together" or "drop".')
    labels = pictures.groupby("digest").label
    conflict = labels.transform("nunique") > 1
    if rule == "drop":
        found, action = conflict | pictures.duplicated("digest"), "left out"
        kept = pictures[~found].reset_index(drop=True)
        _require_enough(kept, set(pictures.label))
    else:
        found, action, kept = labels.transform("size") > 1, "kept, same part", pictures
    problem = conflict.map({True: "duplicate_other_class", False: "duplicate"})
    copies = pictures[["file"]].assign(problem=problem, action=action)[found]
    return kept, pd.concat([checks, copies]).sort_values("file", ignore_index=True)


def find_near_duplicates(
    pictures: pd.DataFrame, checks: pd.DataFrame, images, most_bits: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Find pictures of different content that look alike, and list them in the checks.

    Args:
        pictures: columns file, label, digest; one of each content is compared.
        checks: as `scan` returns them.
        images: uint8 (n, size, size, 3), in the order of `pictures`; read block by block.
        most_bits: largest Hamming distance of two hashes that counts as alike, of 64.

    Returns:
        pairs: columns file, other, bits, the most alike first; 100,000 at most.
        checks: with the pictures, as `near_duplicate` or `near_duplicate_other_class`; all stay.
    """
    first = np.flatnonzero(~pictures.duplicated("digest"))
    hashes, patterned = hash_pictures(images, first)
    first, hashes = first[patterned], hashes[patterned]
    found = [np.empty((0, 3), int)]
    for start in range(0, len(hashes), PAIR_BLOCK):
        if sum(map(len, found)) >= MOST_PAIRS:
            break
        bits = np.bitwise_count(hashes[start : start + PAIR_BLOCK, None] ^ hashes[start:])
        row, column = np.nonzero(np.triu(bits <= most_bits, 1))
        found.append(np.stack([first[start + row], first[start + column], bits[row, column]], 1))
    a, b, bits = np.concatenate(found)[:MOST_PAIRS].T
    file, label = pictures.file.to_numpy(), pictures.label.to_numpy()
    pairs = pd.DataFrame({"file": file[a], "other": file[b], "bits": bits})
    across = set(file[np.concatenate([a, b])[np.tile(label[a] != label[b], 2)]])
    near = pd.DataFrame({"file": sorted({*pairs.file, *pairs.other})}, dtype=str)
    near["problem"] = ["near_duplicate" + "_other_class" * (name in across) for name in near.file]
    checks = pd.concat([checks, near.assign(action="kept")])
    checks = checks.sort_values("file", ignore_index=True, kind="stable")
    return pairs.sort_values("bits", ignore_index=True, kind="stable"), checks


def hash_pictures(images, rows) -> tuple[np.ndarray, np.ndarray]:
    """Hash what pictures show, so that pictures that look alike differ in few bits.

    A bit tells whether one of the 64 lowest frequencies of the cosine transform of the grey
    picture, its mean left out, is above their median (Zauner 2010, "Implementation and Benchmarking
    of Perceptual Image Hash Functions", section 3.2.1; taken here from all pixels at once).

    Args:
        images: uint8 (n, size, size, 3), indexed like an array.
        rows: int (k,), which of them.

    Returns:
        hashes: uint64 (k,).
        patterned: bool (k,), False for a picture of nearly one colour, whose hash says nothing.
    """
    hashes, patterned = np.empty(len(rows), np.uint64), np.empty(len(rows), bool)
    for start in range(0, len(rows), HASH_BLOCK):
        block = slice(start, start + HASH_BLOCK)
        grey = images[rows[block]] @ np.array([0.299, 0.587, 0.114], np.float32)
        places = (np.arange(grey.shape[1]) + 0.5) * np.pi / grey.shape[1]
        waves = np.cos(np.outer(np.arange(1, 9), places)).astype(np.float32)
        strength = (waves @ grey @ waves.T).reshape(len(grey), 64)
        above = strength > np.median(strength, axis=1, keepdims=True)
        hashes[block] = np.packbits(above, axis=1).view(np.uint64)[:, 0]
        patterned[block] = grey.std(axis=(1, 2)) >= FLAT
    return hashes, patterned


def split(pictures: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Divide the pictures 80/20, the classes in equal proportion, equal contents in one part.

    Seed and content give every picture its rank, by a hash. In the order of the ranks, contents
    become validation until each class has its fifth there; one that no longer fits is passed over.
    So an added picture moves few others: in a set without copies, at most two.

    Args:
        pictures: columns file, label and, where known, digest (else a file counts as its own
            content), in any order.
        seed: the same seed and pictures give the same split.

    Returns:
        columns file, label, part (`train` or `validation`), sorted by file.

    Raises:
        ValueError: a class consists of copies of too few pictures to be divided.
    """
    pictures = pictures.sort_values("file", ignore_index=True)
    contents = [f"{seed} {content}".encode() for content in pictures.get("digest", pictures.file)]
    ranks = [hashlib.blake2b(content, digest_size=16).digest() for content in contents]
    labels_of = defaultdict(Counter)
    for rank, label in zip(ranks, pictures.label):
        labels_of[rank][label] += 1
    room, chosen = _count_validation(Counter(pictures.label)), set()
    for rank in sorted(labels_of):
        if all(room[label] >= count for label, count in labels_of[rank].items()):
            room.subtract(labels_of[rank])
            chosen.add(rank)
    part = ["validation" if rank in chosen else "train" for rank in ranks]
    table = pictures[PICTURE_COLUMNS].assign(part=part)
    undivided = set(table.label) - set(table.label[table.part == "validation"])
    if undivided:
        raise ValueError(
            f'The class "{min(undivided)}" can\'t be divided: its files are copies of too few '
            'pictures. Add pictures to it, or take DUPLICATES = "drop".'
        )
    return table


def _count_validation(support: Counter) -> Counter:
    # A fifth of all, rounded up; of each class its whole part, then one more where most is missing.
    counts = Counter({name: count // ONE_IN for name, count in support.items()})
    rest = -(-support.total() // ONE_IN) - counts.total()
    counts.update(sorted(support, key=lambda name: (-(support[name] % ONE_IN), name))[:rest])
    return counts


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
        return folder, list_folder(folder, class_names), f"the folder {folder}"
    if ws.test is None:
        table = read_split(ws)
        validation = table[table.part == "validation"][PICTURE_COLUMNS]
        train = sources.open_folder(ws, "train")
        return train, validation, "the validation part, as no test folder is configured"
    folder = sources.open_folder(ws, "test")
    pictures = list_folder(folder, class_names)
    if ws.test_labels is not None:
        labels = _read_labels(ws.test_labels, class_names)
        pictures["label"] = pictures.file.map(labels).fillna(pictures.label)
    return folder, pictures, "the test folder"


def list_folder(folder: Path, class_names: list[str]) -> pd.DataFrame:
    """List the pictures of a folder and the folders in it: columns file (relative to it), label.

    Raises:
        FileNotFoundError: it is not a folder.
        ValueError: it holds no picture.
    """
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
