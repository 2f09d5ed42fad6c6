"""Media types and encodings of bodies, and the refusal of others (RFC 9110, section 15.5.16)."""

from typing import Any

from flask import Response, request
from werkzeug.exceptions import UnsupportedMediaType

JSON = "application/json"
# RFC 7396: a change is an object of the new values, which is what every PATCH here takes as JSON, too.
MERGE_PATCH = "application/merge-patch+json"
PATCH_TYPES = (JSON, MERGE_PATCH)
MULTIPART = "multipart/form-data"
URLENCODED = "application/x-www-form-urlencoded"


class WrongType(UnsupportedMediaType):
    """The body is of another type than the operation takes."""

    def __init__(self, *types: str) -> None:
        super().__init__()
        self.sentence = f"The body must be {' or '.join(types)}."
        # RFC 5789, section 3.1, has a header of its own for PATCH.
        self.extra_headers = {"Accept": ", ".join(types)} | (
            {"Accept-Patch": ", ".join(types)} if request.method == "PATCH" else {}
        )


class WrongEncoding(UnsupportedMediaType):
    """The body is compressed or otherwise encoded."""

    sentence = "The body must not be encoded: send it without Content-Encoding."

    def __init__(self) -> None:
        super().__init__()
        self.extra_headers = {"Accept-Encoding": "identity"}


def require_json(*others: str) -> None:
    """Raise WrongType unless the body is said to be JSON, or of one of the other types that the operation takes."""
    require(*(PATCH_TYPES if request.method == "PATCH" else (JSON,)), *others)


def require(*types: str) -> None:
    """Raise WrongType unless the body is said to be of one of these types."""
    if request.mimetype not in types:
        raise WrongType(*types)


def require_plain() -> None:
    """Raise WrongEncoding for a Content-Encoding: nothing here unpacks one, whatever the body is."""
    named = (word.strip().lower() for word in request.headers.get("Content-Encoding", "").split(","))
    if any(word not in ("", "identity") for word in named):
        raise WrongEncoding


def tell_patch_types(response: Response) -> None:
    """Say in the answer to OPTIONS, and wherever else the methods are named, what a PATCH takes."""
    if "PATCH" in response.headers.get("Allow", ""):
        response.headers["Accept-Patch"] = ", ".join(PATCH_TYPES)


def document_patches(document: dict[str, Any]) -> dict[str, Any]:
    """Say in an OpenAPI document which types each PATCH takes."""
    for path in document.get("paths", {}).values():
        if "patch" in path:
            path["patch"]["consumes"] = list(PATCH_TYPES)
    return document
