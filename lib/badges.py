"""Where the project lies on GitHub: written into the bootstrap cells, and into the badge of the README.

python -m lib.badges owner/name

It needs nothing but Python.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BADGE = re.compile(r"\[!\[Open in Colab\]\(\S+\)\]\(\S+\)\n\n")
COLAB = "https://colab.research.google.com"


def write_address(repository: str, root: Path = ROOT) -> None:
    """Write owner/name into the notebooks and the README below `root`, in place of another.

    Raises:
        ValueError: `repository` is not of the form owner/name.
    """
    repository = repository.removesuffix(".git")
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
        raise ValueError(f"{repository!r} is not owner/name. Write: make colab REPO=owner/name")
    for path in root.glob("notebooks/*.ipynb"):
        # As JSON has it, which is changed in no other place.
        text = path.read_text(encoding="utf-8")
        text = re.sub(r'REPOSITORY = \\".*?\\"', rf'REPOSITORY = \\"{repository}\\"', text)
        path.write_text(text, encoding="utf-8")
    address = f"{COLAB}/github/{repository}/blob/main/notebooks/00_start_here.ipynb"
    badge = f"[![Open in Colab]({COLAB}/assets/colab-badge.svg)]({address})"
    readme = root / "README.md"
    title, rest = BADGE.sub("", readme.read_text(encoding="utf-8")).split("\n\n", 1)
    readme.write_text(f"{title}\n\n{badge}\n\n{rest}", encoding="utf-8")


if __name__ == "__main__":
    try:
        write_address(" ".join(sys.argv[1:]))
    except ValueError as error:
        sys.exit(str(error))
