"""Forms with a file, as strict as bodies in JSON: every part is known, given once and valid.

The file is never in memory as a whole: what is larger than half a megabyte is
spooled to the disk while it arrives.
"""

import hashlib
import os
from collections.abc import Mapping
from typing import IO, Any

from flask import Response, after_this_request, request
from flask_restx import reqparse
from werkzeug.datastructures import FileStorage, Headers
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.formparser import MultiPartParser, default_stream_factory

from api.http.input import media, utf8
from api.http.input.media import MULTIPART, URLENCODED
from api.http.input.query import Converter
from core.platform.errors import Invalid, Malformed
from core.platform.text import checks
from core.platform.text.faults import nearest
from core.platform.text.json_out import dump
from core.platform.text.strict_json import printable

# Of a form without files, which holds a name and a password: a megabyte has room for half a million fields.
MAX_URLENCODED_BYTES = 256 * 1024
MAX_FIELDS = 100
# What the names, the other parts and the boundaries may take beside the file.
FRAMING_BYTES = 64 * 1024
MAX_PARTS = 50
# Of all parts that are no files. The parser needs more than the 64 KiB that it reads at once.
MAX_TEXT_BYTES = 256 * 1024


class _Bytes(MultiPartParser):
    """Parts that are text, each byte as one character: only so can be seen whether they were UTF-8."""

    def get_part_charset(self, headers: Headers) -> str:
        return "latin-1"


class FormParser(reqparse.RequestParser):
    """The parts of a form, one of which is a file of at most `max_bytes`."""

    def __init__(self, *, max_bytes: int) -> None:
        super().__init__(bundle_errors=True)
        self.max_bytes = max_bytes

    def add(self, name: str, convert: Converter, text: str, **options: Any) -> None:
        """Add a part that is text."""
        self.add_argument(name, type=convert, location="form", help=text, store_missing=False, **options)

    def add_file(self, name: str, text: str) -> None:
        """Add the part that is the file."""
        self.add_argument(name, type=FileStorage, location="files", required=True, help=text)


def limit_size() -> None:
    """Take no more of a form without files than it needs. Raises RequestEntityTooLarge and Malformed."""
    if request.mimetype != URLENCODED:
        return
    request.max_content_length = MAX_URLENCODED_BYTES
    if (request.content_length or 0) > MAX_URLENCODED_BYTES:
        raise RequestEntityTooLarge
    if request.get_data().count(b"&") >= MAX_FIELDS:
        raise Malformed(f"The form has more than {MAX_FIELDS} fields.")


def load_form(target: FormParser) -> dict[str, Any]:
    """Return the parts of the current request, checked and converted.

    Raises WrongType, RequestEntityTooLarge, Malformed for a body that breaks
    off, and Invalid, naming each wrong part and the nearest valid one.
    """
    media.require(MULTIPART)
    opened: list[IO[bytes]] = []

    def spool(**about: Any) -> IO[bytes]:
        opened.append(default_stream_factory(**about))
        return opened[-1]

    @after_this_request
    def close(response: Response) -> Response:
        for file in opened:
            file.close()
        return response

    return _checked(target, _parts(target, spool))


def urlencoded() -> dict[str, str]:
    """Return the fields of a form without files (application/x-www-form-urlencoded).

    Raises Malformed, naming it, for a field that is no UTF-8 or is given more than once.
    """
    raw = request.get_data()
    if broken := utf8.broken_names(raw):
        raise utf8.refusal(broken)
    found: dict[str, str] = {}
    for name, value in ((name.decode(), value.decode()) for name, value in utf8.pairs(raw)):
        if name in found:
            raise Malformed("The form cannot be used.", details={printable(name): ["Given more than once."]})
        found[name] = value
    return found


def fingerprint(values: Mapping[str, Any]) -> bytes:
    """Return what two forms with the same parts have in common, whatever boundary is between the parts."""
    digest = hashlib.sha256()
    for name in sorted(values):
        value = values[name]
        if isinstance(value, FileStorage):
            content = hashlib.file_digest(value.stream, "sha256").hexdigest()  # type: ignore[arg-type]
            value.stream.seek(0)
            value = [value.filename, value.mimetype, content]
        digest.update(dump([name, value]))
    return digest.digest()


def _parts(target: FormParser, spool: Any) -> dict[str, list[Any]]:
    """Return all parts by name."""
    parser = _Bytes(spool, MAX_TEXT_BYTES, max_form_parts=MAX_PARTS)
    boundary = request.mimetype_params.get("boundary", "")
    try:
        if not boundary:
            raise ValueError("The boundary is missing.")
        form, files = parser.parse(request.stream, boundary.encode("ascii"), request.content_length)
    except ValueError:
        raise Malformed(f"The body is not {MULTIPART} (RFC 7578).") from None
    if None in form or None in files:
        raise Malformed("Each part of a form needs a name (RFC 7578, section 4.2).")
    if any(_size(file) > target.max_bytes for file in files.values()):
        raise RequestEntityTooLarge
    parts: dict[str, list[Any]] = {}
    for name, part in [*form.items(multi=True), *files.items(multi=True)]:
        parts.setdefault(name, []).append(part.encode("latin-1") if isinstance(part, str) else part)
    broken = [name for name, found in parts.items() if any(isinstance(p, bytes) and not utf8.is_utf8(p) for p in found)]
    if broken:
        raise utf8.refusal(broken)
    return {name: [p.decode() if isinstance(p, bytes) else p for p in found] for name, found in parts.items()}


def _checked(target: FormParser, parts: dict[str, list[Any]]) -> dict[str, Any]:
    arguments = {argument.name: argument for argument in target.args}
    values: dict[str, Any] = {}
    details: dict[str, list[str]] = {}
    for name, found in parts.items():
        if name not in arguments:
            details[printable(name)] = [f"Unknown field.{nearest(name, arguments)}"]
        elif len(found) > 1:
            details[name] = ["Given more than once."]
        else:
            try:
                values[name] = _converted(arguments[name], found[0])
            except ValueError as error:
                details[name] = [str(error)]
    for name, argument in arguments.items():
        if argument.required and name not in parts:
            details[name] = [checks.REQUIRED]
    if details:
        raise Invalid("The request has invalid fields.", details=details)
    return values


def _size(file: FileStorage) -> int:
    size = file.stream.seek(0, os.SEEK_END)
    file.stream.seek(0)
    return size


def _converted(argument: reqparse.Argument, part: Any) -> Any:
    if (argument.location == "files") != isinstance(part, FileStorage):
        raise ValueError("Must be a file." if argument.location == "files" else "Must not be a file.")
    return part if isinstance(part, FileStorage) else argument.type(part)
