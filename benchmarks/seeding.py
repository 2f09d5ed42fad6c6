"""Fill an empty, migrated database with a company of any size, as fast as the engine takes rows.

Rows go in by COPY or in bulk while triggers and indexes are away; both are put back afterwards,
and the search index and the kept counts are made from the rows. What one of the two members sees does not grow
with the company, so that a list of theirs can be compared between sizes.
"""

import json
import random
import sqlite3
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import psycopg

from core.search.index import IDS_OF_A_KIND
from migrations import task_sums

PEOPLE, PROJECTS, DAYS = 5_000, 400, 365
ADMIN, SMALL, LARGE = 1, 2, 3
SMALL_PROJECT, LARGE_PROJECTS = 1, (2, 3, 4)
# By Zipf's law, the n-th word is n times rarer than the first.
SYLLABLES = ("ka", "lo", "mi", "ter", "ran", "so", "vel", "dur", "pes", "ti", "gon", "bra", "sha", "quin", "el")
OPENING = ("Renew", "Deploy", "Review", "Order", "Repair", "Plan", "Test", "Document", "Water", "Invite")
TEXTS = 20_000

USER = ("id", "username", "email", "name", "password_hash", "role", "is_active", "created_at", "updated_at")
PROJECT = ("id", "key", "name", "archived", "version", "created_at", "updated_at")
MEMBER = ("project_id", "user_id", "role", "created_at")
ITEM = ("id", "name", "price", "sku", "created_by", "version", "created_at", "updated_at")
TASK = ("id", "title", "description", "status", "due_date", "owner_id", "assignee_id", "project_id", "item_id")
TASK += ("version", "created_at", "updated_at", "completed_at", "deleted_at")
POST = ("id", "title", "content", "user_id", "task_id", "version", "created_at", "updated_at")
CHANGE = ("task_id", "version", "action", "actor_id", "via", "at", "changes")


class Words(NamedTuple):
    """A text, and what the index of PostgreSQL has of it."""

    text: str
    vector: str


def vocabulary() -> list[str]:
    """Return words from the most frequent to the rarest."""
    chance = random.Random(1)
    return list(dict.fromkeys("".join(chance.choices(SYLLABLES, k=chance.randint(2, 5))) for _ in range(20_000)))


def _words(words: list[str], first: int, weight: str = "") -> Words:
    vector = " ".join(f"'{word.lower()}':{place}{weight}" for place, word in enumerate(words, start=first))
    return Words(" ".join(words), vector)


def texts() -> tuple[list[Words], list[Words]]:
    """Return titles of three words and texts; 'release' is in every third text, after 'before the'."""
    chance = random.Random(2)
    known = vocabulary()
    weights = [1 / rank for rank in range(1, len(known) + 1)]
    picked = iter(chance.choices(known, weights=weights, k=TEXTS * 16))
    titles = [_words([chance.choice(OPENING), next(picked), next(picked)], 1, "A") for _ in range(TEXTS)]
    bodies = []
    for number in range(TEXTS):
        words = [next(picked) for _ in range(12)]
        if number % 3 == 0:
            words[6:6] = ["before", "the", "release"]
        bodies.append(_words(words, 5))
    return titles, bodies


