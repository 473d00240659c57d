"""What this machine is: versions, GPUs, cores."""

import contextlib
import functools
import importlib.metadata
import importlib.util
import logging
import os
import platform
import re
import socket
import subprocess
import sys
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO

import joblib
from packaging.requirements import Requirement

REQUIREMENTS = Path(__file__).parents[2] / "requirements.txt"
# Their versions are told.
PACKAGES = "keras tensorflow jax numpy pandas pillow scikit-learn".split()
# These make pixels of files, and features of pixels.
DECODING = """keras tensorflow pillow pillow-heif simplejpeg opencv-python
opencv-python-headless""".split()
# How many CPU cores this process may use, also in a container with a limit.
count_cores = joblib.cpu_count
# Read when TensorFlow is imported, which calls it an error that there is no GPU, and greets one in red.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Else the process that comes first takes all of a GPU's memory.
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
# Its warnings say nothing about the pictures.
logging.getLogger("tensorflow").addFilter(
    lambda record: record.levelno >= logging.ERROR
)
# Keras sets no limit when it fetches a network. Where a firewall drops packets, each address of the server
# took 134 seconds.
socket.setdefaulttimeout(20)
# Packages that fetch networks would like widgets for their bars, and say so in red.
warnings.filterwarnings("ignore", "IProgress not found")
# Keras says so of each dataset that does not know its size, as where unreadable files are left out.
warnings.filterwarnings("ignore", "Your input ran out of data")


def describe_environment() -> str:
    """Return a line of the versions in use and one of the accelerator, without importing any."""
    versions = ", ".join(map(" ".join, find_versions(PACKAGES).items()))
    failed, gpu = subprocess.getstatusoutput(
        "nvidia-smi --id=0 --query-gpu=name,count --format=csv,noheader"
    )
    accelerator = f"no GPU, {count_cores()} CPU cores" if failed else f"GPU: {gpu}"
    return f"Python {platform.python_version()}, {versions}\n{accelerator}"


def set_up() -> None:
    """Make a notebook ready: install what decodes JPEGs, where Colab lacks it; tell versions, and those that don't fit."""
    # What TensorFlow's C++ writes would stand in the notebook, in red: it goes to the kernel's log.
    with contextlib.suppress(OSError):
        os.dup2(sys.stderr.fileno(), 2)
    install_in_colab("simplejpeg")
    print(describe_environment())
    text = REQUIREMENTS.read_text(encoding="utf-8")
    needed = map(Requirement, re.findall("^[a-z].*", text, re.MULTILINE))
    admitted = {each.name: each.specifier for each in needed}
    unfit = [
        f"{name} {version}, but {admitted[name]}"
        for name, version in find_versions(admitted).items()
        if version not in admitted[name]
    ]
    if unfit:
        print(
            f"Note: this project is not made for {', '.join(unfit)}. In Colab choose Runtime ▸ Change runtime "
            "type ▸ Runtime version: Latest, elsewhere: pip install -r requirements.txt."
        )


@contextlib.contextmanager
def stderr_to(path: Path) -> Iterator[TextIO]:
    """Send stderr, also that of TensorFlow's C++ and of kernels, into a new file.

    Yields:
        A stream to where stderr went before.
    """
    shown = os.fdopen(os.dup(2), "w", buffering=1)
    with path.open("w") as log:
        os.dup2(log.fileno(), 2)
    try:
        yield shown
    finally:
        os.dup2(shown.fileno(), 2)
        shown.close()


def install_in_colab(package: str) -> None:
    """Install a package, where this is Colab and doesn't have it."""
    if "google.colab" in sys.modules and importlib.util.find_spec(package) is None:
        command = [sys.executable, "-m", "pip", "install", "--quiet", package]
        subprocess.run(command, check=True)
        importlib.invalidate_caches()


def find_versions(packages: Iterable[str]) -> dict[str, str]:
    """Return the installed version of each of the packages that is installed."""
    versions = {}
    for name in packages:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return versions


@functools.cache
def describe_project() -> dict[str, str]:
    """Return what has to be equal on all machines of a cluster: this code, and what decodes."""
    rooms = sorted(Path(__file__).parents[1].rglob("*.py"))
    code = joblib.hash([room.read_bytes() for room in rooms])
    return {"project": code} | find_versions(DECODING)
