"""Changes that the rows of each kind ask for: read, decided by the rules of their domain, and written in bulk.

A batch is loaded in a few statements and decided in memory. The same code runs
while a file is examined, without locks, and while it is stored, with them.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.audit import service as audit
from core.audit.model import EventKind
from core.auth import accounts
from core.exchange.columns import DECLARED, Kind
from core.items import service as items
from core.items.model import Item
from core.platform import passwords
from core.platform.access import Actor, Permission, Role
from core.platform.database.base import Base
from core.platform.database.bulk_rows import insert_rows, update_rows, validated
from core.platform.database.declared import blank, differing
from core.platform.errors import Conflict, Invalid, NotFound
from core.platform.fields.declaration import Fields
from core.platform.preconditions import ANY_STATE
from core.platform.text import checks
from core.posts import service as posts
from core.posts.model import Post
from core.tasks import bulk, recording, rules
from core.tasks import service as tasks
from core.tasks.model import Task
from core.tasks.repository import Access, TaskRepository
from core.users.model import User

Values = Mapping[str, Any]


class RowTarget:
    """One kind of thing, as imports see it. One object serves one import."""

    kind: ClassVar[Kind]
    model: ClassVar[type[Base]]
    permission: ClassVar[Permission]
    # The column that says who made a thing, where there is one.
    author: ClassVar[str] = ""

    def __init_subclass__(cls) -> None:
        cls.fields = DECLARED[cls.kind]
        # No two rows of a file may have the same of these; the function says what counts as the same.
        cls.unique = {field.name: field.unique for field in cls.fields if field.unique and field.column}
        # Everything that an update may set.
        cls.columns = tuple(field.name for field in cls.fields.in_files if field.name in cls.fields.changeable)

    fields: ClassVar[Fields]
    unique: ClassVar[dict[str, Callable[[str], str]]]
    columns: ClassVar[tuple[str, ...]]

    def __init__(self, actor: Actor) -> None:
        self.actor = actor
        self.found: dict[int, Any] = {}
        # By field and value: the thing that has what only one can have.
        self.taken: dict[str, dict[str, int]] = {}
        self.blank = blank(self.model, self.fields)

    def clean(self, values: Values) -> dict[str, Any]:
        """Return the values as they would be stored. Raises Invalid naming every wrong field."""
        return validated(self.model, values)

    def load(self, session: Session, thing_ids: Sequence[int], wanted: Sequence[Values], *, lock: bool) -> None:
        """Read what decides about a batch: the things it changes and what its values refer to."""
        model: Any = self.model
        # Everybody locks in the same order, so that two imports cannot wait for each other.
        query = select(model).where(model.id.in_(thing_ids)).order_by(model.id)
        if lock:
            query = query.with_for_update(key_share=True)
        rows = session.scalars(query, execution_options={"populate_existing": True}) if thing_ids else ()
        self.found = {thing.id: thing for thing in rows}
        for name, fold in self.unique.items():
            same = func.lower(getattr(model, name)) if fold is str.lower else getattr(model, name)
            values = {fold(row[name]) for row in wanted if row.get(name)}
            owners = session.execute(select(same, model.id).where(same.in_(values))) if values else ()
            self.taken[name] = {row[0]: row[1] for row in owners}

    def require_new(self, values: Values) -> None:
        """Raise a refusal unless the actor may create a thing with these values now."""
        self._require_free(values, None)

    def changed(self, thing_id: int, values: Values) -> dict[str, Any]:
        """Return what would change about a thing. Raises a refusal unless the actor may change that now."""
        thing = self._find(thing_id)
        self.require_changeable(thing)
        changed = differing(thing, values)
        self._require_free(changed, thing_id)
        return changed

    def require_changeable(self, thing: Any) -> None:
        """Raise a refusal unless the actor may change a thing at all."""

    def row(self, values: Values, moment: datetime) -> dict[str, Any]:
        """Return the database row of a new thing."""
        self.fields.require_new(values)
        origin = {self.author: self.actor.user_id, "version": 1} if self.author else {}
        return {**self.blank, **values, "created_at": moment, "updated_at": moment, **origin}

    def insert(self, session: Session, wanted: Sequence[tuple[Values, datetime]]) -> list[int]:
        """Create things, whose moments grow from each to the next; return their numbers in this order."""
        return insert_rows(session, self.model, [self.row(values, moment) for values, moment in wanted])

    def update(self, session: Session, changes: Mapping[int, Values], now: datetime) -> None:
        """Change things that were loaded with a lock."""
        rows = []
        for thing_id, changed in changes.items():
            thing = self.found[thing_id]
            values = {name: getattr(thing, name) for name in self.columns} | dict(changed)
            rows.append({"id": thing_id, "version": thing.version + 1, "updated_at": now, **values})
        update_rows(session, self.model, rows)

    def _find(self, thing_id: int) -> Any:
        if thing_id not in self.found:
            raise NotFound(f"There is no such {self.kind.removesuffix('s')}.")
        return self.found[thing_id]

    def _require_free(self, values: Values, thing_id: int | None) -> None:
        details = {
            name: [checks.TAKEN]
            for name, fold in self.unique.items()
            if values.get(name) and self.taken[name].get(fold(values[name]), thing_id) != thing_id
        }
        if details:
            raise Conflict("Another one has this already.", details=details)


class TaskTarget(RowTarget):
    """Tasks; new ones belong to the actor, and no one gets an e-mail."""

    kind = Kind.TASKS
    model = Task
    permission = Permission.TASKS_WRITE
    references: rules.References

    def load(self, session: Session, thing_ids: Sequence[int], wanted: Sequence[Values], *, lock: bool) -> None:
        rows = TaskRepository(session).list_access(self.actor, thing_ids, lock=lock) if thing_ids else []
        self.found = {access.task.id: access for access in rows}
        self.references = rules.References(self.actor, session, wanted)

    def require_new(self, values: Values) -> None:
        self.fields.check_sent(values)
        self.references.require(values)

    def changed(self, thing_id: int, values: Values) -> dict[str, Any]:
        access: Access = self._find(thing_id)
        changed = rules.changed_fields(access.task, values)
        rules.require_changeable(self.actor, access, changed)
        self.fields.check_sent(changed)
        self.references.require(changed)
        return changed

    def row(self, values: Values, moment: datetime) -> dict[str, Any]:
        return rules.new_row(self.actor, values, moment)

    def update(self, session: Session, changes: Mapping[int, Values], now: datetime) -> None:
        touched = [self.found[thing_id].task for thing_id in changes]
        for task in touched:
            rules.apply_changes(task, changes[task.id])
        recording.store(session, bulk.write_updates(session, self.actor, touched, now))

    def insert(self, session: Session, wanted: Sequence[tuple[Values, datetime]]) -> list[int]:
        rows = [self.row(values, moment) for values, moment in wanted]
        numbers = insert_rows(session, Task, rows)
        pairs = zip(numbers, rows, strict=True)
        recording.store(session, [recording.entry_of_new(self.actor.author, number, row) for number, row in pairs])
        return numbers


class PostTarget(RowTarget):
    """Posts; new ones are by the actor."""

    kind = Kind.POSTS
    model = Post
    permission = Permission.POSTS_WRITE
    author = "user_id"

    def load(self, session: Session, thing_ids: Sequence[int], wanted: Sequence[Values], *, lock: bool) -> None:
        super().load(session, thing_ids, wanted, lock=lock)
        subjects = {values["task_id"] for values in wanted if values.get("task_id") is not None}
        subjects |= {post.task_id for post in self.found.values() if post.task_id is not None}
        rows = TaskRepository(session).list_access(self.actor, sorted(subjects)) if subjects else []
        self.subjects = {access.task.id: access for access in rows}

    def require_new(self, values: Values) -> None:
        if values.get("task_id") is not None:
            posts.require_subject(self.actor, self.subjects.get(values["task_id"]))

    def require_changeable(self, thing: Post) -> None:
        posts.require_own(self.actor, thing)
        if thing.task_id is not None:
            tasks.require_discussable(self.actor, self.subjects.get(thing.task_id))

    def changed(self, thing_id: int, values: Values) -> dict[str, Any]:
        changed = super().changed(thing_id, values)
        if "task_id" in changed:
            # What a post is about decides who sees it, so it cannot be moved under the eyes of its readers.
            details = {"task_id": ["A post stays with what it is about."]}
            raise Invalid("The request has invalid fields.", details=details)
        return changed


class ItemTarget(RowTarget):
    """Items; new ones are the actor's."""

    kind = Kind.ITEMS
    model = Item
    permission = Permission.ITEMS_WRITE
    author = "created_by"

    def require_changeable(self, thing: Item) -> None:
        items.require_changeable(self.actor, thing)


