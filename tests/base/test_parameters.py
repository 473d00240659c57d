import re

import pytest

from lib.base import parameters
from lib.base.workspace import REPOSITORY

NOTEBOOKS = sorted((REPOSITORY / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_parameter_of_a_notebook_is_known_and_its_default_allowed(path):
    defaults = parameters.read_defaults(path)

    assert len(defaults) > 0
    # Unknown ones would not be returned.
    assert parameters.check_parameters(defaults) == defaults


WRONG = {
    "AUGMENT": ("true", "True or False"),
    "BACKBONES": (
        ["a", "a"],
        '"auto", names with commas between them, or a list of them, none',
    ),
    "BATCH_SIZE": (32.0, "a whole number from 1 to 8,192"),
    "COVERAGE": (95, "a share from 0.01 to 0.9999, say 0.95"),
    "EPOCHS": (0, "a whole number from 1"),
    "IMAGE_SIZES": (224, r"a list of whole numbers from 10 to 2,048, say \[160, 224\]"),
    "LEARNING_RATE": ("fast", '"auto" or a number up to 10, say 0.0001'),
    "SHARE": (float("nan"), "a number from 0 to 1"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_parameter_is_an_error_that_says_what_to_write(name):
    value, advice = WRONG[name]

    with pytest.raises(ValueError, match=f"^{name} is .*: write {advice}"):
        parameters.check_parameters({"other": 1, name: value})


@pytest.mark.parametrize("name", parameters.ALLOWED)
def test_what_an_error_proposes_is_allowed(name):
    with pytest.raises(ValueError) as found:
        parameters.check_parameters({name: float("nan")})

    for proposed in re.findall(r"(?<= say )(?:\[.*\]|\S+)(?=\.$)", str(found.value)):
        value = parameters.parse_value(proposed)
        assert parameters.check_parameters({name: value}) == {name: value}


READ = {
    "5": 5,
    "1e-4": 0.0001,
    "null": None,
    "true": True,
    "[160, 224]": [160, 224],
    "{alpha: 0.25}": {"alpha": 0.25},
    "[a/b.keras, hub:c]": ["a/b.keras", "hub:c"],
    "ResNet50@192": "ResNet50@192",
    "[1": "[1",
    '{"alpha": 0.25, "b": [true, null]}': {"alpha": 0.25, "b": [True, None]},
    "-0.5": -0.5,
    ".5": 0.5,
    # As a person doesn't mean them.
    "010": "010",
    "12:30": "12:30",
    "0x1F": "0x1F",
    "1_000": "1_000",
    "2026-12-03": "2026-12-03",
    "no": "no",
    "[010, 8]": ["010", 8],
}


@pytest.mark.parametrize("text", READ)
def test_a_value_is_read_as_json_or_yaml(text):
    assert parameters.parse_value(text) == READ[text]


def test_number_that_a_person_does_not_write_so_is_refused():
    for text in ("010", "12:30"):
        value = parameters.parse_value(text)
        with pytest.raises(ValueError, match=f"SEED is '{text}': write"):
            parameters.check_parameters({"SEED": value})


def test_unknown_name_is_answered_by_those_most_like_it():
    known = ["ResNet50", "SEEDS", "EPOCHS", "SEED"]

    assert parameters.suggest("EPOCH", known).startswith("; most like it: EPOCHS, ")
