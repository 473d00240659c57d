"""Where the project lies on GitHub: written into the bootstrap cells and the "Open in Colab" badges.

python -m lib.badges owner/name
"""

import re
import sys
from pathlib import Path

import nbformat

from lib.workspace import REPOSITORY

BADGE = r"\[!\[Open in Colab\]\(\S+\)\]\(\S+\)\s*"
COLAB = "https://colab.research.google.com"


def write_address(repository: str, root: Path = REPOSITORY) -> None:
    """Write owner/name into the notebooks and the README below `root`, in place of another.

    Raises:
        ValueError: `repository` is not of the form owner/name.
    """
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
        raise ValueError(f"{repository!r} is not owner/name. Write: make colab REPO=owner/name")
    paths = sorted(root.glob("notebooks/*.ipynb"))
    for path in paths:
        notebook = nbformat.read(path, as_version=4)
        for cell in notebook.cells:
            badge = make_badge(repository, path.stem)
            text = re.sub(BADGE, "", cell.source)
            text = text.replace("\n| | |\n", f"\n{badge}\n\n| | |\n")
            cell.source = re.sub('REPOSITORY = ".*?"', f'REPOSITORY = "{repository}"', text)
        path.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")
    readme = root / "README.md"
    before, heading, table = readme.read_text(encoding="utf-8").partition("\n## The notebooks\n")
    names = "|".join(path.stem for path in paths)
    table = re.sub(
        rf"^\| `({names})` ({BADGE})?\|",
        lambda row: f"| `{row[1]}` {make_badge(repository, row[1])} |",
        table,
        count=len(paths),
        flags=re.M,
    )
    readme.write_text(before + heading + table, encoding="utf-8")


def make_badge(repository: str, name: str) -> str:
    """Return the Markdown of the badge that opens a notebook in Colab."""
    address = f"{COLAB}/github/{repository}/blob/main/notebooks/{name}.ipynb"
    return f"[![Open in Colab]({COLAB}/assets/colab-badge.svg)]({address})"


if __name__ == "__main__":
    try:
        write_address(" ".join(sys.argv[1:]))
    except ValueError as error:
        sys.exit(str(error))
