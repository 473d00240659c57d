"""Ask what was handed over, the page and the LiteRT file, and compare both with `lib.predict`.

PYTHONPATH=. python tests/handed_over.py RESULTS NAME PICTURES…    # the page in a headless Chromium
"""

import re
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from conftest import find_browser

from lib import predict
from lib.models import classify, litert, saved
from lib.models.record import Record

SECONDS = 120
SOME = 100
NONE = "none of its labels"


def ask_page(page, files: list[Path]) -> pd.DataFrame:
    """Give files to an opened model.html.

    Returns:
        One row per picture, in their order: file, note, label (or problem) and set as they are
        shown, and probability, NaN of several labels.
    """
    rows = []
    # More are not in view at once.
    for start in range(0, len(files), SOME):
        some = files[start : start + SOME]
        give(page, some)
        rows += read_answers(page)[-len(some) :]
    table = pd.DataFrame(rows, columns=["file", "note", "label", "set"], dtype=object)
    told = page.evaluate("() => answers.map(one => describe(one).probability ?? null)")
    return table.assign(probability=np.array(told[-len(files) :], float))


def give(page, files: list[Path]) -> None:
    """Give files to an opened model.html, and wait for its answers."""
    count = "() => answers.length"
    awaited = page.evaluate(count) + len(files)
    page.set_input_files("#pictures", files)
    deadline = time.monotonic() + SECONDS
    while page.evaluate(count) < awaited:
        assert time.monotonic() < deadline, f"no answer within {SECONDS} seconds"
        page.wait_for_timeout(20)


def read_answers(page) -> list[list[str]]:
    """Read what the page has in view of each picture, the oldest answer first."""
    script = """places => places.map(place => {
        const read = kind => [...place.querySelectorAll(kind)].map(one => one.innerText.trim()).join(", ");
        const label = read(".class bdi, .problem") || read(".class");
        return [read(".file"), read(".note"), label, read(".set").replace("Answer set: ", "")];
    })"""
    rows = page.locator("#older > li").evaluate_all(script)
    rows.reverse()
    return rows + page.locator("#latest:visible").evaluate_all(script)


def split_labels(text: str) -> set[str]:
    """Take apart several labels: page and table write the same set in other ways."""
    labels = set(re.split(r"\||, ", text))
    return labels - {"", NONE}


def measure(asked: pd.DataFrame, predicted: pd.DataFrame) -> dict:
    """Compare answers, in the same order: the share that is the same, and how far probabilities differ."""
    same = asked.label.map(split_labels).to_numpy()
    same = same == predicted.label.map(split_labels).to_numpy()
    differences = asked.probability.to_numpy() - predicted.probability.to_numpy()
    return {
        "pictures": len(same),
        "same answer": same.mean(),
        "mean difference of the top probability": abs(differences).mean(),
        "largest": abs(differences).max(),
    }


def ask_model(model, record: Record, files: list[Path]) -> pd.DataFrame:
    """Return label and probability of each file; a model of several labels has no probability."""
    y_prob, _, problems = classify.predict_files(model, Path(), files)
    table = classify.predictions_table(files, y_prob, problems, record)
    if record.thresholds:
        table = table.rename(columns={"labels": "label"}).assign(probability=np.nan)
    return table


def open_page(browser, path: Path):
    """Open a model.html, and say how long that took."""
    page = browser.new_page()
    page.on("console", lambda message: print("console:", message.text[:200]))
    page.on("pageerror", lambda error: print("error:", error))
    started = time.perf_counter()
    page.goto(path.resolve().as_uri())
    page.get_by_text("Ready for your pictures").wait_for(timeout=1000 * SECONDS)
    print(f"ready after {time.perf_counter() - started:.1f} s")
    return page


def compare(results: Path, name: str, places: list[str]) -> pd.DataFrame:
    """Ask page and LiteRT file about pictures, and compare; one row for each of the two."""
    from playwright import sync_api

    files = [Path(file).resolve() for file in predict.list_files(places)]
    model, record = saved.open_model(results / f"models/{name}.keras")
    predicted = ask_model(model, record, files)
    phone = litert.LiteRTModel(results / f"models/{name}.tflite")
    rows = {"LiteRT file": measure(ask_model(phone, record, files), predicted)}
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=find_browser(),
            args=["--no-sandbox", "--disable-dev-shm-usage"],
        )
        page = open_page(browser, results / "model.html")
        started = time.perf_counter()
        rows["page"] = measure(ask_page(page, files), predicted)
        print(f"{(time.perf_counter() - started) / len(files):.3f} s per picture")
        browser.close()
    return pd.DataFrame(rows).T


if __name__ == "__main__":
    print(compare(Path(sys.argv[1]), sys.argv[2], sys.argv[3:]).to_string())
