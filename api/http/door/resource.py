"""The resource that every resource inherits: nothing is reachable by accident.

A verb without a permission fails at import. Before a verb runs, its caller is
verified and its query and body are parsed, in this order, so that a stranger
learns nothing about what would have been valid.
"""

from collections.abc import Callable
from typing import Any, ClassVar

from flask import request
from flask_restx import Resource
from flask_restx.model import ModelBase
from flask_restx.reqparse import RequestParser
from werkzeug.exceptions import BadRequest, NotAcceptable, RequestEntityTooLarge

from api.http.answers import conditional
from api.http.answers.errors import preferred_type
from api.http.answers.responses import document, refuses
from api.http.door import idempotency, limits, tokens
from api.http.door.idempotency import Effect
from api.http.input import media, query
from api.http.input.body import load_body
from api.http.input.forms import FRAMING_BYTES, FormParser, fingerprint, limit_size, load_form
from api.http.serving import continuation
from core.audit import service as security
from core.platform.access import SCOPES, Actor, Permission
from core.platform.database.paging import PageRequest
from core.platform.errors import Forbidden
from core.platform.logs import context
from core.platform.preconditions import Expected

VERBS = ("get", "post", "put", "patch", "delete")
SECURITY: list[dict[str, list[str]]] = [{"Password": []}, {"Bearer": []}, {"ApiKey": []}]


def _security(permission: Permission) -> list[dict[str, list[str]]]:
    """Return what Swagger says of an operation with this permission."""
    if permission is Permission.PUBLIC:
        return []
    return [way for way in SECURITY if permission in SCOPES or "ApiKey" not in way]


