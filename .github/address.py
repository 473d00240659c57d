"""make colab REPO=owner/name: the address for Colab, written into the notebooks and the README."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COLAB = "https://colab.research.google.com"
FIRST = "blob/main/notebooks/00_start_here.ipynb"
BADGE = f"[![Open in Colab]({COLAB}/assets/colab-badge.svg)]({COLAB}/github/%s/{FIRST})"
# A name of GitHub is not of dots alone.
NAME = r"(?!\.+(/|$))[\w.-]+"


def write_address(repository: str) -> None:
    """Write owner/name, in place of another; whatever else is in these files stays as it is."""
    if not re.fullmatch(f"{NAME}/{NAME}", repository):
        sys.exit(f"{repository!r} is not owner/name. Write: make colab REPO=owner/name")
    for path in ROOT.glob("notebooks/*.ipynb"):
        # As JSON has it, which is changed in no other place.
        text = path.read_bytes().decode()
        text = re.sub(
            r'REPOSITORY = \\".*?\\"', rf'REPOSITORY = \\"{repository}\\"', text
        )
        path.write_bytes(text.encode())
    readme = ROOT / "README.md"
    text = readme.read_bytes().decode()
    end = "\r\n\r\n" if "\r\n" in text else "\n\n"
    ours = re.escape(BADGE + end).replace("%s", NAME + "/" + NAME)
    text = re.sub(ours, "", text)
    text = text.replace(end, end + BADGE % repository + end, 1)
    readme.write_bytes(text.encode())


if __name__ == "__main__":
    write_address(" ".join(sys.argv[1:]))
