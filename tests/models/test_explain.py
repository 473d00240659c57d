import keras
import numpy as np
import pytest
from keras import layers

from lib.models import explain

SIZE, PATCH = 32, 8


def draw_patches(count):
    """Draw noise with a patch of one of three colours, the class, at a random place."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 120, (count, SIZE, SIZE, 3), dtype=np.uint8)
    places, y_true = rng.integers(0, SIZE - PATCH, (count, 2)), rng.integers(0, 3, count)
    for image, (top, left), label in zip(images, places, y_true):
        image[top : top + PATCH, left : left + PATCH] = np.eye(3)[label] * 255
    return images, places, y_true


def make_convolutions():
    first, last = (layers.Conv2D(filters, 3, activation="relu") for filters in (8, 16))
    return first, layers.MaxPooling2D(2), last


def build_plain():
    head = [layers.MaxPooling2D(2), layers.Dropout(0.3), layers.Flatten()]
    return keras.Sequential(
        [keras.Input((SIZE, SIZE, 3)), layers.Rescaling(1 / 255), *make_convolutions(), *head]
        + [layers.Dense(3, activation="softmax")]
    )


def build_nested(pooled):
    """Build a model as 04 does, its backbone (with the pooling, if asked for) a model within."""
    pool = layers.GlobalAveragePooling2D()
    inside = [keras.Input((SIZE, SIZE, 3)), *make_convolutions(), *[pool] * pooled]
    pixels_in = keras.Input((SIZE, SIZE, 3))
    features = keras.Sequential(inside, name="backbone")(pixels_in / 255, training=False)
    features = features if pooled else pool(features)
    head = keras.Sequential([keras.Input((16,)), layers.Dense(3, activation="softmax")])
    return keras.Model(pixels_in, head(features))


BUILD = {
    "plain": build_plain,
    "nested": lambda: build_nested(False),
    "nested with pooling": lambda: build_nested(True),
}


@pytest.mark.parametrize("kind", BUILD)
def test_model_trained_on_a_patch_lights_that_patch(kind, tmp_path):
    keras.utils.set_random_seed(0)
    images, places, y_true = draw_patches(300)
    model = BUILD[kind]()
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    model.fit(images.astype(np.float32), y_true, epochs=6, verbose=0)
    model.save(tmp_path / "model.keras")
    model = keras.saving.load_model(tmp_path / "model.keras")
    before = model.predict_on_batch(images[:30])
    assert (before.argmax(axis=1) == y_true[:30]).mean() > 0.9
    evidence = explain.find_evidence(model, images[:30], y_true[:30])
    assert evidence.shape == (30, SIZE, SIZE) and evidence.dtype == np.float32
    assert evidence.min() >= 0 and np.allclose(evidence.max(axis=(1, 2)), 1)
    peaks = [np.unravel_index(one.argmax(), one.shape) for one in evidence]
    far = abs(np.array(peaks) - places[:30] - PATCH / 2).max(axis=1)
    assert (far <= PATCH / 2 + 2).mean() >= 0.9
    assert np.array_equal(model.predict_on_batch(images[:30]), before)


def test_evidence_for_another_class_lies_elsewhere_and_the_predicted_one_is_the_default():
    keras.utils.set_random_seed(0)
    model, (images, _, _) = build_plain(), draw_patches(4)
    predicted = model.predict_on_batch(images).argmax(axis=1)
    default = explain.find_evidence(model, images)
    assert np.array_equal(default, explain.find_evidence(model, images, predicted))
    assert not np.allclose(default, explain.find_evidence(model, images, (predicted + 1) % 3))


@pytest.mark.parametrize(
    ("name", "options"), [("MobileNet", {"alpha": 0.25}), ("EfficientNetB0", {}), ("ResNet50", {})]
)
def test_backbones_of_keras_applications_show_their_evidence(name, options):
    build = getattr(keras.applications, name)
    backbone = build(weights=None, include_top=False, input_shape=(64, 64, 3), **options)
    pixels_in = keras.Input((64, 64, 3))
    features = layers.GlobalAveragePooling2D()(backbone(pixels_in, training=False))
    model = keras.Model(pixels_in, layers.Dense(3, activation="softmax")(features))
    assert explain.find_last_maps(model) is backbone
    images = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    evidence = explain.find_evidence(model, images)
    assert evidence.shape == (2, 64, 64) and np.isfinite(evidence).all()


def test_model_without_a_convolution_is_an_error_that_names_it():
    model = keras.Sequential(
        [keras.Input((4, 4, 3)), layers.Flatten(), layers.Dense(2)], name="flat"
    )
    with pytest.raises(ValueError, match="flat has no convolution"):
        explain.find_last_maps(model)
