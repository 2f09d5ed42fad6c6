"""Demo data in bulk: a year in the life of a company, as large as you like.

Everything follows from the size, the seed and the day it is begun on. It is
stored part by part, each in one transaction together with its number, so that
memory stays small, others get their turn to write, and an interrupted run goes
on where it stopped. Rows are inserted as they are: no e-mail is ordered.
"""

import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from random import Random
from typing import Any

from sqlalchemy import insert, select, text
from sqlalchemy.orm import Session

from core.items.model import Item
from core.operations.demo import words
from core.platform import clock, passwords
from core.platform.access import Role
from core.platform.database.base import Base, db
from core.platform.database.session import transaction
from core.posts.model import Post
from core.projects.model import Project, ProjectMember, ProjectRole
from core.tasks.fields import TaskStatus
from core.tasks.model import Task
from core.users.model import User

YEAR = timedelta(days=365)
PART = 5_000
WRITERS = (ProjectRole.OWNER, ProjectRole.EDITOR)
STATE = re.compile(r"Demo data of seed (?P<seed>-?\d+): part (?P<part>\d+) of (?P<parts>\d+)\.")


class Size(StrEnum):
    SMALL = "small"
    MEDIUM = "medium"
    LARGE = "large"


@dataclass(frozen=True, slots=True)
class Plan:
    """Number of rows of each kind for one size. User names carry numbers from `first_number` on, unlike other sizes."""

    users: int
    projects: int
    items: int
    tasks: int
    posts: int
    first_number: int

    @property
    def parts(self) -> int:
        """Number of transactions that the tasks and posts take."""
        return -(-self.tasks // PART)


PLANS = {
    Size.SMALL: Plan(users=10, projects=4, items=15, tasks=100, posts=30, first_number=10),
    Size.MEDIUM: Plan(users=200, projects=25, items=250, tasks=10_000, posts=2_000, first_number=100),
    Size.LARGE: Plan(users=5_000, projects=400, items=5_000, tasks=1_000_000, posts=100_000, first_number=1000),
}


@dataclass(slots=True)
class _Company:
    """Ids of the users and things that tasks can refer to."""

    people: list[int] = field(default_factory=list)
    items: list[int] = field(default_factory=list)
    projects: dict[int, list[int]] = field(default_factory=dict)  # in which a person may write
    teams: dict[int, list[int]] = field(default_factory=dict)  # who may write in a project


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
        random = _random(size, seed, "company")
        start = _midnight(clock.now()) - YEAR
        _insert(session, User, _users(size, plan, random, start, password_hash))
        people = _people(session, size)
        marker = Project(key=_marker_key(size), name=f"Demo company, {size}", description=_state(seed, 0, plan))
        session.add(marker)
        session.flush()
        session.add(ProjectMember(project_id=marker.id, user_id=people[0], role=ProjectRole.OWNER))
        session.flush()
        _insert(session, Project, _projects(size, plan, random, start))
        _insert(session, ProjectMember, _members(_project_ids(session, size), people, random, start))
        _insert(session, Item, _items(size, plan, random, start, people))
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
    return max(0, plan.tasks - done * PART)


def _store_part(session: Session, size: Size, company: _Company) -> int:
    plan = PLANS[size]
    # Locked, so that two runs at the same time share the parts.
    marker = _find_marker(session, size, lock=True)
    if marker is None:
        return 0
    seed, part = _read_state(marker)
    if part == plan.parts:
        return 0
    random = _random(size, seed, str(part))
    end = _midnight(marker.created_at)
    count = min(PART, plan.tasks - part * PART)
    tasks = _tasks(random, company, count, end - YEAR + YEAR * part / plan.parts, YEAR / plan.parts, end)
    # Numbered by the engine, because PostgreSQL's sequence would not notice numbers of ours.
    stored = insert(Task.__table__).returning(Task.id, sort_by_parameter_order=True)  # type: ignore[arg-type]
    ids = session.scalars(stored, tasks).all()
    about = list(zip(ids, tasks, strict=True))
    _insert(session, Post, _posts(random, company, about, round(plan.posts * count / plan.tasks), end))
    marker.description = _state(seed, part + 1, plan)
    if part + 1 == plan.parts:
        session.execute(text("ANALYZE"))  # Or the planner goes on believing that the tables are small.
    return count


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
    query = select(Project.id).where(Project.key.in_(_project_keys(size))).order_by(Project.id)
    return list(session.scalars(query))


def _load(session: Session, size: Size) -> _Company:
    company = _Company(_people(session, size))
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


# --- making it up -------------------------------------------------------------


def _random(size: Size, seed: int, what: str) -> Random:
    return Random(f"{seed}/{size}/{what}")  # noqa: S311 - made to be repeatable


def _midnight(moment: datetime) -> datetime:
    return datetime.combine(moment.astimezone(UTC).date(), time.min, tzinfo=UTC)


def _insert(session: Session, model: type[Base], rows: list[dict[str, Any]]) -> None:
    if rows:
        session.execute(insert(model.__table__), rows)  # type: ignore[arg-type]


def _users(size: Size, plan: Plan, random: Random, start: datetime, password_hash: str) -> list[dict[str, Any]]:
    rows = []
    for number in range(plan.first_number, plan.first_number + plan.users):
        first, last = random.choice(words.FIRST_NAMES), random.choice(words.LAST_NAMES)
        username = f"{first}.{last}{number}".lower()
        joined = start - timedelta(days=random.randrange(3, 900), seconds=random.randrange(86_400))
        rows.append(
            {
                "username": username,
                "email": f"{username}@{size}.example.com",
                "name": f"{first} {last}",
                "password_hash": password_hash,
                "role": Role.USER,
                "is_active": True,
                "created_at": joined,
                "updated_at": joined,
            }
        )
    return rows


def _project_keys(size: Size) -> list[str]:
    """Return keys such as SQAB, which differ from those of other sizes in their first letter."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    count = PLANS[size].projects
    return [f"{size[0].upper()}Q{letters[number // 26]}{letters[number % 26]}" for number in range(count)]


def _projects(size: Size, plan: Plan, random: Random, start: datetime) -> list[dict[str, Any]]:
    rows = []
    for key in _project_keys(size):
        begun = start - timedelta(days=random.randrange(1, 300), seconds=random.randrange(86_400))
        name = f"{random.choice(words.PROJECT_ADJECTIVES)} {random.choice(words.PROJECT_NOUNS)}"
        rows.append(
            {
                "key": key,
                "name": name,
                "description": _sentences(random, words.SENTENCES, 2),
                "archived": random.random() < 0.05,
                "version": 1,
                "created_at": begun,
                "updated_at": begun,
            }
        )
    return rows


def _members(projects: list[int], people: list[int], random: Random, start: datetime) -> list[dict[str, Any]]:
    rows = []
    for project_id in projects:
        team = random.sample(people, min(len(people), random.randrange(4, 25)))
        for place, user_id in enumerate(team):
            role = ProjectRole.OWNER if place == 0 else random.choice((ProjectRole.VIEWER, *[ProjectRole.EDITOR] * 3))
            rows.append({"project_id": project_id, "user_id": user_id, "role": role, "created_at": start})
    return rows


def _items(size: Size, plan: Plan, random: Random, start: datetime, people: list[int]) -> list[dict[str, Any]]:
    rows = []
    for number in range(1, plan.items + 1):
        name, code, price = random.choice(words.ITEMS)
        bought = start - timedelta(days=random.randrange(1, 700), seconds=random.randrange(86_400))
        rows.append(
            {
                "name": f"{random.choice(words.MAKERS)} {name} {random.randrange(100, 999)}",
                "price": Decimal(random.randrange(price * 70, price * 150)).scaleb(-2),
                "description": _sentences(random, words.SENTENCES, 1) if random.random() < 0.4 else None,
                "sku": f"{size[0].upper()}-{code}-{number:05}" if random.random() < 0.9 else None,
                "created_by": people[0],
                "version": 1,
                "created_at": bought,
                "updated_at": bought,
            }
        )
    return rows


def _tasks(
    random: Random, company: _Company, count: int, start: datetime, span: timedelta, end: datetime
) -> list[dict[str, Any]]:
    """Return tasks created within the span, in that order, so that newer ones have higher ids."""
    moments = sorted(_working_hours(random, start + span * random.random(), end) for _ in range(count))
    return [_task(random, company, moment, end) for moment in moments]


def _working_hours(random: Random, moment: datetime, end: datetime) -> datetime:
    """Return a moment of the same day when people are more likely to be at work."""
    if moment.weekday() >= 5 and random.random() < 0.8:
        moment -= timedelta(days=moment.weekday() - 4)
    seconds = min(max(random.gauss(12.5, 3), 0), 23.9) * 3600
    return min(_midnight(moment) + timedelta(seconds=seconds), end - timedelta(seconds=1))


def _task(random: Random, company: _Company, created: datetime, end: datetime) -> dict[str, Any]:
    owner_id = _somebody(random, company.people)
    projects = company.projects.get(owner_id)
    project_id = random.choice(projects) if projects and random.random() < 0.6 else None
    colleagues = company.people if project_id is None else company.teams[project_id]
    status, touched = _progress(random, created, end)
    thing = random.choice(words.THINGS)
    return {
        "title": f"{random.choice(words.VERBS)} {thing}{random.choice(words.CONTEXTS)}",
        "description": _sentences(random, words.SENTENCES, random.randrange(1, 4)) if random.random() < 0.7 else None,
        "status": status,
        "due_date": created.date() + timedelta(days=random.randrange(2, 60)) if random.random() < 0.7 else None,
        "owner_id": owner_id,
        "assignee_id": random.choice(colleagues) if random.random() < 0.5 else None,
        "project_id": project_id,
        "item_id": random.choice(company.items) if random.random() < 0.15 else None,
        "version": 1 if touched == created else random.randrange(2, 6),
        "created_at": created,
        "updated_at": touched,
        "completed_at": touched if status is TaskStatus.COMPLETED else None,
    }


def _progress(random: Random, created: datetime, end: datetime) -> tuple[TaskStatus, datetime]:
    """Return how far a task of this age has come, and when it was last touched."""
    # Most tasks take a week; some wait for ever.
    taken = timedelta(days=random.expovariate(1 / 7), seconds=random.randrange(60, 7200))
    luck = random.random()
    if luck < 0.88 and created + taken < end:
        return (TaskStatus.COMPLETED if luck < 0.8 else TaskStatus.CANCELLED), created + taken
    if 0.45 < luck < 0.95:
        begun = created + (end - created) * random.random()
        return TaskStatus.IN_PROGRESS, begun
    return TaskStatus.PENDING, created


def _posts(
    random: Random, company: _Company, tasks: list[tuple[int, dict[str, Any]]], count: int, end: datetime
) -> list[dict[str, Any]]:
    rows = []
    for task_id, task in random.choices(tasks, k=count):
        is_about_it = random.random() < 0.8
        author = task["assignee_id"] if task["assignee_id"] and random.random() < 0.5 else task["owner_id"]
        moment = min(task["created_at"] + timedelta(days=random.expovariate(1 / 4)), end)
        title = random.choice(words.POST_TITLES).format(thing=random.choice(words.THINGS))
        rows.append(
            {
                "title": title,
                "content": _sentences(random, words.POST_SENTENCES, random.randrange(1, 5)),
                "user_id": author if is_about_it else _somebody(random, company.people),
                "task_id": task_id if is_about_it else None,
                "version": 1,
                "created_at": moment,
                "updated_at": moment,
            }
        )
    return sorted(rows, key=lambda row: row["created_at"])


def _somebody(random: Random, people: list[int]) -> int:
    """Return one of the people, some of whom have far more to do than others."""
    return people[int(len(people) * random.random() ** 2)]


def _sentences(random: Random, choices: tuple[str, ...], count: int) -> str:
    chosen = random.sample(choices, count)
    name, thing = random.choice(words.FIRST_NAMES), random.choice(words.THINGS)
    return " ".join(sentence.format(name=name, thing=thing) for sentence in chosen)
