"""The way out of an operation, followed by a fictitious one: announced, counted, and ended."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.http import parse_date, parse_options_header
from werkzeug.test import TestResponse

from api.http.answers.cached import cached
from api.http.answers.responses import returns
from api.http.door.deprecation import Deprecation
from api.http.door.resource import SecureResource
from api.v1 import deprecations, tasks
from core.platform import clock
from core.platform.access import Permission
from core.platform.cache.marks.model import Topic
from tests.support.people import Person
from tests.support.prometheus import samples

OLD = Deprecation(
    "GET /v1/tasks/{task_id}/old-summary",
    since=date(2026, 9, 1),
    sunset=date(2027, 9, 1),
    successor="/v1/tasks/{task_id}",
    notice="https://tasks.example.com/news/17",
)
BEFORE, AFTER = datetime(2027, 8, 31, 23, 59, 59, tzinfo=UTC), datetime(2027, 9, 1, tzinfo=UTC)


@pytest.fixture
def path(ada: Person) -> str:
    return f"/api/v1/tasks/{ada.create_task()['id']}/old-summary"


@pytest.fixture
def old(monkeypatch: pytest.MonkeyPatch, remake_app: Callable[..., Flask]) -> Flask:
    """Return an application that has one more operation, which is deprecated."""
    # The applications that there are already do not get it.
    monkeypatch.setattr(tasks.ns, "apis", [])
    monkeypatch.setattr(tasks.ns, "resources", list(tasks.ns.resources))

    @tasks.ns.route("/<int:task_id>/old-summary")
    class OldSummary(SecureResource):
        operations = {"GET": "summarize_task_the_old_way"}
        permissions = {"GET": Permission.TASKS_READ}

        @cached(Topic.TASKS)
        @returns(tasks.task_out)
        def get(self, task_id: int) -> Any:
            """Summarize a task.

            In one line.
            """
            return tasks.tasks.get(self.actor, task_id=task_id)

    monkeypatch.setattr(deprecations, "DEPRECATIONS", (OLD,))
    return remake_app(metrics__enabled=True, ratelimit_enabled=True)


def at(monkeypatch: pytest.MonkeyPatch, moment: datetime) -> None:
    monkeypatch.setattr(clock, "now", lambda: moment)


def ask(person: Person, path: str, **headers: str) -> TestResponse:
    """Ask without a look at the document of the process, which knows no such operation."""
    if person.tokens:
        headers["Authorization"] = f"Bearer {person.tokens['access_token']}"
    return FlaskClient(person.app, use_cookies=False).get(path, headers=headers)


def callers(app: Flask) -> dict[str, float]:
    """Return how often each caller is counted."""
    return {
        dict(labels)["caller"]: value
        for (name, labels), value in samples(app.test_client().get("/metrics").get_data(as_text=True)).items()
        if name == "tasklane_deprecated_requests_total"
    }


def links(answer: TestResponse) -> dict[str, str]:
    """Return the addresses that an answer names, by their relation."""
    found = {}
    for link in answer.headers["Link"].split(", "):
        address, options = parse_options_header(link)
        found[options["rel"]] = address.strip("<>")
    return found


def test_each_answer_says_that_it_is_deprecated_when_it_ends_and_what_takes_its_place(
    old: Flask, ada: Person, path: str
) -> None:
    ada = ada.at(old)
    for _ in range(3):
        answer = ask(ada, path)
        assert answer.status_code == 200
        assert answer.headers["Deprecation"] == f"@{int(datetime(2026, 9, 1, tzinfo=UTC).timestamp())}"
        assert parse_date(answer.headers["Sunset"]) == AFTER
        assert links(answer) == {
            "successor-version": "http://localhost" + path.removesuffix("/old-summary"),
            "deprecation": "https://tasks.example.com/news/17",
        }
    # Refusals and reads that hear of no change say so too, and no other operation does.
    unchanged = ask(ada, path, **{"If-None-Match": answer.headers["ETag"]})
    for refused, status in ((unchanged, 304), (ask(Person(old), path), 401)):
        assert (refused.status_code, "Deprecation" in refused.headers) == (status, True)
    successor = ask(ada, links(answer)["successor-version"])
    assert (successor.status_code, "Deprecation" in successor.headers) == (200, False)


def test_the_metric_says_who_still_calls_it(old: Flask, ada: Person, bob: Person, path: str) -> None:
    ada = ada.at(old)
    key = ada.post("/auth/keys", {"name": "A", "scopes": ["tasks:read"]}).get_json()["data"]
    for person in (ada, ada, bob.at(old), Person(old)):
        ask(person, path)
    ask(Person(old), path, **{"X-API-Key": key["key"]})
    text = old.test_client().get("/metrics").get_data(as_text=True)
    assert callers(old) == {f"user {ada.user_id}": 2, f"user {bob.user_id}": 1, f"key {key['id']}": 1, "anonymous": 1}
    assert f'operation="{OLD.operation}"' in text
    assert not any(secret in text for secret in ("ada", "bob", key["key"]))


def test_callers_beyond_a_hundred_are_one_series(old: Flask) -> None:
    meters = old.extensions["tasklane.meters"]
    for number in range(130):
        meters.count_deprecated("GET /v1/old", f"user {number}")
        meters.count_deprecated("GET /v1/old", "user 7")
    found = callers(old)
    assert (len(found), found["others"], found["user 7"]) == (101, 30, 131)


def test_when_its_time_has_come_it_is_gone_and_says_what_to_use(
    old: Flask, ada: Person, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = ada.at(old)
    at(monkeypatch, BEFORE)
    ada.log_in()
    assert ask(ada, path).status_code == 200
    at(monkeypatch, AFTER)
    gone = ask(ada, path)
    assert gone.status_code == 410
    assert gone.get_json()["error"]["code"] == "sunset"
    message = "This operation ended on 2027-09-01. Use /v1/tasks/{task_id} instead."
    assert gone.get_json()["error"]["message"] == message
    assert links(gone)["successor-version"] == "http://localhost" + path.removesuffix("/old-summary")
    # Whoever it is that still calls, it is counted as theirs.
    assert callers(old)[f"user {ada.user_id}"] == 2
    assert ask(Person(old), path).status_code == 401
    assert ask(ada, path.removesuffix("/old-summary")).status_code == 200


@pytest.mark.parametrize("document", ["swagger.json", "openapi.json"])
def test_both_documents_say_so(old: Flask, document: str) -> None:
    whole = old.test_client().get(f"/api/{document}").get_json()
    marked = {
        (path, verb): operation
        for path, item in whole["paths"].items()
        for verb, operation in item.items()
        if isinstance(operation, dict) and operation.get("deprecated")
    }
    assert [(path, verb) for path, verb in marked] == [("/v1/tasks/{task_id}/old-summary", "get")]
    (operation,) = marked.values()
    said = "Deprecated since 2026-09-01 and ends on 2027-09-01. Use /v1/tasks/{task_id} instead."
    assert operation["description"] == f"{said}\n\nIn one line."
    refusal = operation["responses"]["410"]
    if "$ref" in refusal:
        refusal = whole["components"]["responses"][refusal["$ref"].rpartition("/")[2]]
    assert "'code': 'sunset'" in str(refusal)


@pytest.mark.parametrize("sent", ["a\r\nX: y", "€", 'a>; rel="x'])
def test_what_a_caller_writes_in_the_path_stays_in_the_address_of_the_successor(sent: str) -> None:
    old = Deprecation("GET /v1/old/{name}", since=date(2026, 9, 1), successor="/v1/new/{name}")
    link = dict(old.headers("http://localhost/api", {"name": sent}))["Link"]
    assert link == f'<http://localhost/api/v1/new/{quote(sent, safe="")}>; rel="successor-version"'


def test_a_deprecation_without_an_operation_ends_the_start(
    monkeypatch: pytest.MonkeyPatch, remake_app: Callable[..., Flask]
) -> None:
    monkeypatch.setattr(deprecations, "DEPRECATIONS", (Deprecation("GET /v1/nothing", since=date(2026, 9, 1)),))
    with pytest.raises(ValueError, match="no operation GET /v1/nothing"):
        remake_app()


def test_callers_are_told_a_year_before_the_end() -> None:
    since = date(2026, 9, 1)
    assert Deprecation("GET /v1/old", since, sunset=since + timedelta(days=365))
    with pytest.raises(ValueError, match="365 days"):
        Deprecation("GET /v1/old", since, sunset=since + timedelta(days=364))
