"""API keys: making them, ending them, and letting their bearers in."""

import logging
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.exc import DBAPIError

from core.audit import service as audit
from core.audit.model import EventKind
from core.auth import policy
from core.auth import service as auth
from core.auth.model import ApiKey
from core.auth.repository import KeyRepository
from core.platform import clock
from core.platform.access import Actor, Permission
from core.platform.cache.marks import service as marks
from core.platform.database.base import db
from core.platform.database.paging import Page, PageRequest, made_anew, paginate
from core.platform.database.repeats import repeated
from core.platform.database.session import transaction
from core.platform.database.trouble import is_outage
from core.platform.errors import Forbidden, Invalid, InvalidToken, NotFound
from core.platform.preconditions import Expected
from core.platform.signing import digest
from core.users.repository import UserRepository

log = logging.getLogger("tasklane.auth")

SORTABLE = {name: getattr(ApiKey, name) for name in ("name", "created_at", "expires_at", "last_used_at")}

# Scanners of public code look for such prefixes.
KEY = re.compile(r"tl_[0-9a-f]{48}")
SHOWN_LENGTH = 11
NOT_VALID = "This API key is not valid."

# Recording every use would turn every read into a write.
USE_RECORDED_EVERY = timedelta(minutes=1)
# Seconds that a read may wait for that.
USE_PATIENCE = 0.5
# How often an event is written about it.
USE_TOLD_EVERY = timedelta(hours=1)

_KNOWN = {permission.value: permission for permission in Permission}


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was just made. `key` is its only copy in clear."""

    row: ApiKey
    key: str


@repeated
def create(
    actor: Actor, *, name: str, scopes: Sequence[str], expires_at: datetime | None = None, secret_key: str
) -> NewKey:
    """Make an API key for the actor.

    Raises Forbidden for scopes beyond what the actor may do, and Invalid if it
    would have expired already.
    """
    if expires_at is not None and expires_at <= clock.now():
        raise Invalid("The request has invalid fields.", details={"expires_at": ["Must be in the future."]})
    wanted = [Permission(scope) for scope in scopes]
    excess = [scope for scope in wanted if not actor.has(scope)]
    if excess:
        raise Forbidden(
            "A key cannot do more than its owner.",
            details={"scopes": [f"You do not have {scope}." for scope in excess]},
        )
    key = f"tl_{secrets.token_hex(24)}"
    row = ApiKey(
        user_id=actor.user_id,
        name=name,
        prefix=key[:SHOWN_LENGTH],
        # A key is 192 random bits, so unlike a password it needs no slow hash.
        key_hash=digest(secret_key, "api-key", key),
        scopes=[str(scope) for scope in wanted],
        expires_at=expires_at,
    )
    with transaction() as session:
        # A change of the password that is under way must not miss this key.
        UserRepository(session).find_for_update(actor.user_id)
        auth.confirm(session, session_id=actor.session_id or "")
        KeyRepository(session).add(row)
        audit.record(
            session, EventKind.KEY_CREATED, user_id=actor.user_id, actor_id=actor.user_id, key=row.id, scopes=row.scopes
        )
    return NewKey(row, key)


def get(actor: Actor, *, key_id: int) -> ApiKey:
    """Return a key. Raises NotFound, also for a revoked one, and Forbidden for another's."""
    return _require(actor, KeyRepository(db.session()).find(key_id))


def list_visible(actor: Actor, *, page: PageRequest) -> Page:
    """Return a page of the actor's keys that are not revoked, newest first unless sorted otherwise."""
    session = db.session()
    query = KeyRepository(session).select(policy.visible_to(actor))
    return paginate(session, made_anew(query), page, sortable=SORTABLE, default_sort="-created_at", identity=ApiKey.id)


@repeated
def revoke(actor: Actor, expected: Expected, /, *, key_id: int) -> None:
    """End a key at once. Raises like `get`."""
    with transaction() as session:
        row = _require(actor, KeyRepository(session).find_for_update(key_id))
        expected.require(lambda: row)
        row.revoked_at = clock.now()
        audit.record(session, EventKind.KEY_REVOKED, user_id=row.user_id, actor_id=actor.user_id, key=row.id)


def authenticate(*, key: str, secret_keys: Sequence[str]) -> Actor:
    """Return who holds the key, limited to its scopes. The first of `secret_keys` is the one in force.

    Raises InvalidToken with the same words whether the key is unknown, revoked
    or expired or its owner inactive. One statement, and a second one at most
    once a minute, so that a revocation holds at once.
    """
    if not KEY.fullmatch(key):
        raise InvalidToken(NOT_VALID)
    now = clock.now()
    hashes = [digest(secret_key, "api-key", key) for secret_key in secret_keys]
    holder = KeyRepository(db.session()).find_holder(*hashes)
    if holder is None or holder.revoked_at is not None or not holder.is_active:
        raise InvalidToken(NOT_VALID)
    if holder.expires_at is not None and holder.expires_at <= now:
        raise InvalidToken(NOT_VALID)
    is_outdated = holder.key_hash != hashes[0]
    if is_outdated or holder.last_used_at is None or holder.last_used_at <= now - USE_RECORDED_EVERY:
        is_news = holder.last_used_at is None or holder.last_used_at <= now - USE_TOLD_EVERY
        _note_use(holder, now, is_news=is_news, new_hash=hashes[0] if is_outdated else None)
    marks.note(db.session(), holder.marks)
    return Actor(holder.user_id, holder.role, scopes=_known(holder.scopes), key_id=holder.id)


def _known(scopes: Sequence[str]) -> frozenset[Permission]:
    # A scope that a later version no longer knows opens nothing.
    return frozenset(_KNOWN[scope] for scope in scopes if scope in _KNOWN)


def scopes_now(key_id: int, *, user_id: int) -> frozenset[Permission] | None:
    """Return what a key of this user includes, or None if it does not count any more: revoked, expired or gone."""
    row = db.session.get(ApiKey, key_id, populate_existing=True)
    if row is None or row.user_id != user_id or row.revoked_at is not None:
        return None
    if row.expires_at is not None and row.expires_at <= clock.now():
        return None
    return _known(row.scopes)


def _note_use(holder: Any, now: datetime, *, is_news: bool, new_hash: str | None) -> None:
    try:
        with transaction(patience=USE_PATIENCE) as session:
            KeyRepository(session).note_use(holder.id, now, unless_after=now - USE_RECORDED_EVERY)
            if new_hash is not None:  # So the former secret of the installation can be dropped one day.
                KeyRepository(session).replace_hash(holder.id, holder.key_hash, new_hash)
            if is_news:
                audit.record(
                    session, EventKind.KEY_USED, user_id=holder.user_id, actor_id=holder.user_id, key=holder.id
                )
    except DBAPIError as error:
        if not is_outage(error):
            raise
        # A read must not fail because the trace of it could not be written.
        log.warning("The use of API key %s was not recorded: %s", holder.id, type(error.orig).__name__)


def _require(actor: Actor, key: ApiKey | None) -> ApiKey:
    if key is None:
        raise NotFound("There is no such API key.")
    if not policy.may_manage(actor, key):
        raise Forbidden("This API key belongs to somebody else.")
    if key.revoked_at is not None:
        raise NotFound("There is no such API key.")
    return key
