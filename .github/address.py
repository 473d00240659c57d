"""make colab REPO=owner/name: the address for Colab, written into the notebooks and the README."""

import re
import sys
from pathlib import Path

ROOT, COLAB = Path(__file__).resolve().parents[1], "https://colab.research.google.com"


def write_address(repository: str) -> None:
    """Write owner/name, in place of another."""
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
        sys.exit(f"{repository!r} is not owner/name. Write: make colab REPO=owner/name")
    for path in ROOT.glob("notebooks/*.ipynb"):
        # As JSON has it, which is changed in no other place.
        text = path.read_text(encoding="utf-8")
        text = re.sub(
            r'REPOSITORY = \\".*?\\"', rf'REPOSITORY = \\"{repository}\\"', text
        )
        path.write_text(text, encoding="utf-8")
    address = f"{COLAB}/github/{repository}/blob/main/notebooks/00_start_here.ipynb"
    badge = f"[![Open in Colab]({COLAB}/assets/colab-badge.svg)]({address})\n\n"
    text = re.sub(
        r"\[!\[Open in Colab\].*\n\n", "", (ROOT / "README.md").read_text("utf-8")
    )
    (ROOT / "README.md").write_text(
        text.replace("\n\n", f"\n\n{badge}", 1), encoding="utf-8"
    )


if __name__ == "__main__":
    write_address(" ".join(sys.argv[1:]))
