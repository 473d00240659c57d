"""Normalisations that became part of the convolutions before them."""

import keras
import numpy as np
from keras import layers

from lib.machine import query_gpus
from lib.models.pooling import flatten, list_layers


def fuse_normalisations(model: keras.Model) -> keras.Model:
    """Make a model that answers like another, faster: convolutions normalise what they compute.

    In inference a BatchNormalization is a factor and an offset for each channel, which the kernel
    and the bias of the convolution before it can hold (Jacob et al. 2018, section 3.2).

    Args:
        model: frozen; all its other layers are shared with the new one. What computes in half
            precision stays as it is, and where there are GPUs all does.

    Returns:
        keras.Model whose outputs differ from those of `model` in inference by rounding alone.
    """
    every = list_layers(model)
    # GPUs have other limits, and may round fused kernels (TF32) otherwise than others.
    if query_gpus("name") or not any(isinstance(one, layers.BatchNormalization) for one in every):
        return model
    convolved = {}

    def call(layer, *inputs, **options):
        if isinstance(layer, layers.BatchNormalization) and layer.axis in (-1, 3):
            if id(inputs[0]) in convolved:
                convolution, pixels = convolved[id(inputs[0])]
                return _fuse(convolution, layer)(pixels)
        outputs = layer(*inputs, **options)
        if type(layer) in (layers.Conv2D, layers.DepthwiseConv2D) and _is_linear(layer):
            convolved[id(outputs)] = layer, inputs[0]
        return outputs

    same = {"clone_function": lambda layer: layer, "call_function": call}
    with flatten(model) as (flat, _):
        return keras.models.clone_model(flat, **same)


def _is_linear(layer) -> bool:
    is_plain = layer.compute_dtype == "float32" and layer.data_format == "channels_last"
    return is_plain and layer.activation is keras.activations.linear


def _fuse(convolution, normalisation) -> keras.Layer:
    scale = _read(normalisation.gamma, 1.0)
    scale = scale / np.sqrt(_read(normalisation.moving_variance) + normalisation.epsilon)
    bias = (_read(convolution.bias) - _read(normalisation.moving_mean)) * scale
    kernel = _read(convolution.kernel)
    # The channels of a depthwise kernel are counted by its last two axes together.
    is_depthwise = isinstance(convolution, layers.DepthwiseConv2D)
    kernel *= scale.reshape(kernel.shape[2:]) if is_depthwise else scale
    fused = type(convolution).from_config(
        convolution.get_config() | {"use_bias": True, "name": None}
    )
    fused.build(convolution.get_build_config()["input_shape"])
    fused.set_weights([kernel, bias + _read(normalisation.beta)])
    return fused


def _read(variable, default=0.0):
    # In float64, so that only the results are rounded.
    return default if variable is None else keras.ops.convert_to_numpy(variable).astype(np.float64)
