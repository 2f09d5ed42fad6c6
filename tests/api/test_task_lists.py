"""Lists: pages, cursors, filters and sorting, on the list of tasks."""

import re
import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from itsdangerous import TimestampSigner, URLSafeTimedSerializer

from core.platform.database import paging
from tests.support.engines import on_sqlite
from tests.support.people import Person


def titles(response: Any) -> list[str]:
    assert response.status_code == 200, response.text
    return [row["title"] for row in response.get_json()["data"]]


def pagination(response: Any) -> Any:
    return response.get_json()["meta"]["pagination"]


def links(response: Any) -> dict[str, str]:
    return {rel: url for url, rel in re.findall(r'<([^>]+)>; rel="(\w+)"', response.headers["Link"])}


@pytest.fixture
def five(ada: Person) -> Person:
    ada.create_task(title="a", due_date="2020-01-01")
    ada.create_task(title="b", status="in_progress", due_date="2999-01-01")
    ada.create_task(title="c", status="completed", due_date="2020-01-01")
    ada.create_task(title="d", description="About 100% of_it")
    ada.create_task(title="e", status="cancelled")
    return ada


def test_a_list_is_newest_first_and_says_where_it_stands(five: Person) -> None:
    response = five.get("/tasks?per_page=2")
    assert titles(response) == ["e", "d"]
    shown = pagination(response)
    assert {name: shown[name] for name in ("page", "per_page", "pages", "total")} == {
        "page": 1,
        "per_page": 2,
        "pages": 3,
        "total": 5,
    }
    assert isinstance(shown["next_cursor"], str)
    assert set(links(response)) == {"first", "last", "next"}


def test_the_links_lead_through_all_pages_and_keep_the_filters(five: Person) -> None:
    seen, url = [], "/tasks?per_page=2&status=pending,completed"
    while url:
        response = five.get(url)
        seen += titles(response)
        target = links(response).get("next", "")
        url = target.removeprefix("http://localhost")
        if url:
            assert parse_qs(urlsplit(url).query)["status"] == ["pending,completed"]
    assert seen == ["d", "c", "a"]
    assert set(links(five.get("/tasks?per_page=2&page=3"))) == {"first", "last", "prev"}


def test_a_page_after_the_last_is_empty(five: Person) -> None:
    response = five.get("/tasks?page=9")
    assert titles(response) == []
    assert pagination(response)["total"] == 5


def test_an_empty_list_has_no_pages(ada: Person) -> None:
    response = ada.get("/tasks")
    assert pagination(response) == {
        "page": 1,
        "per_page": 20,
        "pages": 0,
        "total": 0,
        "total_is_exact": True,
        "next_cursor": None,
    }


def test_beyond_what_is_counted_there_is_no_last_page_but_always_a_next_one(
    five: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paging, "MOST_COUNTED", 2)
    response = five.get("/tasks?per_page=2")
    shown = pagination(response)
    # No number of pages, which a loop would take for the end.
    assert (shown["total"], shown["pages"], shown["total_is_exact"]) == (2, None, False)
    assert set(links(response)) == {"first", "next"}
    assert set(links(five.get("/tasks?per_page=2&page=2"))) == {"first", "prev", "next"}
    assert set(links(five.get("/tasks?per_page=2&page=3"))) == {"first", "prev"}
    by_cursor = pagination(five.get("/tasks?per_page=2&cursor="))
    assert (by_cursor["total"], by_cursor["total_is_exact"]) == (None, None)


def test_a_cursor_has_the_values_of_all_keys_for_other_releases_that_go_on_from_it(five: Person) -> None:
    first = five.get("/tasks?sort=id,title&per_page=2")
    cursor = pagination(first)["next_cursor"]
    _, (_, values) = URLSafeTimedSerializer("any", salt="paging").loads_unsafe(cursor)
    last = first.get_json()["data"][-1]
    assert values == [last["id"], last["title"]]
    assert titles(five.get(f"/tasks?sort=id,title&per_page=2&cursor={cursor}")) == ["c", "d"]


