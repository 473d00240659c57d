"""Write what the lessons put out on the demo into `notebooks/`, in forms that GitHub shows.

    make lessons

GitHub drops styles, classes and ids, and shows neither SVG nor pictures within HTML. So a figure becomes a PNG of 64
colours, a gallery with its captions one JPEG, both by a headless Chromium; a table is bare, and the summary of a network
plain text. What differs from run to run or from machine to machine is left out: bars, versions, times, folders, stderr.
So nothing changes in a second run but what has truly changed.

It fails where a sentence that begins with "On the demo" has a number that no cell of its step puts out.
"""

import base64
import hashlib
import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import papermill
from bs4 import BeautifulSoup
from conftest import find_browser
from nbformat import NotebookNode
from nbformat.v4 import new_output
from PIL import Image, ImageOps
from playwright.sync_api import Page, sync_playwright

from lib.base.storage import atomic_write
from lib.base.workspace import REPOSITORY
from lib.evaluation.display import show_kept

NOTEBOOKS = REPOSITORY / "notebooks"
THUMBNAILS = REPOSITORY / ".github/lessons"
MAX_BYTES = 700_000  # of a lesson; GitHub shows larger ones late or not at all
COLOURS = 64
MARGIN = 4  # pixels around a picture
QUALITY = 72
WIDTH = 900  # pixels of a page that figures and galleries are drawn on
# Of each lesson the figure or gallery that README's table of lessons shows.
PICTURES = {
    "00_start_here": "accuracy",
    "01_data_prep": "class_balance",
    "02_baseline_cnn": "first_layer",
    "03_augmented_cnn": "training_batch",
    "04_resnet50_transfer": "head_by_hand",
    "05_backbones": "pictures_needed",
    "06_fine_tuning": "learning_rate",
    "07_label_audit": "labels_to_check",
    "08_evaluation": "evidence",
    "09_random_images": "random_images",
    "10_hand_over": "strangers",
    "11_multi_label": "labels_together",
}
THUMBNAIL = (320, 200)  # width and height in pixels
# Lines that another run or machine would print otherwise.
PASSING = re.compile(r"\d%\||\d:\d\d|taken from|^Python \d|CPU cores|https?:|HTTPS")
# How long an epoch took, which stands within its line.
TIMES = re.compile(r"\d+m?s - \d+m?s/(step|epoch) - ")
# How a terminal is told to colour text.
COLOUR = re.compile(r"\x1b\[[\d;]*m")
ON_DEMO = "On the demo"
# An answer that is folded, with its title; where a sentence ends; what stands in code or is a link.
FOLDED = re.compile(r"<details><summary>(.*?)</summary>(.*?)</details>", re.S)
SENTENCE_END = re.compile(r"(?<=[.?!:)])\s+|\n+")
QUOTED = re.compile(r"`[^`]*`|\[[^\]]*\]\([^)]*\)|\bsteps? \d+")
# No number begins with 0 but a share: 02 is a lesson. Nor is one part of a word, as in ResNet50.
NUMBER = re.compile(
    r"(?<![\w.,])(?:[1-9]\d{0,2}(?:,\d{3})+|[1-9]\d*|0)(?:\.\d+)?(?![\w]|\.\d)"
)


def hash_code(notebook: NotebookNode) -> str:
    """Hash the code that a lesson's outputs are of: its cells but the first, which `make colab` changes."""
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    return hashlib.sha256("\0".join(code[1:]).encode()).hexdigest()[:16]


class Pen:
    """Draws HTML as a picture, in a page of a browser."""

    def __init__(self, page: Page):
        self.page = page

    def draw(self, html: str) -> Image.Image:
        """Draw the body of a page on white, and cut off what is white around it."""
        self.page.set_content(f"<body style='font-family: sans-serif'>{html}")
        self.page.wait_for_function("[...document.images].every(i => i.complete)")
        drawn = self.page.screenshot(full_page=True)
        picture = Image.open(io.BytesIO(drawn)).convert("RGB")
        inverted = ImageOps.invert(picture)
        return ImageOps.expand(picture.crop(inverted.getbbox()), MARGIN, "white")


