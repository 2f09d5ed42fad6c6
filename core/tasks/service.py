"""Creating, listing, changing, deleting and restoring tasks."""

from typing import Any

from sqlalchemy import ColumnElement, Select, true
from sqlalchemy.orm import Session

from core.jobs import service as jobs
from core.platform import clock
from core.platform.access import Actor
from core.platform.database.base import db
from core.platform.database.bulk_rows import validated
from core.platform.database.declared import cleared, mentions, sortable
from core.platform.database.filters import WORDS, Extra, Filter, Filters
from core.platform.database.kept_queries import Recipe
from core.platform.database.paging import Listed, Page, PageRequest, paginate
from core.platform.database.repeats import repeated
from core.platform.database.session import transaction
from core.platform.errors import Conflict, Forbidden
from core.platform.fields.types import Flag
from core.platform.preconditions import Expected
from core.projects import service as projects
from core.projects.policy import ME
from core.tasks import notices, policy, recording, rules
from core.tasks.fields import FIELDS
from core.tasks.indexes import guide_through, lacking_in
from core.tasks.model import IS_OPEN, PRESENT, TRASHED, Task, TaskAction
from core.tasks.repository import Access, TaskRepository
from core.users import service as users
from core.users.repository import UserRepository


def _is_overdue(wanted: bool) -> ColumnElement[bool]:
    late = (Task.due_date < clock.now().date()) & IS_OPEN
    # A task without a due date is not overdue, but SQL calls that unknown.
    return late if wanted else late.is_not(true())


SORTABLE = sortable(Task, FIELDS)
DEFAULT_SORT = "-created_at"
FILTERS = Filters(
    Task,
    FIELDS,
    Extra("overdue", Flag(), "Whether the due date has passed on an open task.", _is_overdue),
    Extra("q", WORDS, "Only tasks whose title or description contains this.", mentions(Task, FIELDS)),
    Extra(
        "deleted",
        Flag(),
        "True: instead, tasks in the trash that the caller may restore, the last to be deleted first.",
    ),
)
CLEARED = cleared(Task, FIELDS)


@repeated
def create(actor: Actor, **values: Any) -> Task:
    """Create a task owned by the actor, confirm it to them by e-mail and tell another assignee.

    `values` are fields that people may set, the title at least. Raises Invalid if the assignee, the item or the
    project cannot be used, and Forbidden or Conflict if the actor may not put tasks into the project.
    """
    FIELDS.require_new(values)
    with transaction() as session:
        rules.References(actor, session, [values]).require(values)
        row = rules.new_row(actor, validated(Task, values), clock.now())
        task = TaskRepository(session).insert(row)
        recording.store(session, [recording.entry_of_new(actor.author, task.id, row)])
        jobs.enqueue_all(session, [*notices.confirmations(actor, [task]), *notices.assignments(actor, [task])])
    return task


def get(actor: Actor, *, task_id: int) -> Task:
    """Return a task. Raises NotFound, or Forbidden for another's task."""
    return require_readable(actor, TaskRepository(db.session()).find_access(actor, task_id))


def require_readable(actor: Actor, access: Access | None) -> Task:
    """Return the task that was looked up. Raises NotFound, or Forbidden for another's task."""
    access = rules.require_found(access)
    if not policy.may_read(actor, access.task, access.role):
        raise Forbidden("This task belongs to somebody else.")
    return access.task


def require_discussable(actor: Actor, access: Access | None) -> None:
    """Raise NotFound, Forbidden or Conflict unless the actor may write about the task that was looked up."""
    require_readable(actor, access)
    rules.require_open_project(rules.require_found(access))


