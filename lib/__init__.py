"""The thin library behind the notebooks; the first line of each room says what it knows."""

import importlib
import importlib.util
import sys

# What a command needs beside Python; a notebook installs what Colab lacks.
NEEDED = ("filelock", "jinja2", "keras", "pandas", "papermill", "simplejpeg", "yaml")

if sys.argv[0] == "-m":
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        sys.exit(
            f"No module named {', '.join(missing)}: activate the environment that make has made (`. "
            ".venv/bin/activate`), or run `pip install -r requirements.txt`."
        )


def __getattr__(name: str):
    """Let `from lib import workspace, machine`, which is short to type, find these two in `base`."""
    if name in ("machine", "workspace"):
        return importlib.import_module(f"lib.base.{name}")
    raise AttributeError(f"lib has no {name!r}")
