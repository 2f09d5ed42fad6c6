"""Running everything on this machine."""

import contextlib
import fcntl
import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import click

from core.bootstrap import create_core_app
from core.jobs.repository import JobRepository
from core.operations import demo
from core.operations.commands.process import MANAGE, Failure, share_folder
from core.operations.commands.serve import allow_many_files, listen
from core.platform.config.load import ROOT, load_settings
from core.platform.config.settings import Settings
from core.platform.database.base import db
from core.platform.database.migrations import upgrade_database
from core.platform.disk.changed_files import ChangedFiles
from core.platform.process import embedded, numbering
from core.platform.process.supervisor import Child, Supervisor

# How long a person waits for what may be missing: the first jobs, or a worker without its Redis.
PATIENCE_SECONDS = 10


@click.command()
@click.option("--host", help="Address to listen on. Default: the setting `host`, 127.0.0.1.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on. Default: PORT, else 5000.")
@click.option("--reload/--no-reload", "reloads", default=True, help="Load code and settings again when they change.")
def dev(host: str | None, port: int | None, reloads: bool) -> None:
    """Run everything on this machine: database, queue server, web, worker, scheduler.

    The first start creates the SQLite database and the demo accounts in the
    instance folder and prints their passwords once. DATABASE_URL and REDIS_URL
    replace the embedded parts. Ctrl-C ends everything; all data is kept.

    When a .py file, config.toml, instance/config.toml or .env changes, new
    processes take over as soon as they work; what cannot be loaded is named, and
    the old ones go on. Migrations are applied at the start only.
    """
    settings = load_settings()
    share_folder(settings)
    host, port = host or settings.host, settings.port if port is None else port
    with _instance_lock(settings):
        # The web process of the moment serves on them, so that none is missing between two of them.
        sockets = listen(host, port)
        supervisor = Supervisor()
        supervisor.handle_signals()
        try:
            _run(supervisor, settings, sockets, _url(host, port), reloads=reloads)
        finally:
            # Before the children leave: who closes the last copy of a listening socket has emptied its queue.
            for each in sockets:
                each.close()
            supervisor.stop()
            numbering.sweep(settings.instance_path / "metrics")
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


def _run(
    supervisor: Supervisor, settings: Settings, sockets: Sequence[socket.socket], url: str, *, reloads: bool
) -> None:
    # Before anything is loaded: what changes from now on is news.
    changes = ChangedFiles(ROOT, settings.instance_path)
    if settings.sources.get("redis_url") == "embedded":
        embedded.stop_orphan(settings.instance_path)
        server = supervisor.start("valkey", embedded.command(settings.instance_path), hides=embedded.is_advice)
        embedded.wait_until_ready(settings.instance_path, server.running.process)
    app = create_core_app(settings=settings)
    with app.app_context():
        passwords = _prepare_database()
    children: list[Child] = []
    try:
        if not supervisor.is_stopping:
            children += _start_processes(supervisor, settings, sockets)
        if supervisor.wait_until_ready(children[:1]):
            supervisor.wait_until_ready(children, seconds=PATIENCE_SECONDS)
        if passwords:
            with app.app_context():
                _wait_for_first_jobs(supervisor)
    finally:
        # Whatever went wrong: the passwords cannot be shown again.
        _greet(supervisor, url, passwords)
    supervisor.run(partial(_reload, supervisor, changes, children) if reloads else lambda: None)


def _prepare_database() -> dict[str, str]:
    upgrade_database()
    passwords = demo.create_demo_users() if demo.is_empty() else {}
    if passwords:
        demo.create_example_tasks()
    return passwords


def _start_processes(supervisor: Supervisor, settings: Settings, sockets: Sequence[socket.socket]) -> Iterator[Child]:
    """Start what works on requests and jobs, the web process first."""
    allow_many_files()
    common = ["--exit-with-parent", str(os.getpid())]
    descriptors = [each.fileno() for each in sockets]
    shared = [part for descriptor in descriptors for part in ("--socket-fd", str(descriptor))]
    yield supervisor.start(
        "web",
        [*MANAGE, "serve-process", *shared, *common],
        {"PROMETHEUS_MULTIPROC_DIR": str(numbering.new_folder(settings.instance_path / "metrics"))},
        inherited=descriptors,
        tells_ready=True,
    )
    for name in ("worker", "scheduler"):
        yield supervisor.start(name, [*MANAGE, name, *common], tells_ready=True)


def _wait_for_first_jobs(supervisor: Supervisor) -> None:
    """Let the jobs about the demo accounts say what they have to say before a person gets something to read."""
    until = time.monotonic() + PATIENCE_SECONDS
    while JobRepository(db.session()).summarise_open() and time.monotonic() < until and not supervisor.is_stopping:
        db.session.remove()
        time.sleep(0.1)


def _greet(supervisor: Supervisor, url: str, passwords: Mapping[str, str]) -> None:
    """Say what a person needs, together and last."""
    accounts = [f"  username {username}   password {password}" for username, password in passwords.items()]
    lines = ["Demo accounts, shown this once:", *accounts] if accounts else []
    if not supervisor.is_stopping:
        lines = ["", f"Swagger UI: {url}/api/", *lines, "Ctrl-C ends everything."]
    if lines:
        supervisor.say(*lines)


def _url(host: str, port: int) -> str:
    shown = "127.0.0.1" if host in ("0.0.0.0", "") else f"[{host}]" if ":" in host else host  # noqa: S104
    return f"http://{shown}:{port}"


def _reload(supervisor: Supervisor, changes: ChangedFiles, children: Sequence[Child]) -> None:
    """Replace the processes when files have changed; say in one line how that went."""
    changed = changes.settled()
    if not changed:
        return
    what = changed[0] if len(changed) == 1 else f"{changed[0]} and {len(changed) - 1} more"
    reason = supervisor.replace(children)
    if reason is None:
        supervisor.say(f"Reloaded: {what} changed.")
    elif not supervisor.is_stopping:
        supervisor.say(f"Not reloaded, the processes from before go on: {reason}")
