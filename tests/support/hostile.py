"""Hostile requests: families of bad input, each thrown at every operation that it concerns.

The families are written by hand and say what they must be answered with. What
an operation is asked for otherwise, so that only this one thing is wrong with
the request, comes from the table in `tests/support/world.py`; which
parameters and fields it has comes from the OpenAPI document.
"""

import io
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, unquote_to_bytes

from flask import Flask
from werkzeug.test import EnvironBuilder, TestResponse, run_wsgi_app
from werkzeug.wrappers import Request as WsgiRequest

from tests.support import hostile_values as values
from tests.support.document import check_answer

Codes = frozenset[int]


@dataclass(frozen=True)
class Request:
    """One request, byte by byte as a server hands it over, and what it may be answered with."""

    family: str
    method: str
    path: str
    expected: Codes
    query: str = ""
    body: bytes = b""
    # None leaves one out that the sound request has.
    headers: tuple[tuple[str, str | None], ...] = ()

    def __str__(self) -> str:
        address = self.path + (f"?{self.query}" if self.query else "")
        headers = {name: value and value[:60] for name, value in self.headers}
        return f"[{self.family}] {self.method} {address[:160]} {headers or ''} {self.body[:80]!r}"

    @property
    def key(self) -> tuple[Any, ...]:
        """Key that two equal requests share."""
        return (self.method, self.path, self.query, self.body, self.headers)


@dataclass(frozen=True)
class Operation:
    """One operation of the document, and a request for it that nothing is wrong with."""

    rule: str
    sound: Request
    document: Mapping[str, Any]
    definitions: Mapping[str, Any]
    # Fills in the rule, with other values for some placeholders.
    path: Callable[[Mapping[str, str]], str]
    # Whether the sound request has a good answer, as things are.
    succeeds: bool

    @property
    def is_public(self) -> bool:
        return not self.document["security"]

    @property
    def is_relay(self) -> bool:
        """Return whether parameters and body are for an upstream, which alone knows what is wrong with them."""
        return "/upstreams/<name>" in self.rule

    @property
    def is_login(self) -> bool:
        """Return whether it takes Basic credentials instead of a body."""
        return self.rule.endswith(("/auth/login", "/auth/session"))

    @property
    def answers_files(self) -> bool:
        """Return whether a good answer is no JSON, so that no client asks for JSON."""
        return (
            self.document["responses"]["200"].get("schema") == {"type": "file"}
            if "200" in self.document["responses"]
            else False
        )

    @property
    def parameters(self) -> list[Mapping[str, Any]]:
        """Parameters that its query may hold."""
        return [parameter for parameter in self.document.get("parameters", []) if parameter["in"] == "query"]

    @property
    def fields(self) -> Mapping[str, Mapping[str, Any]] | None:
        """Fields that its body may hold, or None if it takes no JSON."""
        for parameter in self.document.get("parameters", []):
            if parameter["in"] == "body":
                name = parameter["schema"].get("$ref", "").rpartition("/")[2]
                properties: Mapping[str, Mapping[str, Any]] = self.definitions[name]["properties"]
                return properties
        return None

    def but(self, family: str, *expected: int, **changes: Any) -> Request:
        """Return the sound request with something else in it."""
        return replace(self.sound, family=family, expected=frozenset(expected), **changes)

    def but_headers(self, family: str, *expected: int, **headers: str | None) -> Request:
        """Return the sound request with these headers."""
        named = tuple((name.replace("_", "-"), value) for name, value in headers.items())
        kept = tuple(item for item in self.sound.headers if item[0] not in dict(named))
        return self.but(family, *expected, headers=kept + named)


def send(app: Flask, request: Request) -> TestResponse:
    """Send a request exactly as it is written, which no polite client would; the document is asked about the answer."""
    builder = EnvironBuilder(method=request.method, input_stream=io.BytesIO(request.body))
    environ = builder.get_environ()
    builder.close()
    environ |= {
        "PATH_INFO": unquote_to_bytes(request.path).decode("latin-1"),
        "QUERY_STRING": request.query,
        "REQUEST_URI": request.path + (f"?{request.query}" if request.query else ""),
        "CONTENT_LENGTH": str(len(request.body)) if request.body else "",
    }
    for name, value in request.headers:
        key = name.upper().replace("-", "_")
        key = key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"
        if value is not None:
            environ[key] = value
    body, status, answered = run_wsgi_app(app, environ, buffered=True)
    response = TestResponse(body, status, answered, WsgiRequest(environ))
    check_answer(app, response.request.path, response.request.method, response)
    return response


