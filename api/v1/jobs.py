"""Background work over HTTP."""

from uuid import UUID

from flask_restx import Namespace, fields

from api.http import query
from api.http.fields import Moment, NullableId, NullableMoment, NullableObject, NullableText
from api.http.responses import paged, refuses, returns
from api.http.security import SecureResource
from core.access import Permission
from core.errors import NotFound
from core.jobs import service as jobs
from core.jobs.kinds import KINDS
from core.jobs.model import Job, JobState
from core.paging import Page

ns = Namespace("jobs", description="Follow background work", path="/v1")

job_out = ns.model(
    "Job",
    {
        "id": fields.String(required=True, example="0b8cfbf8-7a3e-4a57-9a2b-0f2f3f6a3b51"),
        "kind": fields.String(required=True, enum=list(KINDS), example="task.process"),
        "state": fields.String(required=True, enum=list(JobState), example="started"),
        "progress": fields.Integer(required=True, min=0, max=100, example=40),
        "attempts": fields.Integer(required=True, description="How often it was started.", example=1),
        "max_attempts": fields.Integer(required=True, example=4),
        "error": NullableText(required=True, description="Why the last attempt failed."),
        "result": NullableObject(required=True, example=None),
        "owner_id": NullableId(required=True),
        "created_at": Moment(required=True),
        "started_at": NullableMoment(required=True),
        "finished_at": NullableMoment(required=True),
    },
)

list_query = query.list_parser(jobs.SORTABLE, "-created_at")
query.add(list_query, "state", query.one_or_more(JobState), "Only these, comma-separated.")
query.add(list_query, "kind", query.one_or_more(KINDS), "Only these, comma-separated.")


@ns.route("/jobs")
class JobCollection(SecureResource):
    permissions = {"GET": Permission.JOBS_READ}

    @ns.expect(list_query)
    @refuses(410)
    @paged(job_out)
    def get(self) -> Page:
        """List the caller's jobs, newest first; administrators see all."""
        return jobs.list_visible(self.actor, page=self.page, kind=self.query.get("kind"), state=self.query.get("state"))


@ns.route("/jobs/<job_id>", endpoint="jobs_job")
@ns.route("/tasks/process/status/<job_id>", endpoint="jobs_job_alias", doc={"deprecated": False})
@ns.doc(params={"job_id": "The id of the job."})
class JobItem(SecureResource):
    permissions = {"GET": Permission.JOBS_READ}

    @refuses(403, 404)
    @returns(job_out)
    def get(self, job_id: str) -> Job:
        """Read a job: its state, progress, and error if it failed."""
        return jobs.get(self.actor, job_id=_uuid(job_id))


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise NotFound("There is no such job.") from None
