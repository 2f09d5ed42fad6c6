"""UTF-8 in URLs and forms: any other bytes are refused, where the framework would put other signs in their place."""

from collections.abc import Iterable, Iterator
from itertools import islice
from urllib.parse import quote_from_bytes, unquote_to_bytes

from flask import Flask, current_app, request
from werkzeug.exceptions import HTTPException

from core.platform.errors import Malformed
from core.platform.text.strict_json import printable

NOT_UTF8 = "Must be UTF-8."
REFUSAL = "The request has bytes that are no UTF-8."
# A refusal stays small, whatever is refused.
MAX_NAMED = 100
# No operation has so many parameters, nor so many values that may be chosen together.
MAX_PARAMETERS = 500
# What a name may show as it is; the rest is shown as it must be written in a URL.
_PLAIN = "[]!$'()*,;:@/?-._~ "
# Stands for a part of a path that cannot be read while its name is looked for. No path has it by chance.
_STAND_IN = "8027915846302971"


def init_utf8(app: Flask) -> None:
    """Refuse paths and queries that are no UTF-8, also where nothing is found."""

    @app.before_request
    def check() -> None:
        if request.query_string.count(b"&") >= MAX_PARAMETERS:
            raise Malformed(f"The request has more than {MAX_PARAMETERS} parameters.")
        path = str(request.environ.get("PATH_INFO", "")).encode("latin-1")
        broken = [] if is_utf8(path) else _names_of(path)
        broken += broken_names(request.query_string)
        if broken:
            raise refusal(broken)


def is_utf8(value: bytes) -> bool:
    """Return whether bytes are UTF-8: no overlong forms, no halves of surrogate pairs, nothing cut off."""
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def pairs(encoded: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield names and values of a query or of a form (application/x-www-form-urlencoded)."""
    for pair in encoded.split(b"&"):
        if pair:
            name, _, value = pair.replace(b"+", b" ").partition(b"=")
            yield unquote_to_bytes(name), unquote_to_bytes(value)


def broken_names(encoded: bytes) -> list[str]:
    """Return the names of what is no UTF-8 in a query or a form, as they can be shown."""
    if encoded.isascii() and b"%" not in encoded:
        return []
    broken = islice((name for name, value in pairs(encoded) if not (is_utf8(name) and is_utf8(value))), MAX_NAMED)
    return [name.decode() if is_utf8(name) else quote_from_bytes(name, safe=_PLAIN) for name in broken]


def refusal(names: Iterable[str]) -> Malformed:
    """Return the refusal of what has these names."""
    return Malformed(REFUSAL, details={printable(name): [NOT_UTF8] for name in names})


def _names_of(path: bytes) -> list[str]:
    """Return the placeholders of the route that stand where a path cannot be read, or `path` if there are none."""
    segments = [part if is_utf8(part) else _STAND_IN.encode() for part in path.split(b"/")]
    adapter = current_app.url_map.bind("localhost")
    try:
        _, values = adapter.match(b"/".join(segments).decode(), method=request.method)
    except HTTPException:
        values = {}
    return [name for name, value in values.items() if _STAND_IN in str(value)] or ["path"]
