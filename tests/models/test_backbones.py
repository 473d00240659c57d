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

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
SMALL = {"alpha": 0.25}


def load(spec, weights=None, size=None, options=None, ws=None):
    """Load a network; nothing takes its place but on a demo that is given."""
    return backbones.load_backbone(spec, weights, size, options or {}, ws)


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
    backbone = load(str(path), weights="imagenet")
    assert backbone.weights == "small net.keras"
    assert backbone.image_size == 32
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
    backbone = load(path, size=48)
    assert backbone.model.input_shape == (None, 48, 48, 3)
    weights = keras.saving.load_model(path).get_weights()
    assert all(map(np.array_equal, backbone.model.get_weights(), weights))
    with pytest.raises(
        ValueError, match="tokens.keras can't be loaded with .*IMAGE_SIZE 48"
    ):
        load(str(network_file("tokens", name="tokens.keras")), size=48)


def test_size_in_an_spec_goes_before_the_parameter(network_file, ws):
    spec = f"{network_file()}@48"
    assert load(spec, size=40).image_size == 48
    backbone = load("MobileNet@64", weights="none", size=224, options={"alpha": 0.25})
    assert backbone.model.input_shape == (None, 64, 64, 3)
    assert backbone.image_size == 64
    assert backbone.weights == "untrained"
    assert backbone.spec == "MobileNet@64"
    check_parameters(
        {"BACKBONE": spec, "BACKBONES": ["hub:dinov2_small@224", "MobileNet@64"]}
    )


def test_classifier_is_no_network(network_file, prepared):
    """It may have learned these very pictures: what lies beside it tells."""
    path = network_file("vector", name="mine.keras")
    load(str(path))
    path.with_suffix(".json").write_text('{"class_names": ["a", "b"]}')
    of_results = prepared.file("models", "other.keras")
    of_results.write_bytes(path.read_bytes())
    for classifier in (path, of_results):
        with pytest.raises(
            ValueError, match=f"{classifier} can't .*it is a classifier of these"
        ):
            load(str(classifier))


def test_unusable_file_is_an_error_that_names_it(tmp_path, ws):
    damaged = tmp_path / "damaged.keras"
    for content in (b"PK no archive", b"<html>404 Not Found</html>", b""):
        damaged.write_bytes(content)
        with pytest.raises(ValueError, match="damaged.keras can't be loaded with"):
            load(str(damaged))
    with pytest.raises(ValueError, match="gone.keras can't be loaded with"):
        load(str(tmp_path / "gone.keras"))


def test_network_of_grey_pictures_is_refused_and_options_are_for_applications(
    tmp_path, ws
):
    grey = tmp_path / "grey.keras"
    layers = [keras.Input((8, 8, 1)), keras.layers.Conv2D(2, 3)]
    keras.Sequential(layers).save(grey)
    with pytest.raises(ValueError, match=r"grey.keras.*it takes \(None, 8, 8, 1\)"):
        load(str(grey))
    with pytest.raises(ValueError, match="grey.keras.*BACKBONE_OPTIONS.*applications"):
        load(str(grey), options={"alpha": 1})


@pytest.mark.parametrize(
    ("count", "first"), [(16, False), (17, True), (21, True), (None, False), (1, False)]
)
def test_class_token_is_taken_where_there_is_one(count, first):
    tokens = keras.Input((count, 5))
    model = keras.Model(tokens, parts.pool(tokens))
    values = RNG.normal(size=(2, count or 7, 5))
    expected = values[:, 0] if first else values.mean(axis=1)
    assert np.allclose(model.predict(values, verbose=0), expected, atol=1e-6)


def test_missing_keras_hub_is_an_error_that_names_it(monkeypatch, ws):
    monkeypatch.setitem(sys.modules, "keras_hub", None)
    with pytest.raises(ValueError, match="hub:dinov2_small can't .*keras_hub"):
        load("hub:dinov2_small", weights="imagenet")


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
            origin = origins.describe_origin(name, "imagenet")
            assert origin["licence"], name


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
    backbone = load("MobileNet", weights=str(path), size=32, options=SMALL)
    assert backbone.weights == "mine.weights.h5"
    for kept, loaded in zip(trained.weights, backbone.model.weights, strict=True):
        assert np.array_equal(kept, loaded)
    layers = [keras.Input((4,)), keras.layers.Dense(2)]
    other = tmp_path / "other.weights.h5"
    keras.Sequential(layers).save_weights(other)
    cut = tmp_path / "cut.weights.h5"
    cut.write_bytes(path.read_bytes()[:5000])
    for file, options in ((path, {"alpha": 0.5}), (other, SMALL), (cut, SMALL)):
        words = f"MobileNet can't be loaded with WEIGHTS .*{file.name}, IMAGE_SIZE 32"
        with pytest.raises(ValueError, match=words):
            load("MobileNet", weights=str(file), size=32, options=options)


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
            load(name, weights=weights, size=32, options=options, ws=workspace_)
        assert all(word in str(caught.value) for word in words), caught.value


