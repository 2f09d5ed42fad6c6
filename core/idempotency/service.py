"""Keeping an answer with the change that it is about, and finding it again.

`Ticket` stands for one request under one key. The first to claim it does the
work; who comes later gets the same answer. A request whose effect is in the
database claims, works and keeps the answer in one transaction: either all of it
is there after a crash or nothing. One whose effect is elsewhere reserves first.
"""

import hashlib
import hmac
import os
from dataclasses import dataclass
from datetime import timedelta

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy.orm import Session

from core import clock
from core.db import LockedTooLong, db, transaction
from core.errors import Conflict, Invalid
from core.idempotency.repository import KeptAnswerRepository

KEPT_FOR = timedelta(hours=24)
# A reservation whose process has died is nobody's after this; longer than any request takes.
ABANDONED_AFTER = timedelta(minutes=2)
NONCE_BYTES = 12

REUSED = "This idempotency key was used for another request. Use a new key for a new request."


class StillRunning(Conflict):
    """The first request under this key is not done yet."""

    def __init__(self) -> None:
        super().__init__("A request with this idempotency key is still being worked on. Repeat it a little later.")


class AlreadyClaimed(Exception):
    """Somebody else has claimed the ticket meanwhile."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """One request under one key. `secret` signs and encrypts; `fingerprint` tells this request from others."""

    caller: str
    key: str
    fingerprint: str
    secret: str

    @property
    def key_hash(self) -> str:
        """What finds the row; it does not tell the key."""
        return self._derive(b"find").hex()

    def seal(self, answer: bytes) -> bytes:
        """Encrypt an answer, so that only who has the key can read it."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + AESGCM(self._derive(b"seal")).encrypt(nonce, answer, self.fingerprint.encode())

    def open(self, sealed: bytes) -> bytes:
        """Decrypt an answer. Raises InvalidTag if it was sealed under another secret or was changed."""
        nonce, text = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
        return AESGCM(self._derive(b"seal")).decrypt(nonce, text, self.fingerprint.encode())

    def _derive(self, purpose: bytes) -> bytes:
        message = b"\0".join((b"idempotency", purpose, self.caller.encode(), self.key.encode()))
        return hmac.digest(self.secret.encode(), message, hashlib.sha256)


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


def find(ticket: Ticket) -> Answer | None:
    """Return the answer that was kept, if any.

    Raises Invalid if the key was used for another request, and Conflict while
    the first request is still being worked on.
    """
    session = db.session()
    row = KeptAnswerRepository(session).find(ticket.caller, ticket.key_hash)
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
        # The secret of this installation has changed since; nobody can read the answer any more.
        raise Conflict("The answer under this idempotency key can no longer be read. Use a new key.") from None
    headers = [(name, value) for name, value in kept["headers"]]
    return Answer(kept["status"], headers, bytes.fromhex(kept["body"]))


def claim(session: Session, ticket: Ticket) -> None:
    """Claim a ticket in the caller's transaction.

    Waits for whoever holds it; then raises AlreadyClaimed, or Conflict if that takes too long.
    """
    now = clock.now()
    rows = KeptAnswerRepository(session)
    rows.make_way(ticket.caller, ticket.key_hash, now, claimed_before=now - ABANDONED_AFTER)
    try:
        claimed = rows.claim(
            caller=ticket.caller,
            key_hash=ticket.key_hash,
            fingerprint=ticket.fingerprint,
            created_at=now,
            expires_at=now + KEPT_FOR,
        )
    except LockedTooLong:
        raise StillRunning from None
    if not claimed:
        raise AlreadyClaimed


def keep(session: Session, ticket: Ticket, answer: Answer) -> None:
    """Keep the answer to a claimed ticket in the caller's transaction."""
    plain = orjson.dumps({"status": answer.status, "headers": answer.headers, "body": answer.body.hex()})
    KeptAnswerRepository(session).complete(ticket.caller, ticket.key_hash, ticket.seal(plain))


def release(ticket: Ticket) -> None:
    """Give up a reservation, because its request has failed in a way that is worth repeating."""
    with transaction() as session:
        KeptAnswerRepository(session).give_up(ticket.caller, ticket.key_hash)
