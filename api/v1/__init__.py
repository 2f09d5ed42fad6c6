"""Version 1: the Api object and the explicit list of its namespaces."""

from typing import Any

from flask import Blueprint, Response
from flask_restx import Api

from api.http import errors
from api.http.responses import shared
from api.v1 import auth, jobs, system, tasks

NAMESPACES = (system.ns, auth.ns, tasks.ns, jobs.ns, shared)

DESCRIPTION = """\
A self-hosted task API for internal teams.

Choose **Authorize** and log in with your username and password, or paste
`Bearer <access token>`. Answers are `{"status": "success", "data": ...}`, errors
`{"status": "error", "error": {"message", "code", "request_id", "details"}}`.
"""

AUTHORIZATIONS = {
    "Password": {"type": "oauth2", "flow": "password", "tokenUrl": "/api/v1/auth/login", "scopes": {}},
    "Bearer": {"type": "apiKey", "in": "header", "name": "Authorization", "description": "Bearer <access token>"},
}


class TasklaneApi(Api):
    """Flask-RESTX without its own error answers: one module makes them all."""

    def handle_error(self, e: Exception) -> Response:
        return errors.respond(e)


def create_blueprint() -> Blueprint:
    """Return everything below /api: Swagger UI, its document, and version 1."""
    blueprint = Blueprint("api", __name__, url_prefix="/api")
    api: Any = TasklaneApi(
        blueprint,
        version=system.VERSION,
        title="Tasklane",
        description=DESCRIPTION,
        authorizations=AUTHORIZATIONS,
        doc="/",
        validate=False,
    )
    for namespace in NAMESPACES:
        api.add_namespace(namespace)
    return blueprint
