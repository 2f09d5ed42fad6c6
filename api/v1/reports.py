"""Reports over HTTP."""

from flask_restx import Namespace

from api.http.answers.refusals import refuses
from api.http.answers.responses import accepted
from api.http.door.resource import SecureResource
from api.http.input.fields import Date, Line, NullableId, Zone
from api.http.input.takes import takes
from core.jobs.model import Job
from core.platform.access import Permission
from core.reports import service as reports

ns = Namespace("reports", description="Charts of what was done, as PDF and PNG", path="/v1/reports")

report_in = ns.model(
    "ReportCreate",
    {
        "from": Date(description="First day. Default: 29 days before the last.", example="2026-10-22"),
        "to": Date(
            description=f"Last day, at most {reports.MAX_DAYS} days in all. Default: today.", example="2026-11-20"
        ),
        "project_id": NullableId(description="Only tasks of this project.", example=None),
        "title": Line(max_length=reports.TITLE_LENGTH, example="Operations in November"),
        "time_zone": Zone(
            description="Where days begin and end, a zone of the IANA database. Default: UTC.", example="Europe/Berlin"
        ),
    },
    strict=True,
)


@ns.route("")
class ReportCollection(SecureResource):
    operations = {"POST": "create_report"}
    permissions = {"POST": Permission.JOBS_WRITE}

    @takes(report_in)
    @refuses(403)
    @accepted
    def post(self) -> Job:
        """Draw a report on the tasks that the caller can see.

        Needs the permission tasks:read as well. The job's result is a PDF, and the same
        charts as one PNG: status split, burn-up, throughput a week, work per person, and
        how long tasks are overdue.
        """
        return reports.order(
            self.actor,
            first=self.body.get("from"),
            last=self.body.get("to"),
            project_id=self.body.get("project_id"),
            title=self.body.get("title"),
            time_zone=self.body.get("time_zone"),
        )
