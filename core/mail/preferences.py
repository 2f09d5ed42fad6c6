"""Choice of the e-mails that people get, and the links by which they end them without logging in."""

from collections.abc import Sequence
from dataclasses import dataclass

from itsdangerous import BadSignature, URLSafeSerializer
from sqlalchemy.orm import Session

from core.mail.model import OPTIONAL, MailKind
from core.mail.repository import MailRepository
from core.platform.access import Actor
from core.platform.database.base import db
from core.platform.database.repeats import repeated
from core.platform.database.session import transaction
from core.platform.errors import NotFound
from core.platform.preconditions import Expected
from core.platform.signing import oldest_first
from core.users.repository import UserRepository

NO_LINK = "There is no such link."


def get(actor: Actor) -> dict[str, bool]:
    """Return for each kind of message that is optional whether the actor gets it."""
    return _wanted(db.session(), actor.user_id)


@repeated
def change(actor: Actor, expected: Expected, /, **wanted: bool) -> dict[str, bool]:
    """Set the given kinds to wanted or not, leave the others, and return all."""
    with transaction() as session:
        # There may be no row of the preferences yet, so their owner's stands for them.
        UserRepository(session).find_for_update(actor.user_id)
        expected.require(lambda: _wanted(session, actor.user_id))
        preferences = MailRepository(session)
        preferences.opt_out(actor.user_id, [MailKind(kind) for kind, value in wanted.items() if not value])
        preferences.opt_in(actor.user_id, [MailKind(kind) for kind, value in wanted.items() if value])
        return _wanted(session, actor.user_id)


def _wanted(session: Session, user_id: int) -> dict[str, bool]:
    unwanted = MailRepository(session).list_unwanted(user_id)
    return {str(kind): kind not in unwanted for kind in OPTIONAL}


# --- links -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Subscription:
    """Content of a link. It names no user, because links are passed on."""

    kind: MailKind
    wanted: bool


def unsubscribe_token(user_id: int, kind: MailKind, *, secret_keys: Sequence[str]) -> str:
    """Return the part of a link that proves its holder got a message of this kind.

    It does not expire: people unsubscribe from old messages too, and all that it
    can do is to end them.
    """
    return str(_signer(secret_keys).dumps([user_id, str(kind)]))


def find(token: str, *, secret_keys: Sequence[str]) -> Subscription:
    """Return what a link is about, and change nothing. Raises NotFound for a forged one or a former account."""
    user_id, kind = _open(token, secret_keys)
    session = db.session()
    if UserRepository(session).find(user_id) is None:
        raise NotFound(NO_LINK)
    return Subscription(kind, kind not in MailRepository(session).list_unwanted(user_id))


@repeated
def unsubscribe(token: str, *, secret_keys: Sequence[str]) -> Subscription:
    """End the messages that a link is about; once more changes nothing. Raises NotFound like `find`."""
    user_id, kind = _open(token, secret_keys)
    with transaction() as session:
        if UserRepository(session).find_for_update(user_id) is None:
            raise NotFound(NO_LINK)
        MailRepository(session).opt_out(user_id, [kind])
    return Subscription(kind, wanted=False)


def _open(token: str, secret_keys: Sequence[str]) -> tuple[int, MailKind]:
    try:
        user_id, name = _signer(secret_keys).loads(token)
        kind = MailKind(name)
    except (BadSignature, ValueError):  # ValueError: a kind that this version does not know.
        raise NotFound(NO_LINK) from None
    if kind not in OPTIONAL:
        raise NotFound(NO_LINK)
    return user_id, kind


def _signer(secret_keys: Sequence[str]) -> URLSafeSerializer:
    return URLSafeSerializer(oldest_first(secret_keys), salt="unsubscribe")
