"""The server itself, over real sockets: how it ends, what it refuses, and what it holds against slow clients."""

import errno
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from waitress.buffers import OverflowableBuffer

from api.http.serving import listener
from api.http.serving import server as server_module
from tests.support.sockets import LARGE, Application, Running


@pytest.fixture
def run() -> Iterator[Callable[..., Running]]:
    started: list[Running] = []

    def make(**options: Any) -> Running:
        running = Running(Application(), **options)
        started.append(running)
        running.start()
        return running

    yield make
    for running in started:
        running.app.gate.set()
        try:
            running.server.stop()
        finally:
            for client in running.clients:
                client.close()
            running.thread.join(10)


def test_what_is_worked_on_and_what_waits_for_a_thread_is_answered_before_the_end(run: Callable[..., Running]) -> None:
    running = run(threads=2)
    clients = [running.client() for _ in range(10)]
    for client in clients:
        client.ask("/slow")
    running.wait_until(lambda: len(running.app.begun) == 2)
    running.stop()
    running.app.gate.set()
    for client in clients:
        status, headers, body = client.read()
        assert (status, headers["connection"]) == (200, "close")
        assert body.startswith(b"/slow")
        assert client.is_closed()
    # Nobody is connected any more, so nothing is waited for.
    assert running.wait() < 1
    assert running.app.finished == ["/slow"] * 10


def test_connections_that_only_the_kernel_has_accepted_are_served_before_the_end() -> None:
    running = Running(Application())
    # The loop does not run yet, so these are in the queue of the socket.
    clients = [running.client() for _ in range(20)]
    for number, client in enumerate(clients):
        client.ask(f"/{number}")
    running.server.stop()
    running.start()
    assert [client.read()[0] for client in clients] == [200] * 20
    running.wait()
    with pytest.raises(ConnectionRefusedError):
        running.client()
    for client in clients:
        client.close()


def test_a_request_whose_client_has_gone_is_worked_on_to_its_end(run: Callable[..., Running]) -> None:
    running = run()
    client = running.client()
    client.ask("/slow")
    running.wait_until(lambda: running.app.begun == ["/slow"])
    client.close()
    running.stop()
    time.sleep(0.2)
    assert running.thread.is_alive()
    running.app.gate.set()
    running.wait()
    assert running.app.finished == ["/slow"]


def test_a_request_that_is_arriving_is_received_and_answered(run: Callable[..., Running]) -> None:
    running = run()
    client = running.client()
    client.send("POST /late HTTP/1.1\r\nHost: x\r\nContent-Le")
    time.sleep(0.1)
    running.stop()
    # Longer than an idle connection is left open.
    time.sleep(0.7)
    client.send("ngth: 5\r\n\r\nab")
    time.sleep(0.7)
    client.send("cde")
    status, headers, body = client.read()
    assert (status, body) == (200, b"/late 127.0.0.1 abcde")
    assert headers["connection"] == "close"
    assert running.wait() < 1


def test_the_next_request_on_an_open_connection_is_answered_and_says_that_it_was_the_last(
    run: Callable[..., Running],
) -> None:
    running = run()
    client = running.client()
    client.ask("/first")
    assert "connection" not in client.read()[1]
    running.stop()
    client.ask("/second")
    status, headers, _ = client.read()
    assert (status, headers["connection"]) == (200, "close")
    assert client.is_closed()
    assert running.wait() < 1


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_without_a_body_leaves_the_connection_open_until_its_client_or_the_process_ends_it(
    run: Callable[..., Running], status: int
) -> None:
    running = run()
    client = running.client()
    for _ in range(2):
        client.ask(f"/{status}")
        found, headers, body = client.read()
        assert (found, headers.get("connection"), body) == (status, None, b"")
    client.ask(f"/{status}", "Connection: close")
    assert client.read()[1]["connection"] == "close"
    assert client.is_closed()
    last = running.client()
    running.stop()
    last.ask(f"/{status}")
    assert last.read()[1]["connection"] == "close"
    assert last.is_closed()


