"""Names and paths that people bring along from other services."""

from collections.abc import Callable

import pytest
from flask import Flask

from tests.support.people import PASSWORD, Person

MEANT = {
    "/tasks": {
        "limit": "per_page",
        "page_size": "per_page",
        "pageSize": "per_page",
        "size": "per_page",
        "perPage": "per_page",
        "offset": "page",
        "skip": "page",
        "pageNumber": "page",
        "order_by": "sort",
        "orderBy": "sort",
        "order-by": "sort",
        "sort_by": "sort",
        "sortBy": "sort",
        "ordering": "sort",
        "search": "q",
        "query": "q",
        "keyword": "q",
        "after": "cursor",
        "page_token": "cursor",
        "state": "status",
        "assignee": "assignee_id",
        "assignedTo": "assignee_id",
        "project": "project_id",
        "statsu": "status",
        "Page": "page",
    },
    "/search?q=a": {"per_page": "limit", "page_size": "limit", "sort_by": "sort", "query": "q", "offset": "page"},
    "/jobs": {"status": "state", "limit": "per_page", "type": "kind"},
    "/users": {"search": "q", "limit": "per_page", "roles": "role"},
    "/items": {"limit": "per_page", "search": "q"},
    "/projects": {"limit": "per_page"},
    "/posts": {"limit": "per_page", "author": "user_id"},
}


@pytest.mark.parametrize("path", MEANT)
def test_a_name_of_another_service_is_answered_with_ours(ada: Person, path: str) -> None:
    for name, ours in MEANT[path].items():
        refused = ada.get(f"{path}{'&' if '?' in path else '?'}{name}=5")
        assert refused.status_code == 400, name
        assert refused.get_json()["error"]["details"][name] == [f"Unknown parameter. Did you mean {ours!r}?"]


def test_what_means_nothing_gets_no_advice(ada: Person) -> None:
    details = ada.get("/tasks?xyzzy=1").get_json()["error"]["details"]
    assert details == {"xyzzy": ["Unknown parameter."]}


@pytest.mark.parametrize(
    "path",
    ["/api/tasks", "/auth/login", "/docs", "/tasks", "/v1/tasks", "/api/v2/tasks", "/swagger.json", "/openapi.json"],
)
def test_a_path_of_another_service_is_answered_with_where_the_api_is(anonymous: Person, path: str) -> None:
    for method in ("GET", "POST"):
        response = anonymous.client.open(path, method=method)
        error = response.get_json()["error"]
        assert (response.status_code, error["code"]) == (404, "not_found")
        assert "/api/v1" in error["message"]
        assert "/api/." in error["message"]


def test_an_address_names_an_account_at_a_login(ada: Person, anonymous: Person) -> None:
    for body in ({"email": "ada@example.com"}, {"email": "ada"}, {"username": "ada", "email": "somebody@else.org"}):
        for path in ("/auth/login", "/auth/session"):
            assert anonymous.post(path, {**body, "password": PASSWORD}).status_code == 200, (path, body)
        form = {**body, "password": PASSWORD, "grant_type": "password"}
        assert anonymous.post("/auth/login", data=form).status_code == 200
    assert anonymous.post("/auth/login", {"email": "ada@example.com", "password": "wrong one"}).status_code == 401


def test_a_login_without_a_name_names_all_that_is_missing(anonymous: Person) -> None:
    for path in ("/auth/login", "/auth/session"):
        for body, missing in (({}, ["username", "password"]), ({"password": PASSWORD}, ["username"])):
            refused = anonymous.post(path, body)
            assert refused.status_code == 400
            assert refused.get_json()["error"]["details"] == {name: ["This field is required."] for name in missing}
        assert anonymous.post(path, {"email": 5, "password": PASSWORD}).status_code == 422


def test_an_address_gives_no_further_tries(ada: Person, remake_app: Callable[..., Flask]) -> None:
    anyone = Person(remake_app(ratelimit_enabled=True, auth__login_limit="3 per minute"))
    tries = [{"email": "ada@example.com"}, {"username": "ada@example.com"}, {"email": " ADA@example.com"}] * 2
    statuses = [anyone.post("/auth/login", {**each, "password": "wrong one"}).status_code for each in tries]
    assert statuses == [401, 401, 401, 429, 429, 429]
    other = anyone.post("/auth/login", {"email": "bob@example.com", "password": "wrong one"})
    assert other.status_code == 401


def test_spaces_before_a_name_give_no_further_tries(ada: Person, remake_app: Callable[..., Flask]) -> None:
    anyone = Person(remake_app(ratelimit_enabled=True, auth__login_limit="3 per minute"))
    tries = [" " * count + "ada" for count in (0, 1, 398, 399, 400, 5000)]
    statuses = [anyone.post("/auth/login", {"username": name, "password": "wrong one"}).status_code for name in tries]
    assert statuses == [401, 401, 401, 429, 429, 429]


def test_date_is_another_word_for_newest(ada: Person) -> None:
    for title in ("Plan the plan", "Plan"):
        ada.create_task(title=title)
    newest, date = (ada.get(f"/search?q=plan&sort={word}") for word in ("newest", "date"))
    assert date.get_json() == newest.get_json()
    assert [hit["title"] for hit in date.get_json()["data"]] == ["Plan", "Plan the plan"]
    assert (date.headers["ETag"], date.headers["Link"]) == (newest.headers["ETag"], newest.headers["Link"])
