"""Statistics over HTTP."""

from typing import Any

from flask_restx import Namespace, fields
from orjson import Fragment

from api.http.answers.refusals import refuses
from api.http.answers.responses import returns
from api.http.door.resource import SecureResource
from api.http.input import query
from api.http.input.fields import Date, Id, NullableList, NullableNumber
from api.http.input.takes import takes
from core.platform.access import Permission
from core.platform.text.zones import UTC_ZONE
from core.stats import service as stats
from core.tasks.fields import TaskStatus

ns = Namespace("stats", description="Sums over the tasks that the caller may see", path="/v1/stats")


def _count(**options: Any) -> fields.Integer:
    return fields.Integer(required=True, min=0, **options)


counts_out = ns.model("StatusCounts", {status.value: _count(example=3) for status in TaskStatus})
day_out = ns.model(
    "DayCounts",
    {"date": Date(required=True, example="2026-11-20"), "created": _count(example=5), "completed": _count(example=4)},
)
person_out = ns.model(
    "UserCounts",
    {"user_id": Id(required=True, description="The owner."), "by_status": fields.Nested(counts_out, required=True)},
)
stats_out = ns.model(
    "Stats",
    {
        "timezone": fields.String(required=True, example="Europe/Berlin"),
        "from": Date(required=True, example="2026-10-22"),
        "to": Date(required=True, example="2026-11-20"),
        "total": _count(example=12, description="All tasks, whatever their dates."),
        "by_status": fields.Nested(counts_out, required=True),
        "overdue": _count(example=2, description="Open tasks whose due date is before today in the zone."),
        "mean_completion_seconds": NullableNumber(
            required=True, description="From creation to completion; null without completed tasks.", example=86400.5
        ),
        "per_day": fields.List(fields.Nested(day_out), required=True, description="Every day of the range, in order."),
        "per_user": NullableList(
            fields.Nested(person_out), required=True, description="Owners of tasks; null unless for an administrator."
        ),
    },
)

stats_query = query.parser()
query.add(stats_query, "from", query.day, "First day of the daily numbers. Default: 29 days before the last.")
query.add(stats_query, "to", query.day, "Last day of the daily numbers, at most 366 days in all. Default: today.")
query.add(stats_query, "tz", query.zone, "Time zone in which days begin and end, such as Europe/Berlin. Default: UTC.")
query.add(stats_query, "project_id", query.integer(), "Only tasks of this project.")


@ns.route("")
class Statistics(SecureResource):
    operations = {"GET": "get_stats"}
    permissions = {"GET": Permission.TASKS_READ}

    @takes(query=stats_query)
    @refuses(403)
    @returns(stats_out)
    def get(self) -> Fragment:
        """Count the tasks that the caller may see, by status, day and person."""
        return Fragment(
            stats.report(
                self.actor,
                zone=self.query.get("tz", UTC_ZONE),
                first=self.query.get("from"),
                last=self.query.get("to"),
                project_id=self.query.get("project_id"),
            )
        )
