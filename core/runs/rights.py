"""Rights that each kind of job asks of the user who orders it: one table, asked again whenever work begins anew.

A right that was there when a job was ordered may be gone when it runs. So the
same function is asked by the order, when the job is tried again, when an
attempt starts, and in the transaction that ends it. A job without this right
fails for good, with the sentence that an order would have been refused with. A
log-out takes nothing from a job: it ends a session, not a right.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from core.auth.actors import actor_of_job
from core.exchange import exports
from core.exchange.columns import Kind
from core.exchange.imports import service as imports
from core.exchange.imports.targets import TARGETS
from core.jobs import kinds
from core.jobs.model import Job
from core.mail import service as mail
from core.platform import clock
from core.platform.access import Actor, Permission, Role
from core.platform.database.base import db
from core.platform.errors import Conflict, DomainError, Forbidden, Invalid, JobFailed, Malformed, NotFound
from core.reports import service as reports
from core.runs import grounds
from core.tasks import processing

Payload = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Right:
    """Right that a kind of job asks for.

    `permission` is what an API key must include, beside `jobs:write`, to order,
    repeat or cancel it, and one of `reading` what it must include, beside
    `jobs:read`, to see what came of it. `require` raises the refusal of an order; for a
    kind that works without a user's rights it is asked only when it is tried again.
    """

    permission: Callable[[Payload], Permission | None]
    reading: Callable[[Payload], tuple[Permission, ...]]
    require: Callable[[Actor, Payload], None]


def _always(permission: Permission | None, *reading: Permission) -> dict[str, Any]:
    needed = reading or ((permission,) if permission else ())
    return {"permission": lambda payload: permission, "reading": lambda payload: needed}


def _by_kind(find: Callable[[Payload], Permission]) -> dict[str, Any]:
    return {"permission": find, "reading": lambda payload: (find(payload),)}


def _nothing(actor: Actor, payload: Payload) -> None:
    """Ask nothing: it is the service's own, and only administrators see it."""


def _process(actor: Actor, payload: Payload) -> None:
    processing.require_still_possible(actor, db.session(), task_id=payload["task_id"])


def _export(actor: Actor, payload: Payload) -> None:
    exports.require_orderable(actor, exports.selection_of(payload))


def _import(actor: Actor, payload: Payload) -> None:
    imports.require_allowed(actor, Kind(payload["kind"]))


def _report(actor: Actor, payload: Payload) -> None:
    reports.require_orderable(actor, project_id=payload["project_id"])


def _letter(write: Callable[..., mail.Letter]) -> Callable[[Actor, Payload], None]:
    """A message asks who it is for, and what they may see, each time before it is sent."""

    def require(actor: Actor, payload: Payload) -> None:
        try:
            write(**payload)
        except mail.NotNeeded as reason:
            raise Conflict(str(reason)) from None

    return require


def _reset(actor: Actor, payload: Payload) -> None:
    """A link that would not hold any more need not be sent. To write the letter would make one."""
    if payload["user_id"] is None or datetime.fromisoformat(payload["until"]) <= clock.now():
        raise Conflict("This link does not hold any more. Ask for a new one.")


_ABOUT_TASKS = _always(Permission.TASKS_READ)

RIGHTS: dict[str, Right] = {
    kind.name: right
    for kind, right in {
        kinds.PROCESS_TASK: Right(
            **_always(Permission.TASKS_WRITE, Permission.TASKS_WRITE, Permission.TASKS_READ), require=_process
        ),
        kinds.EXPORT: Right(**_by_kind(lambda payload: exports.SOURCES[payload["what"]].permission), require=_export),
        kinds.IMPORT: Right(**_by_kind(lambda payload: TARGETS[payload["kind"]].permission), require=_import),
        kinds.REPORT: Right(**_ABOUT_TASKS, require=_report),
        kinds.EMAIL_WELCOME: Right(**_always(Permission.ACCOUNT_READ), require=_letter(mail.welcome)),
        kinds.EMAIL_PASSWORD_RESET: Right(**_always(Permission.CREDENTIALS_MANAGE), require=_reset),
        kinds.EMAIL_TASK_CREATED: Right(**_ABOUT_TASKS, require=_letter(mail.task_created)),
        kinds.EMAIL_TASK_ASSIGNED: Right(**_ABOUT_TASKS, require=_letter(mail.task_assigned)),
        kinds.EMAIL_TASKS_TRANSFERRED: Right(**_ABOUT_TASKS, require=_letter(mail.tasks_transferred)),
        kinds.EMAIL_TASK_REMINDER: Right(**_ABOUT_TASKS, require=_letter(mail.task_reminder)),
        kinds.REPORT_WEEKLY: Right(**_ABOUT_TASKS, require=_nothing),
        kinds.MAIL_REMINDERS: Right(**_always(None), require=_nothing),
        kinds.CLEAN_UP: Right(**_always(None), require=_nothing),
    }.items()
}

