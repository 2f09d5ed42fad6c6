"""Exports over HTTP."""

from collections.abc import Mapping
from typing import Any

from flask_restx import Namespace, fields
from flask_restx.reqparse import RequestParser

from api.http.answers.responses import accepted
from api.http.door.resource import SecureResource
from api.http.input import arguments, declared
from api.http.input.fields import Line
from api.http.input.takes import Input, takes
from api.v1 import items, posts, tasks, users
from core.exchange import exports
from core.exchange.columns import Kind
from core.exchange.exports import Selection
from core.exchange.formats import FileFormat
from core.jobs.model import Job
from core.platform.access import OPERATOR, Actor, Permission
from core.platform.errors import Invalid

ns = Namespace("exports", description="Take tasks, posts, items and users away as files", path="/v1/exports")

export_in = ns.model(
    "ExportCreate",
    {
        "kind": fields.String(required=True, enum=list(Kind), example="tasks", description="Users: administrators."),
        "format": fields.String(
            required=True,
            enum=list(FileFormat),
            example="csv",
            description="`json` is one array, `jsonl` (JSON Lines) one object a line.",
        ),
        "filters": fields.Raw(
            description="What the parameters of the kind's list narrow it to, by the same names and rules.",
            example={"status": "pending,in_progress", "due_date[lt]": "2026-12-01"},
        ),
        "sort": Line(description="As in the list of the kind.", example="-due_date"),
    },
    strict=True,
)

# What narrows the list of each kind, and so its export.
LISTS: dict[Kind, RequestParser] = {
    Kind.TASKS: tasks.list_query,
    Kind.POSTS: posts.list_query,
    Kind.ITEMS: items.list_query,
    Kind.USERS: users.list_query,
}


def select(actor: Actor, kind: Kind, filters: Mapping[str, Any], sort: str | None) -> Selection:
    """Return what the actor wants to be exported. Raises Invalid, naming `filters.<name>`."""
    given = arguments.load_filters(LISTS[kind], filters)
    of_kind = exports.SOURCES[kind].service.FILTERS
    nobody = [name for name in of_kind.of_users if given.get(name) == "me"] if actor is OPERATOR else []
    if nobody:
        details = {f"filters.{name}": ["Nobody is `me` here."] for name in nobody}
        raise Invalid("The filters cannot be used.", details=details)
    return Selection(kind, declared.filter_of(of_kind, given, me=actor.user_id), sort)


@ns.route("")
class ExportCollection(SecureResource):
    operations = {"POST": "create_export"}
    permissions = {"POST": Permission.JOBS_WRITE}

    @takes(export_in)
    @accepted
    def post(self) -> Job:
        """Order a file of what the caller may see.

        The job's result says how many rows it has, and GET /jobs/<id>/result
        downloads it. All rows are of one moment. An API key needs the scope of
        the kind's list too, for example `tasks:read`.
        """
        return exports.order(self.actor, **self.body)

    def read_body(self, wanted: Input) -> dict[str, Any]:
        """Read the filters by the rules of the list of their kind."""
        body = super().read_body(wanted)
        selection = select(self.actor, Kind(body["kind"]), body.get("filters", {}), body.get("sort"))
        return {"selection": selection, "file_format": FileFormat(body["format"])}
