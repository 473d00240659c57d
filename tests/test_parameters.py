import nbformat
import pytest

from lib import parameters
from lib.workspace import REPOSITORY

NOTEBOOKS = sorted((REPOSITORY / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_parameter_of_a_notebook_is_known_and_checked_in_the_next_cell(path):
    cells = [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
    (place,) = [i for i, c in enumerate(cells) if "parameters" in c.metadata.get("tags", [])]
    names = parameters.read_defaults(path)
    assert set(names) <= set(parameters.ALLOWED), (
        "say in parameters.toml what a new parameter may be"
    )
    parameters.check_parameters(names)
    assert "check_parameters(globals())" in cells[place + 1].source


WRONG = {
    "AUGMENT": [1, "true", None],
    "BACKBONE": ["", None, 50],
    "BACKBONES": ["", " , ", None, 5, [], [""], ["a", "a"]],
    "BACKBONE_OPTIONS": [None, "alpha", ["alpha"]],
    "BATCH_SIZE": [0, -1, 2.5, 32.0, "abc", True, 10**9, 1e9],
    "COVERAGE": [0, 1, 95, -0.5, "0.95", float("nan"), None],
    "CLOSENESS": [-0.1, 1.5, "0.7", None, float("nan")],
    "EPOCHS": [0, -1, "abc", 2.5, True, None, 10**9],
    "FINE_LEARNING_RATE": [0, "fast"],
    "FOLDS": [1, 0, 2.5, 100, "5"],
    "IMAGES": [None, 5, [1], [""]],
    "IMAGE_SIZE": [3, 9, 0, -160, "160", 10**6, [160]],
    "IMAGE_SIZES": [[], 160, [3], [160, "224"], None],
    "LEARNING_RATE": [0, -0.1, 11, "fast", float("nan"), float("inf"), True],
    "PRECISION": ["half", None, 32],
    "SEED": [-1, 2**32, 0.5, "42", None],
    "WEIGHTS": ["", 0, False],
}


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name, values in WRONG.items() for value in values],
    ids=str,
)
def test_wrong_parameter_is_an_error_that_says_what_is_allowed(name, value):
    with pytest.raises(ValueError) as caught:
        parameters.check_parameters({"other": 1, name: value})
    assert str(caught.value).startswith(f"{name} is {value!r}. Allowed is: ")


def test_allowed_parameters_pass_and_other_names_are_passed_over():
    allowed = {
        "WEIGHTS": None,
        "IMAGES": "",
        "BACKBONES": "a, b",
        "LEARNING_RATE": 1,
        "IMAGE_SIZE": 10,
    }
    parameters.check_parameters(allowed | {"__name__": "__main__", "pixels": object()})


@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("EPOCH", '; did you mean "EPOCHS"?'),
        ("epochs", '; did you mean "EPOCHS"?'),
        ("resnet", '; did you mean "ResNet50"?'),
        ("x", ". There are: EPOCHS, ResNet50."),
    ],
)
def test_unknown_name_is_answered_by_the_one_most_like_it_or_by_all(name, end):
    assert parameters.suggest(name, ["EPOCHS", "ResNet50"]) == end
