"""Fine-tuning: where a network is cut, what learns then, and from which model it starts."""

import keras
import numpy as np
import pandas as pd
import pytest
from keras import layers

from lib.data import generators
from lib.models import finetuning, pooling, saved, training

DESCRIPTION = {"characteristics": "tiny", "purpose": "a test", "weights": "imagenet", "seed": 3}
DESCRIPTION |= {"image_size": 8, "parameters": {"backbone": "net"}, "notebook": "05_backbones"}


def put_head_on(backbone, side, name="tiny_linear"):
    """Assemble a model in the form that 04 and 05 save."""
    pixels = keras.Input((side, side, 3), name="pixels")
    maps = backbone(pixels, training=False)
    pools = {4: layers.GlobalAveragePooling2D, 3: layers.GlobalAveragePooling1D}
    features = pools[len(maps.shape)]()(maps)
    dense = layers.Dense(3, activation="softmax")
    head = keras.Sequential([keras.Input(features.shape[1:]), dense], name="head")
    return keras.Model(pixels, head(features), name=name)


def build_small_backbone(side=8):
    """Build two stages with all that may go wrong: batch normalisation, branches, dropout."""
    keras.utils.set_random_seed(1)
    pixels = keras.Input((side, side, 3))
    maps = layers.Rescaling(1 / 255)(pixels)
    maps = layers.Conv2D(6, 3, strides=2, padding="same", name="low")(maps)
    maps = layers.BatchNormalization()(maps)
    maps = layers.Add()([maps, layers.Conv2D(6, 3, padding="same")(maps)])
    wide = layers.Conv2D(9, 1, name="widen")(maps)
    wide = layers.BatchNormalization()(
        layers.Conv2D(9, 3, strides=2, padding="same", name="high")(wide)
    )
    return keras.Model(pixels, layers.Dropout(0.5)(layers.ReLU()(wide)), name="small")


def wrap(network, side):
    """Put preprocessing before a network of any size: the natural way to make a file of it."""
    pixels = keras.Input((side, side, 3))
    return keras.Model(pixels, network(layers.Rescaling(1 / 127.5, offset=-1)(pixels)), name="wrap")


def list_ids(variables):
    """Return the identities of variables."""
    return sorted(map(id, variables))


@pytest.mark.parametrize(
    ("name", "options", "firsts"),
    [
        ("ResNet50", {}, ["conv3_block1_1_conv", "conv4_block1_1_conv", "conv5_block1_1_conv"]),
        ("MobileNet", {"alpha": 0.25}, ["conv_pad_4", "conv_pad_6", "conv_pad_12"]),
        ("EfficientNetB0", {}, [f"block{k}a_dwconv_pad" for k in (3, 4, 6)]),
        ("ConvNeXtTiny", {}, [f"convnext_tiny_downsampling_conv_{k}" for k in range(3)]),
        ("VGG16", {}, ["block2_pool", "block3_pool", "block4_pool"]),
    ],
)
def test_stages_of_known_networks_begin_where_maps_become_smaller(name, options, firsts):
    build = getattr(keras.applications, name)
    network = build(weights=None, include_top=False, input_shape=(64, 64, 3), **options)
    stages = finetuning.find_stages(put_head_on(network, 64))
    assert len(stages) == (4 if name == "ConvNeXtTiny" else 5)
    assert [stage.layers[0] for stage in stages[-3:]] == firsts
    scaling = [one for one in network.layers if isinstance(one, layers.Normalization)]
    expected = {*list_ids(network.weights)} - {id(w) for one in scaling for w in one.weights}
    assert list_ids(weight for stage in stages for weight in stage.weights) == sorted(expected)
    sides = [stage.shape[0] for stage in stages[:-1]]
    assert sides == sorted(sides, reverse=True)


@pytest.mark.parametrize("side", [32, None])
def test_wrapped_network_has_the_stages_of_the_network_itself(side):
    network = keras.applications.MobileNet(
        weights=None, include_top=False, alpha=0.25, input_shape=(side, side, 3)
    )
    sequence = keras.Sequential([keras.Input((32, 32, 3)), layers.Rescaling(1 / 255), network])
    for backbone in (wrap(network, 32), wrap(wrap(network, 32), 32), sequence):
        model = put_head_on(backbone, 32)
        stages = finetuning.find_stages(model)
        assert len(stages) == 5
        finetuning.unfreeze(model, stages[-1:])
        learning = {variable.path for variable in model.trainable_variables}
        assert any("conv_pw_13" in path for path in learning)
        assert not any("conv_pw_1/" in path or "conv_pw_11" in path for path in learning)


