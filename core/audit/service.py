"""Recording what happens to accounts, and letting administrators look at it."""

import logging
from typing import Any

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from core.audit import policy
from core.audit.model import EventKind, SecurityEvent
from core.audit.repository import AuditRepository
from core.platform import clock
from core.platform.access import Actor
from core.platform.database.base import db
from core.platform.database.paging import Page, PageRequest, made_anew, paginate
from core.platform.database.ranges import Range
from core.platform.database.session import transaction
from core.platform.database.trouble import is_outage
from core.platform.logs import context

log = logging.getLogger("tasklane.security")

SORTABLE = {"at": SecurityEvent.at}

# Seconds that a refusal waits for whoever writes at that moment.
PATIENCE = 0.5


def record(
    session: Session, kind: EventKind, *, user_id: int | None, actor_id: int | None = None, **detail: Any
) -> None:
    """Record an event in the caller's transaction, and in the log. `detail` is plain JSON without secrets."""
    event = SecurityEvent(
        at=clock.now(),
        kind=kind,
        user_id=user_id,
        actor_id=actor_id,
        address=context.address.get(),
        request_id=context.request_id.get(),
        detail=detail,
    )
    session.add(event)
    words = " ".join(f"{name}={value!r}" for name, value in detail.items())
    log.info("%s account=%s actor=%s address=%s %s", kind, user_id, actor_id, event.address, words)


def record_refusal(actor: Actor, **detail: Any) -> None:
    """Record that the actor was refused something.

    The answer does not depend on it, and hardly waits for it: if the database
    cannot write, there is only a line in the log.
    """
    try:
        with transaction(patience=PATIENCE) as session:
            record(session, EventKind.FORBIDDEN, user_id=actor.user_id, actor_id=actor.user_id, **detail)
    except (DBAPIError, PoolTimeout) as error:
        if isinstance(error, DBAPIError) and not is_outage(error):
            raise
        reason = type(getattr(error, "orig", error)).__name__
        log.warning("forbidden account=%s %s was not stored: %s", actor.user_id, detail, reason)


def list_visible(
    actor: Actor,
    *,
    page: PageRequest,
    kind: list[EventKind] | None = None,
    user_id: int | None = None,
    at: Range | None = None,
) -> Page:
    """Return a page of the events that the actor may see, newest first."""
    conditions = [policy.visible_to(actor)]
    if kind:
        conditions.append(SecurityEvent.kind.in_(kind))
    if user_id is not None:
        conditions.append(SecurityEvent.user_id == user_id)
    if at:
        conditions += at.conditions(SecurityEvent.at)
    session = db.session()
    query = AuditRepository(session).select(*conditions)
    return paginate(session, made_anew(query), page, sortable=SORTABLE, default_sort="-at", identity=SecurityEvent.id)
