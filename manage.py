#!/usr/bin/env python3
"""Every command of Tasklane, and the one file that knows api, core and workers together."""

import signal

if __name__ == "__main__":
    # Ctrl-C while the modules load ends the process at once, without a word; `main` undoes this.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import contextlib
import fcntl
import json
import os
import socket
import sys
import threading
import time
import urllib.request
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NoReturn

import click
import flask_migrate
import waitress
from alembic.util import CommandError
from flask import Flask
from flask.cli import ScriptInfo, routes_command, shell_command, with_appcontext
from flask_migrate.cli import db as db_group
from redis.exceptions import RedisError
from sqlalchemy.exc import OperationalError

from api import create_app, reference
from core import demo, embedded, seed
from core.access import OPERATOR, Role
from core.bootstrap import create_core_app, current_settings, current_upstreams
from core.config import (
    KEYS,
    ROOT,
    ConfigError,
    ConfigWarning,
    Settings,
    is_secret,
    is_url,
    load_settings,
    masked_url,
)
from core.embedded import EmbeddedError
from core.errors import Conflict, DomainError
from core.jobs.kinds import QUEUES
from core.logs import configure_logging
from core.supervisor import Supervisor
from core.users import service as users
from workers import scheduler as scheduler_process
from workers.runner import TasklaneWorker

MANAGE = [sys.executable, str(ROOT / "manage.py")]
# Waitress reads a whole body before the application sees it; above this it refuses by itself.
MAX_REQUEST_BYTES = 52 * 1024 * 1024


class Failure(click.ClickException):
    """Something a person can mend: one sentence, exit code 1."""

    def show(self, file: IO[str] | None = None) -> None:
        click.echo(f"tasklane: {self.message}", err=True)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def cli() -> None:
    """Tasklane, a self-hosted task API.

    Start everything on this machine with `manage.py dev`. On a platform, run
    `serve`, `worker` and `scheduler` as processes of their own. Settings come
    from config.toml, instance/config.toml, .env and the environment; `config`
    shows the result.
    """


cli.add_command(db_group)
cli.add_command(routes_command)
cli.add_command(shell_command)


# --- running ---------------------------------------------------------------


_exit_with_parent = click.option("--exit-with-parent", type=int, metavar="PID", hidden=True)


@cli.command()
@click.option("--host", help="Address to listen on. Default: the setting `host`, 127.0.0.1.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on. Default: PORT, else 5000.")
def dev(host: str | None, port: int | None) -> None:
    """Run everything on this machine: database, queue server, web, worker, scheduler.

    The first start creates the SQLite database and the demo accounts in the
    instance folder and prints their passwords once. DATABASE_URL and REDIS_URL
    replace the embedded parts. Ctrl-C ends everything; all data is kept.
    """
    settings = load_settings()
    host, port = host or settings.host, settings.port if port is None else port
    with _instance_lock(settings):
        _require_free_port(host, port)
        supervisor = Supervisor()
        supervisor.handle_signals()
        try:
            if settings.sources.get("redis_url") == "embedded":
                embedded.stop_orphan(settings.instance_path)
                server = supervisor.start("valkey", embedded.command(settings.instance_path))
                embedded.wait_until_ready(settings.instance_path, server.process)
            passwords = _prepare_database(settings)
            _show_passwords(supervisor, passwords)
            if not supervisor.is_stopping:
                _start_processes(supervisor, host, port)
                threading.Thread(target=_announce, args=(supervisor, host, port), daemon=True).start()
                supervisor.run()
        finally:
            supervisor.stop()
    if supervisor.has_given_up:
        raise Failure("A part of Tasklane does not stay up; its lines above say why.")


@contextlib.contextmanager
def _instance_lock(settings: Settings) -> Iterator[None]:
    """Keep a second `dev` away from the same data; the lock dies with the process."""
    path = settings.instance_path / "dev.lock"
    try:
        settings.instance_path.mkdir(parents=True, exist_ok=True)
        file = path.open("w")
    except OSError as error:
        raise Failure(f"The instance folder {settings.instance_path} is not usable: {error.strerror}.") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Failure(f"Another `manage.py dev` is running on {settings.instance_path}.") from None
        yield


