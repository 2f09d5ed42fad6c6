"""Posts: who sees them, who changes them, and the name of who wrote them."""

from typing import Any

import pytest
from flask import Flask

from core.platform.database.session import transaction
from core.users.model import User
from tests.support.answers import data, details
from tests.support.engines import on_sqlite
from tests.support.people import Person


def titles(response: Any) -> list[str]:
    assert response.status_code == 200, response.text
    return [row["title"] for row in data(response)]


BODY = {"title": "Done", "content": "All of it."}


def test_a_created_post_is_answered_whole_and_lives_at_its_location(ada: Person) -> None:
    task = ada.create_task()
    response = ada.post("/posts", {"title": "  Done ", "content": " All\r\nof it. ", "task_id": task["id"]})

    assert response.status_code == 201
    post = data(response)
    assert post["title"] == "Done"
    assert post["content"] == " All\r\nof it. "
    assert post["user_id"] == ada.user_id
    assert post["author"] == "ada"
    assert post["task_id"] == task["id"]
    assert post["version"] == 1
    assert post["created_at"].endswith("Z")
    assert response.headers["Location"] == f"http://localhost/api/v1/posts/{post['id']}"
    assert data(ada.get(f"/posts/{post['id']}")) == post
    assert data(ada.get("/posts")) == [post]
    assert data(ada.post("/posts", {**BODY, "task_id": None}))["task_id"] is None


def test_the_author_is_the_name_of_the_user_as_it_is_now(app: Flask, ada: Person, bob: Person) -> None:
    post = ada.create_post()
    with app.app_context(), transaction() as session:
        session.get_one(User, ada.user_id).name = "Ada Lovelace"
    bob.create_post(title="Mine")
    assert data(bob.get(f"/posts/{post['id']}"))["author"] == "Ada Lovelace"
    assert [row["author"] for row in data(ada.get("/posts"))] == ["bob", "Ada Lovelace"]


@on_sqlite
@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, {"title", "content"}),
        ({"title": "x"}, {"content"}),
        ({"content": "x"}, {"title"}),
        ({**BODY, "title": " "}, {"title"}),
        ({**BODY, "title": "x" * 201}, {"title"}),
        ({**BODY, "title": None}, {"title"}),
        ({**BODY, "content": ""}, {"content"}),
        ({**BODY, "content": " \r\n\t\u3000\u2028"}, {"content"}),
        ({**BODY, "content": "x" * 20_001}, {"content"}),
        ({**BODY, "content": None}, {"content"}),
        ({**BODY, "content": 5}, {"content"}),
        ({**BODY, "content": "a\x00b"}, {"content"}),
        ({**BODY, "task_id": "1"}, {"task_id"}),
        ({**BODY, "task_id": 0}, {"task_id"}),
        ({**BODY, "task_id": 1.0}, {"task_id"}),
        ({**BODY, "task_id": True}, {"task_id"}),
        ({**BODY, "task_id": 2**63 - 1}, {"task_id"}),
        ({**BODY, "id": 1}, {"id"}),
        ({**BODY, "user_id": 1}, {"user_id"}),
        ({**BODY, "author": "Somebody else"}, {"author"}),
        ({**BODY, "version": 1}, {"version"}),
        ({**BODY, "created_at": None}, {"created_at"}),
        ({**BODY, "contents": "x"}, {"contents"}),
    ],
)
def test_a_wrong_field_is_named_and_nothing_is_stored(ada: Person, body: dict[str, Any], fields: set[str]) -> None:
    response = ada.post("/posts", body)
    assert response.status_code == 422
    assert set(details(response)) == fields
    assert all(len(sentences) == 1 for sentences in details(response).values())
    assert data(ada.get("/posts")) == []


def test_blank_content_is_called_blank(ada: Person) -> None:
    assert details(ada.post("/posts", {"title": "", "content": " "})) == {
        "title": ["Must not be blank."],
        "content": ["Must not be blank."],
    }
    assert len(ada.create_post(content=" " + "x" * 19_998 + "\n")["content"]) == 20_000


