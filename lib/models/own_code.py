"""Code that belongs to no library: a notebook's functions, and those of a file beside it."""

import ast
import inspect
import sys
import sysconfig
import textwrap
from pathlib import Path
from types import CodeType, FunctionType, ModuleType

import keras
import numpy as np

# Folders of code that others wrote: of packages, and of Python itself.
LIBRARIES = {"site-packages", "dist-packages", Path(sysconfig.get_paths()["stdlib"]).name}
SIMPLE = (str, bytes, int, float, complex, np.generic)
# Where methods, properties, partial functions, what a decorator made and a tf.function hold functions.
HOLDS = ("__func__", "fget", "func", "args", "keywords", "__wrapped__", "python_function")


def read_own_code(*roots) -> list:
    """List what functions, classes and objects are made of that belong to no library.

    Followed is whatever a function names, encloses or wraps, and what a class or an object holds. Of
    functions counts the source, without comments; of all else that is reached, numbers, texts and
    arrays, the weights of models among them.
    """
    waiting, seen, parts = list(roots), {}, []
    while waiting:
        value = waiting.pop()
        if isinstance(value, SIMPLE):
            parts.append(repr(value))
        elif isinstance(value, np.ndarray):
            parts.append(repr(value.tolist()) if value.dtype == object else value)
        elif value is not None and id(value) not in seen:
            seen[id(value)] = value
            waiting += _look_into(value, parts)
    return parts


def _look_into(value, parts: list) -> list:
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=repr)
    if isinstance(value, (list, tuple, dict)):
        return [*value, *value.values()] if isinstance(value, dict) else [*value]
    if isinstance(value, keras.Model):
        return [*value.layers, *map(keras.ops.convert_to_numpy, value.weights)]
    if keras.ops.is_tensor(value):
        return [keras.ops.convert_to_numpy(value)]
    held = [getattr(value, name, None) for name in HOLDS]
    if not _is_own(value if isinstance(value, (FunctionType, type)) else type(value)):
        return held
    if isinstance(value, FunctionType):
        return held + _look_into_function(value, parts)
    if isinstance(value, type):
        return [each for name, each in vars(value).items() if _is_written(name, each)] + [
            *value.__bases__
        ]
    # What Keras notes in its objects by itself is none of their author's.
    is_keras = any(base.__module__.startswith("keras") for base in type(value).__mro__)
    noted = {name for name in vars(value) if name[0] == "_"} | {"built", "name"} if is_keras else ()
    return [*(each for name, each in vars(value).items() if name not in noted), type(value)]


def _look_into_function(function, parts: list) -> list:
    codes = [function.__code__]
    for one in codes:
        codes += [each for each in one.co_consts if isinstance(each, CodeType)]
    names = sorted({name for one in codes for name in one.co_names})
    used = [function.__globals__.get(name) for name in names]
    # Of a module of one's own, whatever is named of it.
    for module in [each for each in used if isinstance(each, ModuleType) and _is_own(each)]:
        used += [vars(module).get(name) for name in names]
    for cell in function.__closure__ or ():
        # One that is not set yet is a ValueError.
        used += [cell.cell_contents] if cell != type(cell)() else []
    parts += _read_source(codes)
    return [*used, function.__defaults__, function.__kwdefaults__]


def _is_written(name: str, value) -> bool:
    return not name.startswith("__") or isinstance(value, FunctionType)


def _is_own(value) -> bool:
    # A notebook is the module __main__.
    name = value.__name__ if isinstance(value, ModuleType) else value.__module__
    path = Path(getattr(sys.modules.get(name), "__file__", None) or "")
    is_library = LIBRARIES.intersection(path.parts) or name.startswith("lib.")
    return name == "__main__" or (path.name != "" and not is_library)


def _read_source(codes: list[CodeType]) -> list:
    try:
        return [ast.unparse(ast.parse(textwrap.dedent(inspect.getsource(codes[0]))))]
    except (OSError, SyntaxError):  # say of a lambda, whose lines are no whole statement
        consts = [each for one in codes for each in one.co_consts if not isinstance(each, CodeType)]
        # The order of a set is another in every process.
        sets = [sorted(each, key=repr) for each in consts if isinstance(each, frozenset)]
        others = [each for each in consts if not isinstance(each, frozenset)]
        return [repr((sets, others, [(one.co_code, one.co_names) for one in codes]))]
