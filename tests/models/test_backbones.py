"""Networks of three kinds, what is pooled of each, and where it comes from."""

import importlib.util
import inspect
import sys
from dataclasses import replace

import keras
import numpy as np
import pytest
from keras.src.applications import imagenet_utils

from lib import workspace
from lib.models import backbones, descriptions, files, networks, origins, parts
from lib.parameters import check_parameters
from lib.storage import atomic_write

PIXELS = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ("ResNet50", "resnet50"),
        ("hub:dinov2_base", "dinov2_base"),
        ("hub:kaggle://keras/vit/keras/vit_base/3", "vit_base"),
        ("/some where/EfficientNet Lite2.keras", "efficientnet_lite2"),
        ("nets/a@b.keras", "a_b"),
        ("path/net.keras@224", "net_224"),
    ],
)
def test_files_are_called_like_the_network(spec, name):
    assert backbones.name_network(spec) == name


def test_own_size_of_every_application_is_that_of_keras(monkeypatch):
    """Keras tells its sizes to one function alone, so it is asked without building anything."""

    class Told(Exception):
        pass

    def tell(input_shape, default_size, **others):
        raise Told(default_size)

    monkeypatch.setattr(imagenet_utils, "obtain_input_shape", tell)
    for name, build in vars(keras.applications).items():
        # MobileNetV3 has no size of its own in Keras; its weights are of 224.
        if inspect.isfunction(build) and not name.startswith("MobileNetV3"):
            with pytest.raises(Told) as told:
                build(weights=None)
            assert networks.OWN_SIZES.get(name, 224) == told.value.args[0], name


@pytest.fixture
def network_file(tmp_path):
    """Return a function that saves a small network; its output is maps, tokens or a vector."""

    def save(kind="maps", size=32, name="small net.keras"):
        pixels = keras.Input((size, size, 3))
        outputs = keras.layers.Conv2D(4, 3, strides=8, activation="relu")(pixels)
        if kind == "tokens":
            outputs = keras.layers.Reshape((16, 4))(outputs)
        if kind == "vector":
            outputs = keras.layers.GlobalMaxPooling2D()(outputs)
        path = tmp_path / name
        keras.Model(pixels, outputs).save(path)
        return path

    return save


@pytest.mark.parametrize("kind", ["maps", "tokens", "vector"])
def test_features_of_a_file_are_those_of_the_network_in_it(kind, network_file, ws):
    path = network_file(kind)
    backbone = backbones.load_backbone(str(path), "imagenet", None, {}, ws)
    assert (backbone.weights, backbone.image_size) == ("small net.keras", 32)
    told = descriptions.describe_base(ws, backbone)
    assert told["parameters"] == {"backbone": "small_net", "weights": "small net.keras"}
    assert not backbone.model.trainable_weights
    extractor = parts.build_extractor(backbone)
    expected = keras.saving.load_model(path).predict(PIXELS, verbose=0)
    expected = expected.mean(axis=tuple(range(1, expected.ndim - 1)))
    assert np.allclose(
        extractor.predict(PIXELS, verbose=0), expected, rtol=1e-4, atol=1e-3
    )


def test_network_of_a_file_takes_other_sizes_where_its_layers_do(network_file, ws):
    path = str(network_file())
    backbone = backbones.load_backbone(path, None, 48, {}, ws)
    assert backbone.model.input_shape == (None, 48, 48, 3)
    weights = keras.saving.load_model(path).get_weights()
    assert all(map(np.array_equal, backbone.model.get_weights(), weights))
    with pytest.raises(
        ValueError, match="tokens.keras can't be loaded with .*IMAGE_SIZE 48"
    ):
        backbones.load_backbone(
            str(network_file("tokens", name="tokens.keras")), None, 48, {}, ws
        )