def _require_free_port(host: str, port: int) -> None:
    try:
        address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(address[0], address[1]) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address[4])
    except (OSError, UnicodeError) as error:
        _refuse_address(host, port, error)


def _refuse_address(host: str, port: int, error: OSError | UnicodeError) -> NoReturn:
    reason = getattr(error, "strerror", None) or "this is not a host name"
    raise Failure(f"Cannot listen on {host}:{port}: {reason}. Choose another with --port.") from None


def _prepare_database(settings: Settings) -> dict[str, str]:
    app = create_core_app(settings=settings)
    with app.app_context():
        flask_migrate.upgrade()
        passwords = seed.create_demo_users() if seed.is_empty() else {}
        if passwords:
            seed.create_example_tasks()
    return passwords


def _start_processes(supervisor: Supervisor, host: str, port: int) -> None:
    common = ["--exit-with-parent", str(os.getpid())]
    supervisor.start("web", [*MANAGE, "serve", "--host", host, "--port", str(port), *common])
    supervisor.start("worker", [*MANAGE, "worker", *common])
    supervisor.start("scheduler", [*MANAGE, "scheduler", *common])


def _show_passwords(supervisor: Supervisor, passwords: dict[str, str]) -> None:
    """Show fresh passwords before anything else can go wrong: they cannot be shown again."""
    if passwords:
        supervisor.say("Demo accounts, shown this once:")
    for username, password in passwords.items():
        supervisor.say(f"  username {username}   password {password}")


def _announce(supervisor: Supervisor, host: str, port: int) -> None:
    """Say where everything is, once it is there."""
    shown = "127.0.0.1" if host in ("0.0.0.0", "") else f"[{host}]" if ":" in host else host  # noqa: S104
    url = f"http://{shown}:{port}"
    # A proxy of the environment has no business between us and ourselves.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while not supervisor.is_stopping:
        try:
            with opener.open(f"{url}/health", timeout=1):
                supervisor.say(f"Swagger UI: {url}/api/   (Ctrl-C ends everything)")
                return
        except OSError:
            time.sleep(0.05)


@cli.command()
@click.option("--host", help="Address to listen on. Default: the setting `host`.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on. Default: PORT, else 5000.")
@click.option("--threads", type=click.IntRange(1, 64), help="Requests served at once. Default: the setting `threads`.")
@_exit_with_parent
def serve(host: str | None, port: int | None, threads: int | None, exit_with_parent: int | None) -> None:
    """Serve the API with waitress, and nothing else. `worker` and `scheduler` do the slow work."""
    app = create_app()
    with app.app_context():
        settings, registry = current_settings(), current_upstreams()
    host, port = host or settings.host, settings.port if port is None else port
    try:
        server = waitress.create_server(app, host=host, port=port, **_waitress_options(settings, threads))
    except (OSError, UnicodeError) as error:
        _refuse_address(host, port, error)
    configure_logging(settings, sys.stdout)
    _die_with_parent(exit_with_parent)
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


@cli.command()
@click.option("--queues", default=",".join(QUEUES), show_default=True, help="Queues to work on, most urgent first.")
@click.option("--burst", is_flag=True, help="Leave when the queues are empty.")
@_exit_with_parent
def worker(queues: str, burst: bool, exit_with_parent: int | None) -> None:
    """Run jobs. SIGTERM lets a short job finish and hands a long one back."""
    names = [name.strip() for name in queues.split(",") if name.strip()]
    unknown = [name for name in names if name not in QUEUES]
    if unknown or not names:
        raise click.BadParameter(f"The queues are {', '.join(QUEUES)}.", param_hint="--queues")
    app = _core_app_with_logs()
    _die_with_parent(exit_with_parent)
    TasklaneWorker(app, names).work(burst=burst, logging_level="WARNING")


@cli.command()
@_exit_with_parent
def scheduler(exit_with_parent: int | None) -> None:
    """Send due jobs from the database to the queues. Several may run; no job is sent for two runs."""
    app = _core_app_with_logs()
    _die_with_parent(exit_with_parent)
    scheduler_process.run(app)


