"""Code that belongs to no library: a notebook's functions, and those of a file beside it."""

import ast
import inspect
import sys
import sysconfig
import textwrap
from pathlib import Path
from types import FunctionType

import keras
import numpy as np

# Folders of code that others wrote: of packages, of Python itself, of this project.
LIBRARIES = {"site-packages", "dist-packages", Path(sysconfig.get_paths()["stdlib"]).name}
# What Keras notes in an object by itself.
NOTED = ("built", "name")


def read_own_code(*roots) -> list:
    """List what functions, classes and objects are made of that belong to no library.

    Followed is whatever a function names or encloses, and methods, bases and attributes of a class.
    Of functions counts the source, without comments; of all else that is reached, numbers, texts and
    arrays.
    """
    waiting, seen, parts = list(roots), {}, []
    while waiting:
        value = waiting.pop()
        # A method, a tf.function or a decorated function holds the function itself.
        value = getattr(value, "python_function", getattr(value, "__func__", value))
        value = inspect.unwrap(value)
        if isinstance(value, (str, int, float, np.ndarray)):
            parts.append(value)
        elif id(value) not in seen:
            seen[id(value)] = value
            waiting += _look_into(value, parts)
    return parts


def _look_into(value, parts: list) -> list:
    if isinstance(value, (list, tuple, set, dict)):
        return keras.tree.flatten(value)
    if isinstance(value, keras.Model):
        return value.layers
    is_object = not isinstance(value, (FunctionType, type))
    if not _is_own(type(value) if is_object else value):
        return []
    if isinstance(value, FunctionType):
        source, names = _read_source(value)
        parts.append(source)
        enclosed = [cell.cell_contents for cell in value.__closure__ or ()]
        return [*enclosed, *(value.__globals__.get(name) for name in names)]
    public = [
        each
        for name, each in getattr(value, "__dict__", {}).items()
        if isinstance(each, FunctionType) or not (name.startswith("_") or name in NOTED)
    ]
    return [*public, type(value)] if is_object else [*public, *value.__bases__]


def _is_own(owner) -> bool:
    # A notebook is the module __main__.
    path = Path(getattr(sys.modules.get(owner.__module__), "__file__", None) or "")
    is_library = LIBRARIES.intersection(path.parts) or owner.__module__.startswith("lib.")
    return owner.__module__ == "__main__" or (path.name != "" and not is_library)


def _read_source(function) -> tuple[str, list[str]]:
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, SyntaxError):  # say of a lambda, whose lines are no whole statement
        code = function.__code__
        return repr((code.co_code, code.co_consts)), code.co_names
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return ast.unparse(tree), sorted(names)