def test_a_member_gets_what_they_see_in_several_ways_once_and_in_order(ada: Person, bob: Person) -> None:
    project = ada.post("/projects", {"key": "OPS", "name": "Operations"}).get_json()["data"]["id"]
    assert ada.put(f"/projects/{project}/members/{bob.user_id}", {"role": "editor"}).status_code == 201
    ada.create_task(title="hidden")
    ada.create_task(title="assigned", assignee_id=bob.user_id, due_date="2999-01-02")
    bob.create_task(title="all three", assignee_id=bob.user_id, project_id=project)
    ada.create_task(title="project", project_id=project, due_date="2999-01-01")
    bob.create_task(title="own")
    assert titles(bob.get("/tasks")) == ["own", "project", "all three", "assigned"]
    assert pagination(bob.get("/tasks"))["total"] == 4
    for sort, whole in {
        "-due_date": ["assigned", "project", "own", "all three"],
        "title": ["all three", "assigned", "own", "project"],
        "id,title": ["assigned", "all three", "project", "own"],
        "-due_date,title": ["assigned", "project", "all three", "own"],
        "assignee_id,due_date": ["assigned", "all three", "project", "own"],
    }.items():
        seen, cursor = [], ""
        while cursor is not None:
            response = bob.get("/tasks", query_string={"sort": sort, "per_page": 1, "cursor": cursor})
            seen += titles(response)
            cursor = pagination(response)["next_cursor"]
        assert seen == titles(bob.get(f"/tasks?sort={sort}")) == whole, sort
        assert titles(bob.get(f"/tasks?sort={sort}&per_page=2&page=2")) == whole[2:]


SORTS = ("-created_at", "created_at", "title", "-title", "due_date", "-due_date", "status,-due_date", "-id", "id")


@pytest.mark.parametrize("size", [1, 2, 4])
def test_walking_by_cursor_sees_every_task_once_in_the_order_of_the_pages(five: Person, size: int) -> None:
    for sort in SORTS:
        whole = titles(five.get(f"/tasks?sort={sort}"))
        assert _walked(five, sort, size) == whole
        assert len(whole) == 5


def _walked(five: Person, sort: str, size: int) -> list[str]:
    seen, cursor = [], ""
    for _ in range(10):
        response = five.get("/tasks", query_string={"sort": sort, "per_page": size, "cursor": cursor})
        seen += titles(response)
        shown = pagination(response)
        assert (shown["page"], shown["pages"], shown["total"]) == (None, None, None)
        if shown["next_cursor"] is None:
            break
        cursor = shown["next_cursor"]
    return seen


def test_nulls_are_last_in_both_directions(five: Person) -> None:
    assert titles(five.get("/tasks?sort=due_date,title")) == ["a", "c", "b", "d", "e"]
    assert titles(five.get("/tasks?sort=-due_date,title")) == ["b", "a", "c", "d", "e"]


def test_page_mode_hands_out_a_cursor_that_goes_on(five: Person) -> None:
    cursor = pagination(five.get("/tasks?per_page=2"))["next_cursor"]
    assert titles(five.get("/tasks", query_string={"per_page": 2, "cursor": cursor})) == ["c", "b"]


def test_a_task_created_meanwhile_does_not_shift_a_cursor(five: Person) -> None:
    cursor = pagination(five.get("/tasks?per_page=2"))["next_cursor"]
    five.create_task(title="f")
    assert titles(five.get("/tasks", query_string={"per_page": 2, "cursor": cursor})) == ["c", "b"]


FILTERS = {
    "status=pending": ["d", "a"],
    "status=pending,in_progress": ["d", "b", "a"],
    "overdue=true": ["a"],
    "overdue=false": ["e", "d", "c", "b"],
    "q=D": ["d"],
    "q=100%25": ["d"],
    "q=of_i": ["d"],
    "q=ofXi": [],
    "owner_id=me": ["e", "d", "c", "b", "a"],
    "assignee_id=me": [],
    "due_date=2020-01-01": ["c", "a"],
    "due_date[gte]=2020-01-02": ["b"],
    "due_date[lt]=2020-01-02&status=pending": ["a"],
    "due_date[gt]=2020-01-01&due_date[lte]=2999-01-01": ["b"],
    "created_at[lt]=2020-01-01": [],
    "created_at[gte]=2020-01-01T00:00:00Z": ["e", "d", "c", "b", "a"],
    "created_at[gte]=2020-01-01T00:00:00+02:00": ["e", "d", "c", "b", "a"],
    "completed_at[gte]=2020-01-01": ["c"],
}


def test_filters_narrow_the_list(five: Person) -> None:
    answers = {query: five.get(f"/tasks?{query}") for query in FILTERS}
    assert {query: titles(answer) for query, answer in answers.items()} == FILTERS
    totals = {query: pagination(answer)["total"] for query, answer in answers.items()}
    assert totals == {query: len(expected) for query, expected in FILTERS.items()}


def test_a_filter_by_person_never_shows_what_the_caller_may_not_see(five: Person, bob: Person) -> None:
    assert titles(bob.get(f"/tasks?owner_id={five.user_id}")) == []
    shared = five.create_task(title="shared", assignee_id=bob.user_id)
    assert titles(bob.get("/tasks?assignee_id=me")) == ["shared"]
    assert titles(five.get(f"/tasks?assignee_id={bob.user_id}")) == [shared["title"]]


