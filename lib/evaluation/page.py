"""A model as one web page, which holds the classifier and answers pictures in any browser."""

import base64
import gzip
import hashlib
import importlib.metadata
import subprocess
import tarfile
from pathlib import Path

import numpy as np

from lib.evaluation import conformal, intervals
from lib.evaluation.display import open_template
from lib.evaluation.wording import format_number, format_p
from lib.storage import atomic_write

# Google's runtime of LiteRT files in WebAssembly, and the SHA-512 of its package on npm.
VERSION = "2.5.3"
SHA512 = "PlGmbMOq9WitX7FO0jhbdJw9GthatsyuCQXjTt/wJZo0FLaw48q4tz8IwqgqCIkviYGr9OFDL1kCnN4nzWoyJQ=="
BUILD = "litert_wasm_compat_internal"  # of four, what needs the least of a browser
LARGEST = 150e6  # bytes of a page


def write_page(
    ws, metadata: dict, score: dict, flattered: bool, lacks="", known=None
) -> str:
    """Write model.html of one model; return a line that says so, or why there is none.

    Args:
        ws: the workspace. metadata: the model's JSON, with its answer_sets or, of several labels, thresholds.
        score: what `metrics.evaluate` returns of it, or metrics_multilabel.json.
        flattered: whether the pictures of the score chose the model.
        lacks: why the model has no LiteRT file; "" where it has one.
        known: features, distances and groups of `resemblance`, by which strangers are marked.
    """
    path = ws.file("model.html")
    path.unlink(missing_ok=True)
    try:
        runtime = {} if lacks else fetch_runtime(ws.scratch / "downloads")
    except OSError as error:
        lacks = str(error)
    if lacks:
        return f"model.html can't be made: {lacks}"
    model = (ws.results / f"models/{metadata['name']}.tflite").read_bytes()
    shown = {
        "metadata": metadata,
        "score": score,
        "flattered": flattered,
        "known": known,
    }
    text = _render(shown | {"model": _pack(model), "runtime": runtime})
    if len(text) > LARGEST:
        return f"model.html can't be made: it would have {len(text) / 1e6:.0f} MB"
    with atomic_write(path) as part:
        part.write_text(text, encoding="utf-8")
    return f"model.html: {len(text) / 1e6:.1f} MB; it needs no connection"


def compare_file(name: str, truth, model_said, file_said, groups) -> str:
    """Print how a LiteRT file answers beside its model; return "", or that it is surely better or worse.

    Labels are text (n,), several of a picture divided by |. A picture counts as the share of those that
    are true or said which are both (Jaccard 1912): of one label right or wrong. groups: int (n,).
    """
    rows = [
        [{*row.split("|")} for row in rows] for rows in (truth, model_said, file_said)
    ]
    gaps = [
        len(t & new) / len(t | new) - len(t & old) / len(t | old)
        for t, old, new in zip(*rows)
    ]
    *_, p_value = intervals.compare_runs(
        [gaps], intervals.effective_sample_size(groups)
    )
    others = np.count_nonzero(np.asarray(model_said) != np.asarray(file_said))
    print(f"{name} gives another answer to {others} of {len(gaps)} pictures")
    print(
        f"its accuracy differs by {format_number(np.mean(gaps), sign='+')}, {format_p(p_value)}"
    )
    surely = f"{name} is surely better or worse than its model ({format_p(p_value)})"
    return surely if p_value < intervals.LEVEL else ""


def _render(shown: dict) -> str:
    metadata = shown["metadata"]
    about = {key: metadata[key] for key in ("class_names", "image_size")}
    about |= {"temperature": metadata.get("temperature", 1), "farthest": None}
    if "thresholds" in metadata:  # Of several labels each has its own.
        about["thresholds"] = [
            metadata["thresholds"][name] for name in metadata["class_names"]
        ]
    else:
        about["limit"] = metadata["answer_sets"]["limit"]
    if known := shown["known"]:
        coverage = metadata["answer_sets"]["coverage"]
        about["farthest"] = conformal.find_farthest(
            known["distances"], known["groups"], coverage
        )
        about["note"] = conformal.describe_mark(coverage)
        # As fine as float16, and read by every browser.
        features = (32767 * known["features"].astype(np.float32)).round().astype("<i2")
        shown = shown | {"known": _pack(features.tobytes())}
    # Keras needs absl-py, which has the licence of LiteRT.js, and comes with its text.
    licence = importlib.metadata.distribution("absl-py").read_text("licenses/LICENSE")
    made = {"about": about, "version": VERSION, "licence": licence}
    return open_template("model.html.jinja").render(shown | made)


def _pack(content: bytes) -> str:
    return base64.b64encode(gzip.compress(content, 6, mtime=0)).decode()


def fetch_runtime(folder: Path) -> dict[str, str]:
    """Fetch LiteRT.js once by npm, which Colab has; return its parts, as the page takes them.

    An OSError where it can't be fetched, or is not the package that is known.
    """
    archive = folder / f"litertjs-core-{VERSION}.tgz"
    if not archive.exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = ["npm", "pack", "--fetch-retries=0", f"@litertjs/core@{VERSION}"]
        try:
            subprocess.run(
                command, cwd=folder, check=True, capture_output=True, timeout=300
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise OSError(f"LiteRT.js could not be fetched by npm ({error})") from error
    if (
        base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
        != SHA512
    ):
        archive.unlink()
        raise OSError(f"{archive} was not the package that is known: run again")
    with tarfile.open(archive) as files:
        names = ("dist/index.js", f"wasm/{BUILD}.js", f"wasm/{BUILD}.wasm")
        library, glue, binary = (
            files.extractfile(f"package/{k}").read() for k in names
        )
    return {"module": library.decode(), "glue": glue.decode(), "binary": _pack(binary)}
