"""Search over HTTP: parameters, pages, the shape of a hit, and who sees what."""

import re
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.items.model import Item
from core.platform.database.session import transaction
from core.posts.model import Post
from core.search.terms import parse
from tests.support.engines import on_sqlite
from tests.support.people import Person
from tests.support.search_words import HOSTILE


@pytest.fixture
def zebras(app: Flask, ada: Person) -> Person:
    """Ada, who has a task, a post about it, a post about nothing, and an item, all of them with a zebra."""
    task = ada.create_task(title="Feed the zebra", description="Twice a day")
    with app.app_context(), transaction() as session:
        session.add(Post(title="A zebra was fed", content="It liked it.", user_id=ada.user_id, task_id=task["id"]))
        session.add(Post(title="News", content="The zoo has a zebra.", user_id=ada.user_id))
        session.flush()  # So that the item is the newest.
        session.add(Item(name="Zebra food", price=Decimal("9.99"), sku="ZF-1", created_by=ada.user_id))
    return ada


def search(person: Person, q: str, **options: Any) -> Any:
    response = person.get("/search", query_string={"q": q, **options})
    assert response.status_code == 200, response.text
    return response.get_json()


def titles(person: Person, q: str, **options: Any) -> list[str]:
    return [hit["title"] for hit in search(person, q, **options)["data"]]


def test_a_hit_says_what_it_is_why_it_was_found_and_where_it_lives(ada: Person) -> None:
    task = ada.create_task(title="Feed the <b>zebra</b>", description="Zebras & co. eat grass.")
    (hit,) = search(ada, "zebra")["data"]
    assert hit == {
        "type": "task",
        "id": task["id"],
        "title": "Feed the <b>zebra</b>",
        "snippet": "<mark>Zebras</mark> &amp; co. eat grass.",
        "score": 1.0,
        "url": f"http://localhost/api/v1/tasks/{task['id']}",
        "created_at": task["created_at"],
    }
    assert ada.get(urlsplit(hit["url"]).path).get_json()["data"] == task


def test_everything_is_searched_and_titles_come_first(zebras: Person) -> None:
    answer = search(zebras, "zebra")
    assert [hit["title"] for hit in answer["data"]][-1] == "News"
    assert sorted(hit["type"] for hit in answer["data"]) == ["item", "post", "post", "task"]
    assert {urlsplit(hit["url"]).path.rsplit("/", 1)[0] for hit in answer["data"]} == {
        "/api/v1/tasks",
        "/api/v1/posts",
        "/api/v1/items",
    }
    assert answer["meta"]["pagination"] == {
        "page": 1,
        "per_page": 20,
        "pages": 1,
        "total": 4,
        "total_is_exact": True,
        "next_cursor": None,
    }


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"type": "task"}, {"Feed the zebra"}),
        ({"type": "post"}, {"A zebra was fed", "News"}),
        ({"type": "item"}, {"Zebra food"}),
        ({"type": "item,task,item"}, {"Zebra food", "Feed the zebra"}),
    ],
)
def test_a_search_can_be_narrowed(zebras: Person, options: dict[str, Any], expected: set[str]) -> None:
    assert set(titles(zebras, "zebra", **options)) == expected


def test_the_newest_can_come_first(zebras: Person) -> None:
    assert titles(zebras, "zebra", sort="newest") == ["Zebra food", "News", "A zebra was fed", "Feed the zebra"]
    assert titles(zebras, "zebra", sort="relevance") == titles(zebras, "zebra")


