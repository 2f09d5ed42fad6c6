"""Ordering exports, and writing them: one state of the database, in constant memory."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import IO, Any, NamedTuple

from sqlalchemy import Select, func, null
from sqlalchemy.engine import Result

from core.exchange.columns import COLUMNS, EXTERNAL_ID, Kind
from core.exchange.formats import LAYOUTS, FileFormat
from core.exchange.imports.repository import REFERENCES, name_of
from core.items import service as items
from core.items.model import Item
from core.jobs import service as jobs
from core.jobs.kinds import EXPORT
from core.jobs.model import Job
from core.platform.access import Actor, Permission
from core.platform.database.base import db
from core.platform.database.filters import Filter
from core.platform.database.paging import in_order
from core.platform.database.repeats import repeated
from core.platform.database.session import streaming, transaction
from core.platform.errors import Forbidden, Invalid, Malformed
from core.posts import service as posts
from core.posts.model import Post
from core.tasks import service as tasks
from core.tasks.model import Task
from core.users import policy as users_policy
from core.users import service as users
from core.users.model import User

# How many rows are fetched from the database at once.
BATCH = 1_000


class ExportSource(NamedTuple):
    """Source of the rows of a kind: who may list them, and what has the query and the order of the list."""

    permission: Permission
    service: Any
    model: Any


SOURCES = {
    Kind.TASKS: ExportSource(Permission.TASKS_READ, tasks, Task),
    Kind.POSTS: ExportSource(Permission.POSTS_READ, posts, Post),
    Kind.ITEMS: ExportSource(Permission.ITEMS_READ, items, Item),
    Kind.USERS: ExportSource(Permission.USERS_READ, users, User),
}


@dataclass(frozen=True, slots=True)
class Selection:
    """Selection of rows to export. `filters` is for the kind's list, and `sort` its order."""

    kind: Kind
    filters: Filter
    sort: str | None = None


@dataclass(frozen=True, slots=True)
class ExportOutcome:
    """Number of rows that were written, and of cells whose text was too long for the format."""

    rows: int
    cut_cells: int


@repeated
def order(actor: Actor, *, selection: Selection, file_format: FileFormat) -> Job:
    """Order an export of what the actor may see. Raises like `require_orderable`."""
    require_orderable(actor, selection)
    with transaction() as session:
        return jobs.enqueue(
            session,
            EXPORT,
            by=actor,
            what=selection.kind,
            file_format=file_format,
            filters=selection.filters.to_json(),
            sort=selection.sort,
        )


def selection_of(payload: Mapping[str, Any]) -> Selection:
    """Return the selection that the payload of a job describes."""
    kind = Kind(payload["what"])
    return Selection(kind, Filter.of_json(payload["filters"]), payload["sort"])


def require_orderable(actor: Actor, selection: Selection) -> None:
    """Raise a refusal unless the actor may export this now.

    That is Forbidden for a kind or a project that is not theirs to see, and Invalid
    for a sort that the list lacks or a project that does not exist.
    """
    require_allowed(actor, selection.kind)
    try:
        _query(actor, selection)
    except Malformed as error:
        # In a body, what narrows a list stands among the filters.
        details = {name if name == "sort" else f"filters.{name}": text for name, text in (error.details or {}).items()}
        raise Invalid(error.message, details=details) from None


# Kinds whose rows a user sees because of the projects that they are in.
OF_PROJECTS = frozenset({Kind.TASKS, Kind.POSTS})


def project_of(selection: Selection) -> int | None:
    """Return the one project whose rows are asked for, or None for all."""
    project_id: int | None = selection.filters.get("project_id")
    return project_id


def require_allowed(actor: Actor, kind: Kind) -> None:
    """Raise Forbidden unless the actor may export this kind: whoever may list it, and of users, whoever sees all."""
    permission = SOURCES[kind].permission
    if not actor.has(permission):
        raise Forbidden(f"This needs the permission {permission}.")
    if kind is Kind.USERS and not users_policy.may_see_details(actor):
        raise Forbidden("Only administrators may export users.")


def write(
    actor: Actor,
    stream: IO[bytes],
    *,
    selection: Selection,
    file_format: FileFormat,
    report: Callable[[int, int], None],
) -> ExportOutcome:
    """Write what the actor may see now to `stream`, all of it from one state of the database.

    `report` is called, again and again, with how many rows of how many are written.
    Raises Forbidden like `order`.
    """
    require_allowed(actor, selection.kind)
    query = _query(actor, selection)
    columns = COLUMNS[selection.kind]
    with streaming() as connection:
        count = query.order_by(None).with_only_columns(func.count(), maintain_column_froms=True)
        total = connection.scalar(count) or 0
        report(0, total)
        rows = _Reported(connection.execute(query), total, report)
        cut_cells = LAYOUTS[file_format].write(stream, selection.kind, columns, rows)
    return ExportOutcome(rows.count, cut_cells)


def _query(actor: Actor, selection: Selection) -> Select[Any]:
    """Return the query whose columns are those of the file, in the order of the list."""
    _, service, model = SOURCES[selection.kind]
    visible = service.select_visible(db.session(), actor, selection.filters)
    is_named = selection.kind in REFERENCES
    known: Any = name_of(actor, selection.kind, visible.selected_columns["id"]) if is_named else null()
    found = visible.add_columns(known.label(EXTERNAL_ID.name))
    names = [column.name for column in COLUMNS[selection.kind]]
    chosen = found.with_only_columns(*(found.selected_columns[name] for name in names), maintain_column_froms=True)
    sorting = {"sortable": service.SORTABLE, "default_sort": service.DEFAULT_SORT, "identity": model.id}
    return in_order(chosen, selection.sort, **sorting)


class _Reported:
    """The rows of a result, fetched in parts; each part is reported once it has been written."""

    def __init__(self, result: Result[Any], total: int, report: Callable[[int, int], None]) -> None:
        self.result = result
        self.total = total
        self.report = report
        self.count = 0

    def __iter__(self) -> Iterator[Sequence[Any]]:
        for part in self.result.partitions(BATCH):
            yield from part
            self.count += len(part)
            self.report(self.count, self.total)


def file_name(selection: Selection, file_format: FileFormat, day: date) -> str:
    """Return what the file of an export is called, for example tasks-2026-11-21.csv."""
    return f"{selection.kind}-{day.isoformat()}.{file_format}"