class UserTarget(RowTarget):
    """Accounts, known by their usernames. A new one has a password that is not known."""

    kind = Kind.USERS
    model = User
    permission = Permission.USERS_ADMIN
    _password_hash = ""

    def row(self, values: Values, moment: datetime) -> dict[str, Any]:
        # One hash for all, because each takes long on purpose; to log in, they need another one first.
        self._password_hash = self._password_hash or passwords.hash_password(secrets.token_urlsafe(64))
        return {**super().row(values, moment), "password_hash": self._password_hash}

    def insert(self, session: Session, wanted: Sequence[tuple[Values, datetime]]) -> list[int]:
        made = super().insert(session, wanted)
        for user_id, (values, _) in zip(made, wanted, strict=True):
            role = str(values.get("role", Role.USER))
            audit.record(session, EventKind.ACCOUNT_CREATED, user_id=user_id, actor_id=self.actor.user_id, role=role)
        return made

    def update(self, session: Session, changes: Mapping[int, Values], now: datetime) -> None:
        # One by one: who loses a role or an account must keep nothing of it, and the last administrator stays.
        for thing_id, changed in changes.items():
            accounts.change(self.actor, ANY_STATE, user_id=thing_id, **changed)


TARGETS: dict[Kind, type[RowTarget]] = {
    Kind.TASKS: TaskTarget,
    Kind.POSTS: PostTarget,
    Kind.ITEMS: ItemTarget,
    Kind.USERS: UserTarget,
}