def test_the_links_lead_through_all_pages_and_keep_the_query(zebras: Person) -> None:
    seen, url = [], "/search?q=zebra&limit=3&type=task,post,item"
    while url:
        response = zebras.get(url)
        seen += [hit["title"] for hit in response.get_json()["data"]]
        links = {rel: target for target, rel in re.findall(r'<([^>]+)>; rel="(\w+)"', response.headers["Link"])}
        url = links.get("next", "").removeprefix("http://localhost")
        if url:
            assert parse_qs(urlsplit(url).query)["q"] == ["zebra"]
    assert seen == titles(zebras, "zebra")
    beyond = search(zebras, "zebra", limit=3, page=9)
    assert beyond["data"] == []
    assert beyond["meta"]["pagination"]["total"] == 4
    assert search(zebras, "zebra", page=2**63 // 100, limit=100)["data"] == []


def test_a_stranger_sees_no_hit_and_no_count_of_anothers_task(zebras: Person, bob: Person, admin: Person) -> None:
    answer = search(bob, "zebra")
    assert {hit["title"] for hit in answer["data"]} == {"News", "Zebra food"}
    assert answer["meta"]["pagination"]["total"] == 2
    assert search(bob, "feed")["meta"]["pagination"]["total"] == 0
    assert search(bob, "zebra", page=9)["meta"]["pagination"]["total"] == 2
    assert len(titles(admin, "zebra")) == 4


def test_a_change_is_visible_to_the_next_search(ada: Person) -> None:
    task = ada.create_task(title="Feed the zebra")
    ada.patch(f"/tasks/{task['id']}", {"title": "Feed the quokka"})
    assert (titles(ada, "zebra"), titles(ada, "quokka")) == ([], ["Feed the quokka"])
    ada.delete(f"/tasks/{task['id']}")
    assert titles(ada, "quokka") == []


def test_a_post_is_gone_with_its_task(zebras: Person, bob: Person) -> None:
    (hit,) = search(zebras, "zebra", type="task")["data"]
    assert zebras.delete(f"/tasks/{hit['id']}").status_code == 204
    assert set(titles(zebras, "zebra")) == {"News", "Zebra food"}


def test_hostile_text_is_text(zebras: Person) -> None:
    for q in filter(parse, HOSTILE):
        search(zebras, q)


@pytest.mark.parametrize("q", ["!?", '""', "…", "*"])
def test_text_with_nothing_that_could_be_found_says_so(zebras: Person, q: str) -> None:
    response = zebras.get("/search", query_string={"q": q})
    assert response.status_code == 400
    assert response.get_json()["error"]["details"] == {
        "q": ["Must have a letter, a digit or a symbol; punctuation cannot be looked for."]
    }


def test_what_is_not_there_is_not_found(zebras: Person) -> None:
    answer = search(zebras, "🚀")
    assert answer["data"] == []
    assert answer["meta"]["pagination"] == {
        "page": 1,
        "per_page": 20,
        "pages": 0,
        "total": 0,
        "total_is_exact": True,
        "next_cursor": None,
    }


@on_sqlite
@pytest.mark.parametrize(
    ("query", "name", "sentence"),
    [
        ("", "q", "This parameter is required."),
        ("type=task", "q", "This parameter is required."),
        ("q=", "q", "Must be 1 to 500 characters long and not blank."),
        ("q=%20%09%0a", "q", "Must be 1 to 500 characters long and not blank."),
        ("q=%E2%80%83", "q", "Must be 1 to 500 characters long and not blank."),
        ("q=a%00b", "q", None),
        ("q=" + "a" * 501, "q", None),
        ("q=" + "a+" * 5000, "q", None),
        ("q=a&q=b", "q", "Given more than once."),
        ("q=a&limit=0", "limit", "Must be an integer from 1 to 100."),
        ("q=a&limit=101", "limit", "Must be an integer from 1 to 100."),
        ("q=a&limit=x", "limit", None),
        ("q=a&page=0", "page", None),
        ("q=a&page=99999999999999999999", "page", None),
        ("q=a&sort=newset", "sort", "Must be one of relevance, newest, date. Did you mean 'newest'?"),
        ("q=a&sort=", "sort", None),
        ("q=a&type=taks", "type", "Must be one of task, post, item. Did you mean 'task'?"),
        ("q=a&type=", "type", None),
        ("q=a&project_id=x", "project_id", None),
        ("q=a&project_id=0", "project_id", None),
        ("q=a&per_page=5", "per_page", None),
        ("q=a&cursor=", "cursor", None),
    ],
)
def test_a_parameter_that_cannot_be_used_is_named(ada: Person, query: str, name: str, sentence: str | None) -> None:
    response = ada.get(f"/search?{query}")
    assert response.status_code == 400
    details = response.get_json()["error"]["details"]
    assert list(details) == [name]
    if sentence is not None:
        assert details[name] == [sentence]


def test_a_search_needs_a_caller(anonymous: Person) -> None:
    assert anonymous.get("/search?q=a").status_code == 401
    assert anonymous.get("/search").status_code == 401


def test_nothing_but_reading_is_offered(ada: Person) -> None:
    assert ada.post("/search?q=a", {}).status_code == 405


@pytest.mark.parametrize(("query", "number"), [("q=zebra", 2), ("q=zebra&page=2", 3), ("q=!", 1), ("q=nothing", 2)])
def test_a_search_takes_few_statements_whatever_it_finds(
    zebras: Person, statements: list[str], query: str, number: int
) -> None:
    for _ in range(30):
        zebras.create_task(title="Zebra")
    statements.clear()
    zebras.get(f"/search?{query}&limit=100")
    assert len(statements) == number, statements


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=100)
@given(q=st.text(st.characters(codec="utf-8"), max_size=600))
def test_no_text_is_an_error(ada: Person, q: str) -> None:
    response = ada.get("/search", query_string={"q": q})
    is_good = len(q) <= 500 and "\x00" not in q and parse(q)
    assert response.status_code == (200 if is_good else 400)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=100)
@given(raw=st.binary(max_size=100))
def test_no_bytes_are_an_error(ada: Person, raw: bytes) -> None:
    encoded = "".join(f"%{byte:02x}" for byte in raw)
    assert ada.get(f"/search?q={encoded}").status_code in (200, 400)
