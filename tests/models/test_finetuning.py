"""Fine-tuning: what learns then, and from which model it starts."""

import math

import keras
import numpy as np
import pytest
from conftest import add_head, load_functions
from keras import layers

from lib.models import parts, saved

LESSON = load_functions(
    "06_fine_tuning", "06-loop", "06-cut", keras=keras, math=math, parts=parts
)
unfreeze = LESSON.unfreeze


def put_head_on(backbone, boxed=False):
    """Assemble a model in the form that 04 and 05 save: a box is one layer, as what a file holds."""
    if boxed:
        pixels = keras.Input((8, 8, 3))
        backbone = keras.Model(pixels, backbone(pixels))
    features = layers.GlobalAveragePooling2D()(backbone.output)
    return add_head(backbone.input, features, "tiny_linear")


def build_small_backbone():
    """Build all that may go wrong: batch normalisation, branches, dropout."""
    keras.utils.set_random_seed(1)
    pixels = keras.Input((8, 8, 3))
    maps = layers.Rescaling(1 / 255)(pixels)
    maps = layers.Conv2D(6, 3, strides=2, padding="same", name="low")(maps)
    maps = layers.BatchNormalization()(maps)
    maps = layers.Add()([maps, layers.Conv2D(6, 3, padding="same")(maps)])
    maps = layers.Conv2D(9, 1, name="widen")(maps)
    maps = layers.Conv2D(9, 3, strides=2, padding="same", name="high")(maps)
    maps = layers.BatchNormalization()(maps)
    maps = layers.Dropout(0.5)(layers.ReLU()(maps))
    return keras.Model(pixels, maps, name="small")


def list_ids(variables):
    """Return the identities of variables."""
    return {id(variable) for variable in variables}


@pytest.mark.parametrize(
    ("share", "count", "first"),
    [
        (0, 0, None),
        (0.25, 2, "high"),
        (0.3, 4, "widen"),
        (1, 8, "low"),
    ],
)
@pytest.mark.parametrize("boxed", [False, True])
def test_the_last_layers_that_hold_a_share_and_the_head_learn(
    share, count, first, boxed
):
    """Four convolutions have eight variables, two each; batch normalisation never learns."""
    model = put_head_on(build_small_backbone(), boxed=boxed)
    # As 05 freezes it, and as it is loaded again.
    for layer in model.layers[:-1]:
        layer.trainable = False
    model = type(model).from_config(model.get_config())
    assert len(model.trainable_variables) == 2

    learning = unfreeze(model, share)

    assert len(learning) == count
    assert first is None or first in learning[0].path
    expected = list_ids(learning) | list_ids(model.layers[-1].variables)
    assert list_ids(model.trainable_variables) == expected


class Block(layers.Layer):
    """A layer that holds batch normalisation within itself."""

    def __init__(self):
        super().__init__()
        self.convolution = layers.Conv2D(4, 3)
        self.norm = layers.BatchNormalization()

    def call(self, maps, training=None):
        return self.norm(self.convolution(maps), training=training)


def build_backbone_of_a_block():
    """Build a network of a block and a convolution."""
    pixels = keras.Input((8, 8, 3))
    return keras.Model(pixels, layers.Conv2D(5, 1)(Block()(pixels)))


def test_averages_within_a_layer_stay_while_the_model_learns():
    model = put_head_on(build_backbone_of_a_block())
    learning = unfreeze(model, 1.0)
    frozen = parts.find_parts(model)[0].non_trainable_variables
    before = [weight.numpy().copy() for weight in frozen]
    images = np.random.default_rng(0).normal(size=(4, 8, 8, 3))

    model.compile("sgd", "categorical_crossentropy")
    model.train_on_batch(images, np.eye(3)[[0, 1, 2, 0]])

    # Kernel and bias of the last convolution; those of the block, and four of its normalisation.
    assert len(learning) == 2
    assert len(frozen) == 6
    assert all(map(np.array_equal, before, frozen))


def test_metadata_tell_how_much_learned():
    model = put_head_on(build_small_backbone())
    unfreeze(model, 0.5)

    record = saved.describe_model(model, class_names=["007", "NA", "red"])

    # From 6 channels to 9 by 1 x 1, from 9 to 9 by 3 x 3, and a head for 3 classes.
    learned = (6 + 1) * 9 + (9 * 9 + 1) * 9 + (9 + 1) * 3
    assert record.parameters_trainable == learned < record.parameters_total