def test_an_old_client_that_wants_to_go_on_is_told_that_it_cannot(run: Callable[..., Running]) -> None:
    running = run()
    client = running.client()
    running.stop()
    client.send("GET /old HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert client.read()[1]["connection"] == "close"


def test_all_requests_that_one_connection_has_sent_ahead_are_answered(run: Callable[..., Running]) -> None:
    running = run()
    client = running.client()
    client.send("".join(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n" for path in ("/slow", "/b", "/c")))
    running.wait_until(lambda: running.app.begun == ["/slow"])
    running.stop()
    running.app.gate.set()
    answers = [client.read() for _ in range(3)]
    assert [body.split()[0] for _, _, body in answers] == [b"/slow", b"/b", b"/c"]
    assert [headers.get("connection") for _, headers, _ in answers] == [None, None, "close"]


def test_an_idle_connection_is_closed_soon_and_a_stream_in_progress_is_sent_to_its_end(
    run: Callable[..., Running],
) -> None:
    running = run()
    streaming, idle, silent = running.client(), running.client(), running.client()
    idle.ask("/")
    idle.read()
    streaming.ask("/stream")
    running.wait_until(lambda: "/stream" in running.app.begun)
    running.stop()
    start = time.monotonic()
    assert idle.is_closed()
    assert silent.is_closed()
    assert 0.3 < time.monotonic() - start < 3
    assert running.thread.is_alive()
    running.app.gate.set()
    assert streaming.read()[2] == b"one two."
    # Its header, sent long before, could not say that the connection ends.
    assert streaming.is_closed()
    running.wait()


def test_what_never_ends_is_cut_when_the_time_is_over(run: Callable[..., Running]) -> None:
    running = run(drain_seconds=0.5)
    client = running.client()
    client.send("POST /never HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n")
    running.stop()
    assert running.wait() < 3
    assert client.is_closed()
    running.server.stop()  # A second signal, as platforms send, does no harm.


def test_a_server_that_has_ended_before_it_is_woken_up_is_stopped_all_the_same(
    run: Callable[..., Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    running = run()
    (listener,) = running.server._listeners
    wake = listener.pull_trigger

    def wake_late() -> None:
        # The loop has noticed by itself, because somebody came and went; it must not close the pipe meanwhile.
        running.client().close()
        assert running.drained.wait(5)
        running.thread.join(0.5)
        wake()

    monkeypatch.setattr(listener, "pull_trigger", wake_late)
    running.server.stop()
    running.wait()


def test_a_request_that_waits_for_a_thread_is_nothing_to_warn_of(
    run: Callable[..., Running], caplog: pytest.LogCaptureFixture
) -> None:
    running = run(threads=1)
    clients = [running.client() for _ in range(4)]
    for client in clients:
        client.ask("/slow")
    running.wait_until(lambda: running.server._threads.waiting() == 3)
    running.app.gate.set()
    assert [client.read()[0] for client in clients] == [200] * 4
    assert [record for record in caplog.records if record.name.startswith("waitress")] == []


def test_an_answer_wakes_nobody_and_leaves_in_one_packet(
    run: Callable[..., Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    woken: list[str] = []
    running = run()
    (listener_,) = running.server._listeners
    monkeypatch.setattr(listener_.trigger, "pull_trigger", lambda: woken.append("woken"))
    client = running.client()
    for number in range(20):
        client.ask(f"/{number}")
        # All that has come when anything has.
        whole = client.socket.recv(65536)
        head, _, body = whole.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\nContent-Length: ")
        assert body == f"/{number} 127.0.0.1 ".encode()
    client.ask("/304")
    assert client.read()[0] == 304
    client.ask("/once-more")
    assert client.read()[2].startswith(b"/once-more")
    assert woken == []
    monkeypatch.undo()


def test_requests_that_arrive_together_are_answered_one_after_the_other(run: Callable[..., Running]) -> None:
    client = run().client()
    client.send("".join(f"GET /{number} HTTP/1.1\r\nHost: x\r\n\r\n" for number in range(50)))
    assert [client.read()[2].split()[0] for _ in range(50)] == [f"/{number}".encode() for number in range(50)]


# --- refusals -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        ("GET\r\n\r\n", 400, "bad_request"),
        ("get / HTTP/1.1\r\n\r\n", 400, "bad_request"),
        ("GET / HTTP/1.1\r\nX: a\nb\r\n\r\n", 400, "bad_request"),
        ("GET http://[::1 HTTP/1.1\r\n\r\n", 400, "bad_request"),
        ("POST / HTTP/1.1\r\nContent-Length: minus\r\n\r\n", 400, "bad_request"),
        (f"POST / HTTP/1.1\r\nContent-Length: {'9' * 5000}\r\n\r\n", 400, "bad_request"),
        ("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n", 400, "bad_request"),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", 501, "not_implemented"),
        ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n", 413, "content_too_large"),
        (f"GET / HTTP/1.1\r\nX: {'a' * 33_000}\r\n\r\n", 431, "header_too_large"),
        ("GET /break HTTP/1.1\r\nHost: x\r\n\r\n", 500, "internal_error"),
    ],
)
def test_what_does_not_reach_the_application_is_refused_in_the_envelope(
    run: Callable[..., Running], sent: str, status: int, code: str
) -> None:
    client = run().client()
    client.send(sent)
    answered, headers, body = client.read()
    error = json.loads(body)["error"]
    assert (answered, error["code"]) == (status, code)
    assert error["request_id"] == headers["x-request-id"]
    assert (headers["content-type"], headers["connection"]) == ("application/json", "close")
    assert "canary" not in body.decode()
    assert "server" not in headers


def test_a_refusal_keeps_the_request_id_that_was_sent(run: Callable[..., Running]) -> None:
    client = run().client()
    client.send("POST / HTTP/1.1\r\nHost: x\r\nX-Request-ID: abc-1\r\nContent-Length: 99999999999\r\n\r\n")
    assert json.loads(client.read()[2])["error"]["request_id"] == "abc-1"


# --- proxies and slow clients -------------------------------------------------------


@pytest.mark.parametrize(("trusted", "seen"), [(0, b"127.0.0.1"), (1, b"203.0.113.9"), (2, b"198.51.100.7")])
def test_the_address_of_the_client_is_what_the_trusted_proxies_say(
    run: Callable[..., Running], trusted: int, seen: bytes
) -> None:
    client = run(trusted_proxies=trusted).client()
    client.ask("/", "X-Forwarded-For: 192.0.2.1, 198.51.100.7, 203.0.113.9")
    assert client.read()[2].split()[1] == seen


def test_a_header_that_comes_drop_by_drop_is_not_waited_for(
    run: Callable[..., Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "SILENCE_SECONDS", 0.5)
    monkeypatch.setitem(server_module.HARDENED, "cleanup_interval", 0)
    running = run()
    client = running.client()
    client.send("GET / HTTP/1.1\r\n")

    def is_cut() -> bool:
        time.sleep(0.05)
        try:
            client.send("X")
        except OSError:
            return True
        return False

    running.wait_until(is_cut)


@pytest.mark.parametrize("path", ["/large", "/larger"])
def test_who_does_not_read_is_cut_off_and_holds_no_thread(
    run: Callable[..., Running], monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(listener, "SILENCE_SECONDS", 0.5)
    monkeypatch.setitem(server_module.HARDENED, "cleanup_interval", 0)
    running = run(threads=1)
    client = running.client()
    client.ask(path)
    running.wait_until(lambda: path in running.app.begun)
    other = running.client()
    other.ask("/quick")
    assert other.read()[0] == 200
    other.close()
    running.wait_until(lambda: running.server._channels() == [])
    head, length = client.read()[1], len(client.file.read())
    assert length < int(head["content-length"])


def test_an_answer_that_breaks_off_is_not_followed_by_another(
    run: Callable[..., Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(buffer: OverflowableBuffer, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(OverflowableBuffer, "append", fail)
    client = run().client()
    client.ask("/large")
    sent = client.file.read()
    assert sent.startswith(b"HTTP/1.1 200 ")
    assert sent.count(b"HTTP/1.1") == 1
    assert len(sent) < LARGE


def test_slow_clients_take_no_thread_from_others(run: Callable[..., Running]) -> None:
    running = run(threads=1)
    for _ in range(50):
        running.client().send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n")
    client = running.client()
    client.ask("/quick")
    assert client.read()[0] == 200
