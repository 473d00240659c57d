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


WRONG = [
    ("AUGMENT", "true", "type boolean"),
    ("BACKBONES", ["a", "a"], "uniqueItems True"),
    ("BATCH_SIZE", 32.0, "type integer"),
    ("COVERAGE", 95, "maximum 0.9999"),
    ("COVERAGE", float("nan"), "minimum 0.01"),
    ("IMAGE_SIZES", [160, "224"], "minItems 1"),
]


@pytest.mark.parametrize(("name", "value", "allowed"), WRONG)
def test_wrong_parameter_is_an_error_that_says_what_is_allowed(name, value, allowed):
    with pytest.raises(ValueError, match=f"^{name} is .*{allowed}"):
        parameters.check_parameters({"other": 1, name: value})


READ = {
    "5": 5,
    "1e-4": 0.0001,
    "None": None,
    "null": None,
    "true": True,
    "[160, 224]": [160, 224],
    "{alpha: 0.25}": {"alpha": 0.25},
    "ResNet50@192": "ResNet50@192",
}


@pytest.mark.parametrize("text", READ)
def test_a_value_is_read_as_yaml_and_what_python_writes_otherwise_as_python(text):
    assert parameters.parse_value("NAME", text) == READ[text]


@pytest.mark.parametrize("text", ["010", "1:30", "1:30.5", "[32, 010]"])
def test_a_number_that_yaml_reads_by_eights_or_sixties_is_an_error(text):
    with pytest.raises(ValueError, match="^-p EPOCHS: "):
        parameters.parse_value("EPOCHS", text)


ENDS = {
    "EPOCH": '; did you mean "EPOCHS"?',
    "resnet": '; did you mean "ResNet50"?',
    "x": ". There are: EPOCHS, ResNet50.",
}


@pytest.mark.parametrize("name", ENDS)
def test_unknown_name_is_answered_by_the_one_most_like_it_or_by_all(name):
    assert parameters.suggest(name, ["EPOCHS", "ResNet50"]) == ENDS[name]