def test_size_in_an_spec_goes_before_the_parameter(network_file, ws):
    spec = f"{network_file()}@48"
    assert backbones.load_backbone(spec, None, 40, {}, ws).image_size == 48
    backbone = backbones.load_backbone("MobileNet@64", "none", 224, {"alpha": 0.25}, ws)
    assert backbone.model.input_shape == (None, 64, 64, 3)
    assert backbone.image_size == 64
    assert (backbone.weights, backbone.spec) == ("untrained", "MobileNet@64")
    check_parameters(
        {"BACKBONE": spec, "BACKBONES": ["hub:dinov2_small@224", "MobileNet@64"]}
    )


def test_classifier_is_no_network(network_file, prepared):
    """It may have learned these very pictures: what lies beside it tells."""
    path = network_file("vector", name="mine.keras")
    backbones.load_backbone(str(path), None, None, {}, prepared)
    path.with_suffix(".json").write_text('{"class_names": ["a", "b"]}')
    of_results = prepared.file("models", "other.keras")
    of_results.write_bytes(path.read_bytes())
    for classifier in (path, of_results):
        with pytest.raises(
            ValueError, match=f"{classifier} can't .*it is a classifier of these"
        ):
            backbones.load_backbone(str(classifier), None, None, {}, prepared)


def test_unusable_file_is_an_error_that_names_it(tmp_path, ws):
    damaged = tmp_path / "damaged.keras"
    for content in (b"PK no archive", b"<html>404 Not Found</html>", b""):
        damaged.write_bytes(content)
        with pytest.raises(ValueError, match="damaged.keras can't be loaded with"):
            backbones.load_backbone(str(damaged), None, None, {}, ws)
    with pytest.raises(ValueError, match="gone.keras can't be loaded with"):
        backbones.load_backbone(str(tmp_path / "gone.keras"), None, None, {}, ws)


def test_network_of_grey_pictures_is_refused_and_options_are_for_applications(
    tmp_path, ws
):
    grey = tmp_path / "grey.keras"
    keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(2, 3)]).save(grey)
    with pytest.raises(ValueError, match=r"grey.keras.*it takes \(None, 8, 8, 1\)"):
        backbones.load_backbone(str(grey), None, None, {}, ws)
    with pytest.raises(ValueError, match="grey.keras.*BACKBONE_OPTIONS.*applications"):
        backbones.load_backbone(str(grey), None, None, {"alpha": 1}, ws)


@pytest.mark.parametrize(
    ("count", "first"), [(16, False), (17, True), (21, True), (None, False), (1, False)]
)
def test_class_token_is_taken_where_there_is_one(count, first):
    tokens = keras.Input((count, 5))
    model = keras.Model(tokens, parts.pool(tokens))
    values = np.random.default_rng(0).normal(size=(2, count or 7, 5)).astype(np.float32)
    expected = values[:, 0] if first else values.mean(axis=1)
    assert np.allclose(model.predict(values, verbose=0), expected, atol=1e-6)


def test_missing_keras_hub_is_an_error_that_names_it(monkeypatch, ws):
    monkeypatch.setitem(sys.modules, "keras_hub", None)
    with pytest.raises(ValueError, match="hub:dinov2_small can't .*keras_hub"):
        backbones.load_backbone("hub:dinov2_small", "imagenet", None, {}, ws)


