"""The commands that need the web application."""

import json
import signal
import socket
import sys

import click
from flask.cli import ScriptInfo, routes_command, shell_command

from api import create_app, reference
from api.http.server import Server
from api.http.waiting import end_waiting
from core.bootstrap import current_upstreams
from core.commands.process import die_with_parent, pool_member_options
from core.config import load_settings
from core.db import db
from core.logs import configure_logging
from core.pool import announce_ready


@click.command("serve-process", hidden=True)
@click.option("--socket-fd", "descriptors", type=int, multiple=True, required=True)
@click.option("--threads", type=int, required=True)
@pool_member_options
def serve_process(
    descriptors: tuple[int, ...], threads: int, exit_with_parent: int | None, ready_fd: int | None
) -> None:
    """Serve on a socket that listens already. `serve` starts as many of these as are wanted."""
    settings = load_settings(overrides={"threads": threads})
    app = create_app(settings=settings)
    with app.app_context():
        registry = current_upstreams()
    configure_logging(settings, sys.stdout)
    server = Server(
        app,
        [socket.socket(fileno=descriptor) for descriptor in descriptors],
        threads=threads,
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


@click.command("reference")
@click.option("--json", "as_json", is_flag=True, help="Print the OpenAPI document itself.")
def reference_command(as_json: bool) -> None:
    """Print the API reference as Markdown, made from the OpenAPI document.

    docs/api.md is its output; a test compares them.
    """
    app = create_app()
    click.echo(json.dumps(reference.document(app), indent=2) if as_json else reference.markdown(app), nl=as_json)


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
