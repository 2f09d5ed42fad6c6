"""Background work over HTTP."""

from typing import Any
from uuid import UUID

from flask_restx import Namespace, fields

from api.http.answers.downloads import downloads
from api.http.answers.pages import paged
from api.http.answers.refusals import refuses
from api.http.answers.responses import accepted, no_content, returns_polled
from api.http.door.resource import SecureResource
from api.http.input import arguments, places, query
from api.http.input.fields import Moment, NullableId, NullableInteger, NullableMoment, NullableObject, NullableText
from api.http.input.takes import takes
from api.http.serving.waiting import MAX_WAIT, current_leaving, waiting
from core.files.model import StoredFile
from core.jobs.kinds import KINDS
from core.jobs.model import Job, JobState
from core.platform.access import Permission
from core.platform.database.paging import Page
from core.platform.errors import NotFound
from core.runs import service as runs

ns = Namespace("jobs", description="Follow background work", path="/v1")

_JOB: dict[str, Any] = {
    "id": (fields.String, {"example": "0b8cfbf8-7a3e-4a57-9a2b-0f2f3f6a3b51"}),
    "kind": (fields.String, {"enum": list(KINDS), "example": "task.process"}),
    "state": (fields.String, {"enum": list(JobState), "example": "started"}),
    "progress": (fields.Integer, {"min": 0, "max": 100, "example": 40}),
    "attempts": (fields.Integer, {"description": "How often it was started.", "example": 1}),
    "max_attempts": (fields.Integer, {"example": 4}),
    "error": (NullableText, {"description": "Why the last attempt failed."}),
    "result": (
        NullableObject,
        {
            "description": "What came of it; null for a key that may not read what it is about."
            " `files` are what GET /jobs/<id>/result downloads.",
            "example": None,
        },
    ),
    "owner_id": (NullableId, {"description": "Who ordered it; null for the service itself."}),
    "created_at": (Moment, {}),
    "started_at": (NullableMoment, {}),
    "finished_at": (NullableMoment, {}),
}
job_out = ns.model("Job", {name: field(required=True, **options) for name, (field, options) in _JOB.items()})
followed_out = ns.model(
    "JobDetails",
    {
        **{name: field(required=True, attribute=f"job.{name}", **options) for name, (field, options) in _JOB.items()},
        "position": NullableInteger(
            required=True, description="Its place among the waiting jobs of its queue, from 1.", example=None
        ),
        "expected_at": NullableMoment(required=True, description="When it may be done, where that can be guessed."),
    },
)

list_query = query.list_parser(runs.SORTABLE, "-created_at")
query.add(list_query, "state", query.one_or_more(JobState), "Only these, comma-separated or repeated.")
query.add(list_query, "kind", query.one_or_more(KINDS), "Only these, comma-separated or repeated.")
query.add_range(list_query, "created_at", query.moment, "Ordered")

follow_query = query.parser()
query.add(
    follow_query,
    "wait",
    query.integer(minimum=0, maximum=MAX_WAIT),
    f"Seconds, at most {MAX_WAIT}: answer when the job is over, or after this long.",
)
result_query = query.parser()
query.add(result_query, "name", query.words, "Which of its files; without it the first.")


@ns.route("/jobs")
class JobCollection(SecureResource):
    operations = {"GET": "list_jobs"}
    permissions = {"GET": Permission.JOBS_READ}

    @takes(query=list_query)
    @refuses(410)
    @paged(job_out)
    def get(self) -> Page:
        """List the caller's jobs, newest first; administrators see all."""
        return runs.list_visible(
            self.actor,
            page=self.page,
            kind=self.query.get("kind"),
            state=self.query.get("state"),
            created_at=arguments.ranges(self.query, "created_at").get("created_at"),
        )


@ns.route("/jobs/<job_id>", endpoint="jobs_job")
@ns.route(
    "/tasks/process/status/<job_id>",
    endpoint="jobs_job_alias",
    # Each operation has a name of its own, and here one verb is two of them.
    doc={"get": {"id": "get_task_processing"}, "delete": {"id": "cancel_task_processing"}},
)
@ns.doc(params=places.JOB_ID)
class JobItem(SecureResource):
    conditional_on = followed_out
    operations = {"GET": "get_job", "DELETE": "cancel_job"}
    permissions = {"GET": Permission.JOBS_READ, "DELETE": Permission.JOBS_WRITE}

    @takes(query=follow_query)
    @refuses(403, 404)
    @returns_polled(followed_out, "The job as it is now.")
    def get(self, job_id: str) -> runs.Followed:
        """Read a job: its state, progress, place in the queue, and error if it failed.

        `wait` saves asking again and again. When too many callers wait already,
        the answer comes at once, and Retry-After says when to look again.
        """
        with waiting(self.query.get("wait", 0)) as seconds:
            return runs.follow(self.actor, job_id=_uuid(job_id), wait_seconds=seconds, leaving=current_leaving())

    @refuses(403, 404, 409)
    @no_content
    def delete(self, job_id: str) -> None:
        """Cancel a job, whether it waits or runs.

        A run that has begun is stopped within about a second and stores nothing
        more. A job that is over cannot be cancelled (409). An API key needs the scope of
        what the job does, too.
        """
        runs.cancel(self.actor, self.expected, job_id=_uuid(job_id))


@ns.route("/jobs/<job_id>/retry")
@ns.doc(params=places.JOB_ID)
class JobRetry(SecureResource):
    operations = {"POST": "retry_job"}
    permissions = {"POST": Permission.JOBS_WRITE}

    @refuses(403, 404, 409)
    @accepted
    def post(self, job_id: str) -> Job:
        """Retry a failed or cancelled job.

        It gets as many new attempts as its kind has; `attempts` goes on counting. A caller who
        could not order it now is refused (403), and so is a job whose owner could not (409).
        An API key needs the scope of what the job does, too.
        """
        return runs.retry(self.actor, job_id=_uuid(job_id))


@ns.route("/jobs/<job_id>/result")
@ns.doc(params=places.JOB_ID)
class JobResult(SecureResource):
    operations = {"GET": "download_job_result"}
    permissions = {"GET": Permission.JOBS_READ}

    @takes(query=result_query)
    @refuses(403, 404, 409, 410)
    @downloads("The file.", "application/octet-stream", "application/json")
    def get(self, job_id: str) -> StoredFile:
        """Download what a job has made.

        Range requests continue a broken download. 409 while the job is not over,
        404 if it has made no file, 410 when its files are no longer stored. 403 also for a file
        that shows what the caller may no longer see, and for an API key without the scope of
        what it shows.
        """
        return runs.get_result(self.actor, job_id=_uuid(job_id), name=self.query.get("name"))


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise NotFound("There is no such job.") from None