@pytest.mark.parametrize(
    ("spec", "weights", "licence", "note"),
    [
        ("ResNet50V2", "imagenet", "Apache-2.0", ""),
        ("ConvNeXtTiny", "imagenet", "MIT", ""),
        ("ConvNeXtBase", "imagenet", "MIT", "may have seen such pictures"),
        ("hub:dinov2_base", "dinov2_base", "Apache-2.0", "may have seen such pictures"),
        (
            "hub:dinov3_vit_small_lvd1689m@256",
            "x",
            "DINOv3 License",
            "may have seen such pictures",
        ),
        ("nets/hub_dinov2.keras@224", "hub_dinov2.keras", "", origins.UNKNOWN),
        ("hub:folder/dinov2_base", "dinov2_base", "", origins.UNKNOWN),
        ("hub:dinov3_vit_large_sat493m", "x", "DINOv3 License", ""),
        ("MobileNet", "mine.h5", "", origins.UNKNOWN),
        ("hub:clip_vit_base_patch32", "x", "", origins.UNKNOWN),
        ("hub:siglip_base_patch16_224", "x", "", origins.UNKNOWN),
        ("hub:resnet_50_imagenet", "x", "", origins.UNKNOWN),
        ("hub:vitdet_base_sa1b", "x", "", origins.UNKNOWN),
        ("hub:kaggle://keras/vit/keras/vit_base/3", "3", "", origins.UNKNOWN),
        ("MobileNet", "untrained", "", ""),
    ],
)
def test_origin_is_told_where_it_is_known(spec, weights, licence, note):
    origin = origins.describe_origin(spec, weights)
    assert (origin["licence"], origin["note"]) == (licence, note)
    assert bool(origin["source"]) == bool(licence)


def test_name_on_the_hub_is_that_of_a_preset_alone():
    found = origins.describe_origin("hub:dinov2_small@224", "preset")["base_model"]
    assert found == "keras/dinov2_small"
    for spec in ("ResNet50", "hub:dinov3_vit_small_lvd1689m", "/nets/hub:vit.keras"):
        assert origins.describe_origin(spec, "imagenet")["base_model"] == ""


def test_every_application_has_an_origin():
    for name, build in vars(keras.applications).items():
        if inspect.isfunction(build):
            assert origins.describe_origin(name, "imagenet")["licence"], name


SMALL = {"alpha": 0.25}


@pytest.fixture
def demo_ws(tmp_path):
    return replace(workspace.open("demo"), results=tmp_path, scratch=tmp_path)


@pytest.fixture
def no_download(monkeypatch):
    """Make every download of weights fail, as it does where a proxy refuses them."""
    monkeypatch.setattr(networks, "has_connection", lambda: True)

    def fail(*arguments, **options):
        raise Exception("URL fetch failure: no route to host")

    module = inspect.getmodule(keras.applications.MobileNet)
    monkeypatch.setattr(module.file_utils, "get_file", fail)


@pytest.mark.filterwarnings("ignore:Skipping nested container")
def test_weights_file_is_loaded_and_names_the_label(ws, tmp_path):
    trained = keras.applications.MobileNet(
        include_top=False, weights=None, input_shape=(32, 32, 3), **SMALL
    )
    path = tmp_path / "mine.weights.h5"
    trained.save_weights(path)
    backbone = backbones.load_backbone("MobileNet", str(path), 32, SMALL, ws)
    assert backbone.weights == "mine.weights.h5"
    for kept, loaded in zip(
        trained.get_weights(), backbone.model.get_weights(), strict=True
    ):
        assert np.array_equal(kept, loaded)
    other, cut = tmp_path / "other.weights.h5", tmp_path / "cut.weights.h5"
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).save_weights(other)
    cut.write_bytes(path.read_bytes()[:5000])
    for file, options in ((path, {"alpha": 0.5}), (other, SMALL), (cut, SMALL)):
        words = f"MobileNet can't be loaded with WEIGHTS .*{file.name}, IMAGE_SIZE 32"
        with pytest.raises(ValueError, match=words):
            backbones.load_backbone("MobileNet", str(file), 32, options, ws)


@pytest.mark.parametrize(
    ("name", "weights", "options", "words"),
    [
        ("ResNet5", None, {}, ["BACKBONE", "'ResNet5'", '"ResNet50"?']),
        ("MobileNet", None, {"alfa": 1}, ["BACKBONE_OPTIONS", "MobileNet", "'alfa'"]),
        ("MobileNet", "gone.h5", {}, ["WEIGHTS gone.h5"]),
    ],
)
def test_wrong_parameter_is_an_error_that_names_it(
    ws, demo_ws, name, weights, options, words
):
    for workspace_ in (ws, demo_ws):
        with pytest.raises(ValueError) as caught:
            backbones.load_backbone(name, weights, 32, options, workspace_)
        assert all(word in str(caught.value) for word in words), caught.value


