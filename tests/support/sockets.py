"""A server in a thread, and connections to it that are spoken to byte by byte."""

import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from api.http.serving.server import Server

LARGE = 8 * 1024 * 1024


class Application:
    """Answers `/slow` when the gate opens, `/stream` with two pieces around it, and anything else at once.

    `/large` is more than a socket takes, and `/larger`, in pieces, more than waitress takes ahead.
    `/204` and `/304` are answered with that status, and so without a body.
    """

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.begun: list[str] = []
        self.finished: list[str] = []

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        self.begun.append(path)
        body = environ["wsgi.input"].read()
        if path == "/break":
            raise RuntimeError("canary")
        if path in ("/204", "/304"):
            start_response(f"{path[1:]} Nothing", [])
            return []
        if path == "/stream":
            start_response("200 OK", [("Content-Length", "8")])
            return self._stream()
        if path == "/large":
            start_response("200 OK", [("Content-Length", str(LARGE))])
            return [bytes(LARGE)]
        if path == "/larger":
            start_response("200 OK", [("Content-Length", str(10 * LARGE))])
            return self._pieces()
        if path == "/slow":
            assert self.gate.wait(10)
        answer = f"{path} {environ['REMOTE_ADDR']} {body.decode()}".encode()
        start_response("200 OK", [("Content-Length", str(len(answer)))])
        self.finished.append(path)
        return [answer]

    def _pieces(self) -> Iterator[bytes]:
        try:
            for _ in range(160):
                yield bytes(LARGE // 16)
        finally:
            self.finished.append("/larger")

    def _stream(self) -> Iterator[bytes]:
        yield b"one "
        assert self.gate.wait(10)
        yield b"two."
        self.finished.append("/stream")


class Running:
    """A server in a thread, and clients of it."""

    def __init__(self, app: Application, **options: Any) -> None:
        self.app = app
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(100)
        self.address = self.listener.getsockname()
        self.drained = threading.Event()
        self.server = Server(
            app, [self.listener], **{"threads": 2, "drain_seconds": 5, "on_drain": self.drained.set, **options}
        )
        self.thread = threading.Thread(target=self.server.run)
        self.clients: list[Client] = []

    def start(self) -> None:
        self.thread.start()

    def client(self) -> "Client":
        client = Client(self.address)
        self.clients.append(client)
        return client

    def stop(self) -> None:
        """Tell it to stop, and return when it has begun to."""
        self.server.stop()
        assert self.drained.wait(5)

    def wait(self) -> float:
        """Wait until it has ended; return how many seconds that took."""
        start = time.monotonic()
        self.thread.join(10)
        assert not self.thread.is_alive()
        return time.monotonic() - start

    def wait_until(self, is_so: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 10
        while not is_so():
            assert time.monotonic() < deadline
            time.sleep(0.005)


class Client:
    """One connection, spoken to byte by byte."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address, timeout=10)
        self.file = self.socket.makefile("rb")

    def send(self, text: str) -> None:
        self.socket.sendall(text.encode())

    def ask(self, path: str, *headers: str) -> None:
        self.send("\r\n".join([f"GET {path} HTTP/1.1", "Host: x", *headers, "", ""]))

    def read(self) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body of the next answer."""
        status = int(self.file.readline().split()[1])
        headers = {}
        while (line := self.file.readline()) not in (b"\r\n", b""):
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        return status, headers, self.file.read(int(headers.get("content-length", 0)))

    def is_closed(self) -> bool:
        """Return whether the server closes the connection without another byte."""
        return self.file.read(1) == b""

    def close(self) -> None:
        self.file.close()
        self.socket.close()
