"""Operations that are on their way out: what each of their answers says, when they end, and who still calls them.

`api/v1/deprecations.py` lists them. An answer of one has `Deprecation` (RFC 9745), `Sunset` (RFC 8594) if it
ends, and `Link` to what takes its place (RFC 5829); after its end it is refused with 410.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from typing import Any
from urllib.parse import quote

from flask import Flask, Response, current_app, g, request
from flask_restx.swagger import extract_path
from werkzeug.http import http_date

from api.http.answers.errors import envelope
from api.http.answers.failures import Failure
from api.http.answers.models import error_out
from api.http.door.limiters import key_of
from core.platform import clock
from core.platform.cache.answers import METERS
from core.platform.errors import Expired

HEADERS = ("Deprecation", "Sunset")
# Between the day on which callers are told and the last day on which they are served.
LEAST_NOTICE = timedelta(days=365)
_EXTENSION = "tasklane.deprecations"
_REFUSAL = "The operation has ended."


class Sunset(Expired):
    """An operation that was announced to end has ended."""

    code = "sunset"


@dataclass(frozen=True)
class Deprecation:
    """One operation that callers should leave, and what they should use instead.

    `operation` is written as in docs/api.md: `GET /v1/jobs/{job_id}`. `successor` is the path of what takes its
    place, with parameters of the same names, and `notice` the URL of a page about it. Days are those of UTC.
    """

    operation: str
    since: date
    sunset: date | None = None
    successor: str | None = None
    notice: str | None = None

    def __post_init__(self) -> None:
        if self.sunset is not None and self.sunset < self.since + LEAST_NOTICE:
            raise ValueError(f"{self.operation}: callers need {LEAST_NOTICE.days} days between its notice and its end.")

    @cached_property
    def sentence(self) -> str:
        """The deprecation in words."""
        ends = "" if self.sunset is None else f" and ends on {self.sunset}"
        instead = "" if self.successor is None else f" Use {self.successor} instead."
        return f"Deprecated since {self.since}{ends}.{instead}"

    @property
    def is_over(self) -> bool:
        """True when the operation has ended."""
        return self.sunset is not None and clock.now() >= _midnight(self.sunset)

    def headers(self, root: str, parameters: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
        """Yield what an answer to a request with these parameters of its path says."""
        yield "Deprecation", f"@{int(_midnight(self.since).timestamp())}"
        if self.sunset is not None:
            yield "Sunset", http_date(_midnight(self.sunset))
        links = []
        if self.successor is not None:
            # As they are written in a path: a caller may have sent any character.
            path = self.successor.format_map({name: quote(str(value), safe="") for name, value in parameters.items()})
            links.append(f'<{root}{path}>; rel="successor-version"')
        if self.notice is not None:
            links.append(f'<{self.notice}>; rel="deprecation"; type="text/html"')
        if links:
            yield "Link", ", ".join(links)


def init_deprecations(app: Flask, table: Iterable[Deprecation]) -> None:
    """Say of the operations in the table that they are deprecated. Raises ValueError if one of them does not exist."""
    operations = {
        f"{method} {_documented(rule.rule)}": (rule.endpoint, method)
        for rule in app.url_map.iter_rules()
        for method in rule.methods or ()
    }
    found: dict[tuple[str, str], Deprecation] = {}
    for one in table:
        if one.operation not in operations:
            raise ValueError(f"There is no operation {one.operation}, which a deprecation names.")
        found[operations[one.operation]] = one
    app.extensions[_EXTENSION] = found
    if found:
        app.after_request(_tell)


def require_in_service() -> None:
    """Raise Sunset if the operation that is asked for has ended."""
    found = current_app.extensions[_EXTENSION] and _asked_for()
    if found and found.is_over:
        instead = "" if found.successor is None else f" Use {found.successor} instead."
        raise Sunset(f"This operation ended on {found.sunset}.{instead}")


def mark_deprecated(document: dict[str, Any], table: Iterable[Deprecation]) -> dict[str, Any]:
    """Say in the OpenAPI document which operations are deprecated, and what they answer when they have ended."""
    for one in table:
        method, _, path = one.operation.partition(" ")
        operation = document["paths"][path][method.lower()]
        operation["deprecated"] = True
        operation["description"] = "\n\n".join(filter(None, (one.sentence, operation.get("description"))))
        if one.sunset is not None:
            sample = envelope(Failure(410, Sunset.code, f"This operation ended on {one.sunset}."), "0" * 32)
            operation["responses"]["410"] = {
                "description": _REFUSAL,
                "schema": {"$ref": f"#/definitions/{error_out.name}"},
                "examples": {"application/json": sample},
            }
    return document


def _tell(response: Response) -> Response:
    found = _asked_for()
    if found is None:
        return response
    for name, value in found.headers(request.root_url.rstrip("/") + "/api", request.view_args or {}):
        present = response.headers.get(name)
        response.headers[name] = value if present is None else f"{present}, {value}"
    meters = current_app.extensions.get(METERS)
    if meters is not None:
        actor = g.get("limited_actor")
        # By number: a name may be secret, and one that is made up must not become a series.
        caller = "anonymous" if actor is None else key_of(actor, "")
        meters.count_deprecated(found.operation, caller)
    return response


def _asked_for() -> Deprecation | None:
    """Return the deprecation of the operation that is asked for, if it has one."""
    method = "GET" if request.method == "HEAD" else request.method
    table: dict[tuple[str, str], Deprecation] = current_app.extensions[_EXTENSION]
    return table.get((request.endpoint or "", method))


def _documented(rule: str) -> str:
    """Return the path of a route as the document writes it, which begins after /api."""
    path: str = extract_path(rule)
    return path.removeprefix("/api")


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
