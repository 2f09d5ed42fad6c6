"""First contact and health: operations that need no account."""

from typing import Any

from flask import current_app, request
from flask_restx import Namespace, fields

from api.http.answers.responses import returns, returns_bare
from api.http.door import limits
from api.http.door.resource import SecureResource
from api.http.input import places
from api.http.input.fields import NullableInteger, NullableText
from api.http.input.request_id import current_request_id
from core.bootstrap import current_upstreams, current_write_check
from core.operations import health
from core.platform.access import Permission
from core.platform.config.current import current_settings
from core.platform.errors import Malformed
from core.platform.text import checks
from core.version import VERSION

REDACTED = frozenset({"authorization", "cookie", "x-api-key", "proxy-authorization"})

ns = Namespace("system", description="First contact and health", path="/v1")

welcome_out = ns.model(
    "Welcome",
    {
        "message": fields.String(required=True, example="Welcome to Tasklane."),
        "version": fields.String(required=True, example=VERSION),
        "endpoints_available": fields.List(fields.String, required=True, example=["GET /api/v1/tasks"]),
    },
)
greeting_out = ns.model(
    "PersonalGreeting", {"greeting": fields.String(required=True, example="Hello, Ada! Nice to meet you.")}
)
echo_out = ns.model(
    "Echo",
    {
        "message": fields.String(required=True),
        "user_agent": fields.String(required=True),
        "accept_header": fields.String(required=True),
        "all_headers": fields.Raw(required=True, description="Credentials are shown as [redacted]."),
        "remote_addr": NullableText(required=True),
        "request_id": fields.String(required=True),
    },
)


def _state(*states: str, says: str | None = None) -> fields.String:
    return fields.String(required=True, enum=list(states), description=says, example=states[0])


health_out = ns.model("Health", {"status": fields.String(required=True, enum=["ok"], example="ok")})
readiness_out = ns.model(
    "Readiness",
    {
        "status": fields.String(required=True, enum=["ok", "degraded", "down"], example="ok"),
        "faults": fields.List(
            fields.String(enum=["database", "migrations", "redis", "workers", "scheduler"]),
            required=True,
            description="The checks because of which the status is not ok.",
            example=[],
        ),
        "checks": fields.Nested(
            ns.model(
                "ComponentStates",
                {
                    "database": _state(
                        "ok",
                        "locked",
                        "full",
                        "read_only",
                        "failing",
                        "no_connections",
                        "down",
                        says="locked, full, read_only and failing: only readable. no_connections: the server lets"
                        " nobody in any more.",
                    ),
                    "migrations": _state("ok", "pending", "ahead", "unknown"),
                    "redis": _state(
                        "ok", "refusing", "hung", "down", says="refusing: it answers, but can store nothing more."
                    ),
                    "workers": _state("ok", "none", "unknown", says="none: a fault only while a job waits for one."),
                    "scheduler": _state("ok", "none", "unknown", says="none: a fault only while a job waits for one."),
                    "mail": _state("ok", "delayed", "unknown", says="delayed: an e-mail could not be sent yet."),
                },
            ),
            required=True,
        ),
        "workers": NullableInteger(
            required=True,
            description="Workers that have shown themselves within half a minute; null without Redis.",
        ),
        "queue_depth": fields.Raw(required=True, description="Unfinished jobs by state.", example={"queued": 0}),
        "upstreams": fields.Raw(
            required=True,
            description="Breaker by upstream: closed, open or half_open, as this process sees it.",
            example={"weather": "closed"},
        ),
    },
)


@ns.route("/welcome")
class Welcome(SecureResource):
    operations = {"GET": "get_welcome"}
    permissions = {"GET": Permission.PUBLIC}
    needs_database = False

    @returns(welcome_out)
    def get(self) -> dict[str, Any]:
        """Say what this service is and what it offers."""
        return {"message": "Welcome to Tasklane.", "version": VERSION, "endpoints_available": _endpoints()}


def _endpoints() -> list[str]:
    """Return every operation under /api/v1, read off the routes."""
    return sorted(
        f"{method} {rule.rule}"
        for rule in current_app.url_map.iter_rules()
        if rule.rule.startswith("/api/v1/")
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
    )


@ns.route("/greet/<path:name>")
@ns.doc(params=places.text("name", "Whom to greet, 1 to 100 characters.", example="Ada"))
class Greeting(SecureResource):
    operations = {"GET": "get_greeting"}
    permissions = {"GET": Permission.PUBLIC}
    needs_database = False

    @returns(greeting_out)
    def get(self, name: str) -> dict[str, str]:
        """Greet a person by name."""
        # A path converter takes the optional trailing slash for a part of the name.
        name = checks.strip(name.removesuffix("/"))
        if checks.is_blank(name) or len(name) > 100 or "\x00" in name:
            raise Malformed(
                "This is not a name.", details={"name": ["Must be 1 to 100 characters long and not blank."]}
            )
        return {"greeting": f"Hello, {name}! Nice to meet you."}


@ns.route("/echo")
class Echo(SecureResource):
    operations = {"GET": "get_echo"}
    permissions = {"GET": Permission.PUBLIC}
    needs_database = False

    @returns(echo_out)
    def get(self) -> dict[str, Any]:
        """Show the request as the service sees it behind its proxies."""
        headers = {name: "[redacted]" if name.lower() in REDACTED else value for name, value in request.headers.items()}
        return {
            "message": "This is how your request arrived.",
            "user_agent": request.headers.get("User-Agent", ""),
            "accept_header": request.headers.get("Accept", ""),
            "all_headers": headers,
            "remote_addr": request.remote_addr,
            "request_id": current_request_id(),
        }


@ns.route("/health")
class Health(SecureResource):
    operations = {"GET": "get_health"}
    permissions = {"GET": Permission.PUBLIC}
    needs_database = False
    count = limits.uncounted

    @returns_bare(health_out)
    def get(self) -> dict[str, str]:
        """Say that the process is alive; asks nothing else."""
        return {"status": "ok"}


@ns.route("/health/ready")
class Readiness(SecureResource):
    operations = {"GET": "get_readiness"}
    permissions = {"GET": Permission.PUBLIC}
    needs_database = False
    count = limits.uncounted

    @ns.response(503, "The database does not answer, or is not migrated.", readiness_out)
    @returns_bare(readiness_out, "Ready, or degraded: `faults` says which parts do not do what is needed of them.")
    def get(self) -> tuple[dict[str, Any], int]:
        """Say whether each part works: database, migrations, Redis, workers, scheduler, e-mail, upstreams."""
        report = health.check(current_settings(), current_upstreams(), current_write_check())
        return report, 503 if report["status"] == "down" else 200
