"""Dataclasses, made of what JSON has kept of them."""

from dataclasses import is_dataclass
from typing import get_args, get_type_hints


def build(kind: type, facts: dict) -> object:
    """Make a dataclass of what JSON has kept of it, and those of its fields that are dataclasses, too.

    Raises:
        KeyError, TypeError: a field is unknown or missing.
    """
    types = get_type_hints(kind)
    values = {}
    for name, value in facts.items():
        inner = [types[name], *get_args(types[name])]
        nested = next(filter(is_dataclass, inner), None)
        values[name] = (
            build(nested, value) if nested and isinstance(value, dict) else value
        )
    return kind(**values)
