"""The resource that every resource inherits: nothing is reachable by accident.

A verb without a permission fails at import. Before a verb runs, its caller is
verified and its query and body are parsed, in this order, so that a stranger
learns nothing about what would have been valid.
"""

from collections.abc import Callable
from typing import Any, ClassVar

from flask import Response, request
from flask_restx import Resource
from flask_restx.model import ModelBase
from werkzeug.exceptions import BadRequest, NotAcceptable

from api.http.answers import conditional
from api.http.answers.downloads import is_download
from api.http.answers.negotiation import preferred_type
from api.http.documentation import Verb
from api.http.door import deprecation, idempotency, limits, tokens
from api.http.door.contract import document_operation
from api.http.door.idempotency import Effect
from api.http.input import arguments, continuation
from api.http.input.body import load_body
from api.http.input.declared import filter_of
from api.http.input.forms import fingerprint, load_form
from api.http.input.takes import Input, input_of
from core.audit import service as audit
from core.platform.access import Actor, Permission
from core.platform.database.filters import Filter, Filters
from core.platform.database.paging import PageRequest
from core.platform.errors import Forbidden
from core.platform.logs import context
from core.platform.preconditions import Expected

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


class SecureResource(Resource):
    """A resource whose verbs each name the permission that they need.

    What one verb takes and answers stand at the verb, as decorators. Here stands what is said of
    all verbs of a resource.
    """

    permissions: ClassVar[dict[str, Permission]] = {}
    # The name of each verb in the document, which clients call it by: `list_tasks`. It is a promise like its path.
    operations: ClassVar[dict[str, str]] = {}
    # What its requests are counted as, once it is known who asks.
    count: ClassVar[Callable[[Actor | None], None]] = limits.count_request
    # Whether it must fail while the database is away.
    needs_database: ClassVar[bool] = True
    # Where the effect of a POST is, which decides how its answer is stored for a repetition.
    effect: ClassVar[Effect] = Effect.TRANSACTION
    # What a read of this resource shows, whose tag If-Match names to the verbs that change it, and
    # the endpoint of that read, if it is another than this.
    conditional_on: ClassVar[ModelBase | None] = None
    conditional_at: ClassVar[str | None] = None

    # What a verb finds. There is no actor of a public verb, no body of one that takes none, and nothing
    # `expected` without `conditional_on`; a verb that changes such a resource hands that to its service.
    actor: Actor
    query: dict[str, Any]
    body: dict[str, Any]
    expected: Expected

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # Said of the resource and not of the verb, so that a second route of it can have names of its own.
        cls.__apidoc__ = {method.lower(): {"id": name} for method, name in cls.operations.items()}
        for method in METHODS:
            verb = cls.__dict__.get(method.lower())
            if verb is None:
                continue
            if method not in cls.permissions:
                raise TypeError(
                    f"{cls.__name__}.{method.lower()} names no permission; say Permission.PUBLIC if it needs none."
                )
            if method not in cls.operations:
                raise TypeError(f"{cls.__name__}.{method.lower()} has no name in operations, such as list_tasks.")
            document_operation(
                verb,
                method,
                cls.permissions[method],
                is_counted=cls.count is not limits.uncounted,
                needs_database=cls.needs_database,
                has_state=cls.conditional_on is not None,
            )

    def dispatch_request(self, *args: Any, **kwargs: Any) -> Response:
        """Let the caller in, read what they send, and have the verb answer."""
        method = "GET" if request.method == "HEAD" else request.method
        verb: Verb = getattr(self, method.lower())
        takes = input_of(verb)
        _require_answerable(verb)
        try:
            actor = self._let_in(self.permissions[method])
            deprecation.require_in_service()
            self.query = takes.load_query()
            takes.require_readable()
            if continuation.is_asked():
                return continuation.go_on()
            self._load_body(takes)
            if not idempotency.is_asked():
                return self._answer(verb, *args, **kwargs)
            return idempotency.answer_once(
                lambda: self._answer(verb, *args, **kwargs),
                effect=self.effect,
                actor=actor,
                content=self._content(takes),
            )
        except Forbidden as refusal:
            # Whoever is refused although they are known is recorded.
            if (known := getattr(self, "actor", None)) is not None:
                audit.record_refusal(known, request=f"{request.method} {request.path}", reason=refusal.message)
            raise

    def _let_in(self, permission: Permission) -> Actor | None:
        """Verify the caller, count the request as theirs, and ask whether they may do this."""
        try:
            actor = _verify(permission)
        except Exception:
            type(self).count(None)
            raise
        # A client that is asked for its body sends it in the same request, which is counted then.
        if not continuation.is_asked():
            type(self).count(actor)
        if actor is not None:
            self.actor = actor
            if not actor.has(permission):
                raise Forbidden(f"This needs the permission {permission}.")
        return actor

    def _load_body(self, takes: Input) -> None:
        if takes.body is not None:
            self.body = self.read_body(takes)
        elif takes.form is not None:
            self.body = load_form(takes.form)

    def read_body(self, wanted: Input) -> dict[str, Any]:
        """Return the checked body; a resource that reads it otherwise overrides this."""
        return load_body(wanted.body, missing_status=wanted.missing_status, needs_a_field=request.method == "PATCH")

    def _content(self, takes: Input) -> bytes:
        """Return what a repetition under an idempotency key must have in common with the first request."""
        return self.origin().encode() + (request.get_data() if takes.form is None else fingerprint(self.body))

    def origin(self) -> str:
        """Return what else, beside the account, a repetition under an idempotency key has to come from.

        Nothing else, because who logs in anew may still repeat what was sent before.
        """
        return ""

    def _answer(self, verb: Verb, *args: Any, **kwargs: Any) -> Response:
        """Run the verb under the conditions that the request names (RFC 9110, section 13)."""
        if request.method in ("GET", "HEAD"):
            return conditional.answer_read(verb(*args, **kwargs))
        if self.conditional_on is None:
            answer: Response = verb(*args, **kwargs)
            return answer
        self.expected = conditional.expected_by_request(self.conditional_on)
        return conditional.answer_write(verb(*args, **kwargs), place=self.conditional_at)

    def filters(self, filters: Filters) -> Filter:
        """Return what the query of a list narrows it to."""
        return filter_of(filters, self.query, me=self.actor.user_id)

    @property
    def page(self) -> PageRequest:
        """The page of a list that the caller asks for."""
        return arguments.page_request(self.query)


def _require_answerable(verb: Verb) -> None:
    """Refuse a caller who takes no JSON before anything happens, and a Host that no URL can have: Location needs it."""
    if preferred_type() is None and not is_download(verb):
        raise NotAcceptable
    if not request.host:
        raise BadRequest


def _verify(permission: Permission) -> Actor | None:
    """Return the verified caller, or None for a public operation."""
    if permission is Permission.PUBLIC:
        return None
    actor = tokens.verify(refresh=permission is Permission.SESSION_REFRESH)
    context.user_id.set(actor.user_id)
    context.key_id.set(actor.key_id)
    return actor
