"""Over real sockets: who would be refused hears so before they send a body, and no body costs much to read."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from flask import Flask

from tests.support.people import PASSWORD, Person
from tests.support.sockets import Client, Running

BODY = json.dumps({"title": "Sent when asked"})


@pytest.fixture
def running(app: Flask) -> Iterator[Running]:
    server = Running(app)  # type: ignore[arg-type]
    server.start()
    yield server
    server.server.stop()
    for client in server.clients:
        client.close()
    server.thread.join(10)
    assert not server.thread.is_alive()


def head(method: str, path: str, *headers: str, length: int | None = len(BODY)) -> str:
    lines = [f"{method} /api/v1{path} HTTP/1.1", "Host: localhost", *headers]
    if length is not None:
        lines.append(f"Content-Length: {length}")
    return "\r\n".join([*lines, "", ""])


def read_interim(client: Client) -> bytes:
    return client.file.readline() + client.file.readline()


JSON = "Content-Type: application/json"
ASK = "Expect: 100-continue"
REFUSED = {
    "no credentials": (head("POST", "/tasks", JSON, ASK), 401),
    "wrong credentials": (head("POST", "/tasks", JSON, ASK, "Authorization: Bearer abc"), 401),
    "an unknown key": (head("POST", "/tasks", JSON, ASK, f"X-API-Key: tl_{'0' * 48}"), 401),
    "no such path": (head("POST", "/nothing", JSON, ASK), 404),
    "no such method": (head("PUT", "/tasks", JSON, ASK), 405),
    "another type": (head("POST", "/tasks", "Content-Type: text/plain", ASK, "TOKEN"), 415),
    "an encoding": (head("POST", "/tasks", JSON, "Content-Encoding: gzip", ASK, "TOKEN"), 415),
    "no multipart": (head("POST", "/imports", JSON, ASK, "TOKEN"), 415),
    "an unknown parameter": (head("POST", "/tasks?x=1", JSON, ASK, "TOKEN"), 400),
    "no JSON taken": (head("POST", "/tasks", JSON, ASK, "Accept: text/html", "TOKEN"), 406),
    "too large for JSON": (head("POST", "/tasks", JSON, ASK, "TOKEN", length=2_000_000), 413),
    "too large for anything": (head("POST", "/tasks", JSON, ASK, "TOKEN", length=99_000_000_000), 413),
    "too large to log in": (head("POST", "/auth/login", JSON, ASK, length=2_000_000), 413),
    "not allowed": (head("POST", "/users", JSON, ASK, "TOKEN"), 403),
    "chunked": (head("POST", "/tasks", JSON, "Transfer-Encoding: chunked", ASK, length=None), 401),
    "another expectation": (head("POST", "/tasks", JSON, "Expect: a-miracle", "TOKEN"), 417),
    "two expectations": (head("POST", "/tasks", JSON, "Expect: 100-continue, a-miracle", "TOKEN"), 417),
    "an expectation without a body": (head("GET", "/tasks", "Expect: a-miracle", "TOKEN", length=None), 417),
}


@pytest.mark.parametrize("why", REFUSED)
def test_whoever_is_refused_hears_so_before_the_body(running: Running, ada: Person, why: str) -> None:
    sent, status = REFUSED[why]
    client = running.client()
    client.socket.settimeout(3)
    client.send(sent.replace("TOKEN", f"Authorization: Bearer {ada.tokens['access_token']}"))
    answered, headers, body = client.read()
    assert (answered, headers["connection"]) == (status, "close")
    error = json.loads(body)["error"]
    assert error["request_id"] == headers["x-request-id"]
    assert client.is_closed()


@pytest.mark.parametrize("why", ["no credentials", "too large for JSON", "too large for anything", "chunked"])
def test_whoever_has_not_waited_hears_so_too(running: Running, ada: Person, why: str) -> None:
    sent, status = REFUSED[why]
    client = running.client()
    client.send(sent.replace("TOKEN", f"Authorization: Bearer {ada.tokens['access_token']}") + "x" * 1_000_000)
    assert client.read()[0] == status
    assert client.is_closed()


def test_whoever_is_welcome_is_asked_for_the_body(running: Running, ada: Person) -> None:
    token = f"Authorization: Bearer {ada.tokens['access_token']}"
    client = running.client()
    # Waitress itself knows the word only where it stands alone.
    for asked in ([ASK], [ASK, ASK], [f"{ASK},"]):
        client.send(head("POST", "/tasks", JSON, *asked, token))
        assert read_interim(client) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(BODY)
        status, _, answer = client.read()
        assert (status, json.loads(answer)["data"]["title"]) == (201, "Sent when asked")
    client.send(head("POST", "/tasks", JSON, "Transfer-Encoding: chunked", "expect: 100-Continue", token, length=None))
    assert read_interim(client) == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.send(f"{len(BODY):x}\r\n{BODY}\r\n0\r\n\r\n")
    assert client.read()[0] == 201
    assert len(ada.get("/tasks").get_json()["data"]) == 4


def test_whoever_does_not_wait_is_answered_once(running: Running, ada: Person) -> None:
    token = f"Authorization: Bearer {ada.tokens['access_token']}"
    client = running.client()
    client.send(head("POST", "/tasks", JSON, ASK, token) + BODY + head("GET", "/auth/me", token, length=None))
    assert [client.read()[0] for _ in range(2)] == [201, 200]
    assert len(ada.get("/tasks").get_json()["data"]) == 1


def test_a_login_and_an_operation_without_a_body_are_asked_about_too(running: Running, ada: Person) -> None:
    client = running.client()
    login = json.dumps({"username": "ada", "password": PASSWORD})
    client.send(head("POST", "/auth/login", JSON, ASK, length=len(login)))
    assert read_interim(client) == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.send(login)
    assert client.read()[0] == 200
    client.send(head("POST", "/auth/logout", ASK, f"Authorization: Bearer {ada.tokens['access_token']}", length=2))
    assert read_interim(client) == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.send("{}")
    assert int(client.file.readline().split()[1]) == 204
    assert ada.get("/auth/me").status_code == 401


# --- chunks ---------------------------------------------------------------------------

START = "POST /api/v1/tasks HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
MIB = 1024 * 1024
# Made when they are sent: together they are a sixth of a gigabyte.
COSTLY: dict[str, Callable[[], str]] = {
    "an endless extension": lambda: START + "1;a=" + "b" * 16 * MIB,
    "many extensions": lambda: START + "1;a=b" + ";c=d" * 4 * MIB,
    "a quoted extension": lambda: START + '1;a="' + "\\\\" * 8 * MIB,
    "extensions of many chunks": lambda: START + ("1;a=" + "b" * 900 + "\r\nx\r\n") * 16_000,
    "an endless trailer": lambda: START + "0\r\nX: " + "b" * 16 * MIB,
    "many trailers": lambda: START + "0\r\n" + "X: b\r\n" * 2 * MIB,
    "tiny chunks": lambda: START + "1\r\nx\r\n" * 2 * MIB,
    "zeros before a size": lambda: START + "0" * 16 * MIB,
    "an endless header": lambda: "GET / HTTP/1.1\r\nX: " + "b" * 16 * MIB,
    "many headers": lambda: "GET / HTTP/1.1\r\n" + "X: b\r\n" * 2 * MIB,
}


@pytest.mark.parametrize("what", COSTLY)
def test_what_surrounds_a_body_is_bounded(running: Running, what: str) -> None:
    client = running.client()
    sender = threading.Thread(target=push, args=(client.socket, COSTLY[what]().encode()))
    began = time.process_time()
    sender.start()
    status, _, body = client.read()
    assert (status, json.loads(body)["status"]) in ((400, "error"), (431, "error"))
    client.socket.shutdown(socket.SHUT_RDWR)
    sender.join(20)
    assert not sender.is_alive()
    assert time.process_time() - began < 2


def push(connection: socket.socket, data: bytes) -> None:
    try:
        connection.sendall(data)
    except OSError:
        return  # Whoever is refused need not be heard to the end.


def test_an_upload_in_small_chunks_is_read(running: Running, ada: Person) -> None:
    token = f"Authorization: Bearer {ada.tokens['access_token']}"
    title = {"title": "In chunks", "description": "word " * 1500}
    sent = json.dumps(title)
    for size in (1, 7, 100, 4096):
        client = running.client()
        client.send(head("POST", "/tasks", JSON, "Transfer-Encoding: chunked", token, length=None))
        pieces = [sent[at : at + size] for at in range(0, len(sent), size)]
        client.send("".join(f"{len(piece):x};note=1\r\n{piece}\r\n" for piece in pieces) + "0\r\nX-Sum: 1\r\n\r\n")
        assert client.read()[0] == 201, size
