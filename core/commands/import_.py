"""Importing a file from the command line."""

import csv
import io
import shutil
import sys
from itertools import islice
from pathlib import Path

import click

from core.commands.common import in_app, refusals
from core.commands.process import Failure
from core.exchange.columns import Kind
from core.imports import service as imports
from core.imports.parsers import Format
from core.imports.rows import Outcome
from core.imports.work import Import, ImportRefused, Match, OnError, Order
from core.users import service as users

# So many refused rows are shown; the report has all of them.
SHOWN = 20


def _choice(words: type[Kind] | type[Format] | type[OnError] | type[Match]) -> click.Choice[str]:
    return click.Choice([str(word) for word in words])


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--kind", type=_choice(Kind), required=True, help="What the rows are.")
@click.option("--as", "username", metavar="NAME", help="Whose rights and external ids count. Default: the only admin.")
@click.option("--format", "form", type=_choice(Format), help="How FILE is written. Default: its name tells.")
@click.option("--dry-run", is_flag=True, help="Do everything, and take it back.")
@click.option("--on-error", type=_choice(OnError), default="abort", show_default=True, help="What wrong rows lead to.")
@click.option("--match", type=_choice(Match), default="external_id", show_default=True, help="How rows find things.")
@click.option(
    "--report", "report_path", type=click.Path(dir_okay=False, path_type=Path), help="Where to write the report."
)
@in_app
def import_command(
    file: Path,
    kind: str,
    username: str | None,
    form: str | None,
    dry_run: bool,
    on_error: str,
    match: str,
    report_path: Path | None,
) -> None:
    """Import tasks, posts, items or users from FILE, without a worker.

    The same rules hold as for POST /imports; the rows belong to NAME. Everything
    is stored in one transaction, or nothing.
    """
    chosen = Format(form) if form else imports.guess_format(file.name)
    if chosen is None:
        raise click.BadParameter("The name of the file does not tell its format.", param_hint="--format")
    with refusals():
        actor = users.get_operating_actor(username)
        imports.require_allowed(actor, Kind(kind))
    order = Order(Kind(kind), chosen, dry_run, OnError(on_error), Match(match))
    with file.open("rb") as stream, click.progressbar(length=100, label="Rows", file=sys.stderr) as bar:

        def show(percent: int) -> None:
            bar.update(percent - bar.pos)

        with Import(actor, stream, order, size=file.stat().st_size, report=show) as work:
            refusal = None
            try:
                imports.run_now(work)
                show(100)
            except ImportRefused as error:
                refusal = error.message
            bar.render_finish()
            _tell(work, report_path)
    if refusal is not None:
        raise Failure(refusal)


def _tell(work: Import, report_path: Path | None) -> None:
    """Say what became of the rows, and why not more."""
    if report_path is not None:
        with report_path.open("wb") as target:
            shutil.copyfileobj(work.report, target)
    counts = imports.counted(work)
    with io.TextIOWrapper(work.report, encoding="utf-8", newline="") as lines:
        refused = (row for row in csv.DictReader(lines) if row["outcome"] == Outcome.FAILED and row["row"])
        for row in islice(refused, SHOWN):
            field = f" {row['field']}:" if row["field"] else ""
            click.echo(f"Row {row['row']} (line {row['line']}):{field} {row['reason']}", err=True)
        if next(refused, None) is not None:
            click.echo("... and more; --report writes all of them to a file.", err=True)
    prefix = "Dry run: " if counts["dry_run"] else ""
    words = ", ".join(f"{counts[name]} {name}" for name in ("created", "updated", "unchanged", "failed"))
    click.echo(f"{prefix}{counts['rows']} rows: {words}.")
