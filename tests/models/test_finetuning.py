"""Fine-tuning: what learns then, and from which model it starts."""

import keras
import numpy as np
import pandas as pd
import pytest
from keras import layers

from lib.data import generators
from lib.models import finetuning, parts, saved, training
from lib.models.parts import find_parts

METADATA = {
    "characteristics": "tiny",
    "purpose": "a test",
    "weights": "imagenet",
    "seed": 3,
    "image_size": 8,
    "parameters": {"backbone": "net"},
    "notebook": "05_backbones",
    "seconds": 0.0,
}


def put_head_on(backbone, side, name="tiny_linear", boxed=False):
    """Assemble a model in the form that 04 and 05 save: a box is one layer, as what a file holds."""
    if boxed:
        pixels = keras.Input((side, side, 3))
        backbone = keras.Model(pixels, backbone(pixels))
    features = layers.GlobalAveragePooling2D()(backbone.output)
    dense = layers.Dense(3, activation="softmax")
    head = keras.Sequential([keras.Input(features.shape[1:]), dense], name="head")
    return keras.Model(backbone.input, head(features), name=name)


def build_small_backbone(side=8):
    """Build all that may go wrong: batch normalisation, branches, dropout."""
    keras.utils.set_random_seed(1)
    pixels = keras.Input((side, side, 3))
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
        (0.5, 4, "widen"),
        (1, 8, "low"),
    ],
)
@pytest.mark.parametrize("boxed", [False, True])
def test_the_last_layers_that_hold_a_share_and_the_head_learn(
    share, count, first, boxed
):
    """Three convolutions and the one that widens have eight variables, two each."""
    model = put_head_on(build_small_backbone(), 8, boxed=boxed)
    # As 05 freezes it, and as it is loaded again.
    for layer in model.layers[:-1]:
        layer.trainable = False
    model = type(model).from_config(model.get_config())
    assert len(model.trainable_variables) == 2
    learning = finetuning.unfreeze(model, share)
    assert len(learning) == count
    assert first is None or first in learning[0].path
    expected = list_ids(learning) | list_ids(model.layers[-1].variables)
    assert list_ids(model.trainable_variables) == expected


def test_batch_normalisation_learns_nothing_whatever_the_share():
    model = put_head_on(build_small_backbone(), 8, boxed=True)
    finetuning.unfreeze(model, 1.0)
    frozen = []
    for layer in parts.list_layers(model):
        if isinstance(layer, layers.BatchNormalization):
            frozen.append(not layer.trainable)
    assert frozen == [True, True]


def test_a_loop_over_layers_frees_the_same_variables():
    model = put_head_on(build_small_backbone(), 8)
    expected = finetuning.unfreeze(model, 0.3)
    model.trainable = True
    learning = []
    for layer in reversed(model.layers[:-1]):
        is_norm = isinstance(layer, layers.BatchNormalization)
        layer.trainable = not is_norm and len(learning) < 0.3 * 8
        learning = layer.trainable_variables + learning
    assert list_ids(learning) == list_ids(expected)


def test_averages_within_a_layer_stay_while_the_model_learns():
    class Block(layers.Layer):
        def __init__(self):
            super().__init__()
            self.convolution = layers.Conv2D(4, 3)
            self.norm = layers.BatchNormalization()

        def call(self, maps, training=None):
            return self.norm(self.convolution(maps), training=training)

    pixels = keras.Input((8, 8, 3))
    model = put_head_on(keras.Model(pixels, layers.Conv2D(5, 1)(Block()(pixels))), 8)
    assert len(finetuning.unfreeze(model, 1.0)) == 2
    frozen = find_parts(model)[0].non_trainable_variables
    before = [weight.numpy().copy() for weight in frozen]
    model.compile("sgd", "categorical_crossentropy")
    images = np.random.default_rng(0).normal(size=(4, 8, 8, 3))
    model.train_on_batch(images, np.eye(3)[[0, 1, 2, 0]])
    after = [weight.numpy() for weight in frozen]
    assert len(before) == 6
    assert all(map(np.array_equal, before, after))


def fine_tune(ws, share=0.5, epochs=2):
    """Fine-tune the last variables of the saved model, as 06 does."""

    def build():
        model = saved.load_model(ws, "tiny_linear")
        finetuning.unfreeze(model, share)
        model = keras.Model(model.inputs, model.outputs, name="tiny_finetuned")
        adam = keras.optimizers.Adam(0.01)
        model.compile(adam, "categorical_crossentropy", metrics=["accuracy"])
        return model

    batches = generators.pair(ws, 8, 5, seed=3, augment=True)
    return training.train(
        build,
        batches,
        ws,
        {"EPOCHS": epochs},
        [3],
        characteristics="Small steps",
        base="tiny_linear",
    )


def save_untrained(ws, name="tiny_linear"):
    """Save a model as 05 does, which was never fitted."""
    model = put_head_on(build_small_backbone(), 8, name)
    pictures = np.zeros((1, 8, 8, 3))
    saved.save(
        model,
        ws,
        METADATA | {"name": name},
        pictures=pictures,
        y_prob=model.predict_on_batch(pictures),
    )


def test_only_what_was_let_free_moves_and_the_whole_is_saved(prepared):
    save_untrained(prepared)
    run = fine_tune(prepared)
    start = saved.load_model(prepared, "tiny_linear")
    again = saved.load_model(prepared, "tiny_finetuned")
    learns = list_ids(run.model.trainable_variables)
    triples = zip(
        run.model.weights, start.get_weights(), again.get_weights(), strict=True
    )
    for weight, before, after in triples:
        assert np.array_equal(before, after) == (id(weight) not in learns)
    assert fine_tune(prepared).from_files
    assert not fine_tune(prepared, share=0.25).from_files


def test_metadata_tell_what_was_fine_tuned_and_how_much_learned(prepared):
    save_untrained(prepared)
    run = fine_tune(prepared, epochs=1)
    metadata = saved.read_metadata(prepared, "tiny_finetuned")
    learning = 0
    for weight in run.model.trainable_weights:
        learning += weight.shape.num_elements()
    expected = {
        "weights": "imagenet",
        "started_from": "tiny_linear",
        "backbone_origin": None,
        "characteristics": "Small steps of tiny_linear, augmentation",
        "parameters_trainable": learning,
        "parameters": {"epochs": 1, "backbone": "net"},
    }
    assert expected.items() <= metadata.items()
    assert learning < metadata["parameters_total"]


def test_start_is_the_model_asked_for_else_the_winner_else_one_of_its_kind(prepared):
    save_untrained(prepared, "own_cnn")
    for name in ("", "own_cnn"):
        with pytest.raises(
            FileNotFoundError, match="no .* ends in linear.*Run 05_backbones"
        ):
            saved.find_transfer(prepared, name, ["linear"])
    save_untrained(prepared, "tiny_transfer")
    assert saved.find_transfer(prepared) == "tiny_transfer"
    with pytest.raises(FileNotFoundError):
        saved.find_transfer(prepared, "", ["linear"])
    for name in ("first_linear", "second_linear"):
        save_untrained(prepared, name)
    assert saved.find_transfer(prepared) == "first_linear"
    table = pd.DataFrame({"candidate": ["first", "second"], "chosen": [False, True]})
    prepared.save_table(table, "contest.csv")
    assert saved.find_transfer(prepared) == "second_linear"
    assert saved.find_transfer(prepared, "tiny_transfer") == "tiny_transfer"
    with pytest.raises(FileNotFoundError, match="no tiny_transfer .*ends in linear"):
        saved.find_transfer(prepared, "tiny_transfer", ["linear"])