@pytest.mark.parametrize("weights", [None, "imagenet"])
def test_too_small_a_picture_is_an_error_with_the_size_that_is_needed(
    ws, demo_ws, weights, no_download
):
    for workspace_ in (ws, demo_ws):
        with pytest.raises(ValueError, match="IMAGE_SIZE 16.* 32"):
            load("ResNet50", weights=weights, size=16, ws=workspace_)


def test_sketches_take_the_place_of_what_cannot_be_downloaded_on_the_demo_only(
    ws, demo_ws, no_download, capsys
):
    words = "MobileNet can't .*no route to host.*name a file .*WEIGHTS"
    with pytest.raises(ValueError, match=words):
        load("MobileNet", weights="imagenet", size=128, options=SMALL)
    backbone = load(
        "MobileNet", weights="imagenet", size=128, options=SMALL, ws=demo_ws
    )
    note = capsys.readouterr().out
    assert note.startswith("Note: MobileNet's weights could not be downloaded")
    assert backbone.spec == backbone.weights == "sketches"
    assert not backbone.model.trainable_weights
    origin = origins.describe_origin("sketches@96", "sketches")
    assert "other kinds" in origin["trained_on"]


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
        load("MobileNet", weights="imagenet", size=128, options=SMALL)


def test_sketches_have_a_twin_of_random_weights_that_a_seed_decides():
    learned = load("sketches")
    twins = []
    for seed in (0, 0, 1):
        keras.utils.set_random_seed(seed)
        twins.append(load("sketches_random"))
    one, same, other = (twin.model.get_weights() for twin in twins)
    assert all(map(np.array_equal, one, same))
    assert not np.array_equal(one[0], other[0])
    taught = learned.model.get_weights()
    assert [weight.shape for weight in one] == [weight.shape for weight in taught]
    assert not np.array_equal(one[0], taught[0])
    assert twins[0].weights == "untrained"
    assert twins[0].image_size == learned.image_size


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
            load(name, weights="imagenet")
    assert len(asked) == 1
    networks.has_connection.cache_clear()


def test_option_without_imagenet_weights_is_not_blamed_on_the_network(
    ws, demo_ws, no_download
):
    for workspace_ in (ws, demo_ws):
        with pytest.raises(ValueError, match="MobileNet can't .*'alpha': 0.3"):
            load(
                "MobileNet",
                weights="imagenet",
                size=128,
                options={"alpha": 0.3},
                ws=workspace_,
            )


@pytest.mark.parametrize("name", ["VGG16", "MobileNet"])
def test_application_takes_pixels_and_preprocesses_them_as_keras_does(name, ws):
    keras.utils.set_random_seed(0)
    model = load(name, size=32).model
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

    models = keras_hub.models
    layers = keras_hub.layers
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
    backbone = load(spec, weights="imagenet")
    assert backbone.image_size == 28
    extractor = parts.build_extractor(backbone)
    pixels = PIXELS[:, :28, :28]
    inputs = pixels / np.float32(127.5) - 1
    outputs = np.asarray(kept.predict(inputs, verbose=0))
    expected = outputs[:, 0]
    if outputs.ndim == 4:
        expected = outputs.mean(axis=(1, 2))
    features = extractor.predict(pixels, verbose=0)
    assert np.allclose(features, expected, atol=1e-4)
    layers = [keras.Input(features.shape[1:]), keras.layers.Dense(3)]
    head = keras.Sequential(layers, name="head")
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
    backbone = load(f"hub:{folder}")
    assert backbone.weights == "untrained"
    pairs = zip(kept.get_weights(), backbone.model.get_weights(), strict=True)
    assert not all(np.array_equal(one, other) for one, other in pairs)
    with pytest.raises(ValueError, match="hub:no_such_preset"):
        load("hub:no_such_preset", weights="imagenet")
