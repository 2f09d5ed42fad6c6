"""Security events over HTTP."""

from flask_restx import Namespace, fields

from api.http.answers.pages import paged
from api.http.answers.refusals import refuses
from api.http.door.resource import SecureResource
from api.http.input import arguments, query
from api.http.input.fields import Id, Moment, NullableId, NullableText
from api.http.input.takes import takes
from core.audit import service as audit
from core.audit.model import EventKind
from core.platform.access import Permission
from core.platform.database.paging import Page

ns = Namespace("security", description="Read the events of accounts", path="/v1")

event_out = ns.model(
    "SecurityEvent",
    {
        "id": Id(required=True),
        "at": Moment(required=True),
        "kind": fields.String(required=True, enum=list(EventKind), example="login"),
        "user_id": NullableId(required=True, description="Whose account it is about; null if there is none."),
        "actor_id": NullableId(
            required=True, description="The user who did it; null for an unverified caller, or an operator."
        ),
        "address": NullableText(required=True, description="Where it came from.", example="192.0.2.7"),
        "request_id": NullableText(required=True),
        "detail": fields.Raw(required=True, description="What else is known.", example={}),
    },
)

list_query = query.list_parser(audit.SORTABLE, "-at")
query.add(list_query, "kind", query.one_or_more(EventKind), "Only these, comma-separated or repeated.")
query.add(list_query, "user_id", query.user_reference, "Only those of this account; `me` is the caller.")
query.add_range(list_query, "at", query.moment, "Noted")


@ns.route("/security-events")
class SecurityEventCollection(SecureResource):
    operations = {"GET": "list_security_events"}
    permissions = {"GET": Permission.SECURITY_READ}

    @takes(query=list_query)
    @refuses(410)
    @paged(event_out)
    def get(self) -> Page:
        """List what happened to the caller's account, newest first; administrators see all accounts.

        Logins and refusals, ended sessions, keys, passwords, roles. Stored for a while only.
        """
        return audit.list_visible(
            self.actor,
            page=self.page,
            kind=self.query.get("kind"),
            user_id=arguments.user_id(self.query, "user_id", me=self.actor.user_id),
            at=arguments.ranges(self.query, "at").get("at"),
        )