class Company:
    """The rows of a company with so many tasks, the same each time, numbered from 1."""

    def __init__(self, tasks: int, now: datetime) -> None:
        self.tasks = tasks
        self.items = min(5_000, max(100, tasks // 200))
        self.posts = self.changes = tasks // 10
        self.now = now
        self.start = now - timedelta(days=DAYS)
        self._titles, self._bodies = texts()

    def users(self) -> Iterator[tuple[Any, ...]]:
        for number in range(1, PEOPLE + 1):
            role, name = ("admin" if number == ADMIN else "user"), f"user{number}"
            yield number, name, f"{name}@example.com", f"Person {number}", "x", role, True, self.start, self.start

    def projects(self) -> Iterator[tuple[Any, ...]]:
        letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
        for number in range(1, PROJECTS + 1):
            key = "P" + letters[number // 26] + letters[number % 26]
            yield number, key, f"Project {number}", False, 1, self.start, self.start

    def members(self) -> Iterator[tuple[Any, ...]]:
        chance = random.Random(3)
        for number in range(1, PROJECTS + 1):
            people = chance.sample(range(10, PEOPLE + 1), 12)
            people += [SMALL] if number == SMALL_PROJECT else [LARGE] if number in LARGE_PROJECTS else []
            for place, user_id in enumerate(people):
                yield number, user_id, "owner" if place == 0 else "editor", self.start

    def item_rows(self) -> Iterator[tuple[Any, ...]]:
        for number in range(1, self.items + 1):
            price = f"{number % 900 + 1}.50"
            yield number, f"Item {number}", price, f"SKU-{number:06}", ADMIN, 1, self.start, self.start

    def task_rows(self) -> Iterator[tuple[tuple[Any, ...], str]]:
        """Yield each task with what the index of PostgreSQL has of it."""
        chance = random.Random(4)
        step = (self.now - self.start) / (self.tasks + 1)
        special = dict(self._special())
        for number in range(1, self.tasks + 1):
            created = self.start + step * number
            pick, other = chance.random(), chance.random()
            owner, assignee, project = special.get(number) or (
                10 + int(pick * (PEOPLE - 10)),
                10 + int(other * (PEOPLE - 10)) if number % 2 else None,
                5 + int(pick * 7919) % (PROJECTS - 4) if number % 5 < 3 else None,
            )
            status, touched = self._progress(other, created)
            title = self._titles[int(pick * TEXTS)]
            body = self._bodies[int(other * TEXTS)]
            text, vector = body
            if number % 100_000 == 50 % self.tasks:
                text, vector = f"{text} zanzibar", f"{vector} 'zanzibar':30"
            due = created.date() + timedelta(days=2 + int(pick * 1e6) % 58) if number % 10 < 7 else None
            yield (
                (
                    *(number, title.text, text, status, due, owner, assignee, project),
                    1 + number % self.items if number % 7 == 0 else None,
                    *(1, created, touched, touched if status == "completed" else None),
                    touched if number % 100 == 99 else None,
                ),
                f"{title.vector} {vector}",
            )

    def post_rows(self) -> Iterator[tuple[tuple[Any, ...], str]]:
        step = (self.now - self.start) / (self.posts + 1)
        for number in range(1, self.posts + 1):
            moment = self.start + step * number
            title, body = self._titles[number % TEXTS], self._bodies[number * 7 % TEXTS]
            about = None if number % 5 == 0 else 1 + number * 9_973 % self.tasks
            author = 10 + number % (PEOPLE - 10)
            row = (number, title.text, body.text, author, about, 1, moment, moment)
            yield row, f"{title.vector} {body.vector}"

    def change_rows(self) -> Iterator[tuple[Any, ...]]:
        for number in range(1, self.changes + 1):
            said = json.dumps({"title": [None, "x"]})
            yield 1 + number * 9_973 % self.tasks, 1, "created", 10, "api", self.start, said

    def _special(self) -> Iterator[tuple[int, tuple[int, int | None, int | None]]]:
        """Yield which tasks the two members see: their own, those assigned to them and those of their projects."""
        ways: list[tuple[int, int | None, int | None]] = []
        count = min(150, self.tasks // 8)
        ways += (
            [(SMALL, None, None)] * count + [(5, SMALL, None)] * (count // 3) + [(6, 7, SMALL_PROJECT)] * (count // 3)
        )
        count = min(1_000, self.tasks // 8)
        ways += [(LARGE, None, None)] * count + [(5, LARGE, None)] * count
        ways += [(6, 7, project) for project in LARGE_PROJECTS] * count
        random.Random(5).shuffle(ways)
        every = self.tasks // len(ways)
        return ((1 + place * every, way) for place, way in enumerate(ways))

    def _progress(self, luck: float, created: datetime) -> tuple[str, datetime]:
        touched = created + timedelta(days=luck * 14, seconds=61)
        if luck < 0.88 and touched < self.now:
            return ("completed" if luck < 0.8 else "cancelled"), touched
        return ("in_progress" if luck > 0.95 else "pending"), created

    def tables(self) -> Iterator[tuple[str, tuple[str, ...], Iterator[tuple[Any, ...]]]]:
        """Yield the tables that have no vector, with their columns and rows."""
        yield "users", USER, self.users()
        yield "projects", PROJECT, self.projects()
        yield "project_members", MEMBER, self.members()
        yield "items", ITEM, self.item_rows()


def fill_sqlite(path: str, company: Company) -> None:
    """Fill a file."""
    # All moments of a company are in UTC. This is called four million times.
    sqlite3.register_adapter(datetime, lambda value: value.isoformat(" ", "microseconds")[:26])
    database = sqlite3.connect(path, isolation_level=None)
    for pragma in ("synchronous = OFF", "journal_mode = OFF", "cache_size = -400000", "temp_store = MEMORY"):
        database.execute(f"PRAGMA {pragma}").fetchall()
    made = database.execute(
        "SELECT type, name, sql FROM sqlite_master WHERE type IN ('trigger', 'index') AND sql IS NOT NULL"
        " AND tbl_name IN ('tasks', 'posts', 'items') ORDER BY type"
    ).fetchall()
    for kind, name, _ in made:
        database.execute(f"DROP {kind} {name}")
    database.execute("BEGIN")
    plain = [*company.tables(), ("tasks", TASK, (row for row, _ in company.task_rows()))]
    plain += [("posts", POST, (row for row, _ in company.post_rows())), ("task_changes", CHANGE, company.change_rows())]
    for table, columns, rows in plain:
        places = ", ".join("?" * len(columns))
        database.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places})", rows)
    for number, (table, title, body) in enumerate(
        (("tasks", "title", "description"), ("posts", "title", "content"), ("items", "name || ' ' || sku", "''"))
    ):
        database.execute(
            f"INSERT INTO search_index (rowid, title, body)"
            f" SELECT id + {number * IDS_OF_A_KIND}, {title}, coalesce({body}, '') FROM {table}"
        )
    database.execute("COMMIT")
    for statement in task_sums.fill(is_sqlite=True):
        database.execute(statement)
    for *_, sql in made:
        database.execute(sql)
    database.execute("ANALYZE")
    database.close()


def fill_postgresql(url: str, company: Company) -> None:
    """Fill a database of a server whose superuser we are."""
    with psycopg.connect(url, autocommit=True) as database:
        for setting in ("session_replication_role = replica", "maintenance_work_mem = '512MB'", "work_mem = '64MB'"):
            database.execute(f"SET {setting}")  # type: ignore[arg-type]
        made = database.execute(
            "SELECT indexname, indexdef FROM pg_indexes WHERE tablename IN ('tasks', 'posts', 'items')"
            " AND indexname NOT LIKE 'pk_%'"
        ).fetchall()
        for name, _ in made:
            database.execute(f"DROP INDEX {name}")  # type: ignore[arg-type]
        for table, columns, rows in [*company.tables(), ("task_changes", CHANGE, company.change_rows())]:
            _copy(database, table, columns, rows)
        _copy(database, "tasks", (*TASK, "search_vector"), ((*row, vector) for row, vector in company.task_rows()))
        _copy(database, "posts", (*POST, "search_vector"), ((*row, vector) for row, vector in company.post_rows()))
        database.execute("UPDATE items SET search_vector = search_document(name || ' ' || sku, '')")
        for statement in task_sums.fill(is_sqlite=False):
            database.execute(statement)  # type: ignore[arg-type]
        for _, definition in made:
            database.execute(definition)
        for table in ("users", "projects", "items", "tasks", "posts"):
            database.execute(
                f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT max(id) FROM {table}))"  # type: ignore[arg-type]
            )
        database.execute("VACUUM ANALYZE")
        sample = (
            "SELECT count(*) FROM tasks WHERE id % 997 = 1"
            " AND search_vector IS DISTINCT FROM search_document(title, coalesce(description, ''))"
        )
        if database.execute(sample).fetchone() != (0,):
            raise RuntimeError("The vectors are not those that the triggers make.")


def _copy(
    database: "psycopg.Connection[Any]", table: str, columns: tuple[str, ...], rows: Iterator[tuple[Any, ...]]
) -> None:
    with database.cursor() as cursor, cursor.copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN") as copy:  # type: ignore[arg-type]
        for row in rows:
            copy.write_row(row)
