"""Fine-tuning: the last layers of a backbone learn, too, in small steps."""

import math

import keras

from lib.models.parts import find_parts, list_layers


def unfreeze(model: keras.Model, share: float) -> list[keras.Variable]:
    """Let the head learn, and the last layers that hold at least a share of the backbone's variables.

    The share is of the count of those that can learn, in the order of computation. Batch normalisation
    stays as it is (a batch of your pictures would spoil its averages), and with it the whole of a layer
    that holds one within itself, as some of keras-hub do.

    Args:
        model: a saved model with a backbone.
        share: 0 to 1.

    Returns:
        The variables of the backbone that learn.
    """
    # First off: TensorFlow passes over a flag that a layer has already, whatever its variables have.
    model.trainable = False
    model.trainable = True
    for layer in list_layers(model):
        has_averages = any("moving_mean" in each.path for each in layer.variables)
        if has_averages and not isinstance(layer, keras.Model):
            layer.trainable = False
    extractor, _ = find_parts(model)
    variables = extractor.trainable_variables
    # Rounded, since 0.1 of 30 is a little more than 3.
    first = len(variables) - math.ceil(round(share * len(variables), 6))
    # A layer learns as a whole: the paths of its variables are equal but for their own names.
    paths = [variable.path.rpartition("/")[0] for variable in variables]
    while 0 < first < len(paths) and paths[first - 1] == paths[first]:
        first -= 1
    for variable in variables[:first]:
        variable.trainable = False
    return variables[first:]
