"""A model as one web page, which holds the classifier and answers pictures in any browser."""

import gzip
import hashlib
import importlib.metadata
import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lib.base.workspace import Workspace
from lib.evaluation.display import encode, save_page
from lib.evaluation.limits import describe_sets
from lib.evaluation.metrics import Score
from lib.evaluation.wording import format_number
from lib.models.record import Record

# Google's runtime of LiteRT files in WebAssembly, and the SHA-512 of its package on npm.
VERSION = "2.5.3"
SHA512 = "PlGmbMOq9WitX7FO0jhbdJw9GthatsyuCQXjTt/wJZo0FLaw48q4tz8IwqgqCIkviYGr9OFDL1kCnN4nzWoyJQ=="
BUILD = "litert_wasm_compat_internal"  # of four, what needs the least of a browser
IMPORT = 'import { createWasmLib } from "@litertjs/wasm-utils";'
# It looks for a GPU, which the page doesn't use, and warns where there is none.
CREATE = "Environment.create("
MAX_DIFFERENCE = 0.02  # of a probability, on average


def write_page(
    ws: Workspace,
    record: Record,
    score: Score | dict,
    flattered: bool,
    lacks: str = "",
    known: np.ndarray | None = None,
    examples: Sequence[Path] = (),
) -> str:
    """Write model.html of a record that has answer sets or thresholds; return a line on its size, or a note.

    Args:
        score, flattered: of the model, or metrics_multilabel.json; whether its pictures chose the model.
        lacks: why the model has no LiteRT file; "" where it has one.
        known: of `resemblance.gather_known`, by which strangers are marked.
        examples: pictures that stand in the page, small, so that they can be tried at once.
    """
    ws.file("model.html").unlink(missing_ok=True)
    try:
        if lacks:
            raise OSError(lacks)
        runtime = fetch_runtime(ws.scratch / "downloads")
    except OSError as error:
        return f"Note: model.html can't be made: {error}"
    return save_page(
        ws,
        "model.html",
        record=record,
        score=score,
        flattered=flattered,
        sets=describe_sets(record.answer_sets),
        strangers=_describe_strangers(record, known),
        examples=examples,
        model=_pack((ws.results / f"models/{record.name}.tflite").read_bytes()),
        runtime=runtime,
    )


def compare_file(name: str, y_prob: np.ndarray, file_prob: np.ndarray) -> str:
    """Print how far the answers of a LiteRT file are from those of its model.

    Args:
        name: of the file.
        y_prob, file_prob: probabilities by both of the same pictures, float (n, classes).

    Returns:
        "", or why the file is refused: of a picture the probability that differs most
        does so by more than `MAX_DIFFERENCE`, on average.
    """
    others = (y_prob.argmax(axis=1) != file_prob.argmax(axis=1)).sum()
    differences = abs(y_prob - file_prob).max(axis=1)
    mean = format_number(differences.mean())
    highest = format_number(differences.max())
    print(
        f"Note: {name} puts another class first for {others} of {len(y_prob)} pictures; "
        f"its probabilities differ by {mean} on average, by {highest} at most."
    )
    # What is no number is not near.
    is_near = differences.mean() <= MAX_DIFFERENCE
    return "" if is_near else f"{name} does not answer as its model does"


def _describe_strangers(record, known):
    """Return the mark of strangers, and what tells them; nothing where there is no backbone."""
    if known is None:
        return {}
    # As fine as float16, and read by every browser.
    features = (32767 * known.astype(np.float32)).round().astype("<i2")
    return vars(record.strangers) | {"features": _pack(features.tobytes())}


def _pack(content):
    return encode(gzip.compress(content, 6, mtime=0))


def fetch_runtime(folder: Path) -> dict[str, str]:
    """Fetch LiteRT.js once by npm, which Colab has.

    Args:
        folder: where its package is kept.

    Returns:
        Its parts as the page takes them: module, glue, binary, version and licence.

    Raises:
        OSError: where it can't be fetched, or is not the package that is known.
    """
    archive = folder / f"litertjs-core-{VERSION}.tgz"
    if not archive.exists():
        _fetch_package(folder)
    digest = hashlib.sha512(archive.read_bytes()).digest()
    if encode(digest) != SHA512:
        archive.unlink()
        raise OSError(f"{archive} was not the package that is known: run again")
    with tarfile.open(archive) as files:
        module = files.extractfile("package/dist/index.js").read().decode()
        glue = files.extractfile(f"package/wasm/{BUILD}.js").read().decode()
        binary = files.extractfile(f"package/wasm/{BUILD}.wasm").read()
    # The page has a function of this name, which opens the binary that lies in the page.
    module = module.replace(IMPORT, "")
    module = module.replace(f"{CREATE})", f"{CREATE}{{webGpuDevice: null}})")
    return {
        "module": module,
        "glue": glue,
        "binary": _pack(binary),
        "version": VERSION,
        # Keras needs absl-py, which has the licence of LiteRT.js, and comes with its text.
        "licence": importlib.metadata.distribution("absl-py").read_text(
            "licenses/LICENSE"
        ),
    }


def _fetch_package(folder):
    folder.mkdir(parents=True, exist_ok=True)
    command = ["npm", "pack", "--fetch-retries=0", f"@litertjs/core@{VERSION}"]
    try:
        subprocess.run(
            command, cwd=folder, check=True, capture_output=True, timeout=300
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise OSError(f"LiteRT.js could not be fetched by npm ({error})") from error