# --- bodies -------------------------------------------------------------------------


def with_member(body: Mapping[str, Any], name: str, raw: str) -> bytes:
    """Return the body as JSON with one more member, which need not be JSON."""
    rest = "".join(f"{json.dumps(key)}: {json.dumps(value)}, " for key, value in body.items() if key != name)
    return ("{" + rest + f"{json.dumps(name)}: {raw}" + "}").encode("utf-8", "surrogatepass")


class Supply:
    """Hands out values in turn: to everybody a few, and to all together each of them.

    `takers` is how often each list was asked for in a rehearsal.
    """

    def __init__(self, takers: Mapping[int, int] | None = None) -> None:
        self.takers: Counter[int] = Counter()
        self._share = takers or {}
        self._position: Counter[int] = Counter()

    def some(self, values: Sequence[Any], least: int = 2) -> list[Any]:
        """Return the next of these values, at least so many."""
        which = id(values)
        self.takers[which] += 1
        count = min(max(least, math.ceil(len(values) / self._share.get(which, 1))), len(values))
        start = self._position[which]
        self._position[which] += count
        return [values[index % len(values)] for index in range(start, start + count)]


def bodies(operation: Operation, supply: Supply) -> Iterator[Request]:
    """Yield bodies that an operation with one must refuse, whatever it is about."""
    if operation.fields is None:
        return
    for raw in supply.some(values.BROKEN, 6):
        # A login without a body is one by the Authorization header.
        yield operation.but("a broken body", *((400, 401) if operation.is_login and not raw else (400,)), body=raw)
    for media_type in supply.some(values.OTHER_TYPES):
        yield operation.but_headers("another media type", 415, Content_Type=media_type)
    if operation.is_relay:
        return
    whole = json.loads(operation.sound.body)
    for name, raw in supply.some(values.FOREIGN_MEMBERS, 6):
        if name not in operation.fields:
            yield operation.but("a foreign member", 422, body=with_member(whole, name, raw))


def members(operation: Operation, supply: Supply) -> Iterator[Request]:
    """Yield values that no field of the body of an operation may have."""
    if operation.fields is None or operation.is_relay:
        return
    whole = json.loads(operation.sound.body)
    for name, schema in operation.fields.items():
        for raw in (*values.bounds_of(schema), *supply.some(values.kind_of(schema))):
            yield operation.but(f"a wrong {name}", 422, body=with_member(whole, name, raw))


def places(operation: Operation, supply: Supply) -> Iterator[Request]:
    """Yield paths that lead nowhere."""
    for placeholder in re.findall("<[^>]*>", operation.rule):
        hostile = _PLACES.get(placeholder, ())
        for part in supply.some(hostile, 4):
            code = 404 if is_text(part) else 400
            yield operation.but("a wrong place", code, path=operation.path({placeholder: part}))


def is_text(part: str) -> bool:
    """Return whether a part of a path is UTF-8."""
    try:
        unquote_to_bytes(part).decode()
    except UnicodeDecodeError:
        return False
    return True


_PLACES: dict[str, Sequence[str]] = {
    **dict.fromkeys(
        ("<int:task_id>", "<int:user_id>", "<int:project_id>", "<int:post_id>", "<int:item_id>", "<int:key_id>"),
        values.PATH_NUMBERS,
    ),
    "<job_id>": values.PATH_IDS,
    "<token>": values.PATH_IDS,
    "<rest:sku>": values.PATH_IDS,
}


