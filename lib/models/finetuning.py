"""Fine-tuning: the last weights of a backbone learn, too, in small steps."""

import keras

from lib.models.parts import find_parts, list_layers


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