def list_visible(actor: Actor, *, page: PageRequest, filters: Filter) -> Page:
    """Return a page of the tasks that the actor may see, newest first unless sorted otherwise.

    Of the trash, if asked for, it is those that they may restore, the last to be deleted first.
    """
    _require_project(actor, filters)
    is_trash = bool(filters.get("deleted"))
    session = db.session()

    def make() -> Listed:
        query = TaskRepository(session).select(TRASHED if is_trash else PRESENT, *FILTERS.conditions(filters))
        return Listed(query, policy.ways_to_restore(actor) if is_trash else policy.ways_to_see(actor))

    return paginate(
        session,
        Recipe(make, (Task, actor.is_admin, FILTERS.shape(filters)), {ME: actor.user_id, **FILTERS.values(filters)}),
        page,
        sortable=SORTABLE,
        default_sort="-deleted_at" if is_trash else DEFAULT_SORT,
        identity=Task.id,
        filled=("deleted_at",) if is_trash else (),
        guide=guide_through(filters) if actor.is_admin and not is_trash else None,
        lacking=lacking_in(filters),
    )


def select_visible(session: Session, actor: Actor, filters: Filter) -> Select[Any]:
    """Return the query for all tasks that the actor may see, or for those of the trash if asked for, in no order.

    Raises Forbidden and Malformed for a project that the actor cannot ask for.
    """
    _require_project(actor, filters)
    scope = policy.restorable_by(actor) if filters.get("deleted") else policy.among_visible(actor)
    return TaskRepository(session).select(scope, *FILTERS.conditions(filters))


def _require_project(actor: Actor, filters: Filter) -> None:
    if filters.get("project_id") is not None:
        projects.require_named(actor, filters.get("project_id"))


def list_owned(actor: Actor, *, owner_id: int, page: PageRequest, filters: Filter) -> Page:
    """Return a page of the tasks that a user owns and the actor may see. Raises NotFound if there is no such user."""
    found = list_visible(actor, page=page, filters=filters.also(owner_id=owner_id))
    # Who owns a task exists, so only an empty page costs another statement.
    if not found.items:
        users.require_user(UserRepository(db.session()).find(owner_id))
    return found


@repeated
def change(actor: Actor, expected: Expected, /, *, task_id: int, **values: Any) -> Task:
    """Change the given fields of a task and no others; a new assignee gets an e-mail.

    Raises NotFound, Forbidden for another's task or for fields that an assignee
    may not change, Conflict if the project is archived, and Invalid if the new
    assignee, item or project cannot be used.
    """
    with transaction() as session:
        access = rules.require_found(TaskRepository(session).find_access(actor, task_id, lock=True))
        changed = rules.changed_fields(access.task, values)
        rules.require_changeable(actor, access, changed)
        expected.require(lambda: access.task)
        rules.References(actor, session, [changed]).require(changed)
        rules.apply_changes(access.task, changed)
        recording.record(session, actor.author, TaskAction.CHANGED, access.task)
        if "assignee_id" in changed:
            jobs.enqueue_all(session, notices.assignments(actor, [access.task]))
    return access.task


@repeated
def delete(actor: Actor, expected: Expected, /, *, task_id: int) -> None:
    """Put a task into the trash, and with it the posts about it.

    Raises NotFound, Forbidden unless the actor owns the task or its project or
    is an administrator, and Conflict if the project is archived.
    """
    with transaction() as session:
        access = rules.require_found(TaskRepository(session).find_access(actor, task_id, lock=True))
        rules.require_deletable(actor, access)
        expected.require(lambda: access.task)
        access.task.deleted_at = clock.now()
        recording.record(session, actor.author, TaskAction.DELETED, access.task)


@repeated
def restore(actor: Actor, expected: Expected, /, *, task_id: int) -> Task:
    """Take a task out of the trash, and with it the posts about it.

    Raises NotFound, Forbidden unless the actor may delete the task, and Conflict
    if it is not in the trash or its project is archived.
    """
    with transaction() as session:
        access = rules.require_found(TaskRepository(session).find_access(actor, task_id, lock=True, with_trash=True))
        if not policy.may_delete(actor, access.task, access.role):
            raise Forbidden("Only the owner of the task or of its project may restore it.")
        if access.task.deleted_at is None:
            raise Conflict("This task is not in the trash.")
        rules.require_open_project(access)
        expected.require(lambda: access.task)
        access.task.deleted_at = None
        recording.record(session, actor.author, TaskAction.RESTORED, access.task)
    return access.task
