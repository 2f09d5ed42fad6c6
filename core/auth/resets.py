"""A way back for who has forgotten their password: a link that works once, by e-mail or from an administrator.

A link that is sent is made by the worker, of the job's id: so nothing that is stored gives it away,
and a message that has to be sent again has the same one.
"""

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from core.audit import service as audit
from core.audit.model import EventKind
from core.auth import lockout, revocation
from core.auth import service as auth
from core.auth.repository import ResetRepository
from core.jobs import service as jobs
from core.jobs.kinds import EMAIL_PASSWORD_RESET
from core.platform import clock, passwords
from core.platform.access import Actor
from core.platform.database.base import db
from core.platform.database.repeats import repeated
from core.platform.database.session import transaction
from core.platform.errors import Conflict, Forbidden, Invalid
from core.platform.signing import digest
from core.platform.text import checks
from core.users.repository import UserRepository
from core.users.service import require_user

LIFETIME = timedelta(minutes=30)
# Within a lifetime; so who has used these up has one that holds, and no mailbox is filled.
LINKS_AT_ONCE = 3

TOKEN = re.compile(r"tlr_[0-9a-f]{48}")
# For which a token is named by its digest, which is all that is stored of it.
_PURPOSE = "password-reset"
ADMINS_ONLY = "Only administrators may make a link for a new password."
NOT_VALID = "This token is unknown, used or expired. Ask for a new one."


@dataclass(frozen=True, slots=True)
class ResetLink:
    """A link that was just made. `token` is its only copy in clear."""

    token: str = field(repr=False)
    expires_at: datetime


@repeated
def order(*, username: str) -> None:
    """Order a link for the account with this username or e-mail address, if there is one.

    Does the same work whether there is such an account, active or not: the
    worker finds out, and the caller cannot see how long that takes.
    """
    user = UserRepository(db.session()).find_by_login(username)
    until = clock.now() + LIFETIME
    with transaction() as session:
        audit.record(session, EventKind.PASSWORD_FORGOTTEN, user_id=user.id if user else None)
        jobs.enqueue(
            session,
            EMAIL_PASSWORD_RESET,
            owner_id=None,
            user_id=user.id if user and user.is_active else None,
            until=until.isoformat(),
        )


@repeated
def make_for_job(*, user_id: int, job_id: UUID, until: datetime, secret_key: str) -> str | None:
    """Return the token that a job is to send, the same each time; None if it must not, because there are others."""
    token = f"tlr_{digest(secret_key, 'password-reset-job', str(job_id))[:48]}"
    token_hash = digest(secret_key, _PURPOSE, token)
    now = clock.now()
    with transaction() as session:
        # Whoever is deleted meanwhile gets none, and two jobs count one after the other.
        if UserRepository(session).find_for_update(user_id) is None:
            return None
        links = ResetRepository(session)
        if links.count_others(user_id, token_hash, now) >= LINKS_AT_ONCE:
            return None
        links.add_link(token_hash=token_hash, user_id=user_id, created_at=now, expires_at=until)
        return token if links.find_user_id(token_hash, now) is not None else None


@repeated
def make(actor: Actor, *, user_id: int, secret_key: str) -> ResetLink:
    """Make a link for another user's account; for administrators to hand over.

    Raises Forbidden, NotFound, and Conflict for an inactive account.
    """
    if not actor.is_admin:
        raise Forbidden(ADMINS_ONLY)
    link = ResetLink(f"tlr_{secrets.token_hex(24)}", clock.now() + LIFETIME)
    with transaction() as session:
        user = UserRepository(session).find_for_update(user_id)
        # Whose session or role ends meanwhile makes no more links.
        if not auth.confirm(session, session_id=actor.session_id or "").is_admin:
            raise Forbidden(ADMINS_ONLY)
        user = require_user(user)
        if user.id == actor.user_id:
            # A session that its user has left open must not be enough to take the account over.
            raise Forbidden("Change your own password with POST /api/v1/auth/password.")
        if not user.is_active:
            raise Conflict("This account is inactive.")
        ResetRepository(session).add_link(
            token_hash=digest(secret_key, _PURPOSE, link.token),
            user_id=user_id,
            created_at=clock.now(),
            expires_at=link.expires_at,
        )
        audit.record(session, EventKind.RESET_LINK_MADE, user_id=user_id, actor_id=actor.user_id)
    return link


@repeated
def redeem(*, token: str, new_password: str, secret_keys: Sequence[str]) -> None:
    """Set a new password, and end all sessions, API keys and other links, and any lock.

    Raises Invalid for a weak password, and with the same words for a token that
    is unknown, used or expired, or whose account is inactive.
    """
    checks.password(new_password, field="new_password")
    links = ResetRepository(db.session())
    hashes = [digest(secret_key, _PURPOSE, token.strip()) for secret_key in secret_keys]
    found = ((each, links.find_user_id(each, clock.now())) for each in hashes)
    token_hash, user_id = next((pair for pair in found if pair[1] is not None), ("", None))
    # Only for a token that holds a password is hashed, which costs time.
    if user_id is None:
        raise _not_valid()
    password_hash = passwords.hash_password(new_password)
    with transaction() as session:
        user = UserRepository(session).find_for_update(user_id)
        if user is None or not user.is_active or not ResetRepository(session).use(token_hash, clock.now()):
            raise _not_valid()
        user.password_hash = password_hash
        lockout.forgive(session, user, secret_keys=secret_keys)
        revocation.end_access(session, user_id=user_id)
        audit.record(session, EventKind.PASSWORD_RESET, user_id=user_id)


def _not_valid() -> Invalid:
    return Invalid("The request has invalid fields.", details={"token": [NOT_VALID]})
