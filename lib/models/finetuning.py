"""Fine-tuning: the last stages of a backbone learn, too, in small steps."""

import contextlib
from typing import NamedTuple

import keras
import numpy as np

from lib.models import saved
from lib.models.pooling import find_parts, flatten, list_layers
from lib.storage import read_table

# A stage begins where maps lose at least a third of their side: halving may round up.
STEP = 1.5


class Stage(NamedTuple):
    """Layers of a network that work at one size of maps, or one block of a transformer."""

    shape: tuple  # of what leaves it, without the batch
    layers: list[str]  # their names, in the order of computation
    weights: list  # Keras variables

    @property
    def parameters(self) -> int:
        """How many numbers its weights hold."""
        return sum(int(np.prod(weight.shape)) for weight in self.weights)


def find_transfer(ws, name: str = "", kinds=("linear", "transfer")) -> str:
    """Return the name of a model on a frozen backbone: the one asked for, else the contest's winner.

    Args:
        name: of a model of the current split; empty for the winner of 05 or, without a contest, the
            first of the first kind that there is.
        kinds: what names may end in: linear is a model of 05, transfer one of 04.

    Raises:
        FileNotFoundError: there is no such model of the current split.
    """
    models = []
    # Its error names notebooks whose models have no backbone.
    with contextlib.suppress(FileNotFoundError):
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


def find_stages(model: keras.Model) -> list[Stage]:
    """Divide what lies below the head of a saved model into stages, the lowest first.

    A stage begins where all maps from there on are smaller than before (those inside a squeeze and
    excitation are small for a moment only), or with a block that holds attention, also where one layer
    holds all blocks. Each weight is in one stage, but for those that scale pixels.
    """
    with flatten(find_parts(model)[0]) as (_, steps):
        sides = [_find_side(*step) for step in steps]
    # The largest side of any maps from here on.
    largest = np.maximum.accumulate(sides[::-1])[::-1]
    stages, side = [Stage((), [], [])], np.inf
    for (layer, output), largest_side in zip(steps, largest):
        is_smaller = 0 < largest_side * STEP <= side
        side = largest_side if is_smaller else side
        for number, (name, weights, has_attention) in enumerate(_open_blocks(layer)):
            begins = has_attention or (is_smaller and number == 0)
            if begins and any(stage.weights for stage in stages[-1:]):
                stages.append(Stage((), [], []))
            last = stages[-1]
            stages[-1] = Stage(output.shape[1:], [*last.layers, name], [*last.weights, *weights])
    return stages if stages[-1].weights else stages[:-1]


def _find_side(layer, output) -> int:
    # Of maps; what padding adds says nothing of how large they are.
    is_padding = "Padding" in type(layer).__name__
    return output.shape[1] if len(output.shape) == 4 and not is_padding else 0


def _open_blocks(layer) -> list[tuple]:
    # Of a layer, or of each block within it: name, weights, whether it holds attention.
    # Of operations, and of what scales pixels, nothing learns.
    if not isinstance(layer, keras.Layer) or isinstance(layer, keras.layers.Normalization):
        return [(layer.name, [], False)]
    # Keras has no public word for the layers within a layer.
    within = layer._flatten_layers(include_self=False, recursive=False)
    blocks = [(one.name, one.weights, _has_attention(one)) for one in within]
    if sum(has_attention for *_, has_attention in blocks) < 2:
        return [(layer.name, layer.weights, _has_attention(layer))]
    inside = {id(weight) for _, weights, _ in blocks for weight in weights}
    own = [weight for weight in layer.weights if id(weight) not in inside]
    return [(layer.name, own, False), *blocks]


def _has_attention(layer) -> bool:
    return any("Attention" in type(one).__name__ for one in layer._flatten_layers())


def unfreeze(model: keras.Model, stages: list[Stage]) -> None:
    """Let these stages and the head learn, and nothing else; batch normalisation stays as it is."""
    head = find_parts(model)[1]
    for layer in list_layers(model):
        layer.trainable = not isinstance(layer, keras.layers.BatchNormalization)
    learning = {id(weight) for stage in stages for weight in stage.weights}
    learning |= {id(weight) for weight in head.weights}
    for variable in model.trainable_variables:
        variable.trainable = id(variable) in learning


class Still(keras.Layer):
    """Runs a network in inference mode, also while the model around it trains.

    Keras hands `training=True` down to models within: dropout in them would be at work.
    """

    def __init__(self, network: keras.Model):
        super().__init__()
        self.network = network

    def call(self, inputs):
        """Run the network."""
        return self.network(inputs, training=False)

    def get_config(self):
        """Describe the network: what is trained has a key, and is never loaded."""
        return super().get_config() | {"network": self.network.get_config()}


def hold_still(model: keras.Model, precision: str) -> keras.Model:
    """Build a model of the same layers whose backbone infers, even while it learns.

    Its backbone computes in `precision`, a dtype policy of Keras; the head goes on as it is.
    """
    extractor, head = find_parts(model)
    # The layers within layers, too.
    for layer in extractor._flatten_layers():
        if not isinstance(layer, keras.Model):
            layer.dtype_policy = precision
    top = keras.Model(extractor.input, head(Still(extractor)(extractor.input)))
    # In half precision, Keras' `compile` scales the loss then.
    top.dtype_policy = precision
    return top
