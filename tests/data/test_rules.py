"""The rules of data as notebooks/README.md tells them: each example there is done as it stands.

A table of rules has three columns, `rule`, `given` and `comes out`. A rule is one sentence. Lines of a cell are
divided by <br>, and whatever is meant word by word is set as code.

What is given, a line each:
    `cat/1.jpg` `dog/1.jpg`                       files of the folder that `train` names, which is called train
    `cat/1.jpg` at `12:00:05`                     one that was taken then
    `cat/1.png` of 16 bits up to `4095`           one with samples of 0 and of this number, which is decoded
    `cat/up` → `..`                               a link and where it leads
    `set.zip`: `cat/1.jpg` `dog/1.jpg`            an archive, which `train` names then, and its files
    `train_labels.csv`: `file,label` `1.jpg,cat`  a file beside train, which a key of that name means, and its lines
    `GROUP_BY` = `name`                           a parameter of 01

What comes out, each file in one line or more:
    `cat/1.jpg` `cat/2.jpg`: cat                  the label of these files, or the word of checks.csv for what is left
                                                  out; behind it its part, where parts are given, words of checks.csv
                                                  and `one group`, where these files alone form one
    Note: has other folders                       a note has these words; … stands for any
    Error: which is meant is not clear            an error has them, and nothing else comes out
"""

import re
import zipfile

import cv2
import numpy as np
import pandas as pd
import pytest
from conftest import run_cells

from lib.base.workspace import REPOSITORY, Workspace
from lib.data import labels, pixels, series, sources, split
from lib.data.findings import LEFT_OUT, find, list_checks

README = REPOSITORY / "notebooks/README.md"
HEADER = ["rule", "given", "comes out"]
CODE = re.compile(r"`([^`]+)`")


def read_cells(line):
    """Return the cells of a row of a table in Markdown, in which \\| is no border."""
    cells = re.split(r"(?<!\\)\|", line.strip())[1:-1]
    return [cell.strip().replace("\\|", "|") for cell in cells]


def read_rules():
    """List the rows of all tables of rules, each named by its section and its first words."""
    rules = []
    section = ""
    is_table = False
    for line in README.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            section = line.removeprefix("## ")
        cells = read_cells(line) if line.startswith("|") else []
        is_table = cells == HEADER or (is_table and bool(cells))
        if is_table and cells != HEADER and set(line) != set("|-"):
            name = f"{section}: {cells[0][:50]}"
            rules.append(pytest.param(*cells[1:], id=name))
    return rules


def split_lines(cell):
    return [line.strip() for line in cell.split("<br>")]


class Example:
    """What is given, laid out below a folder."""

    def __init__(self, folder, given):
        self.train = folder / "train"
        self.train.mkdir()
        self.keys = {"train": self.train}
        self.group_by = "none"
        self.taken = {}
        self.is_decoded = False
        for line in split_lines(given):
            self.lay_out(line)

    def lay_out(self, line):
        names = CODE.findall(line)
        form = CODE.sub("`", line).split()
        if form == ["`", "=", "`"] and names[0] == "GROUP_BY":
            self.group_by = names[1]
        elif form == ["`", "→", "`"]:
            self.find_place(names[0]).symlink_to(names[1])
        elif form == ["`", "at", "`"]:
            self.find_place(names[0]).touch()
            self.taken[names[0]] = pd.Timestamp(f"2026-01-01 {names[1]}")
        elif form == "` of 16 bits up to `".split():
            stripes = np.tile(np.uint16([0, names[1]]).repeat(32), (64, 1))
            cv2.imwrite(str(self.find_place(names[0])), stripes)
            self.is_decoded = True
        elif form[0] == "`:" and names[0].endswith(".zip"):
            self.keys["train"] = self.train / names[0]
            with zipfile.ZipFile(self.keys["train"], "w") as packed:
                for name in names[1:]:
                    packed.writestr(name, "a picture")
        elif form[0] == "`:":
            path = self.train.with_name(names[0])
            path.write_text("\n".join(names[1:]), encoding="utf-8")
            self.keys[path.stem] = path
        else:
            assert set(form) == {"`"}, f"{line}: no form of what can be given"
            for name in names:
                self.find_place(name).write_bytes(b"no picture is read")

    def find_place(self, name):
        path = self.train / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def do(self):
        """List the pictures as 01 does; return {file: words} and the groups, as sets of files."""
        folder = self.train.parent
        ws = Workspace(results=folder, scratch=folder / "scratch", **self.keys)
        train = sources.fetch_folder(ws, "train")
        validation = sources.find_validation(ws)
        listed, odd = labels.list_pictures(ws, train, validation, self.group_by)
        listed["taken"] = pd.to_datetime(listed.file.map(self.taken))
        print(series.describe_series(listed))
        if self.is_decoded:
            decoded, _ = pixels.decode_pictures(ws, train, listed, [8])
            cells = ["doubt-rules", "doubt-notes"]
            known = run_cells("01_data_prep", cells, {"whole": decoded})
            for word, is_doubtful in known["doubts"].items():
                doubts = find(decoded.file[is_doubtful], word, "kept")
                odd = pd.concat([odd, doubts])
        words = {row.file: [row.label, row.part] for row in listed.itertuples()}
        for row in list_checks(odd).itertuples():
            if row.action == LEFT_OUT:
                words[row.file] = []
            words[row.file].append(row.problem)
        words = {file: list(filter(None, said)) for file, said in words.items()}
        return words, self.find_groups(listed)

    def find_groups(self, listed):
        pictures = listed.assign(digest=listed.file)
        ties = []
        if self.group_by == "time":
            bursts = series.name_bursts(listed)
            ties = list(zip(listed.file[bursts.index], bursts))
        groups = split.find_groups(pictures, ties)
        together = [set(files) for _, files in listed.file.groupby(groups)]
        return [files for files in together if len(files) > 1]


def read_outcome(lines):
    """Return {file: words} and the groups that lines of README tell."""
    words = {}
    groups = []
    for line in lines:
        named, _, told = line.rpartition(":")
        files = CODE.findall(named)
        assert files, f"{line}: no form of what can come out"
        said = [word.strip() for word in told.split(",")]
        if "one group" in said:
            said.remove("one group")
            groups.append(set(files))
        for file in files:
            words[file] = words.get(file, []) + said
    return words, groups


def says(text, expected):
    """Tell whether a text has these words, in which … stands for any."""
    plain = expected.replace("`", "")
    return re.search(".*".join(map(re.escape, plain.split("…"))), text)


@pytest.mark.parametrize(("given", "comes_out"), read_rules())
def test_examples_come_out_as_the_readme_tells(given, comes_out, tmp_path, capsys):
    example = Example(tmp_path, given)
    lines = split_lines(comes_out)
    error = [line for line in lines if line.startswith("Error: ")]
    notes = [line for line in lines if line.startswith("Note: ")]

    if error:
        with pytest.raises(ValueError) as caught:
            example.do()
        assert says(str(caught.value), error[0].removeprefix("Error: "))
        return
    words, groups = example.do()

    told, grouped = read_outcome([line for line in lines if line not in notes])
    assert words == told
    assert sorted(map(sorted, groups)) == sorted(map(sorted, grouped))
    printed = capsys.readouterr().out
    assert all(says(printed, note) for note in notes)


SECTIONS = ["Pictures", "Folders and archives", "Series", "Labels in a file"]


@pytest.mark.parametrize("section", SECTIONS)
def test_sections_have_tables_of_rules(section):
    assert any(rule.id.startswith(f"{section}: ") for rule in read_rules())
