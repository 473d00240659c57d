"""Dataclasses, made of what JSON has kept of them."""

from dataclasses import is_dataclass
from pathlib import Path
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


def restore(kind: type, facts: dict, path: Path) -> object:
    """Make a dataclass of what 08 has written; a ValueError where an earlier version of it has."""
    try:
        return build(kind, facts)
    except (KeyError, TypeError):
        raise ValueError(
            f"{path} is of an earlier version of the project: run 08_evaluation again."
        )
