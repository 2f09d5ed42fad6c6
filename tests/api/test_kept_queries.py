"""Queries of lists that are put into words once: each request gets the answer to its own values."""

import itertools
import threading
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError

from core.platform.cache.answers import StampedCache
from core.platform.database import kept_queries
from core.platform.database.session import transaction
from core.posts.repository import PostRepository
from core.tasks.model import Task
from core.tasks.repository import TaskRepository
from tests.support.engines import on_sqlite
from tests.support.people import Person

# Lists with two sets of values each, whose texts are the same.
TASKS = (
    ("status=pending,completed", "status=in_progress,cancelled"),
    ("due_date[lt]=2030-01-01&due_date[gte]=2020-01-01", "due_date[lt]=2031-01-01&due_date[gte]=2030-01-01"),
    ("due_date=2030-01-01", "due_date=2020-06-01"),
    ("created_at[gte]=2020-01-01", "created_at[gte]=2999-01-01"),
    ("owner_id={ada}", "owner_id={bob}"),
    ("assignee_id={ada}&status=pending", "assignee_id={bob}&status=completed"),
)
SORTS = ("", "&sort=-due_date", "&sort=title", "&sort=assignee_id,-id")
PAGES = ("&per_page=2", "&per_page=2&page=3", "&per_page=2&cursor=", "&per_page=2&page=2")
POSTS = (("user_id={ada}&per_page=2", "user_id={bob}&per_page=1"), ("per_page=2&page=2", "per_page=1&page=3"))


@pytest.fixture
def lists(ada: Person, bob: Person, admin: Person, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Person, str]]:
    """Each list of each person. Answers are not cached."""
    project = ada.post("/projects", {"key": "ONE", "name": "One"}).get_json()["data"]["id"]
    ada.put(f"/projects/{project}/members/{bob.user_id}", {"role": "editor"})
    states = itertools.cycle(("pending", "in_progress", "completed", "cancelled"))
    days = itertools.cycle(("2020-06-01", "2030-01-01", None))
    for number in range(12):
        owner, other = (ada, bob) if number % 2 else (bob, ada)
        owner.create_task(
            title=f"{owner.username} {number}",
            status=next(states),
            due_date=next(days),
            assignee_id=other.user_id if number % 3 == 0 else None,
            project_id=project if number % 4 == 0 else None,
        )
        owner.post("/posts", {"title": f"{owner.username} {number}", "content": "All of it."})
    monkeypatch.setattr(StampedCache, "get", lambda *_, **__: None)
    ids = {"ada": ada.user_id, "bob": bob.user_id}
    queries = [
        f"/tasks?{values.format(**ids)}{sort}{page}"
        for both in TASKS
        for sort, page in zip(SORTS, PAGES, strict=True)
        for values in both
    ]
    queries += [f"/posts?{values.format(**ids)}" for both in POSTS for values in both]
    return [(person, query) for query in queries for person in (ada, bob, admin)]


def answers(lists: list[tuple[Person, str]]) -> dict[tuple[str, str], Any]:
    """Return what each is told, but for what is signed with the time."""
    found = {}
    for person, query in lists:
        answer = person.get(query).get_json()
        more = answer["meta"]["pagination"].pop("next_cursor") is not None
        found[person.username, query] = (answer["data"], answer["meta"], more)
    return found


def anew(lists: list[tuple[Person, str]]) -> dict[tuple[str, str], Any]:
    """Return what each is told by queries that are made for them."""
    found = {}
    for one in lists:
        kept_queries.forget()
        found |= answers([one])
    return found


def test_a_kept_query_finds_for_everybody_what_one_made_anew_finds(lists: list[tuple[Person, str]]) -> None:
    wanted = anew(lists)
    assert len({str(answer) for answer in wanted.values()}) > 30
    kept_queries.forget()
    assert answers(lists) == wanted
    assert answers(lists[::-1]) == wanted


def test_a_query_is_put_into_words_once_for_all_values(
    lists: list[tuple[Person, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept_queries.forget()
    answers([(person, query) for person, query in lists if "2999" not in query])

    def refuse(*_: Any) -> Any:
        raise AssertionError("This query was made already.")

    for repository in (TaskRepository, PostRepository):
        monkeypatch.setattr(repository, "select", refuse)
    answers(lists)


def test_what_depends_on_more_than_named_values_is_made_anew(ada: Person) -> None:
    ada.create_task(title="Water the plants", due_date="2020-01-01")
    ada.create_task(title="Feed the cat", due_date="2020-01-01")
    for query, title in (("q=plants", "Water the plants"), ("q=cat&overdue=true", "Feed the cat")):
        assert [task["title"] for task in ada.get(f"/tasks?{query}").get_json()["data"]] == [title]
    ada.delete(f"/tasks/{ada.get('/tasks?q=cat').get_json()['data'][0]['id']}")
    assert [task["title"] for task in ada.get("/tasks?deleted=true").get_json()["data"]] == ["Feed the cat"]
    assert ada.get("/tasks?deleted=false").get_json()["meta"]["pagination"]["total"] == 1


@on_sqlite
def test_an_error_between_two_rows_of_a_kept_query_is_said_as_a_session_says_it(app: Flask, ada: Person) -> None:
    for _ in range(3):
        ada.create_task()
    broken = threading.Event()
    asked: list[int] = []

    def row(number: int) -> int:
        asked.append(number)
        if broken.is_set() and len(asked) == 2:
            raise OSError
        return number

    with app.app_context(), transaction() as session:
        connection: Any = session.connection().connection.driver_connection
        connection.create_function("row", 1, row)
        recipe = kept_queries.Recipe(lambda: select(func.row(Task.id).label("number")), "a test")
        assert len(kept_queries.rows_of(session, recipe)) == 3
        asked.clear()
        broken.set()
        with pytest.raises(OperationalError, match="user-defined function"):
            kept_queries.rows_of(session, recipe)
        assert len(asked) == 2
