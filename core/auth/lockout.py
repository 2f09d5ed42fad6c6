"""Slowing down who guesses passwords from many addresses, without locking the owner out.

Rate limits stop one address. Against many, wrong passwords in a row for one name
lock that name for a while that doubles with each further one, up to a quarter of
an hour; meanwhile not even the right password is looked at. An address from
which the owner has logged in before is not bound by the lock, so a stranger can
delay a login from a new place, and nothing more. Names without an account are
treated alike, so a lock does not show whether there is one.
"""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy.orm import Session

from core.audit import service as audit
from core.audit.model import EventKind
from core.audit.repository import AuditRepository
from core.platform import clock
from core.platform.database.base import db
from core.platform.database.repeats import repeated
from core.platform.database.session import transaction
from core.platform.errors import TooManyAttempts
from core.platform.signing import digest
from core.platform.text import checks
from core.users.model import User

FREE_FAILURES = 10
FIRST_LOCK = timedelta(seconds=15)
LONGEST_LOCK = timedelta(minutes=15)
# Failures longer ago do not count.
MEMORY = timedelta(hours=1)


def require_unlocked(name: str, user: User | None, address: str, *, secret_keys: Sequence[str]) -> None:
    """Raise TooManyAttempts if the name is locked and its owner has never come from this address."""
    repository = AuditRepository(db.session())
    # Under a former key too: a new one of the installation ends no lock, and makes no address strange.
    until = repository.locked_until(*(digest(key, "name", checks.login_name(name)) for key in secret_keys))
    now = clock.now()
    if until is None or until <= now:
        return
    # Asked for a name without an account too, because the time that it takes would show whether there is one.
    if repository.is_known(user.id if user else 0, *(digest(key, "address", address) for key in secret_keys)):
        return
    seconds = int((until - now).total_seconds()) + 1
    raise TooManyAttempts("There were too many wrong passwords for this name. Try again later.", retry_after=seconds)


@repeated
def note_failure(name: str, user: User | None, *, secret_key: str) -> None:
    """Count a wrong password for the name, and lock the name when there are many."""
    name_hash = digest(secret_key, "name", checks.login_name(name))
    user_id = user.id if user else None
    now = clock.now()
    with transaction() as session:
        repository = AuditRepository(session)
        count = repository.count_failure(name_hash, now, forgotten_before=now - MEMORY)
        audit.record(session, EventKind.LOGIN_REFUSED, user_id=user_id)
        if count >= FREE_FAILURES:
            length = min(FIRST_LOCK * 2 ** min(count - FREE_FAILURES, 16), LONGEST_LOCK)
            repository.lock(name_hash, now + length)
            audit.record(session, EventKind.LOCKED_OUT, user_id=user_id, seconds=int(length.total_seconds()))


def note_success(session: Session, user: User, address: str, *, secret_keys: Sequence[str]) -> None:
    """Forget the failures for all names of the user, and remember where they came from."""
    forgive(session, user, secret_keys=secret_keys)
    AuditRepository(session).know(user.id, digest(secret_keys[0], "address", address), clock.now())


def forgive(session: Session, user: User, *, secret_keys: Sequence[str]) -> None:
    """Forget the failures for all names of the user, which ends their locks, also those under former keys."""
    names = [checks.login_name(name) for name in (user.username, user.email)]
    AuditRepository(session).forgive(*(digest(key, "name", name) for name in names for key in secret_keys))