class Stack(keras.Layer):
    """Holds all blocks of a transformer in one layer, as some libraries do."""

    def __init__(self, depth):
        super().__init__()
        self.blocks = [layers.MultiHeadAttention(2, 4, name=f"block_{k}") for k in range(depth)]
        self.norm = layers.LayerNormalization()

    def build(self, shape):
        self.places = self.add_weight(name="places", shape=shape[1:])

    def call(self, tokens):
        tokens = tokens + self.places
        for block in self.blocks:
            tokens = tokens + block(tokens, tokens)
        return self.norm(tokens)


def test_blocks_of_a_transformer_are_stages_also_when_one_layer_holds_them():
    pixels = keras.Input((8, 8, 3))
    tokens = layers.Reshape((16, 6))(layers.Conv2D(6, 2, strides=2, name="patches")(pixels))
    stack = Stack(3)
    in_one = keras.Model(pixels, stack(tokens))
    for _ in range(3):
        normal = layers.LayerNormalization()(tokens)
        tokens = layers.Add()([tokens, layers.MultiHeadAttention(2, 4)(normal, normal)])
        inner = layers.Dense(6)(layers.LayerNormalization()(tokens))
        tokens = layers.Add()([tokens, inner])
    in_the_graph = keras.Model(pixels, tokens)
    for network in (in_one, in_the_graph):
        model = put_head_on(network, 8)
        stages = finetuning.find_stages(model)
        assert len(stages) == 4 and "patches" in stages[0].layers
        weights = [weight for stage in stages for weight in stage.weights]
        assert list_ids(weights) == list_ids(network.weights)
        finetuning.unfreeze(model, stages[-1:])
        learning = {*list_ids(model.trainable_variables)}
        assert learning == {*list_ids(stages[-1].weights), *list_ids(model.layers[-1].weights)}
    assert id(stack.places) in list_ids(finetuning.find_stages(put_head_on(in_one, 8))[0].weights)


def test_model_without_a_backbone_is_an_error_that_says_so():
    plain = keras.Sequential([keras.Input((8,)), layers.Dense(2)], name="plain")
    with pytest.raises(ValueError, match="plain has no backbone"):
        finetuning.find_stages(plain)


def test_unfrozen_are_the_stage_and_the_head_but_no_batch_normalisation():
    model = put_head_on(build_small_backbone(), 8)
    # As 05 freezes it, and as it is loaded again.
    model.layers[1].trainable = False
    model = type(model).from_config(model.get_config())
    assert len(model.trainable_variables) == 2
    stages = finetuning.find_stages(model)
    assert [stage.layers[-1] for stage in stages][0] == "widen"
    finetuning.unfreeze(model, stages[-1:])
    norms = [one for one in pooling.list_layers(model) if "Normalization" in type(one).__name__]
    learning = {*list_ids(stages[-1].weights), *list_ids(model.layers[-1].weights)}
    learning -= {id(v) for norm in norms for v in norm.weights}
    assert {*list_ids(model.trainable_variables)} == learning
    assert len(norms) == 2 and not any(norm.trainable for norm in norms)


def test_backbone_infers_while_the_model_trains():
    model = put_head_on(build_small_backbone(), 8)
    pictures = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3)).astype("float32")
    own_way = np.asarray(model(pictures, training=True))
    expected = np.asarray(model(pictures, training=False))
    assert not np.allclose(own_way, expected, atol=1e-4)
    still = finetuning.hold_still(model, "float32")
    assert np.allclose(still(pictures, training=True), expected, atol=1e-6)
    assert list_ids(still.trainable_variables) == list_ids(model.trainable_variables)


