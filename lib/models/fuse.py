"""Normalisations that became part of the convolutions before them."""

import keras
import numpy as np

from lib.machine import query_gpus

FOLDABLE = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)


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
    if query_gpus("name"):
        # These have other limits, and may round kernels (TF32), folded ones otherwise than others.
        return model
    convolved, folded = {}, []

    def call(layer, *inputs, **options):
        follows = isinstance(layer, keras.layers.BatchNormalization) and id(inputs[0]) in convolved
        if follows and layer.axis in (-1, 3):
            convolution, pixels = convolved[id(inputs[0])]
            folded.append(_fold_into(convolution, layer))
            return folded[-1](pixels)
        outputs = layer(*inputs, **options)
        if type(layer) in FOLDABLE and layer.activation is keras.activations.linear:
            if layer.compute_dtype == "float32" and layer.data_format == "channels_last":
                convolved[id(outputs)] = layer, inputs[0]
        return outputs

    flat = keras.Model(model.inputs, model.outputs)
    copy = keras.models.clone_model(
        flat, clone_function=lambda layer: layer, call_function=call, recursive=True
    )
    return copy if folded else model


def _fold_into(convolution, normalisation):
    scale = 1 / np.sqrt(_read(normalisation.moving_variance) + normalisation.epsilon)
    if normalisation.scale:
        scale *= _read(normalisation.gamma)
    bias = -_read(normalisation.moving_mean)
    if convolution.use_bias:
        bias += _read(convolution.bias)
    bias *= scale
    if normalisation.center:
        bias += _read(normalisation.beta)
    kernel = _read(convolution.kernel)
    if isinstance(convolution, keras.layers.DepthwiseConv2D):
        # Its channels are counted by the last two axes together.
        kernel *= scale.reshape(kernel.shape[2:])
    else:
        kernel *= scale
    config = convolution.get_config() | {"use_bias": True, "name": None}
    folded = type(convolution).from_config(config)
    folded.build(convolution.get_build_config()["input_shape"])
    folded.set_weights([kernel, bias])
    return folded


def _read(variable) -> np.ndarray:
    return keras.ops.convert_to_numpy(variable).astype(np.float64)