@on_sqlite
@pytest.mark.parametrize(
    ("query", "name", "sentence"),
    [
        ("stauts=pending", "stauts", "Unknown parameter. Did you mean 'status'?"),
        ("due_date[ge]=2020-01-01", "due_date[ge]", "Unknown parameter. Did you mean 'due_date[gte]'?"),
        (
            "status=pendign",
            "status",
            "Must be one of pending, in_progress, completed, cancelled. Did you mean 'pending'?",
        ),
        ("status=", "status", "Must be one of pending, in_progress, completed, cancelled."),
        ("page=0", "page", None),
        ("page=-1", "page", None),
        ("page=1.5", "page", None),
        ("page=99999999999999999999", "page", None),
        ("page=%D9%A1", "page", None),
        ("per_page=0", "per_page", None),
        ("per_page=101", "per_page", "Must be an integer from 1 to 100."),
        ("page=1&page=2", "page", "Given more than once."),
        ("page=1&cursor=", "cursor", "Cannot be combined with page."),
        ("cursor=nonsense", "cursor", "Use next_cursor of an earlier page."),
        ("sort=colour", "sort", None),
        ("sort=title,title", "sort", None),
        ("sort=", "sort", None),
        ("overdue=yes", "overdue", "Must be true or false."),
        ("overdue=True", "overdue", "Must be true or false."),
        ("owner_id=abc", "owner_id", None),
        ("owner_id=9223372036854775808", "owner_id", None),
        ("due_date[lt]=2026-02-30", "due_date[lt]", "Must be a calendar day such as 2026-11-20."),
        ("created_at[lt]=yesterday", "created_at[lt]", "Must be a moment such as 2026-11-20T09:30:00Z."),
        ("created_at[lt]=2026-W01", "created_at[lt]", None),
        ("created_at[lt]=20260101", "created_at[lt]", None),
        ("created_at[lt]=0001-01-01T00:00:00%2B14:00", "created_at[lt]", None),
        ("q=", "q", None),
        ("q=a%00b", "q", None),
        ("%00=1", "\\x00", "Unknown parameter."),
    ],
)
def test_a_parameter_that_cannot_be_used_is_named(ada: Person, query: str, name: str, sentence: str | None) -> None:
    response = ada.get(f"/tasks?{query}")
    assert response.status_code == 400
    details = response.get_json()["error"]["details"]
    assert list(details) == [name]
    if sentence is not None:
        assert details[name] == [sentence]


def test_the_last_possible_page_is_merely_empty(ada: Person) -> None:
    assert titles(ada.get(f"/tasks?page={2**63 // 100}&per_page=100")) == []


def test_a_cursor_is_bound_to_sort_and_filters(five: Person) -> None:
    cursor = pagination(five.get("/tasks?per_page=2"))["next_cursor"]
    for other in ({"sort": "title"}, {"status": "pending"}):
        response = five.get("/tasks", query_string={"per_page": 2, "cursor": cursor, **other})
        assert response.status_code == 400
        assert "cursor" in response.get_json()["error"]["details"]


def test_a_forged_cursor_is_refused(five: Person) -> None:
    cursor = pagination(five.get("/tasks?per_page=2"))["next_cursor"]
    assert five.get("/tasks", query_string={"per_page": 2, "cursor": cursor[:-2] + "xx"}).status_code == 400


def test_a_cursor_that_is_too_old_is_gone(five: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    cursor = pagination(five.get("/tasks?per_page=2"))["next_cursor"]
    later = int(time.time()) + 8 * 24 * 3600
    monkeypatch.setattr(TimestampSigner, "get_timestamp", lambda self: later)
    response = five.get("/tasks", query_string={"per_page": 2, "cursor": cursor})
    assert response.status_code == 410
    assert response.get_json()["error"]["code"] == "gone"


def test_an_operation_without_parameters_refuses_any(ada: Person) -> None:
    task = ada.create_task()
    assert ada.get(f"/tasks/{task['id']}?verbose=1").status_code == 400
    assert ada.post("/tasks?dry_run=true", {"title": "x"}).status_code == 400
    assert len(titles(ada.get("/tasks"))) == 1


def test_a_cursor_of_another_list_is_refused(five: Person) -> None:
    """The default sort of both lists is the same, and PostgreSQL would compare a UUID with a number."""
    mine = pagination(five.get("/tasks?per_page=1"))["next_cursor"]
    other = pagination(five.get("/jobs?per_page=1"))["next_cursor"]
    for path, cursor in (("/jobs", mine), ("/tasks", other)):
        assert five.get(path, query_string={"per_page": 1, "cursor": cursor}).status_code == 400


@pytest.mark.parametrize("words", ["äpfel", "ÄPFEL", "Äpfel"])
def test_text_is_found_whatever_its_case_in_any_language(ada: Person, words: str) -> None:
    ada.create_task(title="Äpfel kaufen")
    assert titles(ada.get("/tasks", query_string={"q": words})) == ["Äpfel kaufen"]
