"""Answers that the pages print have the fields of the real answers, in their order: all, or all but what `...` says."""

from typing import Any

import orjson
from flask.testing import FlaskClient

from core.platform.config.load import ROOT
from tests.support.people import PASSWORD, Person


def printed(page: str) -> list[dict[str, Any]]:
    """Return the answers that stand on lines of their own and leave nothing out."""
    lines = (ROOT / page).read_text().splitlines()
    return [orjson.loads(line) for line in lines if line.startswith('{"status"') and "..." not in line]


def printed_in_part(page: str) -> list[dict[str, Any]]:
    """Return the answers that stand on lines of their own, of which `...` leaves some fields out."""
    lines = (ROOT / page).read_text().splitlines()
    return [orjson.loads(line.replace(",...", "")) for line in lines if line.startswith('{"status"')]


def is_part(shown: Any, real: Any) -> bool:
    """Return whether what is shown has fields of what is real, in their order."""
    if not isinstance(shown, dict):
        return not isinstance(real, dict)
    names = [name for name in real if name in shown]
    return list(shown) == names and all(is_part(shown[name], real[name]) for name in names)


def shape(value: Any) -> Any:
    """Return the names of the fields in their order, with the shapes of their values."""
    return [(key, shape(each)) for key, each in value.items()] if isinstance(value, dict) else None


def test_the_readme_shows_the_answers_that_its_five_lines_get(client: FlaskClient, ada: Person) -> None:
    registration = {"username": "grace", "email": "grace@example.com", "password": PASSWORD}
    task = {"title": "Renew the TLS certificate"}
    created = ada.post("/tasks", task)
    task_id = created.get_json()["data"]["id"]
    real = [
        client.post("/api/v1/auth/register", json=registration),
        created,
        ada.post(f"/tasks/{task_id}/process"),
        ada.get(f"/tasks/{task_id}"),
        ada.get("/tasks?stauts=pending"),
    ]
    shown = printed_in_part("README.md")
    assert [is_part(*pair) for pair in zip(shown, (answer.get_json() for answer in real), strict=True)] == [True] * 5
    # What is not of one moment is the same to the letter.
    assert shown[4]["error"] | {"request_id": ""} == real[4].get_json()["error"] | {"request_id": ""}
    moments = dict.fromkeys(("id", "created_at"))
    told = {name: created.get_json()["data"][name] for name in shown[1]["data"]}
    assert shown[1]["data"] | moments == told | moments


def test_the_page_about_jobs_shows_a_job_as_it_is(ada: Person) -> None:
    task_id = ada.create_task(title="Renew the TLS certificate")["id"]
    job_id = ada.post(f"/tasks/{task_id}/process").get_json()["data"]["job_id"]
    [shown] = [answer for answer in printed("docs/jobs.md") if "kind" in answer["data"]]
    assert shape(shown) == shape(ada.get(f"/jobs/{job_id}").get_json())


def test_the_page_about_operations_shows_all_checks_of_readiness(client: FlaskClient) -> None:
    checks = [answer["checks"] for answer in printed("docs/operations.md") if "checks" in answer]
    assert checks
    names = list(client.get("/health/ready").get_json()["checks"])
    assert [list(each) for each in checks] == [names] * len(checks)
