"""A server that has run out of file descriptors: it says so seldom, costs little, and comes back by itself."""

import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from core.platform.config.load import ROOT

SERVE = """
import logging, resource, socket, sys
from api.http.serving.server import Server

logging.basicConfig(stream=sys.stderr, format="%(message)s")
listener = socket.create_server(("127.0.0.1", 0), backlog=500)

def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]

server = Server(app, [listener], threads=2)
resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
print(listener.getsockname()[1], flush=True)
server.run()
"""
CLIENTS = 200


def answer(client: socket.socket) -> bytes:
    """Ask for the last answer on a connection, and read it to its end."""
    client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    return b"".join(iter(lambda: client.recv(1000), b""))


def ask(port: int) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        return answer(client)


@pytest.mark.slow
def test_without_descriptors_there_is_a_line_a_second_and_the_service_comes_back(tmp_path: Path) -> None:
    errors = tmp_path / "errors"
    with errors.open("wb") as file:
        server = subprocess.Popen([sys.executable, "-c", SERVE], cwd=ROOT, stdout=subprocess.PIPE, stderr=file)
    try:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        assert ask(port).endswith(b"ok")
        began = time.monotonic()
        with ExitStack() as stack:
            clients = [
                stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10)) for _ in range(CLIENTS)
            ]
            # Those that were taken before are served meanwhile.
            assert answer(clients[0]).endswith(b"ok")
            time.sleep(2.2)
            used = psutil.Process(server.pid).cpu_times()
            lines = errors.read_text().splitlines()
            passed = time.monotonic() - began
        assert ask(port).endswith(b"ok")
    finally:
        server.kill()
        server.wait()
        if server.stdout is not None:
            server.stdout.close()
    assert 1 <= len(lines) <= passed + 1, lines
    assert all("No room for another connection: Too many open files" in line for line in lines)
    assert used.user + used.system < 5