class SecureResource(Resource):
    """A resource whose verbs each name the permission that they need."""

    permissions: ClassVar[dict[str, Permission]] = {}
    # What a body without its required fields is answered with.
    missing_status: ClassVar[int] = 422
    # Whether every query parameter is welcome, because somebody else reads it. `query` then has
    # a list for each name. An operation that needs this says in its text what becomes of them.
    takes_any_query: ClassVar[bool] = False
    # Whether a body may also be a form without files.
    takes_forms: ClassVar[bool] = False
    # Whether a good answer is a file, whose type only it knows; a refusal is JSON even so.
    answers_files: ClassVar[bool] = False
    # Whether it must fail while the database is away.
    needs_database: ClassVar[bool] = True
    # Where the effect of a POST is, which decides how its answer is kept for a repetition.
    effect: ClassVar[Effect] = Effect.TRANSACTION
    # What this resource's requests are counted as, once it is known who asks.
    count: ClassVar[Callable[[Actor | None], None]] = limits.count_request
    # What a read of this resource shows, whose tag If-Match names to the verbs that change it.
    conditional_on: ClassVar[ModelBase | None] = None
    # The endpoint of that read, if it is another than this.
    conditional_at: ClassVar[str | None] = None

    actor: Actor
    body: dict[str, Any]
    query: dict[str, Any]
    # What a verb that changes this resource hands to its service; there is none without `conditional_on`.
    expected: Expected

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name in VERBS:
            verb = cls.__dict__.get(name)
            if verb is None:
                continue
            if name.upper() not in cls.permissions:
                raise TypeError(f"{cls.__name__}.{name} names no permission; say Permission.PUBLIC if it needs none.")
            is_public = cls.permissions[name.upper()] is Permission.PUBLIC
            codes = {400, 413, 415, 500}
            codes |= set() if cls.answers_files else {406}
            codes |= {503} if cls.needs_database else set()
            codes |= set() if is_public else {401, 403}
            codes |= {429} if cls.count is not limits.uncounted else set()
            codes |= {422} if _body_model(verb) or _form_parser(verb) else set()
            if name == "get":
                codes |= {412}
                conditional.document_read(verb)
            elif cls.conditional_on is not None:
                codes |= {412, 428} if name.upper() in conditional.GUARDED_METHODS else {412}
                conditional.document_write(verb)
            if name == "post":
                codes |= {409, 422}
                document(verb, params=idempotency.PARAMETER)
            document(refuses(*codes)(verb), security=_security(cls.permissions[name.upper()]))

    @property
    def page(self) -> PageRequest:
        """Which page of a list the caller asks for."""
        return query.page_request(self.query)

    def dispatch_request(self, *args: Any, **kwargs: Any) -> Any:
        """Verify, parse, then run the verb. Whoever is refused although they are known is recorded."""
        try:
            return self._dispatch(*args, **kwargs)
        except Forbidden as refusal:
            if (actor := getattr(self, "actor", None)) is not None:
                security.record_refusal(actor, request=f"{request.method} {request.path}", reason=refusal.message)
            raise

    def origin(self) -> str:
        """Return what else, beside the account, a repetition under an idempotency key has to come from.

        Nothing else, because who logs in anew may still repeat what was sent before.
        """
        return ""

    def _dispatch(self, *args: Any, **kwargs: Any) -> Any:
        if preferred_type() is None and not self.answers_files:
            raise NotAcceptable
        if not request.host:
            raise BadRequest  # A Host header that no URL can have would end up in Location.
        name = "get" if request.method == "HEAD" else request.method.lower()
        actor = None
        is_verified = False
        try:
            actor = self._verify(self.permissions[name.upper()])
            is_verified = True
        finally:
            # Whoever is told to go on comes back with the body, and is counted then.
            if not (is_verified and continuation.is_asked()):
                type(self).count(actor)
        self._authorise(actor, self.permissions[name.upper()])
        verb = getattr(self, name)
        self.query = request.args.to_dict(flat=False) if self.takes_any_query else query.load_query(_query_parser(verb))
        form = _form_parser(verb)
        model = _body_model(verb)
        self._require_readable(model, form)
        if continuation.is_asked():
            return continuation.go_on()
        if model is not None:
            self.body = self.read_body(model)
        elif form is not None:
            self.body = load_form(form)
        if request.method == "POST" and idempotency.HEADER in request.headers:
            return idempotency.answer_once(
                lambda: self._answer(*args, **kwargs),
                effect=self.effect,
                actor=actor,
                # What a repetition of this request must have in common with it.
                content=self.origin().encode() + (request.get_data() if form is None else fingerprint(self.body)),
            )
        return self._answer(*args, **kwargs)

    def _require_readable(self, model: ModelBase | None, form: FormParser | None) -> None:
        """Refuse a body by what is said of it: that it is too large, encoded, or of another type."""
        if form is not None:
            request.max_content_length = form.max_bytes + FRAMING_BYTES
        limit_size()
        if (request.content_length or 0) > (request.max_content_length or 0):
            raise RequestEntityTooLarge
        if request.content_length or model is not None or form is not None:
            media.require_plain()
        if not continuation.is_asked():
            return  # Whoever reads the body looks at its type, after whether there is one.
        if form is not None:
            media.require(media.MULTIPART)
        elif model is not None:
            media.require_json(*([media.URLENCODED] if self.takes_forms else []))

    def _answer(self, *args: Any, **kwargs: Any) -> Any:
        """Run the verb under the conditions of the request."""
        if request.method in ("GET", "HEAD"):
            return conditional.answer_read(super().dispatch_request(*args, **kwargs))
        if self.conditional_on is None:
            return super().dispatch_request(*args, **kwargs)
        self.expected = conditional.expected_by_request(self.conditional_on)
        response = super().dispatch_request(*args, **kwargs)
        return conditional.answer_write(response, place=self.conditional_at)

    def read_body(self, model: ModelBase) -> dict[str, Any]:
        """Return the parsed body; a resource with another media type overrides this."""
        return load_body(model, missing_status=self.missing_status, needs_a_field=request.method == "PATCH")

    def validate_payload(self, func: Any) -> None:
        """Do nothing: `dispatch_request` has checked the body already, and better."""

    @staticmethod
    def _verify(permission: Permission) -> Actor | None:
        """Return the verified caller, or None for a public operation."""
        if permission is Permission.PUBLIC:
            return None
        actor = tokens.verify(refresh=permission is Permission.SESSION_REFRESH)
        context.user_id.set(actor.user_id)
        context.key_id.set(actor.key_id)
        return actor

    def _authorise(self, actor: Actor | None, permission: Permission) -> None:
        if actor is None:
            return
        self.actor = actor
        if not actor.has(permission):
            raise Forbidden(f"This needs the permission {permission}.")


def _expected(verb: Any, kind: type) -> Any:
    for item in getattr(verb, "__apidoc__", {}).get("expect", []):
        if isinstance(item, kind):
            return item
    return None


def _body_model(verb: Any) -> ModelBase | None:
    model: ModelBase | None = _expected(verb, ModelBase)
    return model


def _query_parser(verb: Any) -> RequestParser:
    parser = _expected(verb, RequestParser)
    return query.NO_PARAMETERS if parser is None or isinstance(parser, FormParser) else parser


def _form_parser(verb: Any) -> FormParser | None:
    parser: FormParser | None = _expected(verb, FormParser)
    return parser
