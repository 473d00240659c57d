"""The lessons as pages to hand out."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from lib import handouts


def test_a_handout_leaves_out_folded_code_keeps_what_it_shows_and_leads_to_the_next(ws):
    with pytest.raises(
        FileNotFoundError, match="has no executed lesson: run the chain first"
    ):
        handouts.write_handouts(ws)
    folded, open_cell = new_code_cell("plumbing = 1"), new_code_cell("lesson = 2")
    folded.metadata["jupyter"] = {"source_hidden": True}
    folded.outputs = [
        new_output("display_data", {"text/html": "<img src='data:figure'>"})
    ]
    link = new_markdown_cell("**Next:** [03_next](03_next.ipynb)")
    path = ws.file("notebooks", "02_lesson.ipynb")
    nbformat.write(new_notebook(cells=[folded, open_cell, link]), path)
    (page,) = handouts.write_handouts(ws)
    text = page.read_text(encoding="utf-8")
    assert (
        page == ws.results / "handouts/02_lesson.html"
        and "<title>02_lesson</title>" in text
    )
    assert "plumbing" not in text and "data:figure" in text and "lesson" in text
    assert 'href="03_next.html"' in text
