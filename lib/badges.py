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
    readme = root / "README.md"
    page = re.sub(BADGE, "", readme.read_text(encoding="utf-8"))
    for path in sorted(root.glob("notebooks/*.ipynb")):
        address = f"{COLAB}/github/{repository}/blob/main/notebooks/{path.name}"
        badge = f"[![Open in Colab]({COLAB}/assets/colab-badge.svg)]({address})"
        page = page.replace(f"\n| `{path.stem}` |", f"\n| `{path.stem}` {badge} |", 1)
        notebook = nbformat.read(path, as_version=4)
        for cell in notebook.cells:
            text = re.sub(BADGE, "", cell.source)
            text = text.replace("\n| | |\n", f"\n{badge}\n\n| | |\n")
            cell.source = re.sub('REPOSITORY = ".*?"', f'REPOSITORY = "{repository}"', text)
        path.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")
    readme.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    try:
        write_address(" ".join(sys.argv[1:]))
    except ValueError as error:
        sys.exit(str(error))