def queries(operation: Operation, supply: Supply) -> Iterator[Request]:
    """Yield query strings that an operation must refuse."""
    if operation.is_relay:
        return
    sound = operation.sound.query
    for unknown in supply.some(values.UNKNOWN_PARAMETERS):
        yield operation.but("an unknown parameter", 400, query=f"{sound}&{unknown}".lstrip("&"))
    for parameter in operation.parameters:
        name = parameter["name"]
        rest = "&".join(part for part in sound.split("&") if part and not part.startswith(f"{name}="))
        for text in supply.some(_refused_parameters(parameter)):
            yield operation.but("a wrong parameter", 400, query=f"{rest}&{quote(name)}={text}".lstrip("&"))
        yield operation.but("a parameter twice", 400, query=f"{rest}&{quote(name)}=1&{quote(name)}=1".lstrip("&"))


_PARAMETERS_BY_NAME = {"cursor": values.CURSORS, "sort": values.SORTS, "tz": values.QUERY_ZONES}
_PARAMETERS_BY_TYPE = {
    ("integer", "int64"): values.QUERY_INTEGERS,
    ("boolean", None): values.QUERY_BOOLEANS,
    ("number", "decimal"): values.QUERY_AMOUNTS,
    ("array", None): values.QUERY_WORDS,
    ("string", "date"): values.QUERY_DAYS,
    ("string", "date-time"): values.QUERY_MOMENTS,
    ("string", None): values.QUERY_TEXTS,
}


def _refused_parameters(parameter: Mapping[str, Any]) -> Sequence[str]:
    if "enum" in parameter or values.allows_some_characters_only(parameter):
        return values.QUERY_NAMES
    by_type = _PARAMETERS_BY_TYPE[parameter["type"], parameter.get("format")]
    return _PARAMETERS_BY_NAME.get(parameter["name"], by_type)


def headers(operation: Operation, supply: Supply) -> Iterator[Request]:
    """Yield headers that an operation must refuse."""
    if not operation.answers_files:
        for accept in supply.some(values.ACCEPTS):
            yield operation.but_headers("nothing acceptable", 406, Accept=accept)
    for host in supply.some(values.HOSTS, 1):
        yield operation.but_headers("no such host", 400, Host=host)
    yield operation.but_headers("a body too large", 413, Content_Length=str(60 * 1024 * 1024))
    if operation.sound.method == "POST":
        for key in supply.some(values.IDEMPOTENCY_KEYS):
            yield operation.but_headers("no idempotency key", 400, Idempotency_Key=key)
    if operation.succeeds and "412" in operation.document["responses"]:
        for tags in supply.some(values.TAGS):
            yield operation.but_headers("no tags", 400, If_Match=tags)
            yield operation.but_headers("no tags", 400, If_None_Match=tags)
        for tags in supply.some(values.UNKNOWN_TAGS, 1):
            yield operation.but_headers("another state", 412, If_Match=tags)


def credentials(operation: Operation, supply: Supply) -> Iterator[Request]:
    """Yield what does not prove who the caller is."""
    if operation.is_public:
        return
    for value in supply.some(values.AUTHORIZATIONS):
        yield operation.but_headers("no such token", 401, Authorization=value)
    for value in supply.some(values.API_KEYS, 1):
        yield operation.but_headers("no such key", 401, Authorization=None, X_API_Key=value)
    for value in supply.some(values.COOKIES, 1):
        csrf = "" if operation.sound.method == "GET" else "x"
        yield operation.but_headers("no such session", 401, Authorization=None, Cookie=value, X_CSRF_TOKEN=csrf)


def methods(operation: Operation, supply: Supply) -> Iterator[Request]:
    """Yield methods that no resource has."""
    for method in supply.some(values.METHODS, 1):
        yield operation.but("no such method", 405, method=method)


Family = Callable[[Operation, Supply], Iterator[Request]]
FAMILIES: tuple[Family, ...] = (bodies, members, places, queries, headers, credentials, methods)
# Of these a database might be asked.
LOOKED_FOR: tuple[Family, ...] = (places, queries, credentials)


def corpus(operations: Sequence[Operation], families: Sequence[Family] = FAMILIES) -> list[Request]:
    """Return what the operations must refuse, each request once."""
    rehearsal = Supply()
    _all(operations, families, rehearsal)
    return list({request.key: request for request in _all(operations, families, Supply(rehearsal.takers))}.values())


def _all(operations: Iterable[Operation], families: Iterable[Family], supply: Supply) -> list[Request]:
    return [request for operation in operations for family in families for request in family(operation, supply)]
