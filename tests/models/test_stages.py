import keras
import numpy as np
import pytest
from keras import layers

from lib.models import stages


def put_head_on(backbone, side, num_classes=3, name="tiny_transfer"):
    """Assemble a model in the form that 04 and 05 save."""
    pixels = keras.Input((side, side, 3), name="pixels")
    maps = backbone(pixels, training=False)
    pools = {4: layers.GlobalAveragePooling2D, 3: layers.GlobalAveragePooling1D}
    features = pools[len(maps.shape)]()(maps)
    dense = layers.Dense(num_classes, activation="softmax")
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
    wide = layers.BatchNormalization()(layers.Conv2D(9, 3, strides=2, padding="same")(wide))
    return keras.Model(pixels, layers.Dropout(0.5)(layers.ReLU()(wide)), name="small")


def draw_pictures(side, count=4):
    """Draw noise, uint8."""
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3)).astype(np.uint8)


@pytest.mark.parametrize(
    ("name", "options", "firsts"),
    [
        ("ResNet50", {}, ["conv2_block1_1_conv", "conv4_block1_1_conv", "conv5_block1_1_conv"]),
        ("MobileNet", {"alpha": 0.25}, ["conv_dw_2", "conv_dw_6", "conv_dw_12"]),
        ("EfficientNetB0", {}, ["block3a_expand_conv", "block4a_expand_conv", "block6a_expand_conv"]),
        ("ConvNeXtTiny", {}, [f"convnext_tiny_downsampling_block_{k}" for k in range(3)]),
        ("VGG16", {}, ["block2_conv1", "block5_conv1"]),
    ],
)  # fmt: skip
def test_stages_of_known_networks_begin_where_their_authors_begin_them(name, options, firsts):
    build = getattr(keras.applications, name)
    network = build(weights=None, include_top=False, input_shape=(64, 64, 3), **options)
    found = stages.find_stages(put_head_on(network, 64))
    assert len(found) == (4 if name == "ConvNeXtTiny" else 5)
    begin = [stage.layers[0].name for stage in found]
    assert [one for one in begin if one in firsts] == firsts and begin[-1] == firsts[-1]
    weights = [id(weight) for stage in found for weight in stage.weights]
    assert sorted(weights) == sorted(id(weight) for weight in network.weights)
    names = {one.name for one in network.operations[1:]}
    listed = [one.name for stage in found for one in stage.layers if one.name in names]
    assert sorted(listed) == sorted(names)
    assert sum(stage.parameters for stage in found) == network.count_params()
    sides = [stage.start.shape[1] for stage in found]
    assert sides == sorted(sides, reverse=True) and sides[0] == 64


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
    for number in range(3):
        normal = layers.LayerNormalization()(tokens)
        tokens = layers.Add()([tokens, layers.MultiHeadAttention(2, 4)(normal, normal)])
        inner = layers.Dense(6)(layers.LayerNormalization()(tokens))
        tokens = layers.Add(name=f"end_{number}")([tokens, inner])
    in_the_graph = keras.Model(pixels, tokens)
    lowest = stages.find_stages(put_head_on(in_one, 8))[1]
    assert id(stack.places) in map(id, lowest.weights), "it belongs to the lowest of the blocks"
    for network in (in_one, in_the_graph):
        model = put_head_on(network, 8)
        found = stages.find_stages(model)
        assert len(found) == 4 and "patches" in [layer.name for layer in found[0].layers]
        weights = [id(weight) for stage in found for weight in stage.weights]
        assert sorted(weights) == sorted(id(weight) for weight in network.weights)
        stages.unfreeze(model, found[-1:])
        assert {id(v) for v in found[-1].weights} < {id(v) for v in model.trainable_variables}
        assert not {id(v) for v in found[-2].weights} & {id(v) for v in model.trainable_variables}
    ends = [stage.layers[-1].name for stage in found[1:]]
    assert ends == ["end_0", "end_1", "end_2"]


