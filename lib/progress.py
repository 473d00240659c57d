"""How far long work is: bars of tqdm, and the line of a notebook that the chain runs."""

import io
import re
import sys

from IPython import get_ipython
from IPython.display import display
from tqdm import tqdm

# A bar of tqdm: what it is about, the share done, time left, epoch; or the cells of papermill.
BAR = re.compile(
    r"(\w[^\r\n:]*): +(\d+%)\|.*?<([\d:]+)(?:.*?(epoch=[\d/]+))?|(\d+ of \d+ cells|Another run.*)"
)


def show_progress(steps=None, desc: str = "", total: int | None = None, **options) -> tqdm:
    """Return a bar of tqdm over some steps: in a notebook on stdout, where it isn't red, else on stderr.

    One step, or none, has no bar.
    """
    total = len(steps) if total is None else total
    in_notebook = type(sys.stderr).__module__.startswith("ipykernel")
    file = sys.stdout if in_notebook else sys.stderr
    return tqdm(steps, desc, total, file=file, disable=total < 2, **options)


class Line(io.TextIOBase):
    """The line of one notebook: how far it is, on a terminal and in a notebook, and how it ended."""

    def __init__(self, name: str):
        self.beginning, self.handle = f"{name:<22} … ", None
        if get_ipython():
            self.handle = display(self._bundle("begins"), raw=True, display_id=True)
        else:
            print(self.beginning, end="", flush=True)

    def _bundle(self, words: str) -> dict[str, str]:
        return {"text/plain": self.beginning + words}

    def write(self, text: str) -> None:
        """Take what a notebook writes: show its cell; of a bar the share done, time left and epoch."""
        bars = list(BAR.finditer(text))
        if bars and (self.handle or sys.stdout.isatty()):
            self.update(", ".join(filter(None, bars[-1].groups())))

    def update(self, words: str, end: str = "") -> None:
        """Show some words in place of those before."""
        if self.handle:
            self.handle.update(self._bundle(words), raw=True)
        else:
            again = f"\r\033[K{self.beginning}" if sys.stdout.isatty() else ""
            print(again + words, end=end, flush=True)