def write_png(picture: Image.Image) -> bytes:
    """Return a PNG of few colours, which suits plots."""
    file = io.BytesIO()
    few = picture.quantize(COLOURS, dither=Image.Dither.NONE)
    few.save(file, "PNG", optimize=True)
    return file.getvalue()


def write_jpeg(picture: Image.Image) -> bytes:
    """Return a JPEG, which suits photographs."""
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=QUALITY, optimize=True)
    return file.getvalue()


def make_bare(html: str) -> str:
    """Return HTML without styles, scripts, classes and ids, of which some are random."""
    soup = BeautifulSoup(html, "html.parser")
    for element in soup.find_all(["style", "script"]):
        element.decompose()
    for element in soup.find_all(True):
        kept = {"href", "colspan", "rowspan", "open"} & set(element.attrs)
        element.attrs = {name: element.attrs[name] for name in sorted(kept)}
    return str(soup).strip()


def convert_data(data: dict, pen: Pen) -> dict:
    """Return one form of what a cell displays: a picture, plain text, or bare HTML.

    Args:
        data: text by its kind, as a notebook has it.
    """
    html = data.get("text/html", "")
    if 'class="plot"' in html or 'class="chart"' in html:
        png = write_png(pen.draw(html))
        return {"image/png": base64.b64encode(png).decode()}
    if "data:image/" in html:
        jpeg = write_jpeg(pen.draw(html))
        return {"image/jpeg": base64.b64encode(jpeg).decode()}
    if "image/png" in data:
        picture = Image.open(io.BytesIO(base64.b64decode(data["image/png"])))
        png = write_png(picture.convert("RGB"))
        return {"image/png": base64.b64encode(png).decode()}
    if html and not html.startswith("<pre"):
        return {"text/html": make_bare(html)}
    if "text/markdown" in data:
        return {"text/markdown": data["text/markdown"]}
    return {"text/plain": COLOUR.sub("", data["text/plain"])}


def clean_text(text: str) -> str:
    """Return the lines that every run and machine prints alike; paths begin in the project."""
    lines = text.replace(f"{REPOSITORY}/", "").splitlines(keepends=True)
    kept = [line for line in lines if "\r" not in line and not PASSING.search(line)]
    return TIMES.sub("", "".join(kept))


def convert_outputs(outputs: list[NotebookNode], pen: Pen) -> Iterator[NotebookNode]:
    """Yield what a lesson keeps of a cell's outputs; lines that follow one another are one."""
    printed = ""
    for output in outputs:
        if output.output_type == "stream":
            if output.name == "stdout":
                printed += output.text
            continue
        if cleaned := clean_text(printed):
            yield new_output("stream", text=cleaned)
        printed = ""
        data = convert_data(output.data, pen)
        yield new_output("display_data", data)
    if cleaned := clean_text(printed):
        yield new_output("stream", text=cleaned)


def write_lesson(path: Path, executed: NotebookNode, pen: Pen) -> NotebookNode:
    """Write the outputs of an executed lesson into its notebook, and return it.

    Raises:
        ValueError: The lesson would be too large, or another one was executed.
    """
    lesson = nbformat.read(path, as_version=4)
    ran = {cell.id: cell for cell in executed.cells}
    number = 0
    for cell in lesson.cells:
        if cell.cell_type != "code":
            continue
        number += 1
        if cell.source != ran[cell.id].source:
            raise ValueError(f"{path.name}: cell {cell.id} has changed since it ran")
        cell.outputs = list(convert_outputs(ran[cell.id].outputs, pen))
        cell.execution_count = number
    lesson.metadata["outputs_of"] = hash_code(lesson)
    text = nbformat.writes(lesson) + "\n"
    if len(text.encode()) > MAX_BYTES:
        raise ValueError(f"{path.name} has {len(text.encode()):,} bytes")
    with atomic_write(path) as part:
        part.write_text(text, encoding="utf-8")
    print(f"{path.name}: {len(text.encode()) / 1e3:,.0f} kB")
    return lesson


def list_said(text: str) -> list[str]:
    """List the sentences of a text cell that tell of the demo: those that begin so, and folded answers."""
    said = [answer for title, answer in FOLDED.findall(text) if title == ON_DEMO]
    for sentence in SENTENCE_END.split(FOLDED.sub("", text)):
        if sentence.startswith(ON_DEMO):
            said.append(sentence)
    return said


