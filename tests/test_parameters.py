import nbformat
import pytest

from lib import parameters
from lib.workspace import REPOSITORY

NOTEBOOKS = sorted((REPOSITORY / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_parameter_of_a_notebook_is_known_and_checked_in_the_next_cell(path):
    notebook = nbformat.read(path, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    tags = [cell.metadata.get("tags", []) for cell in cells]
    names = parameters.read_defaults(path)
    # What a new parameter may be is said in parameters.toml.
    assert set(names) <= set(parameters.ALLOWED)
    parameters.check_parameters(names)
    following = cells[tags.index(["parameters"]) + 1]
    assert "check_parameters(globals())" in following.source


WRONG = [
    ("AUGMENT", "true"),
    ("BACKBONES", ["a", "a"]),
    ("BACKBONE_OPTIONS", ["alpha"]),
    ("BATCH_SIZE", 32.0),
    ("BATCH_SIZE", True),
    ("COVERAGE", 95),
    ("COVERAGE", float("nan")),
    ("EPOCHS", None),
    ("IMAGE_SIZES", [160, "224"]),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_wrong_parameter_is_an_error_that_says_what_is_allowed(name, value):
    with pytest.raises(ValueError) as caught:
        parameters.check_parameters({"other": 1, name: value})
    assert str(caught.value).startswith(f"{name} is {value!r}. Allowed is: ")


def test_allowed_parameters_pass_and_other_names_are_passed_over():
    allowed = {"WEIGHTS": None, "IMAGES": "", "BACKBONES": "a, b", "LEARNING_RATE": 1}
    parameters.check_parameters(allowed | {"__name__": "__main__", "pixels": object()})


def test_a_parameter_may_have_one_of_two_types(tmp_path):
    cell = nbformat.v4.new_code_cell(
        """# @markdown By what the weights are changed
LEARNING_RATE: float | str = "auto"  # @param {"type": "raw"}
# @markdown None: that of the network
IMAGE_SIZE: int | None = None  # @param {"type": "raw"}"""
    )
    path = tmp_path / "notebook.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
    defaults = parameters.read_defaults(path)
    assert defaults == {"LEARNING_RATE": "auto", "IMAGE_SIZE": None}
    assert parameters.check_parameters(defaults) == defaults


ENDS = {
    "EPOCH": '; did you mean "EPOCHS"?',
    "resnet": '; did you mean "ResNet50"?',
    "x": ". There are: EPOCHS, ResNet50.",
}


@pytest.mark.parametrize("name", ENDS)
def test_unknown_name_is_answered_by_the_one_most_like_it_or_by_all(name):
    assert parameters.suggest(name, ["EPOCHS", "ResNet50"]) == ENDS[name]