def test_replacing_needs_title_and_content(ada: Person) -> None:
    post = ada.create_post()
    path = f"/posts/{post['id']}"
    assert set(details(ada.put(path, {}))) == {"title", "content"}
    replaced = data(ada.put(path, {"title": "New", "content": "Other"}))
    assert (replaced["title"], replaced["content"], replaced["version"]) == ("New", "Other", 2)
    assert replaced["author"] == "ada"
    assert replaced["created_at"] == post["created_at"]
    assert replaced["updated_at"] > post["updated_at"]
    assert data(ada.get(path)) == replaced


def test_patching_leaves_what_is_omitted(ada: Person) -> None:
    post = ada.create_post()
    path = f"/posts/{post['id']}"
    assert data(ada.patch(path, {"title": "New"}))["content"] == post["content"]
    assert data(ada.patch(path, {"title": "New"}))["version"] == 2
    assert ada.patch(path, {}).status_code == 400
    for body in ({"title": None}, {"content": None}, {"content": " "}, {"colour": "red"}, {"user_id": 1}):
        assert ada.patch(path, body).status_code == 422


def test_what_a_post_is_about_never_changes(ada: Person) -> None:
    task, post = ada.create_task(), ada.create_post()
    path = f"/posts/{post['id']}"
    for response in (
        ada.patch(path, {"task_id": task["id"]}),
        ada.patch(path, {"task_id": None}),
        ada.put(path, {**BODY, "task_id": task["id"]}),
    ):
        assert response.status_code == 422
        assert set(details(response)) == {"task_id"}
    assert data(ada.get(path)) == post


def test_deleting_answers_nothing_and_then_404(ada: Person) -> None:
    post = ada.create_post()
    response = ada.delete(f"/posts/{post['id']}")
    assert (response.status_code, response.data) == (204, b"")
    for method in ("GET", "DELETE"):
        assert ada.open(method, f"/posts/{post['id']}").status_code == 404
    assert ada.create_post()["id"] > post["id"]


def test_the_posts_about_a_task_go_with_it(ada: Person) -> None:
    task = ada.create_task()
    about, other = ada.create_post(task_id=task["id"]), ada.create_post()
    ada.delete(f"/tasks/{task['id']}")
    assert ada.get(f"/posts/{about['id']}").status_code == 404
    assert [row["id"] for row in data(ada.get("/posts"))] == [other["id"]]


@on_sqlite
@pytest.mark.parametrize("number", ["abc", "0", "-1", str(2**63 - 1), str(2**63), "%00"])
def test_a_number_that_names_nothing_is_404(ada: Person, number: str) -> None:
    for method in ("GET", "DELETE"):
        assert ada.open(method, f"/posts/{number}").status_code == 404
    assert ada.patch(f"/posts/{number}", {"title": "x"}).status_code == 404
    assert ada.get(f"/tasks/{number}/posts").status_code == 404
    assert ada.post(f"/tasks/{number}/posts", BODY).status_code == 404
    assert ada.get(f"/users/{number}/posts").status_code == 404


# --- who may --------------------------------------------------------------------


def test_everybody_reads_a_post_about_nothing_and_its_author_and_administrators_change_it(
    ada: Person, bob: Person, admin: Person
) -> None:
    post = ada.create_post()
    path = f"/posts/{post['id']}"
    assert data(bob.get(path)) == post
    assert titles(bob.get("/posts")) == ["Done"]
    for response in (bob.put(path, BODY), bob.patch(path, {"title": "x"}), bob.delete(path)):
        assert response.status_code == 403
    assert data(ada.get(path)) == post
    corrected = data(admin.patch(path, {"title": "Corrected"}))
    assert (corrected["user_id"], corrected["author"]) == (ada.user_id, "ada")
    assert admin.delete(path).status_code == 204


