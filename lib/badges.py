"""Where the project lies on GitHub: written into the bootstrap cells and the "Open in Colab" badges.

python -m lib.badges owner/name

It needs nothing but Python.
"""

import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BADGE = r"\[!\[Open in Colab\]\(\S+\)\]\(\S+\)\s*"
COLAB = "https://colab.research.google.com"


def write_address(repository: str, root: Path = ROOT) -> None:
    """Write owner/name into the notebooks and the README below `root`, in place of another.

    Raises:
        ValueError: `repository` is not of the form owner/name.
    """
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
        raise ValueError(f"{repository!r} is not owner/name. Write: make colab REPO=owner/name")
    for path in sorted(root.glob("notebooks/*.ipynb")):
        badge = write_badge(repository, path.name)
        notebook = json.loads(path.read_text(encoding="utf-8"))
        for cell in notebook["cells"]:
            text = re.sub(BADGE, "", "".join(cell["source"]))
            text = text.replace("\n| | |\n", f"\n{badge}\n\n| | |\n")
            text = re.sub('REPOSITORY = ".*?"', f'REPOSITORY = "{repository}"', text)
            cell["source"] = text.splitlines(keepends=True)
        text = json.dumps(notebook, indent=1, ensure_ascii=False)
        path.write_text(text + "\n", encoding="utf-8")
    readme = root / "README.md"
    page = re.sub(BADGE, "", readme.read_text(encoding="utf-8"))
    title, rest = page.split("\n\n", 1)
    badge = write_badge(repository, "00_start_here.ipynb")
    readme.write_text(f"{title}\n\n{badge}\n\n{rest}", encoding="utf-8")


def write_badge(repository: str, name: str) -> str:
    """Return the Markdown of a badge that opens a notebook in Colab."""
    address = f"{COLAB}/github/{repository}/blob/main/notebooks/{name}"
    return f"[![Open in Colab]({COLAB}/assets/colab-badge.svg)]({address})"


if __name__ == "__main__":
    try:
        write_address(" ".join(sys.argv[1:]))
    except ValueError as error:
        sys.exit(str(error))
