"""Ordering exports over HTTP: who may order what, and what they may narrow it to."""

from typing import Any

import pytest

from tests.support.answers import details
from tests.support.people import Person


def order(person: Person, kind: str = "tasks", file_format: str = "csv", **more: Any) -> Any:
    return person.post("/exports", {"kind": kind, "format": file_format, **more})


@pytest.mark.parametrize("kind", ["tasks", "posts", "items"])
@pytest.mark.parametrize("file_format", ["csv", "jsonl", "json", "xlsx"])
def test_an_export_is_ordered_as_a_job_of_its_owner(ada: Person, kind: str, file_format: str) -> None:
    response = order(ada, kind, file_format)
    assert response.status_code == 202
    accepted = response.get_json()["data"]
    assert response.headers["Location"] == accepted["job_url"]
    job = ada.get(f"/jobs/{accepted['job_id']}").get_json()["data"]
    assert (job["kind"], job["state"], job["owner_id"]) == ("export", "queued", ada.user_id)
    assert ada.get(f"/jobs/{accepted['job_id']}/result").status_code == 409


@pytest.mark.parametrize(
    ("kind", "filters"),
    [
        ("tasks", {}),
        ("tasks", {"status": "pending,in_progress", "owner_id": "me", "assignee_id": 7, "overdue": False}),
        ("tasks", {"status": ["pending", "completed"], "due_date[gte]": "2026-01-01", "due_date[lt]": "2027-01-01"}),
        ("tasks", {"created_at[gt]": "2026-11-20T09:30:00+01:00", "q": "100%", "project_id": "1", "item_id": 2}),
        ("posts", {"task_id": 7, "user_id": "me", "q": "done", "created_at[lte]": "2026-11-20"}),
        ("items", {"price[gte]": 19.99, "price[lt]": 100, "sku": "PRT/0042", "created_by": "me"}),
    ],
)
def test_the_filters_are_those_of_the_list(ada: Person, kind: str, filters: dict[str, Any]) -> None:
    if "project_id" in filters:
        project = ada.post("/projects", json={"key": "OPS", "name": "Operations"}).get_json()["data"]
        filters = {**filters, "project_id": str(project["id"])}
    assert order(ada, kind, filters=filters).status_code == 202


@pytest.mark.parametrize(
    ("kind", "filters", "path", "sentence"),
    [
        ("tasks", {"statsu": "pending"}, "filters.statsu", "Unknown filter. Did you mean 'status'?"),
        ("tasks", {"due_date[after]": "x"}, "filters.due_date[after]", "Unknown filter. Did you mean"),
        ("tasks", {"page": 1}, "filters.page", "Unknown filter."),
        ("tasks", {"sort": "title"}, "filters.sort", "Unknown filter."),
        ("tasks", {"created_by": "me"}, "filters.created_by", "Unknown filter."),
        ("tasks", {"status": "done"}, "filters.status", "Must be one of pending, in_progress"),
        ("tasks", {"status": []}, "filters.status", "Must be a string, a number, true, false, or a list of words."),
        ("tasks", {"status": None}, "filters.status", "Must be a string, a number"),
        ("tasks", {"status": [1]}, "filters.status", "Must be a string, a number"),
        ("tasks", {"q": {"a": "b"}}, "filters.q", "Must be a string, a number"),
        ("tasks", {"q": ""}, "filters.q", "Must be 1 to 200 characters long."),
        ("tasks", {"owner_id": "you"}, "filters.owner_id", "Must be an integer"),
        ("tasks", {"owner_id": 1.5}, "filters.owner_id", "Must be an integer"),
        ("tasks", {"owner_id": True}, "filters.owner_id", "Must be an integer"),
        ("tasks", {"overdue": "yes"}, "filters.overdue", "Must be true or false."),
        ("tasks", {"due_date": "2026-02-30"}, "filters.due_date", "Must be a calendar day"),
        ("posts", {"status": "pending"}, "filters.status", "Unknown filter."),
        ("items", {"price[gte]": -1}, "filters.price[gte]", "Must be an amount"),
        ("items", {"price[gte]": 1e300}, "filters.price[gte]", "Must be an amount"),
    ],
)
def test_a_wrong_filter_is_named(ada: Person, kind: str, filters: dict[str, Any], path: str, sentence: str) -> None:
    found = details(order(ada, kind, filters=filters))
    assert list(found) == [path]
    assert found[path][0].startswith(sentence)


def test_all_wrong_filters_are_named_at_once(ada: Person) -> None:
    found = details(order(ada, filters={"statsu": "x", "overdue": "x", "q": None}))
    assert set(found) == {"filters.statsu", "filters.overdue", "filters.q"}


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"kind": "tasks"}, "format"),
        ({"format": "csv"}, "kind"),
        ({"kind": "jobs", "format": "csv"}, "kind"),
        ({"kind": "tasks", "format": "pdf"}, "format"),
        ({"kind": "tasks", "format": "csv", "filters": []}, "filters"),
        ({"kind": "tasks", "format": "csv", "filters": "status=pending"}, "filters"),
        ({"kind": "tasks", "format": "csv", "sort": 1}, "sort"),
        ({"kind": "tasks", "format": "csv", "sort": "colour"}, "sort"),
        ({"kind": "tasks", "format": "csv", "sort": "title,title"}, "sort"),
        ({"kind": "tasks", "format": "csv", "filter": {}}, "filter"),
    ],
)
def test_a_wrong_order_is_refused(ada: Person, body: dict[str, Any], path: str) -> None:
    assert list(details(ada.post("/exports", body))) == [path]
    assert ada.get("/jobs").get_json()["data"] == []


def test_only_administrators_export_users(ada: Person, admin: Person) -> None:
    refused = order(ada, "users")
    assert refused.status_code == 403
    assert refused.get_json()["error"]["message"] == "Only administrators may export users."
    assert order(admin, "users", filters={"role": "admin", "is_active": True}).status_code == 202
    assert details(order(admin, "users", filters={"email": "a"})) == {"filters.email": ["Unknown filter."]}


@pytest.mark.parametrize("kind", ["tasks", "posts", "items", "users"])
def test_an_api_key_needs_the_scope_of_what_it_exports(admin: Person, kind: str) -> None:
    def key(*scopes: str) -> str:
        made = admin.post("/auth/keys", {"name": "Export", "scopes": list(scopes)})
        return str(made.get_json()["data"]["key"])

    def status(key: str) -> int:
        body = {"kind": kind, "format": "csv"}
        return admin.post("/exports", body, token="", headers={"X-API-Key": key}).status_code

    assert status(key("jobs:write", f"{kind}:read")) == 202
    assert status(key("jobs:write", "search:read")) == 403
    assert status(key(f"{kind}:read")) == 403
