"""Parents of classes: how they are read, which one holds a set, and how they order classes."""

import pytest

from lib.evaluation import parents

CLASSES = ["bird", "frog", "snail", "spider"]
# The last class stands alone.
PARENTS = {
    "bird": "Vertebrata",
    "frog": "Vertebrata",
    "Vertebrata": "Animalia",
    "snail": "Animalia",
}


@pytest.fixture
def read(tmp_path):
    """Return a function that reads the parents that a text names."""

    def write_and_read(text):
        path = tmp_path / "parents.csv"
        path.write_text(text, encoding="utf-8-sig")
        return parents.read_parents(path, CLASSES)

    return write_and_read


def test_parents_may_have_parents_and_a_class_may_have_none(read):
    rows = "".join(f"{name};{parent}\n" for name, parent in PARENTS.items())

    assert read(f"class;parent\n{rows}spider;\n") == PARENTS
    assert parents.read_parents(None, CLASSES) == {}


UNUSABLE = {
    "bird,Animalia": "line 3: 'bird' is no new name",
    "frog,bird": "line 3: 'bird' is no parent: it is a class",
    "A,B\nB,C\nC,A": "line 3: 'B' is no parent: it lies below itself",
}


@pytest.mark.parametrize("rows", UNUSABLE)
def test_file_that_contradicts_itself_is_named_with_its_line(read, rows):
    with pytest.raises(ValueError, match=f"parents.csv, {UNUSABLE[rows]}"):
        read(f"class,parent\nbird,A\n{rows}\n")


def test_a_row_that_stands_twice_is_one(read):
    assert read("class,parent\nbird,A\nbird,A\n") == {"bird": "A"}


def test_names_that_differ_in_capitals_alone_are_noted(read, capsys):
    read("class,parent\nbird,Insect\nfrog,insect\n")

    assert "these stay apart: Insect, insect." in capsys.readouterr().out


def test_another_header_is_an_error_that_shows_the_right_one(read):
    with pytest.raises(ValueError, match="header: class,parent"):
        read("child,parent\nbird,A\n")


def test_a_class_that_left_the_split_is_passed_over_with_a_note(read, capsys):
    found = read("class,parent\nbird,Vertebrata\nnewt,Vertebrata\n")

    assert found == {"bird": "Vertebrata"}
    assert "Note: parents.csv: passed over" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("names", "parent"),
    [
        (["bird"], "Vertebrata"),
        (["frog", "bird"], "Vertebrata"),
        (["frog", "snail"], "Animalia"),
        (["frog", "spider"], ""),
    ],
)
def test_lowest_parent_that_holds_all_classes_is_found(names, parent):
    assert parents.find_parent(names, PARENTS) == parent


def test_classes_of_one_parent_stand_beside_one_another():
    names = ["ant", *CLASSES]
    far = PARENTS | {"ant": "Vertebrata", "bird": "Aves", "Aves": "Vertebrata"}

    ordered = parents.order_classes(names, far)

    assert ordered == ["spider", "snail", "ant", "frog", "bird"]
    assert parents.order_classes(names, {}) == names
