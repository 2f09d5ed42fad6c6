"""Running everything on this machine."""

import contextlib
import fcntl
import os
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator

import click

from core import embedded, seed, slots
from core.bootstrap import create_core_app, upgrade_database
from core.commands.process import MANAGE, Failure, refuse_address, share_folder
from core.config import load_settings
from core.settings import Settings
from core.supervisor import Supervisor


@click.command()
@click.option("--host", help="Address to listen on. Default: the setting `host`, 127.0.0.1.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on. Default: PORT, else 5000.")
def dev(host: str | None, port: int | None) -> None:
    """Run everything on this machine: database, queue server, web, worker, scheduler.

    The first start creates the SQLite database and the demo accounts in the
    instance folder and prints their passwords once. DATABASE_URL and REDIS_URL
    replace the embedded parts. Ctrl-C ends everything; all data is kept.
    """
    settings = load_settings()
    share_folder(settings)
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
            slots.sweep(settings.instance_path / "metrics")
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
        refuse_address(host, port, error)


def _prepare_database(settings: Settings) -> dict[str, str]:
    app = create_core_app(settings=settings)
    with app.app_context():
        upgrade_database()
        passwords = seed.create_demo_users() if seed.is_empty() else {}
        if passwords:
            seed.create_example_tasks()
    return passwords


def _start_processes(supervisor: Supervisor, host: str, port: int) -> None:
    common = ["--exit-with-parent", str(os.getpid())]
    supervisor.start("web", [*MANAGE, "serve", "--host", host, "--port", str(port), "--processes", "1", *common])
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
