"""The lessons of the last run as pages for print and phone, what is folded left out."""

import sys
from html import escape
from pathlib import Path

import nbformat
from nbconvert import HTMLExporter
from traitlets.config import Config

from lib import workspace
from lib.storage import atomic_write

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body {{ max-width: 52em; margin: auto; padding: 0 1em; font: 1em/1.5 sans-serif; }}
pre {{ font-size: 0.85em; white-space: pre-wrap; overflow-wrap: anywhere; }}
.input pre {{ background: #f3f3f3; padding: 0.5em; }}
.output_subarea, .text_cell {{ overflow-x: auto; }}
table {{ border-collapse: collapse; }} td, th {{ border: 1px solid #ccc; padding: 0.2em 0.5em; }}
.anchor-link {{ display: none; }}
@media print {{ pre, img, table, details {{ break-inside: avoid; }} }}
</style>
{body}</html>
"""


def write_handouts(ws) -> list[Path]:
    """Write each executed lesson of `notebooks/` in the results as a page of `handouts/`.

    A FileNotFoundError where the chain has not run.
    """
    folded = Config(
        {"TagRemovePreprocessor": {"enabled": True, "remove_input_tags": {"folded"}}}
    )
    options = dict(
        template_name="basic", exclude_input_prompt=True, exclude_output_prompt=True
    )
    exporter, written = HTMLExporter(config=folded, **options), []
    for path in sorted((ws.results / "notebooks").glob("*.ipynb")):
        lesson = nbformat.read(path, as_version=4)
        for cell in lesson.cells:
            if cell.metadata.get("jupyter", {}).get("source_hidden"):
                cell.metadata["tags"] = [*cell.metadata.get("tags", []), "folded"]
        body = exporter.from_notebook_node(lesson)[0].replace('.ipynb">', '.html">')
        page = ws.file("handouts", f"{path.stem}.html")
        with atomic_write(page) as part:
            part.write_text(
                PAGE.format(title=escape(path.stem), body=body), encoding="utf-8"
            )
        written.append(page)
    if not written:
        raise FileNotFoundError(
            f"{ws.results} has no executed lesson: run the chain first."
        )
    return written


if __name__ == "__main__":
    try:
        print(*write_handouts(workspace.open(*sys.argv[1:])), sep="\n")
    except FileNotFoundError as error:
        sys.exit(str(error))
