"""What this machine is, and how it computes: versions, GPUs, cores, precision, seeds."""

import contextlib
import functools
import hashlib
import importlib
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

# What decides pixels and features beside this code.
PICTURE_PACKAGES = ("keras", "tensorflow", "pillow", "pillow-heif", "simplejpeg")
CPU_FLAGS = Path("/proc/cpuinfo")
if not shutil.which("nvidia-smi"):
    # TensorFlow calls it an error that there is no GPU; read when it is imported.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


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


def share_machine(count: int) -> list[dict[str, str]]:
    """Return environment variables that give each of some processes its cores and one GPU, if any."""
    every = ",".join(query_gpus("index"))
    allowed = os.environ.get("CUDA_VISIBLE_DEVICES", every).split(",")
    gpus = [gpu for gpu in allowed if every and gpu] + count * ["-1"]
    # Else the process that comes first takes all of a GPU's memory.
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    threads = str(max(1, count_cores() // count))
    return [{"CUDA_VISIBLE_DEVICES": g, "TF_NUM_INTRAOP_THREADS": threads} for g in gpus[:count]]


def find_versions(packages) -> dict[str, str]:
    """Return the installed version of each of the packages that is installed."""
    versions = {}
    for name in packages:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return versions


@functools.cache
def describe_project() -> dict[str, str]:
    """Return what has to be equal on all machines of a cluster: this code, and what decodes."""
    code = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        code.update(path.read_bytes())
    found = {"project": code.hexdigest()[:12], "opencv": importlib.import_module("cv2").__version__}
    return found | find_versions(PICTURE_PACKAGES)


def count_cores() -> int:
    """Return how many CPU cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def set_seed(seed: int, deterministic: bool) -> None:
    """Seed Python, numpy and Keras; leave nothing to the order of threads where asked.

    Args:
        seed: the same seed gives the same initial weights and dropout.
        deterministic: use only operations that give the same bits in every run on one kind of
            machine, which may be slower. It can't be undone in a running kernel.
    """
    import keras

    keras.utils.set_random_seed(seed)
    if deterministic and keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()


def set_precision(precision: str) -> str:
    """Choose what the layers that are built from now on compute in; weights stay float32.

    Args:
        precision: "float32"; or "auto": float16 on a GPU with tensor cores, bfloat16 on a CPU that
            has it and multiplies faster in it, else float32.

    Returns:
        The name of the Keras policy that was set.

    Raises:
        ValueError: precision is neither.
    """
    if precision not in ("float32", "auto"):
        raise ValueError(f'PRECISION is {precision!r}; it is "float32" or "auto".')
    policy = "float32"
    if precision == "auto":
        gpus = query_gpus("compute_cap")
        if gpus:
            # Tensor cores came with compute capability 7.0.
            policy = "mixed_float16" if min(map(float, gpus)) >= 7 else policy
        elif CPU_FLAGS.exists() and "bf16" in CPU_FLAGS.read_text() and is_bfloat16_faster():
            policy = "mixed_bfloat16"
    import keras

    keras.config.set_dtype_policy(policy)
    return policy


def is_bfloat16_faster() -> bool:
    """Tell whether this machine multiplies matrices faster in bfloat16 than in float32.

    To have instructions for it is not enough: of two CPUs with AVX-512 BF16, one trained the
    baseline CNN 1.6 times as fast in it (an AMD EPYC), the other 0.75 times (an Intel Xeon).
    """
    import keras

    fastest = {}
    for dtype in ("float32", "bfloat16"):
        square, seconds = keras.ops.ones((1024, 1024), dtype), []
        for _ in range(5):
            started = time.perf_counter()
            keras.ops.convert_to_numpy(keras.ops.matmul(square, square)[:1])
            seconds.append(time.perf_counter() - started)
        fastest[dtype] = min(seconds)
    # With a margin, so that a machine answers the same every time.
    return fastest["bfloat16"] < 0.8 * fastest["float32"]


def use_all_gpus():
    """Return the scope to build and compile a model in: all GPUs where there are several.

    Each step's batch is divided among the GPUs, so its size and the result stay the same.
    """
    import keras

    if len(query_gpus("name")) < 2 or keras.backend.backend() != "tensorflow":
        return contextlib.nullcontext()
    import tensorflow as tf

    return tf.distribute.MirroredStrategy().scope()


def count_replicas(model) -> int:
    """Return on how many GPUs a model computes each batch."""
    strategy = getattr(model, "distribute_strategy", None)
    return strategy.num_replicas_in_sync if strategy else 1
