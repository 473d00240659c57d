"""Training and validation: who goes where, and the identity of a set by its content."""

import hashlib
import math
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable

import numpy as np
import pandas as pd
from scipy.cluster.hierarchy import DisjointSet
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from lib.base.workspace import Workspace, read_table
from lib.data.earlier import PREPARED
from lib.data.findings import find, list_checks
from lib.data.pictures import LOADER_VERSION
from lib.data.quality import MEASURED

ONE_IN = 5  # pictures of which one is for validation
# What an earlier run of 01 has left, and this one writes last, or not at all.
EARLIER = [
    "split.csv",
    "without_looking.csv",
    "without_looking_answers.csv",
    "failed_checks.csv",
]


class TooFewGroupsError(ValueError):
    """Folds need more groups of pictures than there are."""


def find_groups(
    pictures: pd.DataFrame, near_duplicates: Iterable[tuple[str, str]] = ()
) -> np.ndarray:
    """Number the groups of pictures: equal contents, one given group or original, and what looks alike.

    Args:
        pictures: Column digest and, where they are known, group and original; "" for none.
        near_duplicates: Pairs of digests of pictures that look alike, (k, 2).

    Returns:
        int (n,), equal for two pictures exactly if such bonds connect them.
    """
    bonds = list(near_duplicates)
    for kind in pictures.columns.intersection(["group", "original"]):
        # A picture binds its content to the name of its group.
        named = pictures[pictures[kind] != ""]
        bonds.extend(zip(named.digest, f"{kind} " + named[kind]))
    groups = DisjointSet(pictures.digest)
    for one, other in bonds:
        groups.add(other)
        groups.merge(one, other)
    numbers, _ = pd.factorize(pictures.digest.map(groups.__getitem__))
    return numbers


def split(pictures: pd.DataFrame, seed: int) -> pd.Series:
    """Divide the pictures 80/20, the classes in equal proportion, each group in one part.

    Seed and content give every group its rank, by a hash. In the order of the ranks, groups become
    validation until each class has its fifth there; one that no longer fits is passed over. So an
    added picture moves few others: in a set without groups, at most two. A class whose groups are
    all too large for its fifth gives its smallest; one of a single group is not divided.

    Args:
        pictures: Columns label, digest and group.

    Returns:
        The part of each picture, `train` or `validation`.
    """
    ranks = [
        hashlib.blake2b(f"{seed} {digest}".encode(), digest_size=8).hexdigest()
        for digest in pictures.digest
    ]
    ranked = pictures.iloc[np.argsort(ranks)]
    groups = defaultdict(Counter)  # in the order of their lowest ranks
    for group, label in zip(ranked.group, ranked.label):
        groups[group][label] += 1
    room = _find_room(pictures.label.value_counts())
    chosen = set()
    of_class = defaultdict(list)
    for group, counts in groups.items():
        fitting = counts & room
        if fitting == counts:
            room.subtract(counts)
            chosen.add(group)
        for label in counts:
            of_class[label].append(group)
    for _, own in sorted(of_class.items()):
        if len(own) > 1 and chosen.isdisjoint(own):
            smallest = min(own, key=lambda group: groups[group].total())
            chosen.add(smallest)
    is_chosen = pictures.group.isin(chosen)
    return is_chosen.map({True: "validation", False: "train"})


def _find_room(support):
    """Return how many pictures of each class are for validation: a fifth of all, rounded up.

    Each class gives the whole part of its fifth, then one more where most is missing.
    """
    room = support // ONE_IN
    fifth = support.sum() / ONE_IN
    rest = math.ceil(fifth) - room.sum()
    missing = (support % ONE_IN).sort_index().nlargest(rest)
    room[missing.index] += 1
    return Counter(room.to_dict())


def find_leaks(pictures: pd.DataFrame) -> pd.DataFrame:
    """Return the findings of training pictures whose group is validated on, too.

    Args:
        pictures: Columns file, group and part, which are given ones, or "" alone.
    """
    validated = pictures.group[pictures.part == "validation"]
    is_leak = (pictures.part == "train") & pictures.group.isin(validated)
    return find(pictures.file[is_leak], "in_both_parts")


def deal_folds(
    y_true: np.ndarray, groups: np.ndarray, folds: int, seed: int
) -> np.ndarray:
    """Deal pictures into folds, the classes in nearly equal proportion, no group divided.

    Args:
        y_true: int (n,), the classes.
        groups: int (n,).

    Returns:
        int (n,), the fold of each picture, from 0.

    Raises:
        TooFewGroupsError: There are fewer groups than folds.
    """
    names, groups = np.unique(groups, return_inverse=True)
    count = len(names)
    if count < folds:
        raise TooFewGroupsError(
            f"{len(groups)} pictures are {count} groups (copies, look-alikes, given ones): too "
            f"few to be dealt into {folds} folds. Add other pictures."
        )
    if np.bincount(y_true).max() < folds:
        # No class has a picture for each fold: there is nothing to keep in proportion.
        y_true = np.zeros_like(y_true)
    if count == len(groups):
        # The same, but faster: without groups none has to be placed as a whole.
        splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
    else:
        # Its own `shuffle` spoils the proportions before scikit-learn 1.8.
        splitter = StratifiedGroupKFold(folds)
        groups = np.random.default_rng(seed).permutation(count)[groups]
    fold = np.empty(len(y_true), int)
    with warnings.catch_warnings():
        # A class may have fewer pictures than there are folds, and single pictures need no groups.
        warnings.simplefilter("ignore", UserWarning)
        for number, (_, held) in enumerate(splitter.split(y_true, y_true, groups)):
            fold[held] = number
    return fold


def save_split(
    ws: Workspace, whole: pd.DataFrame, pictures: pd.DataFrame, findings: pd.DataFrame
) -> None:
    """Write what became of all files, what is known of the contents, and the split, which is last.

    Args:
        whole: the pictures that `pixels.decode_pictures` returns.
        pictures: those of them that are used, with their groups and parts.
        findings: of all steps.
    """
    for name in EARLIER:
        (ws.results / name).unlink(missing_ok=True)
    ws.save_table(list_checks(findings), "checks.csv")
    contents = whole[["file", "digest", *MEASURED]]
    groups = pictures[["file", "group"]].astype(str)
    contents = contents.merge(groups, how="left")
    ws.save_table(contents, "pictures.csv")
    ws.save_json({"train": str(ws.train)}, PREPARED)
    ws.save_table(pictures[["file", "label", "part"]], "split.csv")


def read_split(ws: Workspace) -> pd.DataFrame:
    """Read the split: columns file, label, part, group (int), digest, taken, in the order of split.csv.

    `taken` is the date of Exif, NaT where none is known.

    Raises:
        FileNotFoundError: 01_data_prep has not been run.
    """
    rows = read_table(ws.existing("split.csv", made_by="01_data_prep"))
    pictures = read_table(ws.existing("pictures.csv", made_by="01_data_prep"))
    known = pictures[["file", "group", "digest", "taken"]]
    rows = rows.merge(known, how="left")
    return rows.astype({"group": int, "taken": "M8[s]"})


def identify_set(rows: pd.DataFrame) -> str:
    """Hash contents, labels and parts of all rows of the split, and the loader's version.

    Names and places of files don't count, so a folder may be moved.
    """
    columns = ["digest", "label", "part"]
    ordered = rows[columns].sort_values(columns)
    content = ordered.to_csv(index=False, lineterminator="\n")
    return hashlib.sha256(f"{LOADER_VERSION}\n{content}".encode()).hexdigest()[:16]
