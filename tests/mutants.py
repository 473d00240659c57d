"""Change lines of lib one at a time, and see whether a test that touches the line fails.

    make mutants                                    80 changes in each wing
    make mutants ARGUMENTS="--wings data --count 20"

First all tests run once under coverage, which notes the tests that touch each line. Then each change is made in
a copy of the project, and those tests run in it. A change that no test notices has survived: it is a hole in the
tests, or the line does the same with it. Survivors that somebody has judged stand in mutants.csv with a reason.
"""

import argparse
import ast
import copy
import csv
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import coverage
import numpy as np

from lib.workspace import REPOSITORY

WINGS = ("top", "data", "models", "evaluation")
KEPT = REPOSITORY / "demo/test/mutants"
JUDGED = Path(__file__).with_suffix(".csv")
COPIED_FOLDERS = ("lib", "notebooks", "tests", ".github")
COPIED_FILES = (
    "Makefile",
    "pyproject.toml",
    "README.md",
    "requirements.txt",
    "drive_paths.example.json",
)
MAX_TESTS = 40
MAX_SECONDS = 300
SWAPPED = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.And: ast.Or,
    ast.Or: ast.And,
}
SWAPPED_NAMES = {"min": "max", "max": "min", "any": "all", "all": "any"}


@dataclass(frozen=True)
class Mutant:
    """One change of one expression.

    Attributes:
        file: path from the repository.
        line: number of the first line of the expression, from 1.
        start: byte offset of the expression in the file.
        end: byte offset behind it.
        before: its text.
        after: what replaces it.
    """

    file: str
    line: int
    start: int
    end: int
    before: str
    after: str

    @property
    def key(self) -> tuple[str, str, str]:
        """Return what a judged survivor is known by; lines move, so their numbers don't count."""
        return self.file, self.before, self.after


def find_wing(file: str) -> str:
    """Return the wing of a room, such as lib/data/split.py."""
    parts = Path(file).parts
    return parts[1] if len(parts) == 3 else "top"


def change(node: ast.expr) -> ast.expr | None:
    """Return a copy of an expression with one small change, or None where none is known."""
    copied = copy.deepcopy(node)
    if isinstance(copied, ast.Compare) and type(copied.ops[0]) in SWAPPED:
        copied.ops[0] = SWAPPED[type(copied.ops[0])]()
    elif isinstance(copied, ast.BinOp | ast.BoolOp) and type(copied.op) in SWAPPED:
        copied.op = SWAPPED[type(copied.op)]()
    elif isinstance(copied, ast.UnaryOp) and isinstance(copied.op, ast.Not):
        copied = copied.operand
    elif isinstance(copied, ast.Constant) and isinstance(copied.value, bool):
        copied.value = not copied.value
    elif isinstance(copied, ast.Constant) and isinstance(copied.value, int | float):
        copied.value = copied.value + 1
    elif isinstance(copied, ast.Name) and copied.id in SWAPPED_NAMES:
        copied.id = SWAPPED_NAMES[copied.id]
    else:
        return None
    return copied


def list_mutants(path: Path) -> Iterator[Mutant]:
    """Yield every change of a file that `change` knows."""
    source = path.read_bytes()
    lengths = [len(line) for line in source.splitlines(keepends=True)]
    beginnings = np.concatenate([[0], np.cumsum(lengths)])
    in_strings = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.JoinedStr):
            in_strings.update(map(id, ast.walk(node)))
        if not isinstance(node, ast.expr) or id(node) in in_strings:
            continue
        changed = change(node)
        if changed is None:
            continue
        start = int(beginnings[node.lineno - 1]) + node.col_offset
        end = int(beginnings[node.end_lineno - 1]) + node.end_col_offset
        yield Mutant(
            file=path.relative_to(REPOSITORY).as_posix(),
            line=node.lineno,
            start=start,
            end=end,
            before=source[start:end].decode(),
            after=f"({ast.unparse(changed)})",
        )


