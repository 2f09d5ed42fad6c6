"""The commands that need the web application, or the filters of its lists."""

import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import click
from flask.cli import ScriptInfo, routes_command, shell_command

from api import create_app, reference
from api.http.serving.server import Server
from api.http.serving.waiting import end_waiting
from api.v1 import exports
from core.bootstrap import current_upstreams
from core.exchange import exports as export_service
from core.exchange.columns import Kind, columns_table
from core.exchange.formats import FileFormat
from core.operations.commands.common import in_app, refusals
from core.operations.commands.process import Failure, die_with_parent, pool_member_options
from core.platform import clock
from core.platform.access import OPERATOR, Actor
from core.platform.config.load import load_settings
from core.platform.database.base import db
from core.platform.logs.setup import configure_logging
from core.platform.process import numbering
from core.platform.process.cores import stay_on
from core.platform.process.pool import announce_ready
from core.users import service as users


@click.command("serve-process", hidden=True)
@click.option("--socket-fd", "descriptors", type=int, multiple=True, required=True)
@click.option("--threads", type=int)
@click.option("--core", type=int)
@pool_member_options
def serve_process(
    descriptors: tuple[int, ...],
    threads: int | None,
    core: int | None,
    exit_with_parent: int | None,
    ready_fd: int | None,
) -> None:
    """Serve on a socket that listens already. `serve` starts as many of these as are wanted."""
    stay_on(core)
    settings = load_settings(overrides={"threads": threads} if threads else None)
    app = create_app(settings=settings)
    with app.app_context():
        registry = current_upstreams()
    configure_logging(settings, sys.stdout)
    server = Server(
        app,
        [socket.socket(fileno=descriptor) for descriptor in descriptors],
        threads=settings.threads,
        trusted_proxies=settings.trusted_proxies,
        drain_seconds=settings.drain_seconds,
        on_drain=lambda: end_waiting(app),
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda signum, frame: server.stop())
    # Only the parent can replace a process; one that just ended would be missing.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    die_with_parent(exit_with_parent)
    announce_ready(ready_fd)
    try:
        server.run()
    finally:
        registry.close()
        with app.app_context():
            db.engine.dispose()
        if exit_with_parent is not None and os.getppid() != exit_with_parent:
            # It was killed, and can tidy up no more.
            numbering.leave(settings.instance_path / "metrics")


@click.command("reference")
@click.option("--columns", is_flag=True, help="Print the table of the columns of files instead.")
def reference_command(columns: bool) -> None:
    """Print the API reference as Markdown, made from the OpenAPI document.

    docs/api.md is its output, and the table of columns is part of docs/exchange.md; tests compare them.
    """
    if columns:
        click.echo("\n".join(columns_table()))
        return
    click.echo(reference.markdown(create_app()), nl=False)


@click.command("openapi")
@click.option("--format", "version", type=click.Choice(list(reference.DOCUMENTS)), default="3.1", show_default=True)
def openapi(version: str) -> None:
    """Print the OpenAPI document, in version 3.1 or 2.0."""
    click.echo(json.dumps(reference.document(create_app(), version), indent=2, ensure_ascii=False))


@click.command(context_settings={"ignore_unknown_options": True}, add_help_option=False)
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
def routes(options: tuple[str, ...]) -> None:
    """Show the routes of the API."""
    routes_command.main(list(options), prog_name="manage.py routes", obj=ScriptInfo(create_app=create_app))


@click.command(context_settings={"ignore_unknown_options": True}, add_help_option=False)
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
def shell(options: tuple[str, ...]) -> None:
    """Run a Python shell in the context of the application."""
    shell_command.main(list(options), prog_name="manage.py shell", obj=ScriptInfo(create_app=create_app))


@click.command()
@click.argument("kind", type=click.Choice([str(kind) for kind in Kind]))
@click.option(
    "--format", "name", type=click.Choice([str(name) for name in FileFormat]), default="csv", show_default=True
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, allow_dash=True),
    help="Where to write it; - is standard output. Default: for example tasks-2026-11-21.csv, in this folder.",
)
@click.option("--as", "username", metavar="NAME", help="Only what NAME may see. Default: everything.")
@click.option("--filter", "filters", multiple=True, metavar="NAME=VALUE", help="As in the list; may be repeated.")
@click.option("--sort", help="As in the list, for example -due_date,id.")
@in_app
def export(
    kind: str, name: str, output: str | None, username: str | None, filters: tuple[str, ...], sort: str | None
) -> None:
    """Write tasks, posts, items or users to a file, all rows of one moment. Needs no worker.

    Filters and sorting are the parameters of the list of that kind, for example
    --filter status=pending,in_progress --filter "due_date[lt]=2026-12-01".
    """
    file_format = FileFormat(name)
    with refusals():
        person = users.get_by_login(username) if username else None
        actor = Actor(person.id, person.role) if person else OPERATOR
        selection = exports.select(actor, Kind(kind), _filters(filters), sort)
        output = output or export_service.file_name(selection, file_format, clock.now().date())
        with _replacing(output) as stream, click.progressbar(length=0, label=kind, file=sys.stderr) as progress:

            def report(done: int, total: int) -> None:
                progress.length = total
                progress.update(done - progress.pos)

            done = export_service.write(actor, stream, selection=selection, file_format=file_format, report=report)
    click.echo(f"{done.rows} {kind} written to {'standard output' if output == '-' else output}.", err=True)
    if done.cut_cells:
        click.echo(
            f"{done.cut_cells} texts were too long for a spreadsheet, and cut; other formats have all.", err=True
        )


def _filters(given: tuple[str, ...]) -> dict[str, str]:
    pairs = [text.partition("=") for text in given]
    if any(not sign for _, sign, _ in pairs):
        raise click.UsageError("A filter is written as NAME=VALUE.")
    filters = {name: value for name, _, value in pairs}
    if len(filters) < len(pairs):
        raise click.UsageError("A filter is given twice.")
    return filters


@contextlib.contextmanager
def _replacing(output: str) -> Iterator[IO[bytes]]:
    """Open a file for writing that takes its name when it is complete."""
    if output == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    path = Path(output)
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("wb") as stream:
            yield stream
        part.replace(path)
    except OSError as error:
        raise Failure(f"{path} cannot be written: {error.strerror}.") from None
    finally:
        part.unlink(missing_ok=True)