def read_numbers(text: str) -> list[str]:
    """List the numbers of a text as they are written, without commas."""
    return [number.replace(",", "") for number in NUMBER.findall(QUOTED.sub("", text))]


def read_output(output: NotebookNode) -> str:
    """Return the text of an output, as a reader sees it."""
    if output.output_type == "stream":
        return output.text
    data = output.get("data", {})
    html = data.get("text/html") or data.get("text/markdown") or ""
    shown = BeautifulSoup(html, "html.parser").get_text(" ")
    return shown or data.get("text/plain", "")


def is_put_out(number: str, values: list[float]) -> bool:
    """Tell whether a value, or a share in per cent, gives the number when it is rounded as that is."""
    decimals = len(number.partition(".")[2])
    for value in values:
        if float(number) in (round(value, decimals), round(100 * value, decimals)):
            return True
    return False


def find_contradictions(lesson: NotebookNode) -> list[str]:
    """List numbers that are said of the demo, and that no cell of their step puts out.

    A step goes from one heading to the next, and what stands above the first is of the whole lesson. A
    step without outputs, as that of the exercises, is not compared.
    """
    steps = [[]]
    for cell in lesson.cells:
        if cell.source.startswith("## "):
            steps.append([])
        steps[-1].append(cell)
    beside = [list_values(cells) for cells in steps]
    beside[0] = list_values(lesson.cells)
    found = []
    for cells, values in zip(steps, beside):
        for cell in cells:
            if values and cell.cell_type == "markdown":
                found += compare_said(cell, values)
    return found


def list_values(cells: list[NotebookNode]) -> list[float]:
    """List all numbers that cells put out."""
    values = []
    for cell in cells:
        for output in cell.get("outputs", []):
            values += map(float, read_numbers(read_output(output)))
    return values


def compare_said(cell: NotebookNode, values: list[float]) -> list[str]:
    """List the numbers of a text cell that are said of the demo and are none of some values."""
    found = []
    for sentence in list_said(cell.source):
        for number in read_numbers(sentence):
            if not is_put_out(number, values):
                found.append(f"{cell.id}: {number} in: {sentence.strip()}")
    return found


def write_thumbnail(name: str, figures: Path, pen: Pen) -> None:
    """Draw what README's table shows of a lesson."""
    (kept,) = figures.glob(f"{PICTURES[name]}.*")
    drawn = pen.draw(show_kept(kept, name).data)
    width, height = THUMBNAIL
    small = ImageOps.contain(drawn, (width, drawn.height))
    shown = small.crop((0, 0, width, min(height, small.height)))
    THUMBNAILS.mkdir(parents=True, exist_ok=True)
    (THUMBNAILS / f"{name}.png").write_bytes(write_png(shown))


def run_lessons(results: Path) -> dict[str, NotebookNode]:
    """Run 00, which runs all others on the demo; return them as executed, by name."""
    form = {"RESULTS": str(results), "RUN": "all and beyond"}
    form["OPTIONS"] = "-p DETERMINISTIC true"
    first = papermill.execute_notebook(
        NOTEBOOKS / "00_start_here.ipynb", None, form, cwd=NOTEBOOKS
    )
    executed = {"00_start_here": first}
    for path in sorted((results / "notebooks").glob("*.ipynb")):
        executed[path.stem] = nbformat.read(path, as_version=4)
    return executed


def main(results: Path) -> None:
    """Run all lessons, and write what they put out into their notebooks.

    Raises:
        SystemExit: Lessons, which are written all the same, say numbers that they don't put out.
    """
    executed = run_lessons(results)
    contradictions = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=find_browser(), args=["--no-sandbox"]
        )
        page = browser.new_page(viewport={"width": WIDTH, "height": 800})
        pen = Pen(page)
        for name, ran in executed.items():
            lesson = write_lesson(NOTEBOOKS / f"{name}.ipynb", ran, pen)
            contradictions += find_contradictions(lesson)
            write_thumbnail(name, results / "figures", pen)
        browser.close()
    if contradictions:
        raise SystemExit("\n".join(contradictions))


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