def fine_tune(ws, precision="float32", epochs=2):
    """Fine-tune the last stage of the saved model, as 06 does."""

    def build():
        """Small steps."""
        model = saved.load_model(ws, "tiny_linear")
        finetuning.unfreeze(model, finetuning.find_stages(model)[-1:])
        top = finetuning.hold_still(model, precision)
        top.compile(keras.optimizers.Adam(0.01), "categorical_crossentropy", metrics=["accuracy"])
        return top, keras.Model(model.inputs, model.outputs, name="tiny_finetuned")

    batches = generators.pair(ws, 8, 5, seed=3, augment=True)
    return training.train(build, batches, ws, {"EPOCHS": epochs}, [3], base="tiny_linear")


def save_untrained(ws, name="tiny_linear"):
    """Save a model as 05 does, which was never fitted."""
    history = pd.DataFrame(columns=training.HISTORY_COLUMNS)
    model = put_head_on(build_small_backbone(), 8, name)
    with saved.save(model, training.Run(history, "key", False), ws, name, DESCRIPTION):
        pass


def test_only_the_last_stage_and_the_head_move_and_the_whole_is_saved(prepared):
    save_untrained(prepared)
    run = fine_tune(prepared)
    start = saved.load_model(prepared, "tiny_linear")
    again = saved.load_model(prepared, "tiny_finetuned")
    moved = [
        [not np.array_equal(a, b) for a, b in zip(one.weights, two.weights)]
        for one, two in zip(finetuning.find_stages(start), finetuning.find_stages(again))
    ]
    assert not any(moved[0]) and any(moved[1])
    assert not np.array_equal(start.layers[-1].get_weights()[0], again.layers[-1].get_weights()[0])
    metadata = saved.read_metadata(prepared, "tiny_finetuned")
    learning = sum(weight.shape.num_elements() for weight in run.model.trainable_weights)
    assert metadata["parameters_trainable"] == learning < metadata["parameters_total"]
    known = {"weights": "imagenet", "started_from": "tiny_linear", "backbone_origin": None}
    known |= {"characteristics": "Small steps of tiny_linear, augmentation"}
    assert known.items() <= metadata.items() and metadata["parameters"]["backbone"] == "net"
    assert fine_tune(prepared).taken and not fine_tune(prepared, epochs=1).taken


def test_half_precision_is_the_backbones_alone_scales_the_loss_and_is_saved_in_float32(prepared):
    save_untrained(prepared)
    model = fine_tune(prepared, "mixed_float16", epochs=1).model
    policies = {one.name: one.dtype_policy.name for one in pooling.list_layers(model)}
    assert policies["low"] == policies["high"] == "mixed_float16"
    assert {one.compute_dtype for one in model.layers[-1].layers} == {"float32"}
    loaded = saved.load_model(prepared, "tiny_finetuned")
    assert {layer.compute_dtype for layer in pooling.list_layers(loaded)} == {"float32"}
    top = finetuning.hold_still(loaded, "mixed_float16")
    top.compile("adam", "categorical_crossentropy")
    assert isinstance(top.optimizer, keras.optimizers.LossScaleOptimizer)


def test_start_is_the_model_asked_for_else_the_winner_else_one_of_its_kind(prepared):
    for name in ("", "own_cnn"):
        with pytest.raises(FileNotFoundError, match="no model called …_linear .*Run 05_backbones"):
            finetuning.find_transfer(prepared, name, ["linear"])
        save_untrained(prepared, "own_cnn")
    save_untrained(prepared, "tiny_transfer")
    assert finetuning.find_transfer(prepared) == "tiny_transfer"
    with pytest.raises(FileNotFoundError):
        finetuning.find_transfer(prepared, "", ["linear"])
    for name in ("first_linear", "second_linear"):
        save_untrained(prepared, name)
    assert finetuning.find_transfer(prepared) == "first_linear"
    table = pd.DataFrame({"candidate": ["first", "second"], "chosen": [False, True]})
    prepared.save_table(table, "contest.csv")
    assert finetuning.find_transfer(prepared) == "second_linear"
    assert finetuning.find_transfer(prepared, "tiny_transfer") == "tiny_transfer"
    with pytest.raises(FileNotFoundError, match="tiny_transfer is no model called …_linear"):
        finetuning.find_transfer(prepared, "tiny_transfer", ["linear"])
