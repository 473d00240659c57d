"""What is pooled of a backbone's answers, and the two parts of a model: extractor and head."""

import contextlib
import threading

import keras
from keras import layers

one_renames = threading.RLock()

# They hand on the answers of the layer before them.
CARRIES = (layers.Identity, layers.Flatten, layers.Reshape, layers.Dropout)


def pool(patterns):
    """Make one vector a picture, float (n, channels), of what a backbone gives.

    Of maps the mean over all places (Lin, Chen and Yan 2014). Of tokens the class token, which stands
    first (ViT: Dosovitskiy et al. 2021; DINOv2: Oquab et al. 2024); where their number is a square,
    there is none, and the mean is taken. A vector, say of SigLIP's attention pooling, stays as it is;
    of several outputs the pooled one is taken. The name of the layer says which it was.
    """
    if isinstance(patterns, dict):
        pooled = [output for name, output in patterns.items() if "pooled" in name]
        if not pooled:
            raise ValueError(f"BACKBONE: of its outputs {', '.join(patterns)} none is pooled.")
        patterns = pooled[0]
    if len(patterns.shape) == 4:
        return layers.GlobalAveragePooling2D(name="mean_of_places")(patterns)
    if len(patterns.shape) == 2:
        return layers.Identity(name="own_vector")(patterns)
    places = patterns.shape[1]
    if places is None or round(places**0.5) ** 2 == places:
        return layers.GlobalAveragePooling1D(name="mean_of_tokens")(patterns)
    return layers.Flatten(name="class_token")(layers.Cropping1D((0, places - 1))(patterns))


def build_extractor(backbone) -> keras.Model:
    """Build what leads from RGB pictures of 0-255, (n, size, size, 3), to features (n, channels)."""
    pixels_in = keras.Input((backbone.image_size, backbone.image_size, 3), name="pixels")
    patterns = backbone.model(backbone.preprocess(pixels_in), training=False)
    return keras.Model(pixels_in, pool(patterns), name="extractor")


def has_backbone(model: keras.Model) -> bool:
    """Tell whether a saved model is a backbone with a head of its own behind it."""
    return isinstance(model.layers[-1], keras.Model)


def find_parts(model: keras.Model) -> tuple[keras.Model, keras.Model]:
    """Return extractor and head of a saved model: pixels to features, features to probabilities.

    A ValueError where the model has no head of its own behind a backbone.
    """
    if not has_backbone(model):
        raise ValueError(f"{model.name} has no backbone: it is no model of 04, 05 or 06.")
    extractor = keras.Model(model.inputs[0], model.layers[-2].output, name="extractor")
    return extractor, model.layers[-1]


def expose_features(model: keras.Model) -> keras.Model:
    """Make a model that gives its probabilities and, from the same pass, its features.

    They are (n, 0) of a model without a backbone.
    """
    probabilities = model.outputs[0]
    features = model.layers[-2].output if has_backbone(model) else probabilities[:, :0]
    return keras.Model(model.inputs, [probabilities, features], name=model.name)


@contextlib.contextmanager
def flatten(model: keras.Model):
    """Open the models within a model, Sequential or functional, however deep.

    Keras takes each name but once in a model: until the block ends, layers of one name have others.

    Yields a model of the same layers, none of which is a model; and a pair of each layer or operation
    with its first output (a KerasTensor of that model), in the order of computation. A ValueError
    where a model within is of a class of its own, and does not show its layers.
    """

    def call(layer, *inputs, **options):
        # A model runs its layers one by one, so that they stand in this graph.
        outputs = (layer.call if isinstance(layer, keras.Model) else layer)(*inputs, **options)
        # It begins by converting what it takes.
        if type(layer).__name__ != "ConvertToTensor":
            steps.append((layer, keras.tree.flatten(outputs)[0]))
        return outputs

    parts = list_layers(model)
    for part in (model, *parts):
        if isinstance(part, keras.Model) and not getattr(part, "inputs", None):
            raise ValueError(f"{part.name} is a model that does not show its layers.")
    with one_renames:
        names = [part.name for part in parts]
        try:
            for number, part in enumerate(parts):
                part.name = f"{names[number]}.{number}"
            steps = []
            while not steps or any(isinstance(layer, keras.Model) for layer, _ in steps):
                graph, steps = keras.Model(*map(_take_out, (model.inputs, model.outputs))), []
                model = keras.models.clone_model(
                    graph, clone_function=lambda layer: layer, call_function=call
                )
            yield model, steps
        finally:
            for part, name in zip(parts, names):
                part.name = name


def _take_out(tensors: list):
    return tensors[0] if len(tensors) == 1 else tensors


def list_layers(model: keras.Model) -> list[keras.Layer]:
    """List the layers of a model and of all models within it, the models too."""
    within = [list_layers(layer) for layer in model.layers if isinstance(layer, keras.Model)]
    return [*model.layers, *(layer for layers in within for layer in layers)]


def is_classifier(model: keras.Model) -> bool:
    """Tell whether a model ends in probabilities, or has a layer called `head`, as those of 04 to 06 do."""
    with flatten(model) as (_, steps):
        changing = [layer for layer, _ in steps if not isinstance(layer, CARRIES)]
    last = changing[-1] if changing else model
    activation = getattr(last, "activation", None) or type(last)
    name = getattr(activation, "__name__", type(activation).__name__).lower().replace("_", "")
    is_probability = name in ("softmax", "logsoftmax", "sigmoid")
    return is_probability or any(layer.name == "head" for layer in model.layers)
