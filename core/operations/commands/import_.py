"""Importing a file from the command line."""

import csv
import io
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO

import click

from core.auth.actors import actor_of_command
from core.exchange.columns import Kind
from core.exchange.imports import service as imports
from core.exchange.imports.order import ImportRefused, Match, OnError, Order
from core.exchange.imports.parsers import Format, guess
from core.exchange.imports.rows import RowOutcome
from core.exchange.imports.work import Import
from core.operations.commands.common import in_app, refusals
from core.operations.commands.process import Failure
from core.platform.access import Actor

# So many refused rows are shown; the report has all of them.
SHOWN = 20


def _choice(words: type[Kind] | type[Format] | type[OnError] | type[Match]) -> click.Choice[str]:
    return click.Choice([str(word) for word in words])


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@click.option("--kind", type=_choice(Kind), required=True, help="What the rows are.")
@click.option("--as", "username", metavar="NAME", help="Whose rights and external ids count. Default: the only admin.")
@click.option(
    "--format",
    "form",
    type=_choice(Format),
    help="How FILE is written. Default: its name tells, or the beginning of standard input.",
)
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
    """Import tasks, posts, items or users from FILE, without a worker; `-` is standard input.

    The same rules hold as for POST /imports; the rows belong to NAME. Everything
    is stored in one transaction, or nothing.
    """
    with refusals():
        actor = actor_of_command(username)
        imports.require_allowed(actor, Kind(kind))
    with _opened(file) as stream:
        order = Order(Kind(kind), _format_of(file, stream, form), dry_run, OnError(on_error), Match(match))
        refusal = _run(actor, stream, order, report_path)
    if refusal is not None:
        raise Failure(refusal)


@contextmanager
def _opened(file: Path) -> Iterator[IO[bytes]]:
    """Open a file, or what comes from standard input; that is kept on the disk, so that its size is known."""
    if str(file) != "-":
        with file.open("rb") as stream:
            yield stream
        return
    with tempfile.TemporaryFile() as stream:
        shutil.copyfileobj(sys.stdin.buffer, stream)
        stream.seek(0)
        yield stream


def _format_of(file: Path, stream: IO[bytes], form: str | None) -> Format:
    if form:
        return Format(form)
    if str(file) == "-":
        beginning = stream.read(4096)
        stream.seek(0)
        return guess(beginning)
    guessed = imports.guess_format(file.name)
    if guessed is None:
        raise click.BadParameter("The name of the file does not tell its format.", param_hint="--format")
    return guessed


def _run(actor: Actor, stream: IO[bytes], order: Order, report_path: Path | None) -> str | None:
    """Import the file, and say what became of it; return why nothing can be stored, if so."""
    size = os.fstat(stream.fileno()).st_size
    refusal = None
    with click.progressbar(length=100, label="Rows", file=sys.stderr) as bar:

        def show(percent: int) -> None:
            bar.update(percent - bar.pos)

        with Import(actor, stream, order, size=size, report=show) as work:
            try:
                imports.run_now(work)
                show(100)
            except ImportRefused as error:
                refusal = error.message
            bar.render_finish()
            _tell(work, report_path)
    return refusal


def _tell(work: Import, report_path: Path | None) -> None:
    """Say what became of the rows, and why not more."""
    if report_path is not None:
        with report_path.open("wb") as target:
            shutil.copyfileobj(work.report, target)
    counts = imports.counted(work)
    with io.TextIOWrapper(work.report, encoding="utf-8", newline="") as lines:
        refused = (row for row in csv.DictReader(lines) if row["outcome"] == RowOutcome.FAILED and row["row"])
        for row in islice(refused, SHOWN):
            field = f" {row['field']}:" if row["field"] else ""
            click.echo(f"Row {row['row']} (line {row['line']}):{field} {row['reason']}", err=True)
        if next(refused, None) is not None:
            click.echo("... and more; --report writes all of them to a file.", err=True)
    prefix = "Dry run: " if counts["dry_run"] else ""
    words = ", ".join(f"{counts[name]} {name}" for name in ("created", "updated", "unchanged", "failed"))
    click.echo(f"{prefix}{counts['rows']} rows: {words}.")
