"""What each parameter of the notebooks may be, as JSON schemas."""

import re

import jsonschema

FLAG = {"type": "boolean"}
COUNT = {"type": "integer", "minimum": 1, "maximum": 1000}
SHOWN = {"type": "integer", "minimum": 1, "maximum": 50}
# Two 3x3 convolutions, each pooled by 2, leave nothing of a smaller square.
SIDE = {"type": "integer", "minimum": 10, "maximum": 2048}
TEXT = {"type": "string", "pattern": r"\S"}
ALLOWED = {
    "AUGMENT": FLAG,
    "BACKBONE": TEXT,
    "BACKBONES": {"type": "array", "minItems": 1, "uniqueItems": True, "items": TEXT},
    "BACKBONE_OPTIONS": {"type": "object"},
    "BATCH_SIZE": {"type": "integer", "minimum": 1, "maximum": 8192},
    "CHOICE": {"enum": ["best", "cheapest"]},
    "CLASS_WEIGHTS": {"enum": ["none", "balanced"]},
    "CLOSENESS": {"type": "number", "minimum": 0, "maximum": 1},
    "CONFUSED_PAIRS": COUNT,
    "COUNT": COUNT,
    "COVERAGE": {"type": "number", "minimum": 0.01, "maximum": 0.9999},
    "DETERMINISTIC": FLAG,
    "DUPLICATES": {"enum": ["together", "drop"]},
    "EPOCHS": {"type": "integer", "minimum": 1, "maximum": 100_000},
    "EXAMPLES": SHOWN,
    "EXPORT": FLAG,
    "FINE_LEARNING_RATE": {"type": "number", "minimum": 1e-12, "maximum": 10},
    "FOLDS": {"type": "integer", "minimum": 2, "maximum": 20},
    "IMAGES": {"type": ["string", "array"], "pattern": r"\S", "items": TEXT},
    "IMAGE_SIZE": SIDE | {"type": ["integer", "null"]},
    "IMAGE_SIZES": {"type": "array", "minItems": 1, "items": SIDE},
    "LAUNCH_DEMO": FLAG,
    "LEARNING_RATE": {"type": "number", "minimum": 1e-12, "maximum": 10},
    "MODEL": {"type": "string"},
    "NEAR_BITS": {"type": "integer", "minimum": 0, "maximum": 12},
    "PRECISION": {"enum": ["float32", "auto"]},
    "REPEATS": {"type": "integer", "minimum": 1, "maximum": 20},
    "SAMPLES": SHOWN,
    "SEED": {"type": "integer", "minimum": 0, "maximum": 2**32 - 1},
    "SEEDS": {"type": "integer", "minimum": 1, "maximum": 100},
    "STAGES": COUNT,
    "SUBMISSION": FLAG,
    "TENSORBOARD": FLAG,
    "TO_LABEL": COUNT,
    "UPLOAD": FLAG,
    "WEIGHTS": {"type": ["string", "null"], "pattern": r"\S"},
}


def check_parameters(values: dict) -> None:
    """Check every parameter among some names and values, say a notebook's `globals()`.

    Args:
        values: {name: value}; what is no parameter is passed over.

    Raises:
        ValueError: a value is of the wrong type or out of range; says what is allowed.
    """
    for name, schema in ALLOWED.items():
        value = values.get(name)
        # In draft 4, as in Python, 2.0 is no integer; and what is unequal to itself is no number.
        valid = jsonschema.Draft4Validator(schema).is_valid(value) and value == value
        if name in values and not valid:
            allowed = ", ".join(f"{key} {what}" for key, what in schema.items())
            raise ValueError(f"{name} is {value!r}. Allowed is: {allowed}.")


def check_cluster(address: str | None, source: str) -> str | None:
    """Return the address of a cluster, or None; a ValueError names the source of one that is wrong."""
    if address and not re.fullmatch(r"local:[1-9]\d*|\w+://\S+:\d+", address):
        raise ValueError(
            f'{source} is {address!r}: give the address of a Dask scheduler, say "tcp://host:8786", or '
            '"local:2" for two worker processes on this machine.'
        )
    return address or None