def _core_app_with_logs() -> Flask:
    """Return the core application of a long-running process, whose output is its log."""
    app = create_core_app()
    with app.app_context():
        configure_logging(current_settings(), sys.stdout)
    return app


def _die_with_parent(parent: int | None) -> None:
    """End this process when the one that started it is gone, even by kill -9."""
    if parent is None:
        return

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


# --- data ------------------------------------------------------------------


@cli.command("init-db")
@with_appcontext
def init_db() -> None:
    """Create the database, or bring it to the newest version. May be repeated."""
    flask_migrate.upgrade()
    click.echo("The database is up to date.")


@cli.command("seed")
@click.option("--size", type=click.Choice([size.value for size in demo.Size]), help="Add bulk data as well.")
@click.option("--seed", "number", type=int, default=1, show_default=True, help="Another number, other bulk data.")
@with_appcontext
def seed_command(size: str | None, number: int) -> None:
    """Create the demo accounts `admin` and `user` and some example tasks. May be repeated.

    Prints the password of each account that it creates; it cannot be shown again.
    With --size, a demo company follows: 100 (small), 10,000 (medium) or a million
    (large) tasks with people, projects, items and posts of the last year. What was
    interrupted goes on where it stopped, and what is complete stays as it is.
    """
    passwords = seed.create_demo_users()
    count = seed.create_example_tasks()
    for username, password in passwords.items():
        click.echo(f"username {username}   password {password}")
    click.echo(f"{len(passwords)} accounts and {count} tasks created.")
    if size:
        _seed_company(demo.Size(size), number)


def _seed_company(size: demo.Size, number: int) -> None:
    try:
        password = demo.begin(size, seed=number)
    except Conflict as error:
        raise Failure(f"The {size} demo company cannot be created here. {error.message}") from None
    if password:
        click.echo(f"{demo.PLANS[size].users} accounts at {size}.example.com created, with the password {password}")
    missing = demo.missing(size)
    if not missing:
        click.echo(f"The {size} demo company is there already.")
        return
    with click.progressbar(length=missing, label="Tasks", file=sys.stderr, show_pos=True) as progress:
        stored = 0
        for count in demo.fill(size):
            progress.update(count)
            stored += count
    click.echo(f"{stored} tasks of the {size} demo company created.")


@cli.group()
def user() -> None:
    """Create, list, change and delete accounts. NAME is a username or an e-mail address."""


_password_stdin = click.option(
    "--password-stdin", is_flag=True, help="Read the password from standard input, one line."
)


