"""Change lines of lib one at a time, and see whether a test that touches the line fails.

    make mutants                                    80 changes in each wing
    make mutants ARGUMENTS="--wings data --count 20"

First all tests run once under coverage, which notes the tests that touch each line, and how long each takes. Then
each change is made in a copy of the project, and the fastest of those tests run in it, for a minute in all. A line
that runs on import, such as a constant, is touched by all tests of its file. A change that no test notices has
survived: it is a hole in the tests, or the line does the same with it. Survivors that somebody has judged stand in
mutants.csv with a reason.

Lines that run only in other processes, such as the kernels of notebooks, are not seen by coverage, and not changed.
"""

import argparse
import ast
import copy
import csv
import importlib
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import coverage
import numpy as np
import pytest
from tqdm import tqdm

# Nothing of lib is imported here: the tests of a change must import it from the copy.
REPOSITORY = Path(__file__).resolve().parents[1]
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
# Imported once, so that the tests of each change start at once.
WARM = (
    "keras",
    "matplotlib.pyplot",
    "nbformat",
    "pandas",
    "seaborn",
    "sklearn.linear_model",
    "tensorflow",
)
SECONDS_OF_TESTS = 60
# Their fixtures run notebooks, which takes a minute: asked only where no other test touches a line.
CHAINS = ("test_chain", "test_presets", "test_report")
MAX_SECONDS = 600
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
        text: the line it begins in, without its indent.
    """

    file: str
    line: int
    start: int
    end: int
    before: str
    after: str
    text: str

    @property
    def key(self) -> tuple[str, str, str, str]:
        """Return what a judged survivor is known by; lines move, so their numbers don't count."""
        return self.file, self.text, self.before, self.after


def list_rooms() -> list[Path]:
    """Return the files of lib, sorted."""
    return sorted((REPOSITORY / "lib").rglob("*.py"))


def name_file(path: Path) -> str:
    """Return the path of a file from the repository, such as lib/data/split.py."""
    return path.relative_to(REPOSITORY).as_posix()


def find_wing(file: str) -> str:
    """Return the wing of a room: data of lib/data/split.py, top of lib/chain.py."""
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
    lines = source.splitlines(keepends=True)
    lengths = [len(line) for line in lines]
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
            file=name_file(path),
            line=node.lineno,
            start=start,
            end=end,
            before=source[start:end].decode(),
            after=f"({ast.unparse(changed)})",
            text=lines[node.lineno - 1].decode().strip(),
        )


def runs_notebooks(test: str) -> bool:
    """Tell whether the fixture of a test runs notebooks."""
    return Path(test.split("::")[0]).stem in CHAINS


@dataclass(frozen=True)
class Map:
    """Which tests touch which line of lib, and how long they take.

    Attributes:
        tests: of each file of lib, line to the tests that touch it; "" stands for import.
        seconds: seconds of each test, with its fixtures.
    """

    tests: dict[str, dict[int, list[str]]]
    seconds: dict[str, float]

    def list_tests(self, mutant: Mutant) -> list[str]:
        """Return the tests that touch the line of a mutant, the fastest first, for SECONDS_OF_TESTS at most."""
        lines = self.tests[mutant.file]
        names = set(lines.get(mutant.line, []))
        if names == {""}:
            names = set().union(*lines.values())
        tests = names & set(self.seconds)
        ordinary = {test for test in tests if not runs_notebooks(test)}
        chosen = []
        total = 0.0
        for test in sorted(ordinary or tests, key=self.seconds.get):
            total += self.seconds[test]
            if chosen and total > SECONDS_OF_TESTS:
                break
            chosen.append(test)
        return chosen


