"""The two parts of a model: an extractor, from pixels to pooled features, and the head behind it."""

import keras
from keras import layers


def pool(patterns):
    """Make one vector a picture, float (n, channels), of what a backbone gives.

    Of maps the mean over all places (Lin, Chen and Yan 2014). Of tokens the class token, which stands
    first (ViT: Dosovitskiy et al. 2021); where their number is a square there is none, and the mean is
    taken. A vector stays as it is; of several outputs it is the pooled one. The layer's name says which.
    """
    if isinstance(patterns, dict):
        pooled = [output for name, output in patterns.items() if "pooled" in name]
        if not pooled:
            raise ValueError(
                f"BACKBONE: of its outputs {', '.join(patterns)} none is pooled."
            )
        patterns = pooled[0]
    if len(patterns.shape) == 4:
        return layers.GlobalAveragePooling2D(name="mean_of_places")(patterns)
    if len(patterns.shape) == 2:
        return layers.Identity(name="own_vector")(patterns)
    places = patterns.shape[1]
    if places is None or round(places**0.5) ** 2 == places:
        return layers.GlobalAveragePooling1D(name="mean_of_tokens")(patterns)
    return layers.Flatten(name="class_token")(
        layers.Cropping1D((0, places - 1))(patterns)
    )


def build_extractor(backbone) -> keras.Model:
    """Build what leads from RGB pictures of 0-255, (n, size, size, 3), to features (n, channels)."""
    (pixels,), patterns = backbone.model.inputs, backbone.model.output
    return keras.Model(pixels, pool(patterns), name="extractor")


def has_backbone(model: keras.Model) -> bool:
    """Tell whether a saved model is a backbone with a head of its own behind it."""
    return isinstance(model.layers[-1], keras.Model)


def find_parts(model: keras.Model) -> tuple[keras.Model, keras.Model]:
    """Return extractor and head of a saved model: pixels to features, features to probabilities.

    A ValueError where the model has no head of its own behind a backbone.
    """
    if not has_backbone(model):
        raise ValueError(
            f"{model.name} has no backbone: it is no model of 04, 05 or 06."
        )
    extractor = keras.Model(model.inputs[0], model.layers[-2].output, name="extractor")
    return extractor, model.layers[-1]


def expose_features(model: keras.Model) -> keras.Model:
    """Make a model that gives its probabilities and, from the same pass, its features."""
    features = find_parts(model)[0].output
    return keras.Model(model.inputs, [model.outputs[0], features], name=model.name)


def list_layers(model: keras.Model) -> list[keras.Layer]:
    """List the layers of a model and of all models within it, the models too."""
    within = [
        list_layers(layer) for layer in model.layers if isinstance(layer, keras.Model)
    ]
    return [*model.layers, *(layer for layers in within for layer in layers)]
