"""Serving the API: one listening socket, and the processes that share it."""

import errno
import logging
import os
import resource
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress

import click
from sqlalchemy.engine import make_url

from core.operations import degradation
from core.operations.commands.process import (
    MANAGE,
    Failure,
    die_with_parent,
    exit_with_parent_option,
    share_folder,
)
from core.platform.config.load import load_settings
from core.platform.config.settings import Settings
from core.platform.logs.setup import configure_logging
from core.platform.process import numbering
from core.platform.process.cores import cores_of, number_of_cores
from core.platform.process.pool import Pool

log = logging.getLogger("tasklane.serve")

# Connections that the kernel has accepted and no process has taken yet.
BACKLOG = 1024
# Number of processes that serve where no setting says it. On SQLite the second answers more than twice as many
# reads, and makes some of those who write wait longer for the one writer that there can be; what a third
# and a fourth do has not been measured. docs/deployment.md has the figures.
MOST_AUTOMATIC = 4
MOST_ON_SQLITE = 2
# What ending takes at most after the time to drain is over.
ENDING_SECONDS = 4.0
# Each connection is a file, and so is a database connection, a log, a large body.
FILES = 4096
NOT_HERE = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


@click.command()
@click.option("--host", help="Address to listen on. Default: the setting `host`.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on. Default: PORT, else 5000.")
@click.option(
    "--processes",
    type=click.IntRange(1, 64),
    help="Processes that share the port. Default: WEB_CONCURRENCY, else one for each core, at most 4, on SQLite 2.",
)
@click.option(
    "--threads", type=click.IntRange(1, 64), help="Requests that one process serves at once. Default: `threads`."
)
@exit_with_parent_option
def serve(
    host: str | None, port: int | None, processes: int | None, threads: int | None, exit_with_parent: int | None
) -> None:
    """Serve the API with waitress, and nothing else. `worker` and `scheduler` do the slow work.

    SIGTERM answers what has come in, then ends. SIGHUP replaces the processes one
    by one, with new code and what the files with settings say by then; no request
    is lost. The environment, the options and the number of processes stay.
    """
    settings = load_settings()
    share_folder(settings)
    configure_logging(settings, sys.stdout)
    degradation.tell(settings)
    host, port = host or settings.host, settings.port if port is None else port
    sockets = listen(host, port)
    processes = processes or number_of_processes(settings)
    for each in sockets:
        address, number = socket.getnameinfo(each.getsockname(), socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)
        shown = f"[{address}]" if each.family == socket.AF_INET6 else address
        log.info(
            "Listening on http://%s:%s, processes: %s, threads of each: %s",
            shown,
            number,
            processes,
            threads or settings.threads,
        )
    allow_many_files()
    # Set even while metrics are off: SIGHUP may bring settings that switch them on.
    metrics = settings.instance_path / "metrics"
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(numbering.new_folder(metrics))
    descriptors = [each.detach() for each in sockets]
    command = [*MANAGE, "serve-process"]
    command += ["--threads", str(threads)] if threads else []
    command += [part for descriptor in descriptors for part in ("--socket-fd", str(descriptor))]
    own_core = cores_of(processes, is_wanted=settings.pin_processes)
    if exit_with_parent is not None and processes == 1:
        # A supervisor watches this process already, so it serves itself.
        for descriptor in descriptors:
            os.set_inheritable(descriptor, True)
        sys.stdout.flush()
        options = [*own_core(0), "--exit-with-parent", str(exit_with_parent)]
        os.execv(command[0], [*command, *options])  # noqa: S606 - no shell is wanted
    pool = Pool(
        command,
        processes,
        stop_seconds=settings.drain_seconds + ENDING_SECONDS,
        inherited=descriptors,
        options_of=own_core,
        must_start=True,
    )
    die_with_parent(exit_with_parent)
    pool.run()
    numbering.sweep(metrics)
    if pool.has_given_up:
        raise Failure("The web process does not start; its lines above say why.")


def number_of_processes(settings: Settings) -> int:
    """Return how many processes serve: as configured, else what the machine and the database can use."""
    if settings.processes:
        return settings.processes
    is_sqlite = make_url(settings.database_url).get_backend_name() == "sqlite"
    return min(number_of_cores(), MOST_ON_SQLITE if is_sqlite else MOST_AUTOMATIC)


def listen(host: str, port: int) -> Sequence[socket.socket]:
    """Return sockets that listen on every address of a host. Raises Failure where no process can."""
    sockets: list[socket.socket] = []
    refusals = []
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, _, _, _, address in dict.fromkeys(found):
            # A port that the system chose for the first address is meant for all of them.
            wanted = port or (sockets[0].getsockname()[1] if sockets else 0)
            try:
                sockets.append(socket.create_server((address[0], wanted, *address[2:]), family=family, backlog=BACKLOG))
            except OSError as error:
                # `localhost` has an IPv6 address even where there is no IPv6.
                if error.errno not in NOT_HERE:
                    raise
                refusals.append(error)
        if not sockets:
            raise refusals[0]
    except (OSError, UnicodeError) as error:
        # What `create_server` adds behind the reason is said here already.
        reason = (getattr(error, "strerror", None) or "this is not a host name").partition(" (while")[0]
        raise Failure(f"Cannot listen on {host}:{port}: {reason}. Choose another with --port.") from None
    return sockets


def allow_many_files() -> None:
    """Raise the number of files that this process and its children may open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
