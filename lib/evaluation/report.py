"""One HTML page, readable without network, from the executed notebooks 08 and 09."""

import base64
import io
import json
import re
from pathlib import Path

import nbformat
from nbconvert import HTMLExporter
from PIL import Image

from lib.data.split import read_split
from lib.storage import whole_file

NOTEBOOKS = ("08_evaluation", "09_random_images")
# Cells that serve whoever runs a notebook and tell a reader of the report nothing.
LEFT_OUT = {"parameters", "injected-parameters", "no-report"}
STYLE = """
:root { color-scheme: light dark; --text: #222; --page: #fff; --soft: #f2f4f7; --line: #d5d9de; --link: #0b57a4;
  --warn: #fdf4e8; }
@media screen and (prefers-color-scheme: dark) { :root { --text: #e4e6e9; --page: #14171b; --soft: #20252b;
  --line: #3c434c; --link: #8ab8f5; --warn: #33291a; } }
body { font: 16px/1.55 system-ui, sans-serif; color: var(--text); background: var(--page); margin: 0 auto;
  padding: 1rem 1.2rem 4rem; max-width: 62rem; overflow-wrap: break-word; }
h1 { font-size: 1.7rem; margin: 1.2rem 0 .6rem; } h2 { font-size: 1.25rem; margin: 1.9rem 0 .5rem; }
h3 { font-size: 1.05rem; } a { color: var(--link); }
nav ol { columns: 15rem; padding: 0; list-style: none; font-size: .92rem; }
pre, code, th { background: var(--soft); } code { padding: 0 .2em; }
pre { font-size: .85rem; padding: .7rem .9rem; margin: 0; box-sizing: border-box; width: max-content; min-width: 100%; }
blockquote { margin: 1rem 0; padding: .5rem 1rem; border-left: 4px solid #e07b00; background: var(--warn); }
.scroll { overflow: auto; margin: .7rem 0; } .scroll:focus-visible { outline: 3px solid var(--link); }
img { max-width: 100%; height: auto; background: #fff; border-radius: 4px; }
table { border-collapse: collapse; font-size: .88rem; }
th, td { padding: .3rem .7rem; border-bottom: 1px solid var(--line); text-align: right; vertical-align: top; }
th { max-width: 20rem; } tbody th { text-align: left; min-width: 15rem; overflow-wrap: anywhere; }
@media screen { .scroll:has(pre) { max-height: 36rem; } .dataframe td { white-space: nowrap; } }
@media screen and (max-width: 40rem) { img { max-width: none; width: 44rem; } }
@media print { pre { width: auto; white-space: pre-wrap; } html { font-size: 11px; } body { font-size: 1rem; max-width: none; padding: 0; }
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
<header><h1>{title}</h1></header>
<nav aria-label="Contents"><ol>{contents}</ol></nav>
<main>{body}</main>
</body>
</html>
"""
PIECE = re.compile(r"<h([2-6])[^>]*>(.*?)</h\1>|<table.*?</table>|<pre.*?</pre>|<img[^>]*>", re.S)


def write_report(ws) -> Path | None:
    """Write report.html from those of the two notebooks that were executed; None if none was."""
    paths = [ws.results / "notebooks" / f"{name}.ipynb" for name in NOTEBOOKS]
    bodies = [render_notebook(path) for path in paths if path.exists()]
    if not bodies:
        return None
    # The title says what the first heading would; those of a second notebook go one level down.
    bodies[0] = re.sub("<h1.*?</h1>", "", bodies[0], flags=re.S)
    for number, body in enumerate(bodies[1:], 1):
        bodies[number] = re.sub(r"(</?h)(\d)", lambda tag: f"{tag[1]}{int(tag[2]) + 1}", body)
    headings = []
    body = PIECE.sub(lambda piece: _mend(piece, headings), "".join(bodies))
    sections = re.findall('<h2 id="(.*?)">(.*?)</h2>', body, re.S)
    contents = "\n".join(f'<li><a href="#{place}">{text}</a></li>' for place, text in sections)
    page = PAGE.format(title=make_title(ws), style=STYLE, contents=contents, body=body)
    path = ws.file("report.html")
    with whole_file(path) as part:
        part.write_text(page, encoding="utf-8")
    return path


def make_title(ws) -> str:
    """Say how many models there are, for how many classes, and from how many pictures."""
    split = read_split(ws)
    # Runs of a model with further seeds are named <name>@<seed>.
    judged = ws.results / "metrics.json"
    names = [path.stem for path in ws.results.glob("models/*.json")]
    if judged.exists():
        names = json.loads(judged.read_text(encoding="utf-8"))
    names = {name.split("@")[0] for name in names}
    models = "1 image classifier" if len(names) == 1 else f"{len(names)} image classifiers"
    return f"{models} for {split.label.nunique()} classes, from {len(split):,} pictures"


def render_notebook(path: Path) -> str:
    """Return the text and the outputs of an executed notebook as HTML."""
    cells = nbformat.read(path, as_version=4).cells
    cells = [cell for cell in cells if not LEFT_OUT & set(cell.metadata.get("tags", []))]
    for cell in cells:
        # Bars and warnings on stderr are for whoever runs the notebook.
        if cell.cell_type == "code":
            cell.outputs = [o for o in cell.outputs if o.get("name") != "stderr"]
    hidden = dict(exclude_input=True, exclude_input_prompt=True, exclude_output_prompt=True)
    exporter = HTMLExporter(template_name="basic", exclude_anchor_links=True, **hidden)
    body, _ = exporter.from_notebook_node(nbformat.v4.new_notebook(cells=cells))
    return re.sub("<style scoped.*?</style>", "", body, flags=re.S)


def shrink_picture(address: re.Match) -> str:
    """Return a PNG in base 64 (the first group) smaller: with a palette (plots), or WebP (photos)."""
    picture = Image.open(io.BytesIO(base64.b64decode(address[1]))).convert("RGB")
    plot, photo = io.BytesIO(), io.BytesIO()
    picture.quantize(dither=Image.Dither.NONE).save(plot, "png", optimize=True)
    picture.save(photo, "webp", quality=88)
    kind, file = ("png", plot) if plot.tell() < photo.tell() else ("webp", photo)
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"


def _mend(piece: re.Match, headings: list[str]) -> str:
    """Return a heading with its place, or a table, text or picture that a keyboard can scroll."""
    text, level = piece[0], piece[1]
    if level:
        headings.append(piece[2])
        return f'<h{level} id="part-{len(headings)}">{piece[2]}</h{level}>'
    kind = "Text"
    if text.startswith("<table"):
        kind, text = "Table", _mend_table(text)
    elif text.startswith("<img"):
        kind, text = "Figure", re.sub('data:image/png;base64,([^"]*)', shrink_picture, text)
    heading = re.sub("<.*?>", "", headings[-1]).replace('"', "&quot;") if headings else "start"
    name = f"{kind}: {heading}"
    return f'<div class="scroll" role="group" tabindex="0" aria-label="{name}">{text}</div>'


def _mend_table(table: str) -> str:
    """Return a table that says what each header is for, without empty headers."""
    table = re.sub(r"<th[^>]*>(&nbsp;|\s)*</th>", "<td></td>", table.replace(' border="1"', ""))
    head, end, body = table.rpartition("</thead>")
    head = re.sub(r"<th\b", '<th scope="col"', head)
    return head + end + re.sub(r"<th\b", '<th scope="row"', body)
