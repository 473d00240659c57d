"""What this machine is: its versions, GPUs and cores."""

import contextlib
import importlib
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import subprocess
import sys


def describe_environment() -> str:
    """Return one line with the versions in use and the accelerator, without importing either."""
    packages = ("keras", "tensorflow", "jax", "numpy", "pillow", "scikit-learn")
    versions = ", ".join(f"{name} {version}" for name, version in find_versions(packages).items())
    names = query_gpus("name")
    if names:
        accelerator = f"GPU: {', '.join(names)}"
    else:
        accelerator = f"no GPU, {os.cpu_count()} CPU cores"
        if "google.colab" in sys.modules:
            accelerator += " (a GPU: menu Runtime ▸ Change runtime type ▸ T4 GPU)"
    return f"Python {platform.python_version()}, {versions}\n{accelerator}"


def install_what_colab_lacks() -> None:
    """In Colab, install the one package that reading pictures needs and Colab doesn't ship."""
    if "google.colab" in sys.modules and importlib.util.find_spec("simplejpeg") is None:
        print("Installing simplejpeg, which decodes JPEGs: 0.4 MB.")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "simplejpeg"]
        subprocess.run(command, check=True)
        importlib.invalidate_caches()


def query_gpus(field: str) -> list[str]:
    """Return one property of each NVIDIA GPU, say its `name` or `compute_cap`."""
    if not shutil.which("nvidia-smi"):
        return []
    query = ["nvidia-smi", f"--query-gpu={field}", "--format=csv,noheader"]
    answer = subprocess.run(query, capture_output=True, text=True)
    return answer.stdout.split("\n")[:-1] if answer.returncode == 0 else []


def find_versions(packages) -> dict[str, str]:
    """Return the installed version of each of the packages that is installed."""
    versions = {}
    for name in packages:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return versions


def count_cores() -> int:
    """Return how many CPU cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
