"""Training and validation: who goes where, and the identity of a set by its content."""

import hashlib
from collections import Counter, defaultdict

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from lib.data.pictures import LOADER_VERSION
from lib.data.table import find_used, note
from lib.storage import read_table

ONE_IN = 5  # pictures of which one is for validation


def find_groups(pictures: pd.DataFrame, alike=()) -> np.ndarray:
    """Number the groups of pictures: equal contents, one given group, and what looks alike.

    Of columns digest and, if known, group ("" for none), and pairs (k, 2) of alike digests, returns
    int (n,), equal for two pictures exactly if such bonds connect them.
    """
    given = pictures.reindex(columns=["digest", "group"], fill_value="").query("group != ''")
    bonds = [*zip(given.digest, "group " + given.group), *alike]
    ends = np.array(bonds, object).reshape(-1, 2)
    # Contents and given groups are the places of a graph.
    places, names = pd.factorize(np.concatenate([pictures.digest, *ends.T]))
    own, first, second = np.split(places, [len(pictures), len(pictures) + len(bonds)])
    graph = coo_array((np.ones(len(bonds)), (first, second)), shape=(len(names), len(names)))
    return connected_components(graph, directed=False)[1][own]


def set_groups(table: pd.DataFrame, alike=()) -> None:
    """Number in the table the groups of the pictures that are used; others have none."""
    used = find_used(table)
    groups = find_groups(table[used], alike).astype(str)
    table["group"] = ""
    table.loc[used, "group"] = groups


def split(pictures: pd.DataFrame, seed: int) -> pd.Series:
    """Divide the pictures 80/20, the classes in equal proportion, each group in one part.

    Seed and content give every group its rank, by a hash. In the order of the ranks, groups become
    validation until each class has its fifth there; one that no longer fits is passed over. So an
    added picture moves few others: in a set without groups, at most two. A class whose groups are
    all too large for its fifth gives its smallest.

    Of columns label, digest and group, returns the part of each, `train` or `validation`; all of a
    class that is one group stand in one part.
    """
    hashes = (hashlib.blake2b(f"{seed} {d}".encode(), digest_size=8) for d in pictures.digest)
    ranks = np.array([int.from_bytes(one.digest(), "big") for one in hashes], np.uint64)
    rank = pd.Series(ranks, pictures.index).groupby(pictures.group.to_numpy()).transform("min")
    members, having = defaultdict(Counter), defaultdict(set)
    for one, label in zip(rank, pictures.label):
        members[one][label] += 1
        having[label].add(one)
    room, chosen = _count_validation(Counter(pictures.label)), set()
    for one in sorted(members):
        if all(room[label] >= count for label, count in members[one].items()):
            room.subtract(members[one])
            chosen.add(one)
    for label in sorted(support := Counter(pictures.label)):
        if chosen.isdisjoint(having[label]):
            fits = [one for one in having[label] if members[one][label] < support[label]]
            chosen |= set(sorted(fits, key=lambda one: (members[one].total(), one))[:1])
    return rank.isin(chosen).map({True: "validation", False: "train"})


def _count_validation(support: Counter) -> Counter:
    # A fifth of all, rounded up; of each class its whole part, then one more where most is missing.
    counts = Counter({name: count // ONE_IN for name, count in support.items()})
    rest = -(-support.total() // ONE_IN) - counts.total()
    counts.update(sorted(support, key=lambda name: (-(support[name] % ONE_IN), name))[:rest])
    return counts


def note_both_parts(table: pd.DataFrame) -> None:
    """Where parts were given, leave the training pictures out whose group is validated on, too."""
    used = find_used(table)
    validated = table.group[used & (table.part == "validation")]
    twice = used & (table.part == "train") & table.group.isin(validated)
    note(table, twice, "in_both_parts")


def deal_folds(y_true, groups, folds: int, seed: int) -> np.ndarray:
    """Deal pictures into folds, the classes in nearly equal proportion, no group divided.

    Groups, int (n,), are dealt like cards, class by class (that of a group's first picture), in
    an order that the seed decides. Returns int (n,), the fold of each, from 0; raises a ValueError
    where there are fewer groups than folds.
    """
    _, first, groups = np.unique(groups, return_index=True, return_inverse=True)
    if len(first) < folds:
        raise ValueError(
            f"{len(groups)} pictures are {len(first)} groups (copies, look-alikes, given ones): too "
            f"few to be dealt into {folds} folds. Add other pictures."
        )
    order = np.random.default_rng(seed).permutation(len(first))
    order = order[np.argsort(np.asarray(y_true)[first][order], kind="stable")]
    fold = np.empty(len(first), int)
    fold[order] = np.arange(len(first)) % folds
    return fold[groups]


def read_split(ws) -> pd.DataFrame:
    """Read split.csv: columns file, label, part; an error where 01_data_prep has not been run."""
    return read_table(ws.existing("split.csv", made_by="01_data_prep"))


def read_groups(ws, files) -> np.ndarray:
    """Number the groups of some files of the split: int (n,), equal for what belongs together."""
    pictures = read_table(ws.existing("pictures.csv", made_by="01_data_prep")).set_index("file")
    if "group" not in pictures:
        raise ValueError("pictures.csv is of an earlier version: run 01_data_prep again.")
    return pd.factorize(pictures.group.reindex(files))[0]


def identify_set(ws) -> str:
    """Hash contents, labels and parts of all pictures of the split, and the loader's version.

    Names and places of files don't count, so a folder may be moved.
    """
    pictures = read_table(ws.existing("pictures.csv", made_by="01_data_prep"))
    table = read_split(ws).merge(pictures[["file", "digest"]], on="file", how="left")
    rows = table[["digest", "label", "part"]].astype(str).sort_values(["digest", "label", "part"])
    content = f"{LOADER_VERSION}\n{rows.to_csv(index=False, lineterminator=chr(10))}"
    return hashlib.sha256(content.encode()).hexdigest()[:16]
