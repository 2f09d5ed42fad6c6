"""Upstreams over HTTP: other services, asked by name."""

from typing import Any

from flask import request
from flask_restx import Namespace, fields

from api.http.answers.pages import listed
from api.http.answers.refusals import refuses
from api.http.answers.responses import returns_text
from api.http.door.idempotency import Effect
from api.http.door.resource import SecureResource
from api.http.input import places
from api.http.input.body import load_object
from api.http.input.fields import NullableInteger
from api.http.input.takes import Input, takes
from core.bootstrap import current_upstreams
from core.platform.access import Permission
from core.platform.errors import Malformed
from core.upstreams import service as upstreams
from core.upstreams.breaker import BreakerState
from core.upstreams.registry import MAX_PATH

ns = Namespace("upstreams", description="Ask other services, configured by name", path="/v1/upstreams")

upstream_out = ns.model(
    "Upstream",
    {
        "name": fields.String(required=True, example="weather"),
        "state": fields.String(
            required=True,
            enum=list(BreakerState),
            description="open: it failed again and again and is left alone; half_open: the next call tries it.",
            example="closed",
        ),
        "allow_post": fields.Boolean(required=True, description="Whether it takes a POST.", example=False),
        "retry_after_seconds": NullableInteger(required=True, description="When an open one is tried.", example=None),
    },
)
relayed_in = ns.schema_model(
    "RelayedBody", {"type": "object", "properties": {}, "description": "Whatever the upstream takes, as it is sent."}
)

_TEXT = "Success; data is the JSON of the upstream, number by number as it was sent, or null for its 204."


@ns.route("")
class UpstreamCollection(SecureResource):
    operations = {"GET": "list_upstreams"}
    permissions = {"GET": Permission.UPSTREAMS_USE}

    @listed(upstream_out)
    def get(self) -> list[dict[str, Any]]:
        """List the upstreams and whether they work, as this process sees it."""
        return upstreams.list_all(self.actor, registry=current_upstreams())


@ns.route("/<name>/<path:path>")
@ns.doc(
    params={
        **places.text("name", "The configured name of the upstream.", example="weather"),
        **places.text(
            "path",
            f"What to ask for, below the base_url of the upstream, up to {MAX_PATH} characters. Slashes "
            "separate segments and are not written as %2F; '.', '..' and empty segments are refused.",
            example="forecast",
        ),
    }
)
class UpstreamRelay(SecureResource):
    """One path of an upstream. Of the caller, only the request id and Accept-Language go there."""

    operations = {"GET": "get_from_upstream", "POST": "post_to_upstream"}
    permissions = {"GET": Permission.UPSTREAMS_USE, "POST": Permission.UPSTREAMS_USE}
    effect = Effect.RESERVATION

    @takes(any_query=True)
    @refuses(403, 404, 409)
    @returns_text(_TEXT)
    def get(self, name: str, path: str) -> bytes:
        """Relay a GET to an upstream.

        Takes any query parameters and passes them on. An answer may be some seconds old where the
        upstream's Cache-Control says so. If the upstream refuses the request, the answer is 400, 403, 404
        or 409 with its status in details.upstream_status; if it is away, slow or broken, 503 with Retry-After.
        """
        return upstreams.read(
            self.actor,
            registry=current_upstreams(),
            name=name,
            path=_literal(path),
            parameters=self.query,
            language=request.headers.get("Accept-Language", ""),
        )

    @takes(relayed_in, any_query=True)
    @refuses(403, 404, 409)
    @returns_text(_TEXT)
    def post(self, name: str, path: str) -> bytes:
        """Relay a POST to an upstream whose configuration allows it.

        Takes any query parameters and passes them on. It is sent once and never repeated; after a 503
        it is not known whether the upstream has acted. Where POST is not allowed, the answer is 403.
        """
        return upstreams.send(
            self.actor,
            registry=current_upstreams(),
            name=name,
            path=_literal(path),
            parameters=self.query,
            # As it came: `read_body` has checked it.
            body=request.get_data(),
            language=request.headers.get("Accept-Language", ""),
        )

    def read_body(self, wanted: Input) -> dict[str, Any]:
        """Return the body, of which only the upstream knows the fields."""
        return load_object()


def _literal(path: str) -> str:
    """Return the path; raise Malformed if a slash in it was written as %2F, which the route cannot tell apart."""
    sent = str(request.environ.get("REQUEST_URI", "")).partition("?")[0]
    if "%2f" in sent.lower():
        raise Malformed("This path cannot be relayed.", details={"path": ["Must not contain an encoded slash."]})
    return path