def test_a_post_about_a_task_is_for_those_who_see_the_task(ada: Person, bob: Person, admin: Person) -> None:
    task = ada.create_task(title="Secret plans")
    post = ada.create_post(title="Secret title", content="Secret content", task_id=task["id"])
    path = f"/posts/{post['id']}"
    refused = [
        bob.get(path),
        bob.put(path, BODY),
        bob.patch(path, {"title": "x"}),
        bob.delete(path),
        bob.get(f"/tasks/{task['id']}/posts"),
        bob.get(f"/tasks/{task['id']}/posts?cursor="),
        bob.get(f"/tasks/{task['id']}/posts?q=Secret"),
        bob.post(f"/tasks/{task['id']}/posts", BODY),
        bob.post("/posts", {**BODY, "task_id": task["id"]}),
    ]
    for response in refused:
        assert response.status_code == 403
        assert "Secret" not in response.text
    for query in ("", f"?task_id={task['id']}", f"?user_id={ada.user_id}", "?q=Secret"):
        response = bob.get(f"/posts{query}")
        assert titles(response) == []
        assert response.get_json()["meta"]["pagination"]["total"] == 0
    assert titles(bob.get(f"/users/{ada.user_id}/posts")) == []
    assert titles(admin.get("/posts")) == ["Secret title"]
    assert data(admin.get(path)) == post
    assert data(ada.get(path)) == post


def test_an_assignee_joins_in_until_the_task_is_given_to_somebody_else(ada: Person, bob: Person) -> None:
    task = ada.create_task(assignee_id=bob.user_id)
    ada.create_post(title="Please", task_id=task["id"])
    created = bob.post(f"/tasks/{task['id']}/posts", {"title": "On it", "content": "Today."})
    assert created.status_code == 201
    post = data(created)
    assert (post["task_id"], post["author"]) == (task["id"], "bob")
    assert created.headers["Location"] == f"http://localhost/api/v1/posts/{post['id']}"
    for person in (ada, bob):
        assert titles(person.get(f"/tasks/{task['id']}/posts")) == ["On it", "Please"]
        assert titles(person.get("/posts")) == ["On it", "Please"]
    path = f"/posts/{post['id']}"
    assert bob.patch(path, {"title": "Nearly"}).status_code == 200
    # The owner of the task is not the author of what others say about it.
    assert ada.patch(path, {"title": "x"}).status_code == 403

    ada.patch(f"/tasks/{task['id']}", {"assignee_id": None})
    for response in (bob.get(path), bob.patch(path, {"title": "x"}), bob.delete(path)):
        assert response.status_code == 403
        assert "Nearly" not in response.text
    assert titles(bob.get("/users/" + str(bob.user_id) + "/posts")) == []
    assert titles(ada.get(f"/tasks/{task['id']}/posts")) == ["Nearly", "Please"]


def test_an_unknown_task_is_a_wrong_field_of_a_post_and_a_missing_place_for_one(ada: Person) -> None:
    assert details(ada.post("/posts", {**BODY, "task_id": 10**12})) == {"task_id": ["There is no such task."]}
    assert ada.post(f"/tasks/{10**12}/posts", BODY).status_code == 404
    task = ada.create_task()
    assert set(details(ada.post(f"/tasks/{task['id']}/posts", {**BODY, "task_id": task["id"]}))) == {"task_id"}
    assert titles(ada.get(f"/tasks/{task['id']}/posts")) == []


@pytest.mark.parametrize("path", ["/posts", "/posts/1", "/tasks/1/posts", "/users/1/posts"])
def test_a_stranger_needs_credentials(anonymous: Person, path: str) -> None:
    assert anonymous.get(path).status_code == 401


# --- lists ----------------------------------------------------------------------


@pytest.fixture
def board(ada: Person, bob: Person) -> tuple[Person, dict[str, Any]]:
    task = ada.create_task(assignee_id=bob.user_id)
    ada.create_post(title="b", task_id=task["id"])
    bob.create_post(title="a", task_id=task["id"])
    bob.create_post(title="d", content="About 100% of_it")
    ada.create_post(title="c")
    return ada, task


