"""Documents of version 1: what is said of the whole of it, and the two ways in which it is said.

Flask-RESTX makes Swagger 2.0 of the verbs, and `api.http.openapi` makes OpenAPI 3.1 of that, once in a process.
"""

from collections.abc import Callable
from functools import cached_property
from typing import Any

from flask import Blueprint, Flask, Response, url_for
from flask_restx import Api

from api.http.answers.models import problem_out
from api.http.answers.refusals import with_error_samples
from api.http.door.contract import SECURITY
from api.http.door.deprecation import mark_deprecated
from api.http.door.tokens import CSRF_HEADER, KEY_HEADER, SESSION_COOKIE
from api.http.input.media import document_patches
from api.http.openapi import security
from api.http.openapi.convert import Additions, convert
from api.http.openapi.published import Published, published
from api.v1 import deprecations
from api.v1.names import ENUM_NAMES

DESCRIPTION = """\
A self-hosted task API for internal teams.

Choose **Authorize** and log in with your username and password, or paste an access token
or an API key. If several of them arrive, the `Authorization`
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
    """Flask-RESTX without its own error answers, which `api.http.answers.errors` makes, and its own serving."""

    def error_router(self, original_handler: Callable[[Exception], Response], e: Exception) -> Response:
        # Its own routing of errors also fails, with a 500, on a Host header that no URL can have.
        return original_handler(e)

    def _register_apidoc(self, app: Flask) -> None:
        """Serve no files of the Swagger UI that Flask-RESTX brings: `api.ui` has a newer one."""

    def _register_specs(self, blueprint: Blueprint) -> None:
        blueprint.add_url_rule("/swagger.json", "specs", self.swagger)
        blueprint.add_url_rule("/openapi.json", "openapi", self.openapi)

    def swagger(self) -> Response:
        """Answer with the document in Swagger 2.0."""
        return self._swagger_at(*self._place()).respond()

    def openapi(self) -> Response:
        """Answer with the document in OpenAPI 3.1."""
        return self._openapi_at(*self._place()).respond()

    def _place(self) -> tuple[str, str]:
        """Return where the API is for this caller: its path, and the URL of the log-in, which has to be whole."""
        return str(self.base_path).rstrip("/"), url_for("api.auth_login", _external=True)

    @cached_property
    def document(self) -> dict[str, Any]:
        """The document in Swagger 2.0, but for what depends on where it is read."""
        made = with_error_samples(document_patches(self.__schema__))
        made = mark_deprecated(made, deprecations.DEPRECATIONS)
        # Its common answers are about masks, which no operation has.
        return {**{key: part for key, part in made.items() if key != "responses"}, "security": SECURITY}

    @cached_property
    def _converted(self) -> dict[str, Any]:
        """The document in OpenAPI 3.1, but for what depends on where it is read."""
        additions = Additions(
            enum_names=ENUM_NAMES,
            definitions={problem_out.name: problem_out.__schema__},
            info={"license": {"name": "MIT", "identifier": "MIT"}},
        )
        return convert(self.document, additions)

    @cached_property
    def _swagger_at(self) -> Callable[..., Published]:
        def make(base: str, log_in: str) -> dict[str, Any]:
            ways = self.document["securityDefinitions"]
            password = {**ways["Password"], "tokenUrl": log_in}
            return {**self.document, "basePath": base, "securityDefinitions": {**ways, "Password": password}}

        return published(make)

    @cached_property
    def _openapi_at(self) -> Callable[..., Published]:
        def make(base: str, log_in: str) -> dict[str, Any]:
            schemes = security.schemes(AUTHORIZATIONS, cookie=SESSION_COOKIE, header=CSRF_HEADER, log_in=log_in)
            components = {**self._converted["components"], "securitySchemes": schemes}
            return {**self._converted, "servers": [{"url": base}], "components": components}

        return published(make)