@pytest.mark.parametrize("weights", [None, "imagenet"])
def test_too_small_a_picture_is_an_error_with_the_size_that_is_needed(
    ws, demo_ws, weights, no_download
):
    for workspace_ in (ws, demo_ws):
        with pytest.raises(ValueError, match="IMAGE_SIZE 16.* 32"):
            backbones.load_backbone("ResNet50", weights, 16, {}, workspace_)


def test_sketches_take_the_place_of_what_cannot_be_downloaded_on_the_demo_only(
    ws, demo_ws, no_download, capsys
):
    with pytest.raises(ValueError, match="MobileNet can't .*no route to host"):
        backbones.load_backbone("MobileNet", "imagenet", 128, SMALL, ws)
    backbone = backbones.load_backbone("MobileNet", "imagenet", 128, SMALL, demo_ws)
    note = capsys.readouterr().out
    assert note.startswith("Note: MobileNet's weights could not be downloaded")
    assert (backbone.spec, backbone.weights) == ("sketches", "sketches")
    assert not backbone.model.trainable_weights
    assert (
        "other kinds"
        in origins.describe_origin("sketches@96", "sketches")["trained_on"]
    )


def test_damaged_download_is_an_error_with_the_words_of_keras(
    ws, tmp_path, monkeypatch
):
    damaged = tmp_path / "mobilenet.h5"
    damaged.write_bytes(b"\x89HDF\r\n\x1a\n, half of a download")
    monkeypatch.setattr(networks, "DOWNLOADS", tmp_path)
    module = inspect.getmodule(keras.applications.MobileNet)
    monkeypatch.setattr(
        module.file_utils, "get_file", lambda *given, **options: damaged
    )
    with pytest.raises(ValueError, match="MobileNet can't be loaded.*open file"):
        backbones.load_backbone("MobileNet", "imagenet", 128, SMALL, ws)


def test_sketches_have_a_twin_of_random_weights_that_a_seed_decides():
    learned = backbones.load_backbone("sketches", None, None, {}, None)
    twins = []
    for seed in (0, 0, 1):
        keras.utils.set_random_seed(seed)
        twins.append(backbones.load_backbone("sketches_random", None, None, {}, None))
    one, same, other = (twin.model.get_weights() for twin in twins)
    assert all(map(np.array_equal, one, same))
    assert not np.array_equal(one[0], other[0])
    assert [w.shape for w in one] == [w.shape for w in learned.model.get_weights()]
    assert not np.array_equal(one[0], learned.model.get_weights()[0])
    assert (twins[0].weights, twins[0].image_size) == ("untrained", learned.image_size)


def test_missing_connection_is_noticed_once_and_before_a_network_is_built(
    monkeypatch, tmp_path
):
    asked = []

    def fail(*arguments, **options):
        asked.append(arguments)
        raise TimeoutError

    monkeypatch.setattr(networks, "DOWNLOADS", tmp_path)
    monkeypatch.setattr(networks.urllib.request, "urlopen", fail)
    networks.has_connection.cache_clear()
    for name in ("MobileNet", "MobileNetV2"):
        with pytest.raises(ValueError, match=f"{name}.*can't be read"):
            backbones.load_backbone(name, "imagenet", None, {}, None)
    assert len(asked) == 1
    networks.has_connection.cache_clear()


def test_option_without_imagenet_weights_is_not_blamed_on_the_network(
    ws, demo_ws, no_download
):
    for workspace_ in (ws, demo_ws):
        with pytest.raises(ValueError, match="MobileNet can't .*'alpha': 0.3"):
            backbones.load_backbone(
                "MobileNet", "imagenet", 128, {"alpha": 0.3}, workspace_
            )


