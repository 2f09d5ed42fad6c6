"""Storing an answer with the change that it is about, and finding it again.

`Ticket` stands for one request under one key. The first to claim it does the
work; who comes later gets the same answer. A request whose effect is in the
database claims, works and stores the answer in one transaction: either all of it
is there after a crash or nothing. One whose effect is elsewhere reserves first.
"""

import hashlib
import hmac
import os
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy.orm import Session

from core.idempotency.repository import StoredAnswerRepository
from core.platform import clock
from core.platform.database.base import db
from core.platform.database.repeats import repeated
from core.platform.database.session import LockedTooLong, transaction
from core.platform.errors import Conflict, Invalid

STORED_FOR = timedelta(hours=24)
# A reservation whose process has died may be taken over after this; longer than any request takes.
ABANDONED_AFTER = timedelta(minutes=2)
NONCE_BYTES = 12

REUSED = "This idempotency key was used for another request. Use a new key for a new request."


UNREADABLE = (
    "A request with this idempotency key was answered before, and nothing was done again. That answer can no longer"
    " be read, because the secret of this installation has changed since. See what there is before you use a new key."
)


class StillRunning(Conflict):
    """The first request under this key is not done yet."""

    def __init__(self) -> None:
        super().__init__("A request with this idempotency key is still being worked on. Repeat it a little later.")


class AlreadyClaimed(Exception):
    """Another request has claimed the ticket meanwhile."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """One request under one key. `fingerprint` distinguishes this request from others.

    The first of `secrets` encrypts, and answers stored under the others can be read; so one can take the place of
    another.
    """

    caller: str
    key: str = field(repr=False)
    fingerprint: str
    secrets: Sequence[str] = field(repr=False)

    @property
    def identity(self) -> str:
        """Name of the row, whatever the secrets are: a key must not work twice because they changed."""
        return hashlib.sha256(self._message(b"identity")).hexdigest()

    def seal(self, answer: bytes) -> bytes:
        """Encrypt an answer, so that only who has the key can read it."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + AESGCM(self._derive(self.secrets[0])).encrypt(nonce, answer, self.fingerprint.encode())

    def open(self, sealed: bytes) -> bytes:
        """Decrypt an answer. Raises InvalidTag if it was sealed under none of the secrets or was changed."""
        nonce, text = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
        for secret in self.secrets:
            with suppress(InvalidTag):
                return AESGCM(self._derive(secret)).decrypt(nonce, text, self.fingerprint.encode())
        raise InvalidTag

    def _derive(self, secret: str) -> bytes:
        return hmac.digest(secret.encode(), self._message(b"seal"), hashlib.sha256)

    def _message(self, purpose: bytes) -> bytes:
        return b"\0".join((b"idempotency", purpose, self.caller.encode(), self.key.encode()))


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer of a request, and the details that its key included; None without a key."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    scopes: frozenset[str] | None = None

    def may_be_told(self, scopes: Collection[str] | None) -> bool:
        """Return whether a caller with these scopes could have asked for it, too; None is no limit."""
        return scopes is None or (self.scopes is not None and self.scopes <= set(scopes))


def find(ticket: Ticket) -> Answer | None:
    """Return the answer that was stored, if any.

    Raises Invalid if the key was used for another request, and Conflict while
    the first request is still being worked on.
    """
    session = db.session()
    row = StoredAnswerRepository(session).find(ticket.identity)
    now = clock.now()
    session.commit()
    if row is None or row.expires_at <= now:
        return None
    if row.fingerprint != ticket.fingerprint:
        raise Invalid(REUSED, details={"Idempotency-Key": ["It was used with another path or body."]})
    if row.answer is None:
        if now - row.created_at > ABANDONED_AFTER:
            return None
        raise StillRunning
    try:
        kept = orjson.loads(ticket.open(row.answer))
    except InvalidTag:
        # The secret of this installation has changed since; the answer cannot be read any more.
        raise Conflict(UNREADABLE) from None
    headers = [(name, value) for name, value in kept["headers"]]
    scopes = kept.get("scopes")
    return Answer(kept["status"], headers, bytes.fromhex(kept["body"]), None if scopes is None else frozenset(scopes))


def claim(session: Session, ticket: Ticket) -> None:
    """Claim a ticket in the caller's transaction.

    Waits for whoever holds it; then raises AlreadyClaimed, or Conflict if that takes too long.
    """
    now = clock.now()
    rows = StoredAnswerRepository(session)
    rows.make_way(ticket.identity, now, claimed_before=now - ABANDONED_AFTER)
    try:
        claimed = rows.claim(
            caller=ticket.caller,
            key_hash=ticket.identity,
            identity=ticket.identity,
            fingerprint=ticket.fingerprint,
            created_at=now,
            expires_at=now + STORED_FOR,
        )
    except LockedTooLong:
        raise StillRunning from None
    if not claimed:
        raise AlreadyClaimed


def store(session: Session, ticket: Ticket, answer: Answer) -> None:
    """Store the answer to a claimed ticket in the caller's transaction."""
    scopes = None if answer.scopes is None else sorted(answer.scopes)
    content = {"status": answer.status, "headers": answer.headers, "body": answer.body.hex(), "scopes": scopes}
    plain = orjson.dumps(content)
    StoredAnswerRepository(session).complete(ticket.identity, ticket.seal(plain))


@repeated
def release(ticket: Ticket) -> None:
    """Give up a reservation, because its request has failed in a way that is worth repeating."""
    with transaction() as session:
        StoredAnswerRepository(session).give_up(ticket.identity)
