"""Version 1: the Api object and the explicit list of its namespaces."""

from collections.abc import Callable
from functools import cached_property
from typing import Any

from flask import Blueprint, Response, url_for
from flask_restx import Api

from api.http.answers.models import shared
from api.http.answers.refusals import with_error_samples
from api.http.answers.swagger_page import swagger_page
from api.http.door.tokens import KEY_HEADER
from api.http.input.media import document_patches
from api.v1 import (
    audit,
    auth,
    bulk,
    exports,
    history,
    imports,
    items,
    jobs,
    keys,
    notifications,
    posts,
    profiles,
    projects,
    reports,
    resets,
    search,
    stats,
    system,
    tasks,
    upstreams,
    users,
)
from core.version import VERSION

# In the order in which people need them, which the document, Swagger UI and docs/api.md have from here.
NAMESPACES = (
    tasks.ns,
    bulk.ns,
    history.ns,
    posts.ns,
    projects.ns,
    items.ns,
    search.ns,
    stats.ns,
    profiles.ns,
    jobs.ns,
    exports.ns,
    imports.ns,
    reports.ns,
    auth.ns,
    keys.ns,
    resets.ns,
    notifications.ns,
    users.ns,
    audit.ns,
    upstreams.ns,
    system.ns,
    shared,
)

DESCRIPTION = """\
A self-hosted task API for internal teams.

Choose **Authorize** and log in with your username and password, or paste
`Bearer` and an access token, or an API key. If several of them arrive, the `Authorization`
header wins over `X-API-Key`, and both over the cookie of `POST /auth/session`; requests by
cookie that change something need its CSRF token in `X-CSRF-TOKEN`.

Answers are `{"status": "success", "data": ...}`, errors
`{"status": "error", "error": {"message", "code", "request_id", "details"}}`.
"""

AUTHORIZATIONS = {
    "Password": {"type": "oauth2", "flow": "password", "scopes": {}},
    "Bearer": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "Paste the word Bearer, a space, and an access token.",
    },
    "ApiKey": {
        "type": "apiKey",
        "in": "header",
        "name": KEY_HEADER,
        "description": "Paste a key of POST /auth/keys. It does what its scopes allow.",
    },
}


class TasklaneApi(Api):
    """Flask-RESTX without its own error answers: `api.http.answers.errors` makes them all."""

    @cached_property
    def _document(self) -> dict[str, Any]:
        """The part of the document that is the same for every caller."""
        return with_error_samples(document_patches(super().__schema__))

    def error_router(self, original_handler: Callable[[Exception], Response], e: Exception) -> Response:
        # Its own routing of errors also fails, with a 500, on a Host header that no URL can have.
        return original_handler(e)

    @property
    def __schema__(self) -> dict[str, Any]:
        """The document, with the address of the log-in as this caller would write it.

        Swagger 2.0 wants a whole URL there, and only a request knows the host.
        """
        ways = self._document["securityDefinitions"]
        password = {**ways["Password"], "tokenUrl": url_for("api.auth_login", _external=True)}
        return {**self._document, "securityDefinitions": {**ways, "Password": password}}


def create_blueprint() -> Blueprint:
    """Return everything below /api: Swagger UI, its document, and version 1."""
    blueprint = Blueprint("api", __name__, url_prefix="/api")
    api: Any = TasklaneApi(
        blueprint,
        version=VERSION,
        title="Tasklane",
        description=DESCRIPTION,
        authorizations=AUTHORIZATIONS,
        doc="/",
        validate=False,
    )
    api.documentation(lambda: swagger_page(api))
    for namespace in NAMESPACES:
        api.add_namespace(namespace)
    return blueprint
