"""A year in the life of a company, as large as you like, stored in bulk.

Everything follows from the size, the seed and the day it is begun on. It is
stored part by part, each in one transaction together with its number, so that
memory stays small, others get their turn to write, and an interrupted run goes
on where it stopped. Rows are inserted as they are: no e-mail is ordered.
"""

import re
import secrets
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from sqlalchemy import insert, select, text
from sqlalchemy.orm import Session

from benchmarks.company import rows
from benchmarks.company.rows import PLANS, Company, Plan, Size
from core.items.model import Item
from core.platform import clock, passwords
from core.platform.database.base import Base, db
from core.platform.database.session import transaction
from core.posts.model import Post
from core.projects.model import Project, ProjectMember, ProjectRole
from core.tasks.model import Task
from core.users.model import User

YEAR = timedelta(days=365)
WRITERS = (ProjectRole.OWNER, ProjectRole.EDITOR)
STATE = re.compile(r"Demo data of seed (?P<seed>-?\d+): part (?P<part>\d+) of (?P<parts>\d+)\.")


def begin(size: Size, *, seed: int) -> str | None:
    """Store the people, projects and items of a size unless they are there.

    Return the password that all of them share, which cannot be shown again, or
    None if they were there. Raises Conflict if another account has such a name.
    """
    if _find_marker(db.session(), size) is not None:
        return None
    password = secrets.token_urlsafe(12)
    # One hash for everybody: thousands would take minutes, and hide nothing.
    password_hash = passwords.hash_password(password)
    plan = PLANS[size]
    with transaction() as session:
        random = rows.random_of(size, seed, "company")
        start = rows.midnight(clock.now()) - YEAR
        _insert(session, User, rows.user_rows(size, plan, random, start, password_hash))
        people = _people(session, size)
        marker = Project(key=_marker_key(size), name=f"Demo company, {size}", description=_state(seed, 0, plan))
        session.add(marker)
        session.flush()
        session.add(ProjectMember(project_id=marker.id, user_id=people[0], role=ProjectRole.OWNER))
        session.flush()
        _insert(session, Project, rows.project_rows(size, plan, random, start))
        _insert(session, ProjectMember, rows.member_rows(_project_ids(session, size), people, random, start))
        _insert(session, Item, rows.item_rows(size, plan, random, start, people))
    return password


def fill(size: Size) -> Iterator[int]:
    """Store the tasks and posts that are still missing; yield the number of tasks after each part."""
    company = _load(db.session(), size)
    while True:
        with transaction() as session:
            stored = _store_part(session, size, company)
        if not stored:
            return
        yield stored


def missing(size: Size) -> int:
    """Return how many tasks `fill` would store."""
    marker = _find_marker(db.session(), size)
    plan = PLANS[size]
    done = _read_state(marker)[1] if marker else 0
    return max(0, plan.tasks - done * rows.PART)


def _store_part(session: Session, size: Size, company: Company) -> int:
    plan = PLANS[size]
    # Locked, so that two runs at the same time share the parts.
    marker = _find_marker(session, size, lock=True)
    if marker is None:
        return 0
    seed, part = _read_state(marker)
    if part == plan.parts:
        return 0
    random = rows.random_of(size, seed, str(part))
    end = rows.midnight(marker.created_at)
    count = min(rows.PART, plan.tasks - part * rows.PART)
    tasks = rows.task_rows(random, company, count, end - YEAR + YEAR * part / plan.parts, YEAR / plan.parts, end)
    # Numbered by the engine, because PostgreSQL's sequence would not notice numbers of ours.
    stored = insert(Task.__table__).returning(Task.id, sort_by_parameter_order=True)  # type: ignore[arg-type]
    ids = session.scalars(stored, tasks).all()
    about = list(zip(ids, tasks, strict=True))
    _insert(session, Post, rows.post_rows(random, company, about, round(plan.posts * count / plan.tasks), end))
    marker.description = _state(seed, part + 1, plan)
    if part + 1 == plan.parts:
        session.execute(text("ANALYZE"))  # Or the planner goes on believing that the tables are small.
    return count


def _insert(session: Session, model: type[Base], rows: list[dict[str, Any]]) -> None:
    if rows:
        session.execute(insert(model.__table__), rows)  # type: ignore[arg-type]


# --- what is there ------------------------------------------------------------


def _marker_key(size: Size) -> str:
    return f"DEMO{size.upper()}"


def _state(seed: int, part: int, plan: Plan) -> str:
    return f"Demo data of seed {seed}: part {part} of {plan.parts}."


def _read_state(marker: Project) -> tuple[int, int]:
    """Return the seed and the number of parts done; whatever people made of the text, it was done then."""
    found = STATE.fullmatch(marker.description or "")
    return (int(found["seed"]), int(found["part"])) if found else (0, PLANS[_size_of(marker)].parts)


def _size_of(marker: Project) -> Size:
    return Size(marker.key.removeprefix("DEMO").lower())


def _find_marker(session: Session, size: Size, *, lock: bool = False) -> Project | None:
    query = select(Project).where(Project.key == _marker_key(size))
    query = query.with_for_update() if lock else query
    return session.scalar(query, execution_options={"populate_existing": True})


def _people(session: Session, size: Size) -> list[int]:
    query = select(User.id).where(User.email.endswith(f"@{size}.example.com", autoescape=True))
    return list(session.scalars(query.order_by(User.id)))


def _project_ids(session: Session, size: Size) -> list[int]:
    query = select(Project.id).where(Project.key.in_(rows.project_keys(size))).order_by(Project.id)
    return list(session.scalars(query))


def _load(session: Session, size: Size) -> Company:
    company = Company(_people(session, size))
    company.items = list(
        session.scalars(select(Item.id).where(Item.created_by.in_(company.people[:1])).order_by(Item.id))
    )
    members = (
        select(ProjectMember.project_id, ProjectMember.user_id)
        .where(ProjectMember.project_id.in_(_project_ids(session, size)), ProjectMember.role.in_(WRITERS))
        .order_by(ProjectMember.project_id, ProjectMember.user_id)
    )
    for project_id, user_id in session.execute(members):
        company.projects.setdefault(user_id, []).append(project_id)
        company.teams.setdefault(project_id, []).append(user_id)
    return company
