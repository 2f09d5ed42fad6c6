"""Imports over HTTP."""

from datetime import timedelta

from flask_restx import Namespace

from api.http.answers.responses import accepted
from api.http.door.resource import SecureResource
from api.http.input import query
from api.http.input.forms import FormParser
from api.http.input.takes import takes
from core.exchange.columns import Kind
from core.exchange.imports import service as imports
from core.exchange.imports.order import Match, OnError
from core.exchange.imports.parsers import Format
from core.jobs.model import Job
from core.platform.access import Permission
from core.platform.config.current import current_settings

ns = Namespace("imports", description="Create and change many things from a file", path="/v1/imports")

import_form = FormParser(max_bytes=imports.MAX_BYTES)
import_form.add_file("file", "UTF-8 text of at most 50 MiB and 500,000 rows.")
import_form.add("kind", query.one_of(Kind), "What the rows are.", required=True)
import_form.add("format", query.one_of(Format), "The format of the file; without it, its name or type decides.")
import_form.add("dry_run", query.boolean, "Do everything, and take it back. Default: false.")
import_form.add(
    "on_error",
    query.one_of(OnError),
    "Whether one wrong row stops the whole import, or is left out. Default: abort.",
)
import_form.add(
    "match",
    query.one_of(Match),
    "Whether a row changes the thing that was imported under its `external_id`, or the one with its `id`."
    " Default: external_id.",
)


@ns.route("")
class ImportCollection(SecureResource):
    operations = {"POST": "create_import"}
    permissions = {"POST": Permission.JOBS_WRITE}

    @takes(form=import_form)
    @accepted
    def post(self) -> Job:
        """Import tasks, posts, items or users from a CSV, JSON or JSON Lines file.

        The columns are those of exports; what the server sets is ignored. A row
        whose `external_id` the caller has imported before changes that thing, any
        other creates one; users are known by their username. All rows obey the
        rules of single requests, which their permissions are part of. Everything
        is stored in one transaction, and no one gets an e-mail. The job ends with
        a report of each row, which GET /jobs/<id>/result downloads, even if nothing
        could be imported.
        """
        file = self.body.pop("file")
        return imports.order(
            self.actor,
            stream=file.stream,
            name=file.filename or "",
            media_type=file.mimetype,
            kept_for=timedelta(days=current_settings().jobs.result_days),
            **self.body,
        )
