"""`Idempotency-Key`: a POST that is repeated under its key is answered again, not done again."""

import hashlib
import re
from collections.abc import Callable
from enum import Enum

from flask import Response, current_app, request
from flask_limiter.util import get_remote_address

from api.http.answers import errors
from core.idempotency import service as idempotency
from core.idempotency.service import AlreadyClaimed, Answer, StillRunning, Ticket
from core.platform.access import Actor
from core.platform.config.current import current_settings
from core.platform.database.repeats import repeated
from core.platform.database.session import transaction
from core.platform.database.trouble import asks_for_repetition
from core.platform.errors import Forbidden, Malformed

Scopes = frozenset[str] | None

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
PARAMETER = {
    HEADER: {
        "in": "header",
        "type": "string",
        "minLength": 1,
        "maxLength": 255,
        "pattern": "^[ -~]+$",
        "description": (
            "Chosen by the client for this one request. Repeating the request under the same key within 24 hours"
            f" does nothing again and gives the same answer, with the header {REPLAYED}: true."
        ),
    }
}


class Effect(Enum):
    """Place of the effect of a POST: it decides how the answer is stored for a repetition."""

    # In the database alone: the answer is stored in the same transaction as the change.
    TRANSACTION = "transaction"
    # Also elsewhere, or in transactions that must stand when the request is refused, such as the
    # end of a session whose token was used twice: the key is reserved first.
    RESERVATION = "reservation"


def is_asked() -> bool:
    """Return whether the current request has an idempotency key that counts."""
    return request.method == "POST" and HEADER in request.headers


def answer_once(answer: Callable[[], Response], *, effect: Effect, actor: Actor | None, content: bytes) -> Response:
    """Return what `answer` returns, or what it returned under this key before.

    `content` is what a repetition must have in common with the first request.
    Raises Malformed for a key that cannot be one, Invalid for one that was used
    for another request, Conflict while the first request is still running, and
    Forbidden for an API key that includes less than the first request had.
    """
    ticket = _ticket(actor, content)
    scopes = None if actor is None or actor.scopes is None else frozenset(map(str, actor.scopes))
    if (stored := idempotency.find(ticket)) is not None:
        return _replay(stored, scopes)
    try:
        if effect is Effect.RESERVATION:
            return _reserve_and_answer(ticket, answer, scopes)
        return _answer_in_transaction(ticket, answer, scopes)
    except AlreadyClaimed:
        # Another request with this key was faster, and is done: it held the key until then.
        stored = idempotency.find(ticket)
        if stored is None:
            raise StillRunning from None
        return _replay(stored, scopes)


def _ticket(actor: Actor | None, content: bytes) -> Ticket:
    key = request.headers[HEADER]
    if not re.fullmatch(r"[\x20-\x7e]{1,255}", key):
        raise Malformed(
            "The idempotency key cannot be used.", details={HEADER: ["Must be 1 to 255 printable characters."]}
        )
    caller = f"address {get_remote_address()}"[:80] if actor is None else f"user {actor.user_id}"
    digest = hashlib.sha256()
    for part in (request.method.encode(), request.full_path.encode("utf-8", "surrogateescape"), content):
        digest.update(len(part).to_bytes(8, "big") + part)
    return Ticket(caller, key, digest.hexdigest(), current_settings().secret_keys)


@repeated
def _answer_in_transaction(ticket: Ticket, answer: Callable[[], Response], scopes: Scopes) -> Response:
    try:
        with transaction() as session:
            idempotency.claim(session, ticket)
            response = answer()
            idempotency.store(session, ticket, _recorded(response, scopes))
    except (AlreadyClaimed, StillRunning):
        raise
    except Exception as error:  # `errors` makes a refusal of it, and logs the unexpected
        if asks_for_repetition(error):
            raise
        # The change was undone. The refusal is stored by itself, so that a repetition hears the same.
        response = errors.respond(error)
        if _is_final(response):
            _claim_and_store(ticket, response, scopes)
        _pass_on(error)
    return response


@repeated
def _claim_and_store(ticket: Ticket, response: Response, scopes: Scopes) -> None:
    with transaction() as session:
        idempotency.claim(session, ticket)
        idempotency.store(session, ticket, _recorded(response, scopes))


def _reserve_and_answer(ticket: Ticket, answer: Callable[[], Response], scopes: Scopes) -> Response:
    _claim(ticket)
    refusal: Exception | None = None
    try:
        response = answer()
    except Exception as error:  # noqa: BLE001 - as above
        refusal, response = error, errors.respond(error)
    if _is_final(response):
        _store(ticket, response, scopes)
    else:
        idempotency.release(ticket)
    _pass_on(refusal)
    return response


@repeated
def _claim(ticket: Ticket) -> None:
    with transaction() as session:
        idempotency.claim(session, ticket)


@repeated
def _store(ticket: Ticket, response: Response, scopes: Scopes) -> None:
    with transaction() as session:
        idempotency.store(session, ticket, _recorded(response, scopes))


def _pass_on(refusal: Exception | None) -> None:
    """Raise a Forbidden once more: the resource records it."""
    if isinstance(refusal, Forbidden):
        raise refusal


def _is_final(response: Response) -> bool:
    """Return whether a repetition should hear the same: not after a fault, and not after a limit."""
    return response.status_code < 500 and response.status_code != 429


def _recorded(response: Response, scopes: Scopes) -> Answer:
    return Answer(response.status_code, list(response.headers), response.get_data(), scopes)


def _replay(stored: Answer, scopes: Scopes) -> Response:
    if not stored.may_be_told(scopes):
        raise Forbidden("This API key includes less than what the first request with this idempotency key had.")
    response: Response = current_app.response_class(stored.body, stored.status)
    response.headers.clear()
    response.headers.extend(stored.headers)
    response.headers[REPLAYED] = "true"
    return response
