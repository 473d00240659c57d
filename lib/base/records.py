"""Dataclasses, made of what JSON has kept of them."""

from dataclasses import is_dataclass
from typing import get_args, get_type_hints


def build(kind: type, facts: dict) -> object:
    """Make a dataclass of what JSON has kept of it, and those of its fields that are dataclasses, too.

    Raises:
        KeyError, TypeError: a field is unknown or missing.
    """
    types = get_type_hints(kind)
    values = dict(facts)
    for name, value in facts.items():
        # A field that may be None has two types.
        for inner in (types[name], *get_args(types[name])):
            if is_dataclass(inner) and isinstance(value, dict):
                values[name] = build(inner, value)
    return kind(**values)