def test_network_without_a_known_size_is_divided_at_the_size_that_it_has_here():
    pixels = keras.Input((None, None, 3))
    maps = layers.Conv2D(4, 3, strides=2, name="first")(pixels)
    backbone = keras.Model(pixels, layers.Conv2D(4, 3, strides=2, name="second")(maps))
    found = stages.find_stages(put_head_on(backbone, 32))
    assert [stage.layers[-1].name for stage in found] == ["first", "second"]
    assert found[1].start.shape == (None, 15, 15, 4)


def test_model_without_a_backbone_is_an_error_that_says_so():
    plain = keras.Sequential([keras.Input((8,)), layers.Dense(2)], name="plain")
    with pytest.raises(ValueError, match="plain holds no other model"):
        stages.find_stages(plain)


def test_backbone_is_found_under_a_head_of_more_parameters():
    model = put_head_on(build_small_backbone(), 8, num_classes=400)
    assert model.layers[-1].count_params() > model.count_params() / 2
    assert stages.find_backbone(model).name == "small"


def test_backbone_of_several_outputs_is_an_error_that_says_so():
    pixels = keras.Input((8, 8, 3))
    maps = layers.Conv2D(4, 3)(pixels)
    several = keras.Model(pixels, [maps, layers.Conv2D(4, 1)(maps)])
    inputs = keras.Input((8, 8, 3))
    features = layers.GlobalAveragePooling2D()(layers.Add()(several(inputs)))
    head = keras.Sequential([keras.Input((4,)), layers.Dense(2)])
    with pytest.raises(ValueError, match="two_maps: its backbone has several inputs or outputs"):
        stages.find_stages(keras.Model(inputs, head(features), name="two_maps"))


def test_stage_begins_with_its_first_block_and_is_cut_where_little_is_kept():
    _, last = stages.find_stages(put_head_on(build_small_backbone(), 8))
    assert last.layers[0].name == "widen" and last.start.shape == (None, 4, 4, 6)


def test_unfrozen_are_the_stage_and_the_head_but_no_batch_normalisation():
    model = put_head_on(build_small_backbone(), 8)
    # As 04 and 05 freeze it, and as it is loaded again.
    stages.find_backbone(model).trainable = False
    model = type(model).from_config(model.get_config())
    assert len(model.trainable_variables) == 2
    found = stages.find_stages(model)
    stages.unfreeze(model, found[-1:])
    learning = {id(v) for v in found[-1].weights}
    norms = [one for one in model._flatten_layers() if isinstance(one, layers.BatchNormalization)]
    learning -= {id(v) for norm in norms for v in norm.weights}
    learning |= {id(v) for v in model.layers[-1].weights}
    assert {id(v) for v in model.trainable_variables} == learning
    assert len(norms) == 2 and not any(norm.trainable for norm in norms)


@pytest.mark.parametrize("count", [1, 2])
def test_halves_of_a_cut_model_give_what_the_whole_gives_and_share_its_weights(count):
    model, pictures = put_head_on(build_small_backbone(), 8), draw_pictures(8)
    below, above = stages.cut_in_two(model, count)
    expected = model.predict_on_batch(pictures)
    maps = below.predict_on_batch(pictures)
    assert maps.shape[1:] == ((4, 4, 6) if count == 1 else (8, 8, 3))
    assert np.allclose(above.predict_on_batch(maps), expected, atol=1e-6)
    model.layers[-1].layers[-1].bias.assign([5, 0, 0])
    assert above.predict_on_batch(maps)[:, 0].min() > expected[:, 0].max()


def test_backbone_infers_while_the_model_trains():
    model, pictures = put_head_on(build_small_backbone(), 8), draw_pictures(8)
    own_way = np.asarray(model(pictures, training=True))
    expected = np.asarray(model(pictures, training=False))
    assert not np.allclose(own_way, expected, atol=1e-4)
    before = model.get_weights()
    for still in (stages.hold_still(model), stages.cut_in_two(model, 2)[1]):
        assert np.allclose(still(pictures.astype("float32"), training=True), expected, atol=1e-6)
        assert {id(v) for v in still.trainable_variables} == {
            id(v) for v in model.trainable_variables
        }
    assert all((now == one).all() for now, one in zip(model.get_weights(), before))
