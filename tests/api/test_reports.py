"""Ordering reports over HTTP."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from core.jobs.model import Job
from core.platform.database.base import db
from tests.support.people import Person


def ordered(app: Flask, person: Person, body: dict[str, Any]) -> Job:
    """Order a report, and return the row of its job."""
    response = person.post("/reports", body)
    assert response.status_code == 202, response.text
    job_id = response.get_json()["data"]["job_id"]
    assert response.headers["Location"].endswith(f"/api/v1/jobs/{job_id}")
    job = person.get(f"/jobs/{job_id}").get_json()["data"]
    assert (job["kind"], job["state"], job["owner_id"]) == ("report", "queued", person.user_id)
    with app.app_context():
        return db.session.query(Job).filter(Job.kind == "report").one()


def test_a_report_is_about_the_last_thirty_days_unless_told(app: Flask, ada: Person, at: Callable[[str], None]) -> None:
    at("2026-11-21T00:30:00+00:00")
    assert ordered(app, ada, {}).payload == {
        "first": "2026-10-23",
        "last": "2026-11-21",
        "project_id": None,
        "title": None,
        "time_zone": "UTC",
    }


def test_the_last_thirty_days_are_those_of_the_zone(app: Flask, ada: Person, at: Callable[[str], None]) -> None:
    at("2026-11-21T00:30:00+00:00")
    payload = ordered(app, ada, {"time_zone": "America/New_York"}).payload
    assert (payload["first"], payload["last"]) == ("2026-10-22", "2026-11-20")


def test_everything_can_be_said(app: Flask, ada: Person) -> None:
    project_id = ada.post("/projects", {"key": "OPS", "name": "Operations"}).get_json()["data"]["id"]
    body = {
        "from": "2026-01-01",
        "to": "2026-03-31",
        "project_id": project_id,
        "title": "  The first quarter \N{BAR CHART} ",
        "time_zone": "Europe/Berlin",
    }
    assert ordered(app, ada, body).payload == {
        "first": "2026-01-01",
        "last": "2026-03-31",
        "project_id": project_id,
        "title": "The first quarter \N{BAR CHART}",
        "time_zone": "Europe/Berlin",
    }


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"from": "2026-02-30"}, "from"),
        ({"from": "yesterday"}, "from"),
        ({"from": 20260101}, "from"),
        ({"from": None}, "from"),
        ({"from": "2999-01-01", "to": "2999-02-01"}, "from"),
        ({"from": "2026-03-02", "to": "2026-03-01"}, "from"),
        ({"from": "2023-01-01", "to": "2026-01-04"}, "from"),
        ({"from": "0001-01-01", "to": "1900-01-02"}, "from"),
        ({"to": "9999-12-31"}, "to"),
        ({"to": "2026-13-01"}, "to"),
        ({"project_id": "7"}, "project_id"),
        ({"project_id": 0}, "project_id"),
        ({"project_id": 4711}, "project_id"),
        ({"title": " "}, "title"),
        ({"title": "x" * 121}, "title"),
        ({"title": "a\x00b"}, "title"),
        ({"title": None}, "title"),
        ({"time_zone": "Berlin"}, "time_zone"),
        ({"time_zone": ""}, "time_zone"),
        ({"time_zone": "../../etc/passwd"}, "time_zone"),
        ({"format": "pdf"}, "format"),
        ({"owner_id": 1}, "owner_id"),
    ],
)
def test_what_cannot_be_used_is_named(ada: Person, body: dict[str, Any], field: str) -> None:
    response = ada.post("/reports", body)
    assert response.status_code == 422, response.text
    assert list(response.get_json()["error"]["details"]) == [field]
    assert ada.get("/jobs?kind=report").get_json()["data"] == []


def test_three_years_are_the_longest_range(ada: Person) -> None:
    assert ada.post("/reports", {"from": "2023-01-01", "to": "2026-01-02"}).status_code == 202
    response = ada.post("/reports", {"from": "2022-12-31", "to": "2026-01-02"})
    assert response.get_json()["error"]["details"] == {
        "from": ["Must be at most 1098 days before the end, 2026-01-02."]
    }


@pytest.mark.parametrize("body", ["", "[]", "{", "null"])
def test_a_body_that_is_no_object_is_400(ada: Person, body: str) -> None:
    response = ada.post("/reports", data=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 400


def test_a_zone_that_is_misspelt_is_answered_with_the_nearest(ada: Person) -> None:
    details = ada.post("/reports", {"time_zone": "europe/berlin"}).get_json()["error"]["details"]
    assert "Europe/Berlin" in details["time_zone"][0]


def test_a_stranger_gets_no_report_on_a_project_and_an_administrator_does(
    ada: Person, bob: Person, admin: Person
) -> None:
    project_id = ada.post("/projects", {"key": "OPS", "name": "Operations"}).get_json()["data"]["id"]
    assert bob.post("/reports", {"project_id": project_id}).status_code == 403
    assert admin.post("/reports", {"project_id": project_id}).status_code == 202


@pytest.mark.parametrize(
    ("scopes", "status"),
    [(["jobs:write", "tasks:read"], 202), (["jobs:write"], 403), (["tasks:read"], 403), (["jobs:read"], 403)],
)
def test_a_key_needs_both_scopes(ada: Person, scopes: list[str], status: int) -> None:
    key = ada.post("/auth/keys", {"name": "CI", "scopes": scopes}).get_json()["data"]["key"]
    assert ada.post("/reports", {}, token="", headers={"X-API-Key": key}).status_code == status
