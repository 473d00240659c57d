"""Files of models that older and newer versions of Keras open, too."""

import json
import re
import zipfile
from pathlib import Path

import keras

from lib.models.keys import find_custom_objects, simplify


def check_saveable(model: keras.Model) -> None:
    """Check that a model holds no code that its file would not carry to another notebook.

    Raises:
        ValueError: it does; the message names it.
    """
    config = simplify(keras.saving.serialize_keras_object(model))
    custom = ", ".join(find_custom_objects(config))
    if custom:
        raise ValueError(
            f"{model.name} can't be saved: {custom} is code that its file would not hold, so no "
            "other notebook could open it. Build it of layers and functions of Keras."
        )


def write_model(model: keras.Model, path: Path) -> None:
    """Write a model, without its optimizer and in float32, so that it opens in older and newer Keras."""
    text = json.dumps(simplify(model.get_config()))
    config = json.loads(re.sub("mixed_b?float16", "float32", text))
    plain = type(model).from_config(config)
    plain.set_weights(model.get_weights())
    plain.save(path)
    with zipfile.ZipFile(path) as file:
        members = {name: file.read(name) for name in file.namelist()}
    saved = json.loads(members["config.json"])
    members["config.json"] = json.dumps(simplify(saved))
    with zipfile.ZipFile(path, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)