@pytest.mark.parametrize("name", ["VGG16", "MobileNet"])
def test_application_takes_pixels_and_preprocesses_them_as_keras_does(name, ws):
    keras.utils.set_random_seed(0)
    model = backbones.load_backbone(name, None, 32, {}, ws).model
    build = getattr(keras.applications, name)
    preprocess = inspect.getmodule(build).preprocess_input
    expected = build(weights=None, include_top=False, input_shape=(32, 32, 3))
    expected.set_weights(model.get_weights())
    answers = expected.predict(preprocess(PIXELS.astype(np.float32)), verbose=0)
    assert np.allclose(model.predict(PIXELS, verbose=0), answers, rtol=1e-3, atol=1e-3)


hub = pytest.mark.skipif(
    importlib.util.find_spec("keras_hub") is None, reason="keras-hub is not installed"
)
TINY = dict(num_layers=2, num_heads=2, hidden_dim=8)


def save_preset(folder, kind):
    """Save a small backbone of random weights as keras-hub saves one, with its converter."""
    import keras_hub

    models, layers = keras_hub.models, keras_hub.layers
    scale = {"image_size": (28, 28), "scale": [1 / 127.5] * 3, "offset": [-1.0] * 3}
    if kind == "vit":
        backbone = models.ViTBackbone(
            image_shape=(28, 28, 3),
            patch_size=14,
            mlp_dim=16,
            use_class_token=True,
            **TINY,
        )
        converter = layers.ViTImageConverter(**scale)
    else:
        backbone = models.ResNetBackbone(
            input_conv_filters=[64],
            input_conv_kernel_sizes=[3],
            stackwise_num_filters=[64, 16],
            stackwise_num_blocks=[1, 1],
            stackwise_num_strides=[1, 2],
            block_type="basic_block",
            image_shape=(None, None, 3),
        )
        converter = layers.ResNetImageConverter(**scale)
    backbone.save_to_preset(folder)
    converter.save_to_preset(folder)
    return backbone


@hub
@pytest.mark.parametrize("kind", ["vit", "resnet"])
def test_preset_is_loaded_pooled_saved_and_answers_again(kind, tmp_path, ws):
    folder = tmp_path / f"Tiny_{kind}"
    kept = save_preset(str(folder), kind)
    spec = f"hub:{folder}"
    backbone = backbones.load_backbone(spec, "imagenet", None, {}, ws)
    assert backbone.image_size == 28
    extractor = parts.build_extractor(backbone)
    pixels = PIXELS[:, :28, :28]
    inputs = pixels / np.float32(127.5) - 1
    outputs = np.asarray(kept.predict(inputs, verbose=0))
    expected = outputs.mean(axis=(1, 2)) if outputs.ndim == 4 else outputs[:, 0]
    assert np.allclose(extractor.predict(pixels, verbose=0), expected, atol=1e-4)
    head = keras.Sequential(
        [keras.Input(expected.shape[1:]), keras.layers.Dense(3)], name="head"
    )
    model = keras.Model(extractor.input, head(extractor.output), name="tiny_linear")
    with atomic_write(tmp_path / "tiny.keras") as part:
        files.write_model(model, part)
    again = keras.saving.load_model(tmp_path / "tiny.keras", safe_mode=True)
    answers = model.predict(pixels, verbose=0)
    assert np.allclose(again.predict(pixels, verbose=0), answers, atol=1e-5)


@hub
def test_preset_without_weights_is_untrained_and_an_unknown_one_an_error(tmp_path, ws):
    folder = str(tmp_path / "vit")
    kept = save_preset(folder, "vit")
    backbone = backbones.load_backbone(f"hub:{folder}", None, None, {}, ws)
    assert backbone.weights == "untrained"
    pairs = zip(kept.get_weights(), backbone.model.get_weights(), strict=True)
    assert not all(np.array_equal(one, other) for one, other in pairs)
    with pytest.raises(ValueError, match="hub:no_such_preset"):
        backbones.load_backbone("hub:no_such_preset", "imagenet", None, {}, ws)