def _read_password(from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\n")
    return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
    """Say in one sentence what a service refused."""
    try:
        yield
    except DomainError as error:
        sentences = [f"{field}: {' '.join(texts)}" for field, texts in (error.details or {}).items()]
        raise Failure(" ".join([error.message, *sentences])) from None


@user.command("create")
@click.argument("name")
@click.argument("email")
@click.option("--role", type=click.Choice([role.value for role in Role]), default=Role.USER.value, show_default=True)
@_password_stdin
@with_appcontext
def create_user(name: str, email: str, role: str, password_stdin: bool) -> None:
    """Create an account with the username NAME and the address EMAIL.

    Asks for the password unless --password-stdin is given.
    """
    password = _read_password(password_stdin)
    with _refusals():
        created = users.create(username=name, email=email, password=password, role=Role(role))
    click.echo(f"Created {created.role} {created.username} with id {created.id}.")


@user.command("list")
@with_appcontext
def list_users() -> None:
    """List all accounts."""
    for row in users.list_all():
        state = "active" if row.is_active else "inactive"
        click.echo(f"{row.id:>6}  {row.role:<6} {state:<9} {row.username:<24} {row.email}")


@user.command("password")
@click.argument("name")
@_password_stdin
@with_appcontext
def set_password(name: str, password_stdin: bool) -> None:
    """Give NAME a new password and end all sessions and API keys of the account."""
    password = _read_password(password_stdin)
    with _refusals():
        row = users.get_by_login(name)
        users.set_password(user_id=row.id, password=password)
    click.echo(f"{row.username} has a new password.")


@user.command("role")
@click.argument("name")
@click.argument("role", type=click.Choice([role.value for role in Role]))
@with_appcontext
def set_role(name: str, role: str) -> None:
    """Give NAME a role. The last active administrator stays one."""
    with _refusals():
        row = users.change(OPERATOR, user_id=users.get_by_login(name).id, role=role)
    click.echo(f"{row.username} is now {row.role}.")


@user.command("activate")
@click.argument("name")
@with_appcontext
def activate_user(name: str) -> None:
    """Let NAME log in again."""
    with _refusals():
        row = users.change(OPERATOR, user_id=users.get_by_login(name).id, is_active=True)
    click.echo(f"{row.username} is active.")


@user.command("deactivate")
@click.argument("name")
@with_appcontext
def deactivate_user(name: str) -> None:
    """Lock NAME out and end all sessions and API keys of the account."""
    with _refusals():
        row = users.change(OPERATOR, user_id=users.get_by_login(name).id, is_active=False)
    click.echo(f"{row.username} is inactive.")


@user.command("delete")
@click.argument("name")
@click.option("--transfer-to", metavar="NAME", help="Who gets everything that the account has.")
@with_appcontext
def delete_user(name: str, transfer_to: str | None) -> None:
    """Delete the account of NAME. Refuses to lose anything: see --transfer-to."""
    with _refusals():
        row = users.get_by_login(name)
        receiver = None if transfer_to is None else users.get_by_login(transfer_to).id
        users.delete(OPERATOR, user_id=row.id, transfer_to=receiver)
    click.echo(f"{row.username} is deleted.")


# --- looking ---------------------------------------------------------------


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def config(as_json: bool) -> None:
    """Print the effective settings and where each comes from. Secrets are masked."""
    settings = load_settings()
    rows: list[tuple[str, object, str]] = [
        ("env", settings.env, "TASKLANE_ENV"),
        ("instance_path", str(settings.instance_path), "TASKLANE_INSTANCE_PATH"),
    ]
    keys = [*KEYS, *sorted(settings.sources.keys() - KEYS.keys())]
    rows += [(key, _shown(key, _value(settings, key)), settings.sources[key]) for key in keys]
    if as_json:
        click.echo(json.dumps({key: {"value": value, "source": source} for key, value, source in rows}, indent=2))
        return
    width = max(len(key) for key, _, _ in rows)
    for key, value, source in rows:
        click.echo(f"{key:<{width}}  {value!s:<48}  {source}")


@cli.command("reference")
@click.option("--json", "as_json", is_flag=True, help="Print the OpenAPI document itself.")
def reference_command(as_json: bool) -> None:
    """Print the API reference as Markdown, made from the OpenAPI document.

    docs/api.md is its output; a test compares them.
    """
    app = create_app()
    click.echo(json.dumps(reference.document(app), indent=2) if as_json else reference.markdown(app), nl=as_json)


def _value(settings: Settings, key: str) -> object:
    value: object = settings
    for part in key.split(".", 3):
        value = value[part] if isinstance(value, dict) else getattr(value, part)
    return value


def _shown(key: str, value: object) -> object:
    if is_secret(key):
        return "********" if value else ""
    return masked_url(str(value)) if is_url(key) else value


def _load_app() -> Flask:
    return create_app()


def main() -> None:
    """Run a command; what a person can mend ends in one sentence and exit code 1."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    warnings.showwarning = lambda message, category, *rest: (
        click.echo(f"tasklane: {message}", err=True) if issubclass(category, ConfigWarning) else None
    )
    try:
        cli.main(prog_name=Path(sys.argv[0]).name, obj=ScriptInfo(create_app=_load_app))
    except (ConfigError, EmbeddedError, CommandError) as error:
        click.echo(f"tasklane: {error}", err=True)
        sys.exit(1)
    except RedisError as error:
        click.echo(f"tasklane: Redis at {masked_url(load_settings().redis_url)} does not answer: {error}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except OperationalError as error:
        reason = str(error.orig).strip().splitlines()[0]
        url = masked_url(load_settings().database_url)
        click.echo(f"tasklane: The database {url} cannot be used: {reason}.", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
