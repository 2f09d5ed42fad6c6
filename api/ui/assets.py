"""Files that pages load: those of Swagger UI, which a wheel brings, and our own beside this module."""

import gzip
import hashlib
import importlib.util
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

# Of the wheel nothing but these files is used: its page has a script written into it, which our policy forbids.
_WHEEL = "flask_swagger_ui"
_OF_WHEEL = ("swagger-ui-bundle.js", "swagger-ui.css", "favicon-32x32.png")
_OWN = ("start.js", "look.css", "reading.css")
_MEDIA_TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".png": "image/png"}


@dataclass(frozen=True)
class Asset:
    """One file."""

    path: Path

    @property
    def media_type(self) -> str:
        return _MEDIA_TYPES[self.path.suffix]

    @property
    def is_compressible(self) -> bool:
        """Return whether compression makes it smaller, which it does not with pictures."""
        return self.path.suffix != ".png"

    @cached_property
    def packed(self) -> bytes:
        """The file by gzip, packed once in each process that is asked for it."""
        return gzip.compress(self.path.read_bytes(), mtime=0)


def find(name: str) -> Asset | None:
    """Return the file of this name."""
    return _assets().get(name)


@cache
def version() -> str:
    """Return what stands for these files as they are, so that browsers may keep them for good."""
    digest = hashlib.sha256()
    for asset in _assets().values():
        digest.update(asset.path.read_bytes())
    return digest.hexdigest()[:12]


@cache
def _assets() -> dict[str, Asset]:
    found = importlib.util.find_spec(_WHEEL)
    if found is None or found.origin is None:
        raise RuntimeError("flask-swagger-ui is not installed: pip install -r requirements.txt")
    folders = {Path(found.origin).parent / "dist": _OF_WHEEL, Path(__file__).parent / "static": _OWN}
    return {name: Asset(folder / name) for folder, names in folders.items() for name in names}
