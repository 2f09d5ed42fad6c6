"""A real HTTP server that behaves as badly as a test wants."""

import contextlib
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from core.platform.config.upstreams import UpstreamSettings
from core.upstreams.registry import Registry


@dataclass(frozen=True)
class Seen:
    """One request as it arrived."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    connection: int


Behaviour = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "_Server"

    def setup(self) -> None:
        super().setup()
        self.server.owner.connections.append(self.connection)

    def answer(self) -> None:
        owner = self.server.owner
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        headers = {name.lower(): value for name, value in self.headers.items()}
        owner.seen.append(Seen(self.command, self.path, headers, body, self.client_address[1]))
        behave = owner.behaviours.get(urlsplit(self.path).path, owner.otherwise)
        behave(self)

    do_GET = do_POST = answer  # noqa: N815

    def say(self, value: Any, status: int = 200, **headers: str) -> None:
        """Answer with a value as JSON, or with bytes as they are."""
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        for name, text in {"Content-Type": "application/json", "Content-Length": str(len(body)), **named}.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(body)

    def raw(self, data: bytes) -> None:
        self.wfile.write(data)

    def wait_for_the_end(self, seconds: float = 30) -> bool:
        """Wait until the test is over; return whether it is."""
        return self.server.owner.over.wait(seconds)

    def reset(self) -> None:
        """End the connection as a crash does."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def log_message(self, *args: Any) -> None:
        pass


class _Server(ThreadingHTTPServer):
    # A handler that hangs is told to end, and is waited for.
    daemon_threads = False
    owner: "UpstreamServer"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that hangs up is what half of the tests are about."""


class UpstreamServer:
    """Listens on loopback. `on` says how a path behaves; `seen` is what arrived."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.behaviours: dict[str, Behaviour] = {}
        self.otherwise: Behaviour = lambda request: request.say({"path": request.path})
        self.over = threading.Event()
        self.connections: list[socket.socket] = []
        self._server = _Server(("127.0.0.1", 0), Handler)
        self._server.owner = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def on(self, path: str, behave: Behaviour) -> None:
        self.behaviours[path] = behave

    def wait_for(self, number: int) -> None:
        """Wait until so many requests were read: who gives up early may do so before this machine has come to it."""
        until = time.monotonic() + 10
        while len(self.seen) < number and time.monotonic() < until:
            time.sleep(0.005)

    def stop(self) -> None:
        self.over.set()
        self._server.shutdown()
        for connection in self.connections:
            # A connection that a client keeps would keep its thread.
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> "UpstreamServer":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()


@contextlib.contextmanager
def connecting(**patience: Any) -> Iterator[Callable[..., Registry]]:
    """Give a function that configures one upstream called `far`, with this patience unless told otherwise."""
    made = []

    def make(url: str, **options: Any) -> Registry:
        registry = Registry({"far": UpstreamSettings(base_url=url, **{**patience, **options})})
        made.append(registry)
        return registry

    yield make
    for registry in made:
        registry.close()
