"""Fine-tuning: the last weights of a backbone learn, too, in small steps."""

import keras

from lib.models import saved
from lib.models.parts import find_parts, list_layers
from lib.storage import read_table


def find_transfer(ws, name: str = "", kinds=("linear", "transfer")) -> str:
    """Return the name of a model on a frozen backbone: the one asked for, else the contest's winner.

    Args:
        name: of a model of the current split; empty for the winner of 05 or, without a contest, the
            first of the first kind that there is.
        kinds: what names may end in: linear is a model of 05, transfer one of 04.

    Raises:
        FileNotFoundError: there is no such model of the current split.
    """
    models = [metadata["name"] for metadata in saved.list_models(ws)]
    known = [one for kind in kinds for one in models if one.endswith(f"_{kind}")]
    wanted = [name] if name else known
    if not name and (path := ws.results / "contest.csv").exists():
        contest = read_table(path)
        wanted = [*(contest.candidate[contest.chosen == "True"] + "_linear"), *known]
    for one in wanted:
        if one in known:
            return one
    subject = f"BASE: {name} is" if name else "There is"
    raise FileNotFoundError(
        f"{subject} no model called …_{' or …_'.join(kinds)} of the current split in "
        f"{ws.results / 'models'}. There are: {', '.join(known) or 'none'}. Run 05_backbones first."
    )


def unfreeze(model: keras.Model, share: float) -> list:
    """Let the head and the last share of the backbone's variables learn, and nothing else.

    The share is of the count of those that can learn, in the order of computation. Batch normalisation
    stays as it is (what a batch of your pictures tells would spoil its averages), and with it the whole
    of a layer that holds one within itself, as some of keras-hub do.

    Returns the variables of the backbone that learn.
    """
    # First off: TensorFlow passes over a flag that a layer has already, whatever its variables have.
    model.trainable = False
    for layer in [model, *list_layers(model)]:
        has_averages = any("moving_mean" in variable.path for variable in layer.variables)
        layer.trainable = isinstance(layer, keras.Model) or not has_averages
    variables = find_parts(model)[0].trainable_variables
    first = len(variables) - round(share * len(variables))
    for variable in variables[:first]:
        variable.trainable = False
    return variables[first:]
