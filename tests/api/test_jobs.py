"""Following background work over HTTP."""

import pytest

from tests.support.people import Person


def test_processing_answers_with_where_to_follow_it(ada: Person) -> None:
    task = ada.create_task()
    response = ada.post(f"/tasks/{task['id']}/process")
    assert response.status_code == 202
    accepted = response.get_json()["data"]
    assert set(accepted) == {"job_id", "job_url"}
    assert response.headers["Location"] == accepted["job_url"] == f"http://localhost/api/v1/jobs/{accepted['job_id']}"

    job = ada.get(f"/jobs/{accepted['job_id']}").get_json()["data"]
    assert (job["kind"], job["state"], job["progress"], job["attempts"]) == ("task.process", "queued", 0, 0)
    assert job["owner_id"] == ada.user_id
    alias = ada.get(f"/tasks/process/status/{accepted['job_id']}")
    assert alias.get_json()["data"] == job


def test_processing_takes_no_body_but_does_not_mind_one(ada: Person) -> None:
    task = ada.create_task()
    assert ada.post(f"/tasks/{task['id']}/process", {}).status_code == 202


def test_each_processing_is_a_job_of_its_own(ada: Person) -> None:
    task = ada.create_task()
    ids = {ada.post(f"/tasks/{task['id']}/process").get_json()["data"]["job_id"] for _ in range(3)}
    assert len(ids) == 3


def test_everybody_sees_their_own_jobs_and_an_administrator_all(ada: Person, bob: Person, admin: Person) -> None:
    task = ada.create_task()
    ada.post(f"/tasks/{task['id']}/process")
    bob.create_task()
    mine = ada.get("/jobs").get_json()["data"]
    assert [job["kind"] for job in mine] == ["task.process", "email.task_created"]
    assert ada.get("/jobs?kind=email.task_created").get_json()["meta"]["pagination"]["total"] == 1
    assert ada.get("/jobs?state=failed,succeeded").get_json()["data"] == []
    assert {job["owner_id"] for job in bob.get("/jobs").get_json()["data"]} == {bob.user_id}
    assert admin.get("/jobs").get_json()["meta"]["pagination"]["total"] == 3

    path = f"/jobs/{mine[0]['id']}"
    assert ada.get(path).status_code == 200
    assert admin.get(path).status_code == 200
    assert bob.get(path).status_code == 403


@pytest.mark.parametrize("job_id", ["0b8cfbf8-7a3e-4a57-9a2b-0f2f3f6a3b51", "nonsense", "0", "%00"])
def test_an_unknown_job_is_404(ada: Person, job_id: str) -> None:
    assert ada.get(f"/jobs/{job_id}").status_code == 404
    assert ada.get(f"/tasks/process/status/{job_id}").status_code == 404


@pytest.mark.parametrize("query", ["kind=email", "state=done", "owner_id=1", "sort=kind"])
def test_the_list_of_jobs_is_strict_too(ada: Person, query: str) -> None:
    assert ada.get(f"/jobs?{query}").status_code == 400


def test_the_list_of_jobs_can_be_walked(ada: Person) -> None:
    for _ in range(3):
        ada.create_task()
    cursor, seen = "", []
    while cursor is not None:
        answer = ada.get("/jobs", query_string={"cursor": cursor, "per_page": 2}).get_json()
        seen += [job["id"] for job in answer["data"]]
        cursor = answer["meta"]["pagination"]["next_cursor"]
    assert len(seen) == len(set(seen)) == 3