def map_tests(folder: Path) -> None:
    """Run all tests once, and keep in a folder which of them touches which line."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    command = [sys.executable, "-m", "pytest", "-q", "--numprocesses=2"]
    options = ["--dist=loadfile", "--cov=lib", "--cov-context=test", "--cov-report="]
    subprocess.run(
        [*command, *options, f"--junitxml={folder / 'tests.xml'}"],
        cwd=REPOSITORY,
        env=os.environ | {"COVERAGE_FILE": str(folder / "coverage")},
        check=True,
    )


def read_map(folder: Path) -> Map:
    """Read what `map_tests` has kept."""
    data = coverage.CoverageData(str(folder / "coverage"))
    data.read()
    tests = {}
    for path in list_rooms():
        lines = {}
        for line, contexts in data.contexts_by_lineno(str(path)).items():
            lines[line] = [context.split("|")[0] for context in contexts]
        tests[name_file(path)] = lines
    seconds = {}
    for case in ElementTree.parse(folder / "tests.xml").iter("testcase"):
        file = case.get("classname").replace(".", "/")
        seconds[f"{file}.py::{case.get('name')}"] = float(case.get("time"))
    return Map(tests, seconds)


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


def run_tests(tests: list[str], folder: Path, output: Path) -> None:
    """Run tests in a copy of the project and exit with pytest's code; runs in a process of its own."""
    os.setsid()
    os.chdir(folder)
    with output.open("wb") as file:
        os.dup2(file.fileno(), sys.stdout.fileno())
        os.dup2(file.fileno(), sys.stderr.fileno())
    options = ["-q", "-x", "-p", "no:cacheprovider", "-p", "no:randomly"]
    temporary = folder.with_name("temporary")
    code = pytest.main([*options, f"--basetemp={temporary}", *tests])
    sys.stdout.flush()
    # A thread that a test has left would hold the usual exit.
    os._exit(code)


def do_pass(tests: list[str], folder: Path) -> bool:
    """Tell whether tests pass in a copy of the project, within MAX_SECONDS."""
    processes = multiprocessing.get_context("fork")
    output = folder.with_name("output.txt")
    process = processes.Process(target=run_tests, args=(tests, folder, output))
    process.start()
    process.join(MAX_SECONDS)
    if process.is_alive():
        os.killpg(process.pid, signal.SIGKILL)
        process.join()
    return process.exitcode == 0


def is_killed(mutant: Mutant, tests: list[str], folder: Path) -> bool:
    """Tell whether one of the tests fails, or they don't end, with the change in a copy of the project."""
    path = folder / mutant.file
    source = path.read_bytes()
    changed = source[: mutant.start] + mutant.after.encode() + source[mutant.end :]
    path.write_bytes(changed)
    passed = do_pass(tests, folder)
    path.write_bytes(source)
    return not passed


def read_judged() -> dict[tuple[str, str, str, str], str]:
    """Return the reason for each survivor that somebody has judged."""
    with JUDGED.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    judged = {}
    for row in rows:
        key = (row["file"], row["line"], row["before"], row["after"])
        judged[key] = row["reason"]
    return judged


def choose(wing: str, tests: Map, count: int, seed: int) -> list[Mutant]:
    """Choose mutants of a wing, each of a line that some test touches, by a seed.

    Their order is random, so the first ones are a fair sample, too.
    """
    found = []
    for path in list_rooms():
        if find_wing(name_file(path)) == wing:
            found += [one for one in list_mutants(path) if tests.list_tests(one)]
    rng = np.random.default_rng([seed, WINGS.index(wing)])
    order = rng.permutation(len(found))[:count]
    return [found[index] for index in order]


def check_copy(mutants: list[Mutant], tests: Map, folder: Path) -> None:
    """Run the tests of all mutants once without a change: only then does a failure tell of one.

    Raises:
        SystemExit: a test fails without a change.
    """
    needed = set()
    for mutant in mutants:
        needed.update(tests.list_tests(mutant))
    for file in sorted({test.split("::")[0] for test in needed}):
        of_file = sorted(test for test in needed if test.split("::")[0] == file)
        if not do_pass(of_file, folder):
            output = folder.with_name("output.txt").read_text(errors="replace")
            sys.exit(f"{file} fails without a change:\n{output}")


def judge_wing(wing: str, tests: Map, count: int, seed: int) -> None:
    """Try the mutants of a wing, and print its survivors and its score."""
    judged = read_judged()
    survivors = []
    mutants = choose(wing, tests=tests, count=count, seed=seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "project"
        copy_project(folder)
        check_copy(mutants, tests=tests, folder=folder)
        for mutant in tqdm(mutants, desc=wing, unit="mutant"):
            if is_killed(mutant, tests.list_tests(mutant), folder):
                continue
            survivors.append(mutant)
            reason = judged.get(mutant.key, "NOT JUDGED")
            place = f"{mutant.file}:{mutant.line}"
            tqdm.write(f"{place}: {mutant.before} -> {mutant.after}: {reason}")
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
    # The thread that watches bars may hold a lock while a process is forked.
    tqdm.monitor_interval = 0
    if not options.mapped:
        map_tests(KEPT)
    tests = read_map(KEPT)
    for name in WARM:
        importlib.import_module(name)
    for wing in options.wings:
        judge_wing(wing, tests=tests, count=options.count, seed=options.seed)


if __name__ == "__main__":
    main()
