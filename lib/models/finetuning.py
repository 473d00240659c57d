"""Fine-tuning: the last weights of a backbone learn, too, in small steps."""

import keras

from lib.models import saved
from lib.models.parts import find_parts, list_layers
from lib.storage import read_table


def find_transfer(ws, name: str = "", kinds=("linear", "transfer")) -> str:
    """Return the name of a model on a frozen backbone: the one asked for, else the contest's winner.

    Without a name and a contest it is the first model of the first of `kinds`, which its name ends in:
    linear is a model of 05, transfer one of 04. A FileNotFoundError where the current split has none.
    """
    models = [metadata["name"] for metadata in saved.list_models(ws)]
    known = [one for kind in kinds for one in models if one.endswith(f"_{kind}")]
    contest, winner = ws.results / "contest.csv", []
    if contest.exists():
        winner = read_table(contest).query("chosen == 'True'").candidate + "_linear"
    for one in [name] if name else [*winner, *known]:
        if one in known:
            return one
    raise FileNotFoundError(
        f"{ws.results / 'models'} has no {name or 'model'} of the current split whose name ends in "
        f"{' or '.join(kinds)}, but {', '.join(known) or 'none'}. Run 05_backbones first."
    )


def unfreeze(model: keras.Model, share: float) -> list:
    """Let the head and the last share of the backbone's variables learn, and nothing else.

    The share is of the count of those that can learn, in the order of computation. Batch normalisation
    stays as it is (a batch of your pictures would spoil its averages), and with it the whole of a layer
    that holds one within itself, as some of keras-hub do.

    Returns the variables of the backbone that learn.
    """
    # First off: TensorFlow passes over a flag that a layer has already, whatever its variables have.
    model.trainable = False
    for layer in [model, *list_layers(model)]:
        has_averages = any(
            "moving_mean" in variable.path for variable in layer.variables
        )
        layer.trainable = isinstance(layer, keras.Model) or not has_averages
    variables = find_parts(model)[0].trainable_variables
    first = len(variables) - round(share * len(variables))
    for variable in variables[:first]:
        variable.trainable = False
    return variables[first:]
