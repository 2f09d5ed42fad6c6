"""The client of openapi-python-client, from the log-in to a file: python tour.py URL USERNAME PASSWORD"""

import io
import sys
import uuid
from contextlib import suppress
from functools import partial

import httpx
from helpers import Refused, Retrying, client_of, every_page, got
from tasklane_client import AuthenticatedClient
from tasklane_client.api.exports import create_export
from tasklane_client.api.imports import create_import
from tasklane_client.api.jobs import download_job_result, get_job
from tasklane_client.api.keys import create_api_key
from tasklane_client.api.tasks import create_task, get_task, list_tasks, process_task, update_task
from tasklane_client.models import (
    AcceptedJobResponse,
    ApiKeyCreate,
    CreatedApiKeyResponse,
    CreateImportBody,
    ErrorResponse,
    ExportCreate,
    ExportFormat,
    JobDetails,
    JobDetailsResponse,
    JobState,
    RecordKind,
    Scope,
    TaskCreate,
    TaskPage,
    TaskResponse,
    TaskStatus,
    TaskUpdate,
)
from tasklane_client.types import File


def pages(client: AuthenticatedClient) -> None:
    """Read a list in small pages, to its end."""
    for number in range(7):
        create_task.sync(client=client, body=TaskCreate(title=f"Page {number}"))
    first = got(TaskPage, list_tasks.sync(client=client, q="Page", per_page=3, cursor=""))
    assert (len(first.data), first.meta.pagination.next_cursor is not None) == (3, True)
    found = list(every_page(partial(list_tasks.sync, client=client, q="Page", per_page=3)))
    assert sorted(one.title for one in found) == [f"Page {number}" for number in range(7)]


def changes(client: AuthenticatedClient) -> None:
    """Say null, change only what is as it was read, and repeat without a second effect."""
    body = TaskCreate(title="Water the plants", description="All of them.")
    key = str(uuid.uuid4())
    once, again = (create_task.sync_detailed(client=client, body=body, idempotency_key=key) for _ in range(2))
    assert (once.content, "Idempotency-Replayed" in once.headers) == (again.content, False)
    assert again.headers["Idempotency-Replayed"] == "true"
    task = got(TaskResponse, once.parsed).data
    emptied = got(TaskResponse, update_task.sync(task.id, client=client, body=TaskUpdate(description=None))).data
    assert (emptied.title, emptied.description) == ("Water the plants", None)

    read = get_task.sync_detailed(task.id, client=client)
    update_task.sync(task.id, client=client, body=TaskUpdate(title="Water all plants"))
    late = update_task.sync_detailed(
        task.id, client=client, body=TaskUpdate(title="Water none"), if_match=read.headers["ETag"]
    )
    assert isinstance(late.parsed, ErrorResponse)
    assert (late.status_code, late.parsed.error.code) == (412, "precondition_failed")


def errors(client: AuthenticatedClient) -> None:
    """Meet a refusal: it is typed, and names each field."""
    refused = create_task.sync_detailed(client=client, body=TaskCreate(title=""))
    assert isinstance(refused.parsed, ErrorResponse)
    assert refused.status_code == 422
    assert refused.parsed.error.details
    assert "title" in refused.parsed.error.details.additional_properties
    absent = get_task.sync_detailed(999_999_999, client=client)
    assert isinstance(absent.parsed, ErrorResponse)
    assert (absent.status_code, absent.parsed.error.code) == (404, "not_found")
    with suppress(Refused):
        list(every_page(list_tasks.sync, client=client, q="\0"))
        raise AssertionError("A character that no text has is refused.")


class Unreliable(httpx.HTTPTransport):
    """A connection that notes what it sent and was answered, and loses the first answer."""

    def __init__(self) -> None:
        super().__init__()
        self.keys: list[str] = []
        self.statuses: list[int] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request, and return its answer unless that is lost."""
        response = super().handle_request(request)
        self.keys.append(request.headers["Idempotency-Key"])
        self.statuses.append(response.status_code)
        if len(self.statuses) == 1:
            response.close()
            raise httpx.ReadError("The connection was lost.")
        return response


def retries(client: AuthenticatedClient) -> None:
    """Lose an answer, and ask faster than the limit of the key lets in: each task is there once."""
    wanted = ApiKeyCreate(name="Retries", scopes=[Scope.TASKS_READ, Scope.TASKS_WRITE])
    key = got(CreatedApiKeyResponse, create_api_key.sync(client=client, body=wanted)).data.key
    line = Unreliable()
    hasty = AuthenticatedClient(
        str(client._base_url), key, prefix="", auth_header_name="X-API-Key", httpx_args={"transport": Retrying(line)}
    )
    for number in range(12):
        got(TaskResponse, create_task.sync(client=hasty, body=TaskCreate(title=f"Retry {number}")))
    found = [one.title for one in every_page(partial(list_tasks.sync, client=client, q="Retry"))]
    assert sorted(found) == sorted(f"Retry {number}" for number in range(12))
    assert line.keys[0] == line.keys[1]
    assert len(set(line.keys)) == 12
    assert 429 in line.statuses, "This part wants an installation whose keys may ask 4 times a second."


def followed(accepted: object, client: AuthenticatedClient) -> JobDetails:
    """Return a job when it is over."""
    job_id = got(AcceptedJobResponse, accepted).data.job_id
    while True:
        job = got(JobDetailsResponse, get_job.sync(job_id, client=client, wait=20)).data
        if job.finished_at is not None:
            assert job.state == JobState.SUCCEEDED, job.error
            return job


def files(client: AuthenticatedClient) -> None:
    """Let a worker complete a task, upload a file, and download one."""
    task = got(TaskResponse, create_task.sync(client=client, body=TaskCreate(title="Report"))).data
    followed(process_task.sync(task.id, client=client), client)
    done = got(TaskResponse, get_task.sync(task.id, client=client)).data
    assert (done.status, done.completed_at is not None) == (TaskStatus.COMPLETED, True)

    rows = File(io.BytesIO(b"title,external_id\nBuy milk,a-1\nBuy bread,a-2\n"), "tasks.csv", "text/csv")
    followed(create_import.sync(client=client, body=CreateImportBody(file=rows, kind=RecordKind.TASKS)), client)

    order = ExportCreate(kind=RecordKind.TASKS, format_=ExportFormat.CSV, sort="title")
    job = followed(create_export.sync(client=client, body=order), client)
    written = got(File, download_job_result.sync(job.id, client=client)).payload.read().decode()
    assert written.index("Buy bread") < written.index("Buy milk")


def main(url: str, username: str, password: str) -> None:
    """Do all of it."""
    client = client_of(url, username, password)
    for part in (pages, changes, errors, retries, files):
        part(client)
        print(f"{part.__name__}: as they should be")


if __name__ == "__main__":
    main(*sys.argv[1:])