LISTS = {
    "": ["c", "d", "a", "b"],
    "sort=title": ["a", "b", "c", "d"],
    "sort=-title": ["d", "c", "b", "a"],
    "sort=created_at": ["b", "a", "d", "c"],
    "sort=-updated_at": ["c", "d", "a", "b"],
    "user_id=me": ["c", "b"],
    "task_id={task}": ["a", "b"],
    "task_id={task}&user_id=me": ["b"],
    "task_id=999999": [],
    "q=100%25": ["d"],
    "q=OF_I": ["d"],
    "q=ofXi": [],
    "created_at[gte]=2020-01-01": ["c", "d", "a", "b"],
    "created_at[lt]=2020-01-01": [],
}


def test_filters_and_sorting(board: tuple[Person, dict[str, Any]]) -> None:
    ada, task = board
    answers = {query: ada.get("/posts?" + query.format(task=task["id"])) for query in LISTS}
    assert {query: titles(answer) for query, answer in answers.items()} == LISTS
    totals = {query: answer.get_json()["meta"]["pagination"]["total"] for query, answer in answers.items()}
    assert totals == {query: len(expected) for query, expected in LISTS.items()}


@pytest.mark.parametrize("sort", ["title", "-title", "-created_at", "updated_at"])
def test_walking_by_cursor_sees_every_post_once(board: tuple[Person, dict[str, Any]], sort: str) -> None:
    ada, _ = board
    whole = titles(ada.get(f"/posts?sort={sort}"))
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        response = ada.get("/posts", query_string={"sort": sort, "per_page": 3, "cursor": cursor})
        seen += titles(response)
        cursor = response.get_json()["meta"]["pagination"]["next_cursor"]
    assert seen == whole
    assert len(whole) == 4


def test_the_posts_of_a_task_and_of_a_user_are_lists_like_any_other(
    board: tuple[Person, dict[str, Any]], bob: Person
) -> None:
    ada, task = board
    path = f"/tasks/{task['id']}/posts"
    assert titles(ada.get(f"{path}?user_id={bob.user_id}")) == ["a"]
    assert titles(ada.get(f"{path}?sort=title&per_page=1&page=2")) == ["b"]
    assert titles(ada.get(f"{path}?page=9")) == []
    assert ada.get(f"{path}?task_id=1").status_code == 400
    path = f"/users/{bob.user_id}/posts"
    assert titles(ada.get(path)) == ["d", "a"]
    assert titles(ada.get(f"{path}?task_id={task['id']}")) == ["a"]
    assert ada.get(f"{path}?user_id=me").status_code == 400
    assert ada.get(f"/users/{10**12}/posts?cursor=").status_code == 404


@on_sqlite
@pytest.mark.parametrize(
    "query",
    ["task_id=me", "task_id=0", "user_id=ada", "q=", "q=a%00b", "sort=content", "sort=author", "auther=x", "page=0"],
)
def test_a_parameter_that_cannot_be_used_is_named(ada: Person, query: str) -> None:
    response = ada.get(f"/posts?{query}")
    assert response.status_code == 400
    assert list(details(response)) == [query.split("=")[0]]


def test_lists_of_posts_take_three_statements_whatever_the_number_of_rows_and_authors(
    ada: Person, bob: Person, statements: list[str]
) -> None:
    task = ada.create_task(assignee_id=bob.user_id)
    for person in (ada, bob) * 5:
        person.create_post(task_id=task["id"])
        person.create_post()
    for path, rows in (("/posts", 20), (f"/tasks/{task['id']}/posts", 10), (f"/users/{bob.user_id}/posts", 10)):
        statements.clear()
        assert len(data(ada.get(f"{path}?per_page=100"))) == rows
        assert len(statements) == 3, statements
    statements.clear()
    post = ada.create_post(task_id=task["id"])
    assert len(statements) <= 4, statements
    statements.clear()
    bob.get(f"/posts/{post['id']}")
    assert len(statements) == 2, statements
