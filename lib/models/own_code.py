"""Code that belongs to no library: a notebook's functions, and those of a file beside it."""

import ast
import dis
import functools
import inspect
import sys
import sysconfig
import textwrap
from pathlib import Path
from types import CodeType, FunctionType, MethodType, ModuleType

import keras
import numpy as np

# Folders of code that others wrote: of packages, and of Python itself.
LIBRARIES = {"site-packages", "dist-packages", Path(sysconfig.get_paths()["stdlib"]).name}
SIMPLE = (str, bytes, int, float, complex, np.generic)
# What holds functions, and where.
HOLDERS = {
    MethodType: ["__func__", "__self__"],
    staticmethod: ["__func__"],
    classmethod: ["__func__"],
    property: ["fget", "fset"],
    functools.cached_property: ["func"],
    functools.partial: ["func", "args", "keywords"],
}


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
    if type(value) in HOLDERS:
        return [getattr(value, name) for name in HOLDERS[type(value)]]
    # A tf.function, and what a decorator made, hold the function itself.
    held = [getattr(value, name, None) for name in ("python_function", "__wrapped__")]
    if not _is_own(value if isinstance(value, (FunctionType, type)) else type(value)):
        return held
    if isinstance(value, FunctionType):
        return held + _look_into_function(value, parts)
    return held + _list_attributes(value)


def _look_into_function(function, parts: list) -> list:
    code = function.__code__
    codes = [code]
    for one in codes:
        codes += [each for each in one.co_consts if isinstance(each, CodeType)]
    steps = [step for one in codes for step in dis.get_instructions(one)]
    names = {step.argval for step in steps if step.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    used = [function.__globals__.get(name) for name in sorted(names)]
    # Of a module of one's own, whatever is named of it.
    attributes = sorted({name for one in codes for name in one.co_names})
    for module in [each for each in used if isinstance(each, ModuleType) and _is_own(each)]:
        used += [vars(module).get(name) for name in attributes]
    for cell in function.__closure__ or ():
        # One that is not set yet is a ValueError.
        used += [cell.cell_contents] if cell != type(cell)() else []
    parts.append(_read_source(code))
    return [*used, function.__defaults__, function.__kwdefaults__]


def _list_attributes(value) -> list:
    if isinstance(value, type):
        own = [each for name, each in vars(value).items() if _is_written(name, each)]
        return [*own, *value.__bases__]
    # What Keras notes in its objects by itself is none of their author's.
    is_keras = any(base.__module__.startswith("keras") for base in type(value).__mro__)
    noted = [
        name for name in vars(value) if is_keras and (name[0] == "_" or name in ("built", "name"))
    ]
    kept = [
        each
        for name, each in vars(value).items()
        if name not in noted or (type(each) in (int, float) and name[0] == "_")
    ]
    return [*kept, type(value)]


def _is_written(name: str, value) -> bool:
    return not name.startswith("__") or isinstance(value, FunctionType)


def _is_own(value) -> bool:
    # A notebook is the module __main__.
    name = value.__name__ if isinstance(value, ModuleType) else value.__module__
    path = Path(getattr(sys.modules.get(name), "__file__", None) or "")
    is_library = LIBRARIES.intersection(path.parts) or name.startswith("lib.")
    return name == "__main__" or (path.name != "" and not is_library)


def _read_source(code: CodeType) -> str:
    try:
        return ast.unparse(ast.parse(textwrap.dedent(inspect.getsource(code))))
    except (OSError, SyntaxError):  # say of a lambda, whose lines are no whole statement
        return _describe_code(code)


def _describe_code(code: CodeType) -> str:
    # Without addresses and folders, which are others in every process.
    consts = [
        _describe_code(each) if isinstance(each, CodeType) else repr(each)
        for each in code.co_consts
        if not isinstance(each, frozenset)
    ]
    consts += [repr(sorted(each, key=repr)) for each in code.co_consts if type(each) is frozenset]
    return repr((code.co_code, code.co_names, consts))