def map_tests(data_file: Path) -> None:
    """Run all tests once, and keep which of them touches which line."""
    data_file.parent.mkdir(parents=True, exist_ok=True)
    arguments = ["-q", "-p", "no:randomly", "--cov=lib", "--cov-context=test"]
    environment = os.environ | {"COVERAGE_FILE": str(data_file)}
    subprocess.run(
        [sys.executable, "-m", "pytest", *arguments, "--cov-report="],
        cwd=REPOSITORY,
        env=environment,
        check=True,
    )


def find_tests(data: coverage.CoverageData, mutant: Mutant) -> list[str]:
    """Return the tests that touch the line of a mutant, at most MAX_TESTS of them."""
    contexts = data.contexts_by_lineno(str(REPOSITORY / mutant.file))
    names = {context.split("|")[0] for context in contexts.get(mutant.line, [])}
    return sorted(names - {""})[:MAX_TESTS]


def copy_project(folder: Path) -> None:
    """Copy what the tests need into a folder."""
    for name in COPIED_FOLDERS:
        shutil.copytree(
            REPOSITORY / name,
            folder / name,
            ignore=shutil.ignore_patterns("__pycache__"),
        )
    for name in COPIED_FILES:
        shutil.copy(REPOSITORY / name, folder / name)


def is_killed(mutant: Mutant, tests: list[str], folder: Path) -> bool:
    """Tell whether one of the tests fails, or none ends in time, with the change in a copy of the project."""
    path = folder / mutant.file
    source = path.read_bytes()
    changed = source[: mutant.start] + mutant.after.encode() + source[mutant.end :]
    path.write_bytes(changed)
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
    try:
        done = subprocess.run(
            [*command, *tests],
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=MAX_SECONDS,
        )
        return done.returncode != 0
    except subprocess.TimeoutExpired:
        return True
    finally:
        path.write_bytes(source)


def read_judged() -> dict[tuple[str, str, str], str]:
    """Return the reason for each survivor that somebody has judged."""
    with JUDGED.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {(row["file"], row["before"], row["after"]): row["reason"] for row in rows}


def choose(
    wing: str, data: coverage.CoverageData, count: int, seed: int
) -> list[Mutant]:
    """Choose mutants of a wing, each of a line that some test touches, by a seed."""
    found = []
    for path in sorted((REPOSITORY / "lib").rglob("*.py")):
        if find_wing(path.relative_to(REPOSITORY).as_posix()) == wing:
            found += [one for one in list_mutants(path) if find_tests(data, one)]
    rng = np.random.default_rng([seed, WINGS.index(wing)])
    order = rng.permutation(len(found))[:count]
    return [found[index] for index in sorted(order)]


def judge_wing(wing: str, data: coverage.CoverageData, count: int, seed: int) -> None:
    """Try the mutants of a wing, and print its survivors and its score."""
    judged = read_judged()
    survivors = []
    mutants = choose(wing, data=data, count=count, seed=seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy_project(folder)
        for mutant in mutants:
            if not is_killed(mutant, find_tests(data, mutant), folder):
                survivors.append(mutant)
                reason = judged.get(mutant.key, "NOT JUDGED")
                place = f"{mutant.file}:{mutant.line}"
                print(
                    f"{place}: {mutant.before} -> {mutant.after}: {reason}", flush=True
                )
    same = sum(mutant.key in judged for mutant in survivors)
    killed = len(mutants) - len(survivors)
    score = killed / max(len(mutants) - same, 1)
    print(f"{wing}: {killed} of {len(mutants)} killed, {same} judged: {score:.2f}")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wings", nargs="+", choices=WINGS, default=WINGS)
    parser.add_argument("--count", type=int, default=80, help="mutants in each wing")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--mapped", action="store_true", help="take the last map")
    options = parser.parse_args()
    data_file = KEPT / "coverage"
    if not options.mapped:
        map_tests(data_file)
    data = coverage.CoverageData(str(data_file))
    data.read()
    for wing in options.wings:
        judge_wing(wing, data=data, count=options.count, seed=options.seed)


if __name__ == "__main__":
    main()
