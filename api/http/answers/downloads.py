"""Files over HTTP: whole or in part, in pieces, never in memory as a whole."""

from typing import Any
from urllib.parse import quote

from flask import Response, current_app, request
from flask_restx import fields
from werkzeug.exceptions import RequestedRangeNotSatisfiable
from werkzeug.http import unquote_etag

from api.http.answers import etags
from api.http.answers.conditional import CHANGED
from api.http.answers.refusals import refuses
from api.http.answers.responses import answering
from api.http.documentation import Verb, document
from core.files import service as files
from core.files.model import StoredFile
from core.platform.errors import PreconditionFailed

_CONTENT_RANGE = {"type": "string", "description": "Which bytes of how many."}


class File(fields.Raw):
    """The bytes of a file. Swagger 2.0 has a type for that in answers only."""

    __schema_type__ = "file"


def downloads(text: str, *media_types: str) -> Any:
    """Answer 200 with the returned file, or 206 with the part that was asked for (RFC 9110, section 14)."""

    def decorate(verb: Verb) -> Verb:
        respond = answering(_respond, 200, text, File(), ETag="The SHA-256 of the file.")(verb)
        part = ("The part that Range asked for.", File(), {"headers": {"Content-Range": _CONTENT_RANGE}})
        respond.is_download = True  # type: ignore[attr-defined]
        document(respond, responses={206: part}, produces=list(media_types))
        return refuses(416)(respond)

    return decorate


def is_download(verb: Verb) -> bool:
    """Return whether a good answer of this verb is a file, whose type only it knows; a refusal is JSON even so."""
    return getattr(verb, "is_download", False)


def _respond(file: StoredFile) -> Response:
    etag = f'"{file.sha256}"'
    start, stop, status = 0, file.size, 200
    headers = {"ETag": etag, "Accept-Ranges": "bytes", "Content-Disposition": _disposition(file.name)}
    # Both before the range is looked at, this one first (RFC 9110, section 13.2.2).
    wanted, known = etags.named_by(etags.IF_MATCH), etags.named_by(etags.IF_NONE_MATCH)
    if wanted is not None and not wanted.match_strongly(etag):
        raise PreconditionFailed(CHANGED, current=etag)
    if known is not None and known.match_weakly(etag):
        # Whoever has it all needs no part.
        return current_app.response_class(status=304, headers={"ETag": etag})
    part = _wanted_part(file)
    if part is not None:
        (start, stop), status = part, 206
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{file.size}"
    body = [] if request.method == "HEAD" else files.pieces(file.id, start, stop)
    response = current_app.response_class(body, status, headers, mimetype=file.media_type)
    response.content_length = stop - start
    # What people have made must never run as a page of ours.
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response


def _wanted_part(file: StoredFile) -> tuple[int, int] | None:
    """Return the first byte and the one after the last, or None for the whole file.

    Several ranges at once, and units other than bytes, are answered with the
    whole file, as RFC 9110 allows. Raises RequestedRangeNotSatisfiable.
    """
    wanted = request.range
    condition = request.headers.get("If-Range")
    if wanted is None or wanted.units != "bytes" or len(wanted.ranges) != 1 or request.method == "HEAD":
        return None
    if condition is not None and unquote_etag(condition) != (file.sha256, False):
        return None
    part = wanted.range_for_length(file.size)
    if part is None:
        raise RequestedRangeNotSatisfiable(length=file.size)
    return part


def _disposition(name: str) -> str:
    """Return the header that names the file, in ASCII and as it is (RFC 6266)."""
    plain = "".join(char if char.isascii() and char.isprintable() and char not in '"\\%' else "_" for char in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
