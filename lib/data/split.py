"""Training and validation: who goes where, and the identity of a set by its content."""

import hashlib
import math
import warnings
from collections import Counter, defaultdict

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from lib.data.pictures import LOADER_VERSION
from lib.data.table import is_used, note, read_table

ONE_IN = 5  # pictures of which one is for validation


def find_groups(pictures: pd.DataFrame, alike=()) -> np.ndarray:
    """Number the groups of pictures: equal contents, one given group, and what looks alike.

    Of columns digest and, if known, group ("" for none), and pairs (k, 2) of alike digests, returns
    int (n,), equal for two pictures exactly if such bonds connect them.
    """
    given = pictures.get("group", pd.Series("", pictures.index))
    given = ("group " + given).where(given != "", pictures.digest)
    alike = np.array([*alike], object).reshape(-1, 2)
    # Contents and given groups are the nodes of a graph, and each picture an edge between its two.
    nodes, _ = pd.factorize(
        np.concatenate([pictures.digest, alike[:, 0], given, alike[:, 1]])
    )
    graph = coo_array(
        (np.ones(len(nodes) // 2), nodes.reshape(2, -1)), (len(nodes), len(nodes))
    )
    return connected_components(graph, directed=False)[1][nodes[: len(pictures)]]


def set_groups(table: pd.DataFrame, alike=()) -> None:
    """Number in the table the groups of the pictures that are used; others have none."""
    used = is_used(table)
    table.loc[used, "group"] = find_groups(table[used], alike).astype(str)
    table.loc[~used, "group"] = ""


def rank_groups(pictures: pd.DataFrame, seed: int) -> pd.Series:
    """Give each picture the rank of its group, of columns digest and group: seed and content decide it."""
    hashes = (
        hashlib.blake2b(f"{seed} {d}".encode(), digest_size=8) for d in pictures.digest
    )
    ranks = np.array([int.from_bytes(one.digest(), "big") for one in hashes], np.uint64)
    return (
        pd.Series(ranks, pictures.index)
        .groupby(pictures.group.to_numpy())
        .transform("min")
    )


def split(pictures: pd.DataFrame, seed: int) -> pd.Series:
    """Divide the pictures 80/20, the classes in equal proportion, each group in one part.

    Seed and content give every group its rank, by a hash. In the order of the ranks, groups become
    validation until each class has its fifth there; one that no longer fits is passed over. So an
    added picture moves few others: in a set without groups, at most two. A class whose groups are
    all too large for its fifth gives its smallest; one of a single group is not divided.

    Of columns label, digest and group, returns the part of each, `train` or `validation`.
    """
    ranks = rank_groups(pictures, seed)
    groups, support, chosen = defaultdict(Counter), Counter(pictures.label), set()
    for rank, label in zip(ranks, pictures.label):
        groups[rank][label] += 1
    # A fifth of all, rounded up: of each class its whole part, then one more where most is missing.
    room = Counter({label: count // ONE_IN for label, count in support.items()})
    rest = math.ceil(support.total() / ONE_IN) - room.total()
    room.update(
        sorted(support, key=lambda label: (-(support[label] % ONE_IN), label))[:rest]
    )
    for rank in sorted(groups):
        if all(room[label] >= count for label, count in groups[rank].items()):
            room.subtract(groups[rank])
            chosen.add(rank)
    for label, own in ranks.groupby(pictures.label.to_numpy()):
        if chosen.isdisjoint(own):
            smaller = [
                rank for rank in set(own) if groups[rank][label] < support[label]
            ]
            chosen.update(
                sorted(smaller, key=lambda rank: (groups[rank].total(), rank))[:1]
            )
    return ranks.isin(chosen).map({True: "validation", False: "train"})


def note_both_parts(table: pd.DataFrame) -> None:
    """Where parts were given, leave the training pictures out whose group is validated on, too."""
    used = is_used(table)
    validated = table.group[used & (table.part == "validation")]
    note(
        table,
        used & (table.part == "train") & table.group.isin(validated),
        "in_both_parts",
    )


def deal_folds(y_true, groups, folds: int, seed: int) -> np.ndarray:
    """Deal pictures into folds, the classes in nearly equal proportion, no group divided.

    Of classes and groups, int (n,), returns int (n,), the fold of each, from 0; a ValueError where
    there are fewer groups than folds.
    """
    numbers, groups = np.unique(groups, return_inverse=True)
    count = len(numbers)
    if count < folds:
        raise ValueError(
            f"{len(groups)} pictures are {count} groups (copies, look-alikes, given ones): too "
            f"few to be dealt into {folds} folds. Add other pictures."
        )
    # Where no class has a picture for each fold, there is nothing to keep in proportion.
    y_true = np.asarray(y_true) * (
        np.unique(y_true, return_counts=True)[1].max() >= folds
    )
    if count == len(groups):
        # The same, but faster: without groups no place has to be sought for each.
        splitter, groups = StratifiedKFold(folds, shuffle=True, random_state=seed), None
    else:
        # Its own `shuffle` spoils the proportions before scikit-learn 1.8.
        splitter = StratifiedGroupKFold(folds)
        groups = np.random.default_rng(seed).permutation(count)[groups]
    fold = np.empty(len(y_true), int)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        for number, (_, held) in enumerate(splitter.split(y_true, y_true, groups)):
            fold[held] = number
    return fold


def read_split(ws) -> pd.DataFrame:
    """Read the split: columns file, label, part, group (int), digest, in the order of split.csv.

    A FileNotFoundError where 01_data_prep has not been run.
    """
    rows = read_table(ws.existing("split.csv", made_by="01_data_prep"))[
        ["file", "label", "part"]
    ]
    pictures = read_table(ws.existing("pictures.csv", made_by="01_data_prep"))
    rows = rows.merge(pictures[["file", "group", "digest"]], "left", "file")
    if rows.digest.isna().any():
        raise ValueError(
            f"{ws.results}: split.csv has other files than pictures.csv: run 01 again."
        )
    return rows.assign(group=rows.group.astype(int))


def identify_set(ws) -> str:
    """Hash contents, labels and parts of all pictures of the split, and the loader's version.

    Names and places of files don't count, so a folder may be moved.
    """
    columns = ["digest", "label", "part"]
    rows = read_split(ws)[columns].sort_values(columns)
    content = rows.to_csv(index=False, lineterminator="\n")
    return hashlib.sha256(f"{LOADER_VERSION}\n{content}".encode()).hexdigest()[:16]
