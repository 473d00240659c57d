import keras
import numpy as np
import pytest
from keras import layers

from lib.models.configs import make_key
from lib.models.fuse import fuse_normalisations


def build_network(dtype="float32"):
    """Build a nested network with each kind of normalisation, of statistics as after training."""
    rng = np.random.default_rng(0)
    inner_in = keras.Input((8, 8, 3))
    maps = layers.Conv2D(6, 3, padding="same", use_bias=False, dtype=dtype)(inner_in)
    maps = layers.ReLU(6.0, dtype=dtype)(layers.BatchNormalization(dtype=dtype)(maps))
    deep = layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2, dtype=dtype)(maps)
    deep = layers.BatchNormalization(scale=False, dtype=dtype)(deep)
    deep = layers.Conv2D(6, 1, dtype=dtype)(deep)
    # What a convolution gives may be used twice.
    both = layers.Add(dtype=dtype)([deep, layers.BatchNormalization(center=False)(deep), maps])
    # These two have no linear convolution before them.
    both = layers.BatchNormalization(dtype=dtype)(both)
    both = layers.Conv2D(6, 1, activation="relu", dtype=dtype)(both)
    inner = keras.Model(inner_in, layers.BatchNormalization(dtype=dtype)(both))
    for layer in inner.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.3, 2, w.shape) for w in layer.get_weights()])
    pixels = keras.Input((8, 8, 3))
    pooled = layers.GlobalAveragePooling2D()(inner(pixels / 127.5 - 1, training=False))
    return keras.Model(pixels, pooled)


def count_normalisations(model):
    return sum(isinstance(layer, layers.BatchNormalization) for layer in model._flatten_layers())


def test_fused_network_answers_the_same_and_leaves_the_other_as_it_was():
    keras.utils.set_random_seed(0)
    network = build_network()
    before = make_key(network)
    fused = fuse_normalisations(network)
    pictures = np.random.default_rng(1).integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)
    expected = network.predict_on_batch(pictures)
    assert np.abs(expected).max() > 0.1
    answers = fused.predict_on_batch(pictures)
    assert answers.shape == expected.shape
    assert np.allclose(answers, expected, rtol=1e-5, atol=1e-5)
    assert count_normalisations(network) == 5 and count_normalisations(fused) == 2
    assert make_key(network) == before


def test_nothing_is_fused_in_half_precision():
    network = build_network("mixed_float16")
    assert count_normalisations(fuse_normalisations(network)) == count_normalisations(network)


@pytest.mark.parametrize("depth", [0, 1, 3])
def test_normalisations_are_fused_however_deep_the_network_lies(depth):
    """As in a file that wraps its network: input, preprocessing, network."""
    network = keras.Sequential([keras.Input((8, 8, 3)), *make_pair(5), *make_pair(4)])
    for level in range(depth):
        pixels = keras.Input((8, 8, 3))
        network = keras.Model(pixels, network(layers.Rescaling(0.9)(pixels), training=False))
        if level % 2:
            network = keras.Sequential([keras.Input((8, 8, 3)), network])
    pictures = np.random.default_rng(1).uniform(0, 2, (5, 8, 8, 3)).astype(np.float32)
    fused, expected = fuse_normalisations(network), network.predict_on_batch(pictures)
    assert count_normalisations(fused) == 0 and count_normalisations(network) == 2
    answers = fused.predict_on_batch(pictures)
    assert answers.shape == expected.shape
    assert np.allclose(answers, expected, rtol=1e-5, atol=1e-5)


def make_pair(filters):
    spread = keras.initializers.RandomUniform(0.5, 2)
    statistics = dict(moving_mean_initializer=spread, moving_variance_initializer=spread)
    return layers.Conv2D(filters, 3), layers.BatchNormalization(**statistics)
