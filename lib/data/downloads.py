"""What is downloaded: data of Kaggle, and single pictures of the web."""

import hashlib
import re
import urllib.request
from http.client import HTTPException
from pathlib import Path

from lib.data.pictures import PictureError
from lib.storage import whole_file

REMEDIES = {
    401: "Kaggle does not know you. Store an API token of your settings there as KAGGLE_API_TOKEN in "
    "Colab's secrets or the environment; KAGGLE_USERNAME and KAGGLE_KEY: from the environment alone.",
    403: "Kaggle refuses. Join there, accept the rules, then run this again.",
    404: "There is no such page: compare its address in the browser.",
    None: "Kaggle can't be reached, or the data did not arrive whole. Try again with network.",
}


def download(name: str) -> Path:
    """Download competitions/NAME or datasets/OWNER/NAME of Kaggle, and return its place.

    What follows the name is a folder or an archive in the data. A ValueError names a wrong form or
    a missing folder; a ConnectionError says why Kaggle gives no data, and what to do.
    """
    form = re.fullmatch("(competitions/[^/]+|datasets/[^/]+/[^/]+)/?(.*)", name.strip("/"))
    if not form:
        raise ValueError(f"{name}: not kaggle:competitions/NAME or kaggle:datasets/OWNER/NAME.")
    page, inside = form.groups()
    kind, handle = page.split("/", 1)
    try:
        import kagglehub

        path = Path(getattr(kagglehub, f"{kind.removesuffix('s')}_download")(handle), inside)
    except ImportError as error:
        raise ConnectionError(f"kaggle:{name} needs kagglehub: pip install kagglehub") from error
    except Exception as error:
        status = getattr(getattr(error, "response", None), "status_code", None)
        if type(error).__name__ in ("UnauthenticatedError", "CredentialError"):
            status = 401
        remedy = REMEDIES.get(status, "Kaggle answers with an error: try again later.")
        raise ConnectionError(f"https://www.kaggle.com/{page}: {remedy} ({error})")
    if not path.exists():
        raise ValueError(f"kaggle:{name} was downloaded, but there is no {path}.")
    return path


def fetch(address: str, folder: Path) -> Path:
    """Download a picture of the web once, and return its place in the folder.

    A PictureError says not_downloaded, and its cause why.
    """
    try:
        place = folder / hashlib.sha256(address.encode()).hexdigest()[:32]
        if not place.exists():
            folder.mkdir(parents=True, exist_ok=True)
            # Some sites refuse whoever gives no name.
            request = urllib.request.Request(address, headers={"User-Agent": "image-classifiers"})
            with urllib.request.urlopen(request, timeout=30) as answer, whole_file(place) as part:
                part.write_bytes(answer.read())
    except (OSError, ValueError, HTTPException) as error:
        raise PictureError("not_downloaded", address) from error
    return place
