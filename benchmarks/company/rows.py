"""Rows of a company, made up from a size and a seed, the same each time."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from random import Random
from typing import Any

from benchmarks.company import words
from core.platform.access import Role
from core.projects.model import ProjectRole
from core.tasks.fields import TaskStatus

# Tasks and posts are stored in parts of so many tasks.
PART = 5_000


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
class Company:
    """Ids of the users and things that tasks can refer to."""

    people: list[int] = field(default_factory=list)
    items: list[int] = field(default_factory=list)
    projects: dict[int, list[int]] = field(default_factory=dict)  # in which a person may write
    teams: dict[int, list[int]] = field(default_factory=dict)  # who may write in a project


def random_of(size: Size, seed: int, what: str) -> Random:
    """Return the source of what is made up for one part of a size."""
    return Random(f"{seed}/{size}/{what}")


def midnight(moment: datetime) -> datetime:
    """Return the beginning of the day of a moment, in UTC."""
    return datetime.combine(moment.astimezone(UTC).date(), time.min, tzinfo=UTC)


def user_rows(size: Size, plan: Plan, random: Random, start: datetime, password_hash: str) -> list[dict[str, Any]]:
    """Return the users of a size, all with the same password."""
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


def project_keys(size: Size) -> list[str]:
    """Return keys such as SQAB, which differ from those of other sizes in their first letter."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    count = PLANS[size].projects
    return [f"{size[0].upper()}Q{letters[number // 26]}{letters[number % 26]}" for number in range(count)]


def project_rows(size: Size, plan: Plan, random: Random, start: datetime) -> list[dict[str, Any]]:
    """Return the projects of a size."""
    rows = []
    for key in project_keys(size):
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


def member_rows(projects: list[int], people: list[int], random: Random, start: datetime) -> list[dict[str, Any]]:
    """Return a team for each project, whose first member owns it."""
    rows = []
    for project_id in projects:
        team = random.sample(people, min(len(people), random.randrange(4, 25)))
        for place, user_id in enumerate(team):
            role = ProjectRole.OWNER if place == 0 else random.choice((ProjectRole.VIEWER, *[ProjectRole.EDITOR] * 3))
            rows.append({"project_id": project_id, "user_id": user_id, "role": role, "created_at": start})
    return rows


def item_rows(size: Size, plan: Plan, random: Random, start: datetime, people: list[int]) -> list[dict[str, Any]]:
    """Return the items of a size, all of the same owner."""
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


def task_rows(
    random: Random, company: Company, count: int, start: datetime, span: timedelta, end: datetime
) -> list[dict[str, Any]]:
    """Return tasks created within the span, in that order, so that newer ones have higher ids."""
    moments = sorted(_working_hours(random, start + span * random.random(), end) for _ in range(count))
    return [_task(random, company, moment, end) for moment in moments]


def _working_hours(random: Random, moment: datetime, end: datetime) -> datetime:
    """Return a moment of the same day when people are more likely to be at work."""
    if moment.weekday() >= 5 and random.random() < 0.8:
        moment -= timedelta(days=moment.weekday() - 4)
    seconds = min(max(random.gauss(12.5, 3), 0), 23.9) * 3600
    return min(midnight(moment) + timedelta(seconds=seconds), end - timedelta(seconds=1))


def _task(random: Random, company: Company, created: datetime, end: datetime) -> dict[str, Any]:
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


def post_rows(
    random: Random, company: Company, tasks: list[tuple[int, dict[str, Any]]], count: int, end: datetime
) -> list[dict[str, Any]]:
    """Return posts, most of them about one of these tasks, in the order in which they were written."""
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