if missing := kinds.KINDS.keys() ^ RIGHTS.keys():
    raise TypeError(f"These kinds of job have no right, or no such kind exists: {', '.join(sorted(missing))}.")


def require_permission(actor: Actor, kind: str, payload: Payload) -> None:
    """Raise Forbidden for a key that could not order such a job itself."""
    right = RIGHTS.get(kind)
    permission = right.permission(payload) if right else None
    if permission is not None and not actor.has(permission):
        raise Forbidden(f"This needs the permission {permission}.")


def may_see_result(actor: Actor, kind: str, payload: Payload) -> bool:
    """Return whether the actor's key, if they use one, may see what came of such a job."""
    right = RIGHTS.get(kind)
    needed = right.reading(payload) if right else ()
    return not needed or any(actor.has(permission) for permission in needed)


def require_order(actor: Actor, job: Job) -> None:
    """Raise Forbidden or Conflict unless the actor, whose job it is, could order it now."""
    require_permission(actor, job.kind, job.payload)
    try:
        RIGHTS[job.kind].require(actor, job.payload)
    except (NotFound, Invalid, Malformed) as error:
        raise Conflict(_sentence(error)) from None


def require_owner(job: Job) -> None:
    """Raise Conflict unless whoever the job works for could order it now."""
    try:
        if actor_of(job.kind, job.payload, owner_id=job.owner_id, key_id=job.key_id) is None:
            RIGHTS[job.kind].require(_NOBODY, job.payload)
    except JobFailed as error:
        raise Conflict(error.message) from None


# What no kind with rights of its own is asked for.
_NOBODY = Actor(0, Role.USER)


def actor_of(kind: str, payload: Payload, *, owner_id: int | None, key_id: int | None) -> Actor | None:
    """Return who a job works for, with the rights that they have now; None for one that works for the service.

    Raises JobFailed if they, with the key that they used, could not order it now.
    """
    known = kinds.KINDS.get(kind)
    if known is None or not known.for_actor:
        return None
    actor = actor_of_job(owner_id, key_id=key_id)
    try:
        RIGHTS[kind].require(actor, payload)
        require_permission(actor, kind, payload)
    except JobFailed:
        raise
    except DomainError as error:
        raise JobFailed(_sentence(error)) from error
    return actor


def require_result(actor: Actor, job: Job) -> None:
    """Raise Forbidden unless the actor may see now what the job has made."""
    if not may_see_result(actor, job.kind, job.payload):
        raise Forbidden(f"This needs the permission {RIGHTS[job.kind].reading(job.payload)[0]}.")
    known = kinds.KINDS.get(job.kind)
    if known is not None and known.for_actor and job.kind != kinds.PROCESS_TASK.name:
        # What it is about may be gone for everybody; then the grounds alone say who saw it.
        with suppress(NotFound, Invalid, Malformed):
            RIGHTS[job.kind].require(actor, job.payload)
    grounds.require(db.session(), actor, job.grounds)


def _sentence(error: DomainError) -> str:
    """Return what is wrong, in words that need no fields beside them."""
    if isinstance(error, Invalid | Malformed) and error.details:
        return " ".join(sentence for sentences in error.details.values() for sentence in sentences)
    return error.message
