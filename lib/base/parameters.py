"""What each parameter of the notebooks may be: see parameters.toml; and what a wrong name meant."""

import ast
import difflib
import json
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path

import jsonschema
import yaml

ALLOWED = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))


def check_parameters(values: dict) -> dict:
    """Check every parameter among names and values, say a notebook's `globals()`, and return them.

    Raises:
        ValueError: one is of the wrong type or out of range; it says what to write.
    """
    parameters = {name: values[name] for name in ALLOWED if name in values}
    for name, value in parameters.items():
        schema = ALLOWED[name]
        # In draft 4, as in Python, 2.0 is no integer.
        is_valid = jsonschema.Draft4Validator(schema).is_valid(value)
        # NaN differs from itself.
        if value != value or not is_valid:
            raise ValueError(f"{name} is {value!r}: write {schema['write']}.")
    return parameters


def read_defaults(path: Path) -> dict:
    """Return the parameters of a notebook with their defaults, from its folded cell and the visible one."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    lines = "\n".join("".join(cell["source"]) for cell in notebook["cells"])
    fields = re.findall(r"^(\w+): .+? = (.+?)  # @param", lines, re.MULTILINE)
    return {name: ast.literal_eval(value) for name, value in fields}


class PlainLoader(yaml.SafeLoader):
    """Reads YAML, of whose plain words only these are no text: YAML 1.1 takes 010 for 8, and 12:30 for 750."""

    yaml_implicit_resolvers = {}


PLAIN = {
    "null": "null|~",
    "bool": "[Tt]rue|[Ff]alse",
    "int": r"-?(0|[1-9]\d*)",
    "float": r"-?(0|[1-9]\d*)?(\.\d+)?([eE][-+]?\d+)?(?<=\d)",
}
for kind, pattern in PLAIN.items():
    whole = re.compile(rf"({pattern})\Z")
    PlainLoader.add_implicit_resolver(f"tag:yaml.org,2002:{kind}", whole, None)


def parse_value(text: str) -> object:
    """Return the value of -p, as YAML or JSON writes it; of what is neither, the text itself."""
    try:
        return yaml.load(text, PlainLoader)
    except yaml.YAMLError:
        return text


def suggest(name: str, known: Iterable[str]) -> str:
    """Return the end of an error about an unknown name: the known ones most like it."""
    close = difflib.get_close_matches(name, known, cutoff=0)
    return f"; most like it: {', '.join(close)}"
