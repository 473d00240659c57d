"""Training and validation: who goes where, and the identity of a set by its content."""

import hashlib
import os
import shutil
from collections import Counter, defaultdict

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from lib.data.pictures import LOADER_VERSION
from lib.storage import read_table

ONE_IN = 5  # pictures of which one is for validation


def find_families(pictures: pd.DataFrame, alike=()) -> np.ndarray:
    """Number the families of pictures: equal contents, one group, and what looks alike.

    Of columns digest and, if known, group ("" for none), and pairs (k, 2) of alike digests, returns
    int (n,), equal for two pictures exactly if such bonds connect them.
    """
    grouped = pictures.reindex(columns=["digest", "group"], fill_value="").query("group != ''")
    bonds = [*zip(grouped.digest, "group " + grouped.group), *alike]
    ends = np.array(bonds, object).reshape(-1, 2)
    # Contents and groups are the places of a graph.
    places, names = pd.factorize(np.concatenate([pictures.digest, *ends.T]))
    own, first, second = np.split(places, [len(pictures), len(pictures) + len(bonds)])
    graph = coo_array((np.ones(len(bonds)), (first, second)), shape=(len(names), len(names)))
    return connected_components(graph, directed=False)[1][own]


def split(pictures: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Divide the pictures 80/20, the classes in equal proportion, each family in one part.

    Seed and content give every family its rank, by a hash. In the order of the ranks, families
    become validation until each class has its fifth there; one that no longer fits is passed over.
    So an added picture moves few others: in a set without families, at most two. A class whose
    families are all too large for its fifth gives its smallest.

    Takes columns file, label, digest and family, in any order; returns columns file, label, part
    (`train`, `validation`), by file; raises as `check_parts`.
    """
    pictures = pictures.sort_values("file", ignore_index=True)
    hashes = (hashlib.blake2b(f"{seed} {d}".encode(), digest_size=8) for d in pictures.digest)
    ranks = np.array([int.from_bytes(one.digest(), "big") for one in hashes], np.uint64)
    rank = pd.Series(ranks).groupby(pictures.family.to_numpy()).transform("min")
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
    part = rank.isin(chosen).map({True: "validation", False: "train"})
    table = pictures[["file", "label"]].assign(part=part)
    check_parts(table)
    return table


def _count_validation(support: Counter) -> Counter:
    # A fifth of all, rounded up; of each class its whole part, then one more where most is missing.
    counts = Counter({name: count // ONE_IN for name, count in support.items()})
    rest = -(-support.total() // ONE_IN) - counts.total()
    counts.update(sorted(support, key=lambda name: (-(support[name] % ONE_IN), name))[:rest])
    return counts


def keep_parts(pictures: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Take the parts that were given; a family of both parts stays in validation alone.

    Of pictures with columns file, label, part and family, returns the split, as `split` does, and
    checks: the training pictures that are left out.
    """
    tested = set(pictures.family[pictures.part == "validation"])
    twice = (pictures.part == "train") & pictures.family.isin(tested)
    table = pictures[~twice][["file", "label", "part"]].sort_values("file", ignore_index=True)
    check_parts(table)
    return table, pictures[twice][["file"]].assign(problem="in_both_parts", action="left out")


def check_parts(table: pd.DataFrame) -> None:
    """Raise a ValueError, which says what to do, unless every class stands in both parts."""
    parts = table.groupby("label").part.nunique()
    if (undivided := parts.index[parts < 2]).size:
        raise ValueError(
            f"These classes stand in one part alone: {', '.join(undivided[:20])}. Where parts were "
            "given, correct them. Else their files are copies, look-alikes or one group of too few pictures "
            'to be divided: add pictures, or take DUPLICATES = "drop".'
        )


def deal_folds(y_true, families, folds: int, seed: int) -> np.ndarray:
    """Deal pictures into folds, the classes in nearly equal proportion, no family divided.

    Families, int (n,), are dealt like cards, class by class (that of a family's first picture), in
    an order that the seed decides. Returns int (n,), the fold of each, from 0; raises a ValueError
    where there are fewer families than folds.
    """
    _, first, families = np.unique(families, return_index=True, return_inverse=True)
    if len(first) < folds:
        raise ValueError(
            f"{len(families)} pictures are {len(first)} families (copies, look-alikes, groups): too "
            f"few to be dealt into {folds} folds. Add other pictures."
        )
    order = np.random.default_rng(seed).permutation(len(first))
    order = order[np.argsort(np.asarray(y_true)[first][order], kind="stable")]
    fold = np.empty(len(first), int)
    fold[order] = np.arange(len(first)) % folds
    return fold[families]


def read_split(ws) -> pd.DataFrame:
    """Read split.csv: columns file, label, part; an error where 01_data_prep has not been run."""
    return read_table(ws.existing("split.csv", made_by="01_data_prep"))


def save_split(ws, table: pd.DataFrame) -> None:
    """Write split.csv; where that changes it, keep `predictions/` as `predictions_before/`.

    One generation of answers is kept, whole. They stand in one of the two folders whenever a run is
    killed, and the next one goes on from there.
    """
    text, path = table.to_csv(index=False, lineterminator="\n"), ws.file("split.csv")
    answers, kept, stale = (ws.file(f"predictions{end}") for end in ("", "_before", "_before.part"))
    shutil.rmtree(stale, ignore_errors=True)
    if path.exists() and path.read_bytes() != text.encode() and any(answers.glob("*.csv")):
        if kept.exists():
            os.replace(kept, stale)
        os.replace(answers, kept)
        shutil.rmtree(stale, ignore_errors=True)
    ws.save_table(table, "split.csv")


def read_families(ws, files) -> np.ndarray:
    """Number the families of some files of the split: int (n,), equal for what belongs together."""
    pictures = read_table(ws.existing("pictures.csv", made_by="01_data_prep")).set_index("file")
    family = pictures.reindex(files).get("family", pd.Series(files))
    return pd.factorize(np.asarray(family))[0]


def identify_set(ws) -> str:
    """Hash contents, labels and parts of all pictures of the split, and the loader's version.

    Names and places of files don't count, so a folder may be moved.
    """
    pictures = read_table(ws.existing("pictures.csv", made_by="01_data_prep"))
    table = read_split(ws).merge(pictures[["file", "digest"]], on="file", how="left")
    rows = table[["digest", "label", "part"]].astype(str).sort_values(["digest", "label", "part"])
    content = f"{LOADER_VERSION}\n{rows.to_csv(index=False, lineterminator=chr(10))}"
    return hashlib.sha256(content.encode()).hexdigest()[:16]
