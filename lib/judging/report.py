"""One HTML page, readable without network, from the executed evaluation and random-image notebooks."""

import html
from pathlib import Path

import nbformat
from nbconvert import HTMLExporter

from lib.storage import whole_file

NOTEBOOKS = ("05_evaluation", "06_random_images")
# Cells that serve whoever runs a notebook and tell a reader of the report nothing.
LEFT_OUT = {"parameters", "injected-parameters", "no-report"}
STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.55 system-ui, sans-serif; color: #222; margin: 0 auto; padding: 1rem 1.2rem 4rem;
  max-width: 62rem; }
h1 { font-size: 1.7rem; margin: 2.2rem 0 .6rem; } h2 { font-size: 1.25rem; margin: 1.9rem 0 .5rem; }
h3 { font-size: 1.05rem; } a.anchor-link { display: none; }
img { max-width: 100%; height: auto; }
pre { font-size: .85rem; overflow-x: auto; background: #f6f7f9; padding: .7rem .9rem; border-radius: 6px; }
code { background: #f6f7f9; padding: 0 .2em; }
blockquote { margin: 1rem 0; padding: .5rem 1rem; border-left: 4px solid #e07b00; background: #fdf4e8; }
div:has(> table), .rendered_html, .output_png { overflow-x: auto; }
table { border: 0; border-collapse: collapse; font-size: .88rem; margin: .6rem 0; }
th, td { border: 0; padding: .3rem .7rem; border-bottom: 1px solid #ddd; text-align: right; vertical-align: top; }
th { background: #f6f7f9; } tbody th { text-align: left; }
@media screen { pre { max-height: 32rem; overflow-y: auto; } .dataframe td { white-space: nowrap; } }
@media screen and (max-width: 40rem) { .output_png img { max-width: none; width: 44rem; } }
@media print { html { font-size: 11px; } body { font-size: 1rem; max-width: none; padding: 0; }
  img, tr { break-inside: avoid; } th, td { padding: .2rem .4rem; overflow-wrap: anywhere; } }
"""
PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
{body}
</body>
</html>
"""


def write_report(ws) -> Path | None:
    """Write report.html from those of the two executed notebooks that there are.

    Args:
        ws: the workspace.

    Returns:
        Its path, or None when neither notebook was executed.
    """
    cells = []
    for name in NOTEBOOKS:
        path = ws.results / "notebooks" / f"{name}.ipynb"
        if path.exists():
            cells += nbformat.read(path, as_version=4).cells
    if not cells:
        return None
    cells = [cell for cell in cells if not LEFT_OUT & set(cell.metadata.get("tags", []))]
    for cell in cells:
        # Bars and warnings on stderr are for whoever runs the notebook.
        if cell.cell_type == "code":
            cell.outputs = [o for o in cell.outputs if o.get("name") != "stderr"]
    exporter = HTMLExporter(
        template_name="basic",
        exclude_input=True,
        exclude_input_prompt=True,
        exclude_output_prompt=True,
        embed_images=True,
    )
    body, _ = exporter.from_notebook_node(nbformat.v4.new_notebook(cells=cells))
    title = html.escape(f"Three image classifiers compared: {ws.train}")
    path = ws.file("report.html")
    with whole_file(path) as part:
        part.write_text(PAGE.format(title=title, style=STYLE, body=body), encoding="utf-8")
    return path
