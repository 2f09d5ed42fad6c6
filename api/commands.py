"""The commands that need the web application."""

import json
import signal
import sys

import click
import waitress
from flask.cli import ScriptInfo, routes_command, shell_command

from api import create_app, reference
from core.bootstrap import current_settings, current_upstreams
from core.commands.common import die_with_parent, exit_with_parent_option
from core.commands.dev import refuse_address
from core.config import Settings
from core.logs import configure_logging

# Waitress reads a whole body before the application sees it; above this it refuses by itself.
MAX_REQUEST_BYTES = 52 * 1024 * 1024


@click.command()
@click.option("--host", help="Address to listen on. Default: the setting `host`.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on. Default: PORT, else 5000.")
@click.option("--threads", type=click.IntRange(1, 64), help="Requests served at once. Default: the setting `threads`.")
@exit_with_parent_option
def serve(host: str | None, port: int | None, threads: int | None, exit_with_parent: int | None) -> None:
    """Serve the API with waitress, and nothing else. `worker` and `scheduler` do the slow work."""
    app = create_app()
    with app.app_context():
        settings, registry = current_settings(), current_upstreams()
    host, port = host or settings.host, settings.port if port is None else port
    try:
        server = waitress.create_server(app, host=host, port=port, **_waitress_options(settings, threads))
    except (OSError, UnicodeError) as error:
        refuse_address(host, port, error)
    configure_logging(settings, sys.stdout)
    die_with_parent(exit_with_parent)
    signal.signal(signal.SIGTERM, lambda signum, frame: sys.exit(0))
    server.print_listen("Listening on http://{}:{}")
    try:
        server.run()
    finally:
        registry.close()


def _waitress_options(settings: Settings, threads: int | None) -> dict[str, object]:
    options: dict[str, object] = {
        "threads": threads or settings.threads,
        "ident": None,
        "asyncore_use_poll": True,
        "connection_limit": 1000,
        "channel_timeout": 30,
        "cleanup_interval": 5,
        "channel_request_lookahead": 0,
        "max_request_header_size": 32 * 1024,
        "max_request_body_size": MAX_REQUEST_BYTES,
    }
    if settings.trusted_proxies:
        options |= {
            "trusted_proxy": "*",
            "trusted_proxy_count": settings.trusted_proxies,
            "trusted_proxy_headers": "x-forwarded-for x-forwarded-proto x-forwarded-port",
        }
    return options


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
