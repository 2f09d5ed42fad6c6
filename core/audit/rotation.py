"""Noticing that SECRET_KEY was exchanged and the former one thrown away."""

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import delete, select, update

from core.audit.model import KnownSecret
from core.platform import clock
from core.platform.database.base import db
from core.platform.database.repeats import repeated
from core.platform.database.session import transaction
from core.platform.database.statements import insert_if_absent

# What was made under a secret is of little use to a thief after this.
REMEMBERED = timedelta(days=30)


@repeated
def note(secrets: Sequence[str]) -> None:
    """Remember which secrets are accepted, the one in force first."""
    now = clock.now()
    with transaction() as session:
        for number, secret in enumerate(secrets):
            values = {"last_at": now, "is_kept": number > 0}
            if not insert_if_absent(session, KnownSecret, id=_id(secret), **values):
                session.execute(update(KnownSecret).where(KnownSecret.id == _id(secret)).values(**values))
        session.execute(delete(KnownSecret).where(KnownSecret.last_at < now - REMEMBERED))


def lost_at(secrets: Sequence[str]) -> datetime | None:
    """Return when a secret was last in force that is accepted no more, and never was among the former ones."""
    query = select(KnownSecret.last_at).where(
        KnownSecret.id.not_in([_id(secret) for secret in secrets]),
        KnownSecret.is_kept.is_(False),
        KnownSecret.last_at >= clock.now() - REMEMBERED,
    )
    return db.session().scalar(query.order_by(KnownSecret.last_at.desc()).limit(1))


def _id(secret: str) -> str:
    """Return a name for a secret, from which the secret cannot be guessed."""
    return hashlib.sha256(b"tasklane secret key " + secret.encode()).hexdigest()[:16]
