"""Profiles over HTTP."""

from flask_restx import Namespace, fields
from orjson import Fragment

from api.http.answers.refusals import refuses
from api.http.answers.responses import returns
from api.http.door.resource import SecureResource
from api.http.input import places, query
from api.http.input.fields import Id, Line, Moment, NullableLine, NullableMoment
from api.http.input.takes import takes
from api.v1.stats import counts_out
from core.platform.access import Permission
from core.platform.text.zones import UTC_ZONE
from core.profiles import service as profiles

ns = Namespace("profiles", description="One person's work at a glance", path="/v1/users")


def _count(text: str) -> fields.Integer:
    return fields.Integer(required=True, min=0, example=3, description=text)


profile_out = ns.model(
    "Profile",
    {
        "user_id": Id(required=True),
        "username": Line(required=True, example="ada"),
        "name": NullableLine(required=True, example="Ada Lovelace"),
        "member_since": Moment(required=True),
        "tasks_owned": fields.Nested(counts_out, required=True),
        "assigned_open": _count("Open tasks that the user is assigned to."),
        "overdue": _count("Open tasks, owned or assigned, whose due date is before today in the zone."),
        "completed_last_7_days": _count("Tasks, owned or assigned, completed today or on the 6 days before."),
        "completed_last_30_days": _count("Tasks, owned or assigned, completed today or on the 29 days before."),
        "posts": _count("Posts that the user has written."),
        "last_activity_at": NullableMoment(
            required=True, description="When a task, owned or assigned, or a post of the user was last changed."
        ),
    },
)

profile_query = query.parser()
query.add(
    profile_query, "tz", query.zone, "Time zone in which days begin and end, such as Europe/Berlin. Default: UTC."
)


@ns.route("/<int:user_id>/profile")
@ns.doc(params=places.USER_ID)
class Profile(SecureResource):
    operations = {"GET": "get_user_profile"}
    permissions = {"GET": Permission.ACCOUNT_READ}

    @takes(query=profile_query)
    @refuses(403, 404)
    @returns(profile_out)
    def get(self, user_id: int) -> Fragment:
        """Sum up one person's work; for that person and for administrators."""
        return Fragment(profiles.get(self.actor, user_id=user_id, zone=self.query.get("tz", UTC_ZONE)))
