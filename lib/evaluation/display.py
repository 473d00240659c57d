"""Figures, galleries and pages: how they are kept as files and shown."""

import base64
import hashlib
import io
import os
from html import escape
from pathlib import Path

import jinja2
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import HTML, display
from matplotlib.figure import Figure
from PIL import Image

from lib.base.escapes import escape_text
from lib.base.storage import atomic_write
from lib.base.workspace import Workspace
from lib.data import pictures
from lib.evaluation import wording

TEMPLATES = Path(__file__).with_name("templates")


def show(ws: Workspace, drawn: Figure | str | None, name: str) -> None:
    """Keep a figure as `figures/<name>.svg` of the results, or a gallery as `<name>.html`, and display it.

    What an earlier run has kept by that name is removed first; None only removes it.
    """
    for suffix in (".html", ".svg"):
        ws.file("figures", name + suffix).unlink(missing_ok=True)
    if drawn is None:
        return
    path = ws.file("figures", f"{name}.html")
    text = drawn
    if isinstance(drawn, Figure):
        path = path.with_name(f"{name}.svg")
        text = _write_svg(drawn)
    with atomic_write(path) as part:
        # In ASCII no browser has to guess the encoding.
        part.write_text(text, encoding="ascii", errors="xmlcharrefreplace")
    display(show_kept(path, name))


def show_kept(path: Path, label: str) -> HTML:
    """Show a kept figure or gallery, as `embed` returns it, in a notebook."""
    style = (TEMPLATES / "gallery.css").read_text(encoding="utf-8")
    return HTML(f"<style>{style}</style>{embed(path, label)}")


def _write_svg(figure):
    file = io.StringIO()
    # The layout of square axes is right the second time only.
    figure.draw_without_rendering()
    figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    plt.close(figure)
    return file.getvalue()


def embed(path: Path, label: str) -> str:
    """Return a kept figure or gallery as HTML, for a page with the rules of gallery.css.

    `label` is what screen readers say of a figure.
    """
    if path.suffix == ".html":
        return path.read_text(encoding="ascii")
    source = f"data:image/svg+xml;base64,{encode(path.read_bytes())}"
    style = "max-width: 100%; background: white"
    return f'<img class="plot" style="{style}" alt="{escape(label)}" src="{source}">'


def encode(data: bytes) -> str:
    """Write bytes as text (base64), as pages hold them."""
    return base64.b64encode(data).decode()


def embed_picture(picture: Path | np.ndarray, long_side: int) -> str:
    """Return the address of a picture, which is a WebP file in itself.

    Args:
        picture: a file, or uint8 (height, width, 3).
        long_side: how many pixels it may have on a side.

    Raises:
        PictureError: the file can't be read.
    """
    if isinstance(picture, Path):
        picture = pictures.open_upright(picture, long_side)
    shown = Image.fromarray(picture)
    shown.thumbnail((long_side, long_side))
    file = io.BytesIO()
    shown.save(file, "WEBP", quality=75)
    return f"data:image/webp;base64,{encode(file.getvalue())}"


def hash_text(text: str) -> str:
    """Hash a script or style as a page's policy names it, which allows no other."""
    return encode(hashlib.sha256(text.encode()).digest())


def open_template(name: str) -> jinja2.Template:
    """Open a file of `templates`.

    Names are escaped for HTML; Markdown escapes them by the filter `text`. Templates may call
    the functions of `wording`, and embed pictures.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        autoescape=".html" in name,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        text=escape_text,
        number=wording.format_number,
        embed=embed,
        embed_picture=embed_picture,
        relative=os.path.relpath,
    )
    environment.globals.update(vars(wording), hash_text=hash_text)
    return environment.get_template(name)


def save_page(ws: Workspace, name: str, **content: object) -> str:
    """Write a page of the results from its template; return a line on how large it is."""
    text = open_template(f"{name}.jinja").render(
        content, demo=ws.is_demo, results=ws.results
    )
    path = ws.file(name)
    with atomic_write(path) as part:
        part.write_text(text, encoding="utf-8")
    return f"{name}: {path.stat().st_size / 1e6:.1f} MB"


def show_part(name: str, value: object, **options: object) -> HTML:
    """Show what a macro of parts.html.jinja says of a value, with its options."""
    macro = getattr(open_template("parts.html.jinja").module, name)
    return HTML(str(macro(value, **options)))
