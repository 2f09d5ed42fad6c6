"""The client of openapi-generator, from the log-in to a file: python tour.py URL USERNAME PASSWORD"""

import sys
import time
import uuid
from typing import Any

import tasklane_client as api
import urllib3


def client_of(url: str, username: str, password: str) -> api.ApiClient:
    """Log in, and return a client that does so for this person."""
    stranger = api.AuthApi(api.ApiClient(api.Configuration(url)))
    tokens = stranger.log_in(api.Login(username=username, password=password))
    return api.ApiClient(api.Configuration(url), "Authorization", f"Bearer {tokens.access_token}")


def pages(client: api.ApiClient) -> None:
    """Read a list in small pages, to its end."""
    tasks = api.TasksApi(client)
    for number in range(7):
        tasks.create_task(api.TaskCreate(title=f"Page {number}"))
    titles: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = tasks.list_tasks(q="Page", status=["pending", "completed"], per_page=3, cursor=cursor)
        titles += [one.title for one in page.data]
        cursor = page.meta.pagination.next_cursor
    assert sorted(titles) == [f"Page {number}" for number in range(7)]


def changes(client: api.ApiClient) -> None:
    """Change only what is as it was read, and repeat without a second effect."""
    tasks = api.TasksApi(client)
    body, key = api.TaskCreate(title="Water the plants", description="All of them."), str(uuid.uuid4())
    once, again = (tasks.create_task_with_http_info(body, idempotency_key=key) for _ in range(2))
    assert once.data == again.data
    assert again.headers["Idempotency-Replayed"] == "true"
    task = once.data.data
    assert tasks.update_task(task.id, api.TaskUpdate(description=None)).data.description is None

    read = tasks.get_task_with_http_info(task.id)
    tasks.update_task(task.id, api.TaskUpdate(title="Water all plants"))
    # This client keeps the capitals of the server, which names of headers do not have.
    tag = next(value for name, value in read.headers.items() if name.lower() == "etag")
    late = refusal(lambda: tasks.update_task(task.id, api.TaskUpdate(title="No"), if_match=tag))
    assert (late.status, late.data.error.code) == (412, "precondition_failed")


def errors(client: api.ApiClient) -> None:
    """Meet a refusal: an exception for each status, whose data is typed."""
    absent = refusal(lambda: api.TasksApi(client).get_task(999_999_999))
    assert isinstance(absent, api.exceptions.NotFoundException)
    assert absent.data.error.code == "not_found"
    # What the document can say is wrong, such as a blank title, the client does not even send.
    body = api.TaskCreate(title="For nobody", assignee_id=999_999_999)
    wrong = refusal(lambda: api.TasksApi(client).create_task(body))
    assert (wrong.status, list(wrong.data.error.details)) == (422, ["assignee_id"])


def refusal(act: Any) -> Any:
    """Return the exception that an act ends with."""
    try:
        act()
    except api.exceptions.ApiException as error:
        return error
    raise AssertionError("It was not refused.")


def patient(url: str, key: str) -> api.ApiClient:
    """Return a client that waits as long as `Retry-After` says and asks again, POSTs too: give each of them a key."""
    again = urllib3.Retry(5, status_forcelist=[429, 503], allowed_methods=None, raise_on_status=False)
    return api.ApiClient(api.Configuration(url, retries=again), "X-API-Key", key)


def retries(client: api.ApiClient) -> None:
    """Ask faster than the limit of the key lets in: each task is there once."""
    wanted = api.ApiKeyCreate(name="Retries", scopes=["tasks:read", "tasks:write"])
    key = api.KeysApi(client).create_api_key(wanted).data.key
    hasty = api.TasksApi(patient(client.configuration.host, key))
    began = time.monotonic()
    for number in range(12):
        hasty.create_task(api.TaskCreate(title=f"Retry {number}"), idempotency_key=str(uuid.uuid4()))
    assert time.monotonic() - began > 1, "This part wants an installation whose keys may ask 4 times a second."
    found = api.TasksApi(client).list_tasks(q="Retry").data
    assert sorted(one.title for one in found) == sorted(f"Retry {number}" for number in range(12))


def files(client: api.ApiClient) -> None:
    """Let a worker complete a task, upload a file, and download one."""
    tasks, jobs = api.TasksApi(client), api.JobsApi(client)

    def followed(accepted: Any) -> Any:
        job = jobs.get_job(accepted.data.job_id, wait=20).data
        return job if job.finished_at else followed(accepted)

    task = tasks.create_task(api.TaskCreate(title="Report")).data
    assert followed(tasks.process_task(task.id)).state == "succeeded"
    assert tasks.get_task(task.id).data.status == "completed"

    rows = b"title,external_id\nBuy milk,a-1\nBuy bread,a-2\n"
    imported = api.ImportsApi(client).create_import(file=("tasks.csv", rows), kind="tasks")
    assert followed(imported).state == "succeeded"

    exported = api.ExportsApi(client).create_export(api.ExportCreate(kind="tasks", format="csv", sort="title"))
    assert followed(exported).state == "succeeded"
    written = jobs.download_job_result_without_preload_content(exported.data.job_id).read()
    assert written.index(b"Buy bread") < written.index(b"Buy milk")


def main(url: str, username: str, password: str) -> None:
    """Do all of it."""
    client = client_of(url, username, password)
    for part in (pages, changes, errors, retries, files):
        part(client)
        print(f"{part.__name__}: as they should be")


if __name__ == "__main__":
    main(*sys.argv[1:])
