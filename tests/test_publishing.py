"""notebooks/publishing.md does what it says: its code runs on results that hold several cards."""

import re
import sys
from types import SimpleNamespace

import pytest

from lib.base.workspace import REPOSITORY

PAGE = REPOSITORY / "notebooks/publishing.md"
NAME = "efficientnet_lite2_linear"  # as the page has it


@pytest.fixture
def uploaded(tmp_path, monkeypatch):
    """What each call of the Hub was handed, of results where another card lies, too."""
    calls = []

    def note(*names, **options):
        calls.append(options)
        return SimpleNamespace(repo_id="me/mine")

    hub = SimpleNamespace(create_repo=note, upload_file=note, upload_folder=note)
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    (tmp_path / "results/models").mkdir(parents=True)
    for name in ("an_earlier_one", NAME):
        (tmp_path / f"results/models/{name}.md").touch()
    monkeypatch.chdir(tmp_path)
    known = {}
    for code in re.findall("```python\n(.*?)```", PAGE.read_text("utf-8"), re.S):
        exec(code, known)
    return calls


def test_card_of_the_named_model_goes_first_and_its_files_follow(uploaded):
    card, files = uploaded[1:3]
    assert card["path_or_fileobj"] == f"results/models/{NAME}.md"
    assert card["path_in_repo"] == "README.md"
    assert files["allow_patterns"] == f"{NAME}.[jk]*"
    page = uploaded[-1]
    assert page["path_or_fileobj"] == "results/model.html"
