"""The nginx site in front of a real service, by HTTPS and with a certificate of our own."""

import http.client
import json
import os
import re
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme

from core.platform.config.load import ROOT
from tests.support.ports import free_port
from tests.support.processes import wait_for
from tests.support.programs import need
from tests.support.serving import Service

HOST = "tasks.example.com"
TEMPLATE = ROOT / "deploy" / "nginx" / "tasklane.conf.template"
METRICS_TEMPLATE = TEMPLATE.with_name("metrics.conf.template")
METRICS = {"TASKLANE_METRICS__ENABLED": "true", "TASKLANE_METRICS__TOKEN": "t" * 32}


@dataclass
class Site:
    """A running nginx, the service behind it, and clients of both."""

    folder: Path
    http_port: int
    https_port: int
    metrics_port: int
    service: Service
    trust: ssl.SSLContext
    headers: dict[str, str] = field(default_factory=dict)

    def ask(self, method: str, path: str, *, scheme: str = "https", host: str = HOST, **options: Any) -> httpx.Response:
        port = self.https_port if scheme == "https" else self.http_port
        headers = {**self.headers, "Host": host, **options.pop("headers", {})}
        with httpx.Client(verify=self.trust, timeout=30, trust_env=False) as client:
            url = f"{scheme}://127.0.0.1:{port}{path}"
            extensions = {"sni_hostname": host}
            return client.request(method, url, headers=headers, extensions=extensions, **options)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    nginx = need("nginx")
    folder = tmp_path_factory.mktemp("nginx")
    authority = trustme.CA()
    certificate = authority.issue_cert(HOST)
    certificate.private_key_pem.write_to_path(folder / "privkey.pem")
    for blob in certificate.cert_chain_pems:
        blob.write_to_path(folder / "fullchain.pem", append=True)
    service = Service(folder, "--processes", "1", is_forked=True, TASKLANE_TRUSTED_PROXIES="1", **METRICS)
    http_port, https_port, metrics_port = free_port(), free_port(), free_port()
    text = TEMPLATE.read_text()
    for name, value in (
        ("${SITE_HOST}", HOST),
        (
            "${SITE_SERVERS}",
            f"server 127.0.0.1:{service.port} max_fails=0; server 127.0.0.1:{free_port()} max_fails=0;",
        ),
        ("${SITE_CERTIFICATES}", str(folder)),
        ("root /var/www/acme", f"root {folder / 'acme'}"),
        # So that a machine of any speed can be too fast.
        ("rate=100r/s", "rate=20r/s"),
        ("burst=200", "burst=100"),
        ("listen 80", f"listen 127.0.0.1:{http_port}"),
        ("listen 443", f"listen 127.0.0.1:{https_port}"),
    ):
        assert name in text
        text = text.replace(name, value)
    metrics = METRICS_TEMPLATE.read_text().replace("(500[01])", f"({service.port})")
    for name, value in (("${METRICS_LISTEN}", f"127.0.0.1:{metrics_port}"), ("${METRICS_FROM}", "127.0.0.1")):
        assert name in metrics
        metrics = metrics.replace(name, value)
    places = "".join(
        f"{kind}_temp_path {folder / kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    # As root it would let a process read files that may not look into the folder of the test.
    user = "user root;\n" if os.geteuid() == 0 else ""
    configuration = folder / "nginx.conf"
    configuration.write_text(
        f"{user}daemon off;\npid {folder / 'pid'};\nerror_log stderr info;\nevents {{}}\n"
        f"http {{\naccess_log off;\n{places}{text}{metrics}}}\n"
    )
    tried = subprocess.run([nginx, "-t", "-c", str(configuration)], capture_output=True, text=True, check=False)
    assert tried.returncode == 0, tried.stderr
    assert "[warn]" not in tried.stderr
    with (folder / "log").open("wb") as log:
        running = subprocess.Popen([nginx, "-c", str(configuration)], stderr=log)
    try:
        trust = ssl.create_default_context()
        authority.configure_trust(trust)
        service.prepare().start().log_in()
        found = Site(
            folder, http_port, https_port, metrics_port, service, trust, {"Authorization": f"Bearer {service.token}"}
        )
        wait_for(lambda: running.poll() is None and answers(found), bool, seconds=20)
        yield found
    finally:
        running.terminate()
        running.wait(20)
        if service.process is not None:
            service.stop()


def answers(site: Site) -> bool:
    try:
        return site.ask("GET", "/health").status_code == 200
    except httpx.TransportError:
        return False


def test_http_is_only_a_redirect_that_keeps_method_and_path(site: Site) -> None:
    answer = site.ask("POST", "/api/v1/tasks?x=1", scheme="http", json={"title": "x"})
    assert (answer.status_code, answer.headers["Location"]) == (308, f"https://{HOST}/api/v1/tasks?x=1")


def test_challenges_for_a_certificate_are_answered_by_http(site: Site) -> None:
    folder = site.folder / "acme" / ".well-known" / "acme-challenge"
    folder.mkdir(parents=True)
    (folder / "token").write_text("proof")
    answer = site.ask("GET", "/.well-known/acme-challenge/token", scheme="http")
    assert (answer.status_code, answer.text) == (200, "proof")


def test_the_address_of_a_client_cannot_be_invented(site: Site) -> None:
    answer = site.ask("GET", "/api/v1/echo", headers={"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "http"})
    assert answer.json()["data"]["remote_addr"] == "127.0.0.1"


def test_what_is_created_has_its_address_outside(site: Site) -> None:
    made = site.ask("POST", "/api/v1/tasks", json={"title": "Behind nginx"})
    assert made.status_code == 201
    assert made.headers["Location"].startswith(f"https://{HOST}")
    assert made.headers["Location"].endswith(f"/api/v1/tasks/{made.json()['data']['id']}")


def test_security_headers_are_there_once(site: Site) -> None:
    for path in ("/api/v1/welcome", "/api/v1/nothing", "/metrics"):
        answer = site.ask("GET", path)
        assert answer.headers.get_list("Strict-Transport-Security") == ["max-age=31536000"], path
    assert "nginx/" not in answer.headers["Server"]


def test_tags_stay_strong_so_that_writes_can_be_conditional(site: Site) -> None:
    made = site.ask("POST", "/api/v1/tasks", json={"title": "x"}, headers={"Accept-Encoding": "gzip"})
    path = f"/api/v1/tasks/{made.json()['data']['id']}"
    assert not made.headers["ETag"].startswith("W/")
    for tag, status in (('"other"', 412), (made.headers["ETag"], 200)):
        assert site.ask("PATCH", path, json={"title": "y"}, headers={"If-Match": tag}).status_code == status


def test_an_upload_goes_through_while_it_is_sent(site: Site) -> None:
    """Eight megabytes, in pieces, of a length that nobody knows before."""
    rows = b"name,price\n" + b"".join(b"Printer %d,5\n" % number for number in range(500_000))
    boundary = b"xxBOUNDARYxx"

    def parts() -> Iterator[bytes]:
        yield b"--" + boundary + b'\r\nContent-Disposition: form-data; name="kind"\r\n\r\nitems\r\n'
        yield b"--" + boundary + b'\r\nContent-Disposition: form-data; name="file"; filename="items.csv"\r\n'
        yield b"Content-Type: text/csv\r\n\r\n"
        for start in range(0, len(rows), 256 * 1024):
            yield rows[start : start + 256 * 1024]
        yield b"\r\n--" + boundary + b"--\r\n"

    content_type = {"Content-Type": f"multipart/form-data; boundary={boundary.decode()}"}
    answer = site.ask("POST", "/api/v1/imports", content=parts(), headers=content_type)
    assert answer.status_code == 202, answer.text
    assert answer.headers["Location"].startswith(f"https://{HOST}")


def test_what_is_too_large_is_refused_like_everything_else(site: Site) -> None:
    with _connect(site) as connection:
        # Refused by its length alone.
        head = f"POST /api/v1/tasks HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {60 * 1024 * 1024}\r\n\r\n"
        connection.sendall(head.encode())
        refused = http.client.HTTPResponse(connection)
        refused.begin()
        assert refused.status == 413
        assert b'"code":"content_too_large"' in refused.read()


def _connect(site: Site) -> ssl.SSLSocket:
    plain = socket.create_connection(("127.0.0.1", site.https_port), timeout=20)
    return site.trust.wrap_socket(plain, server_hostname=HOST)


# What clients send that nginx refuses before it looks at where it goes, and how.
HOSTILE = [
    (b"GARBAGE\r\n\r\n", 400, "bad_request"),
    (b"GET / HTTP/1.1\r\n\r\n", 400, "bad_request"),
    (b"GET / HTTP/1.1\r\nHost: %(host)s\r\nHost: other.example\r\n\r\n", 400, "bad_request"),
    (b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, "bad_request"),
    (b"GET /%%00 HTTP/1.1\r\nHost: %(host)s\r\n\r\n", 400, "bad_request"),
    (b"GET /../.. HTTP/1.1\r\nHost: %(host)s\r\n\r\n", 400, "bad_request"),
    (b"GET /%(long)s HTTP/1.1\r\nHost: %(host)s\r\n\r\n", 400, "bad_request"),
    (b"GET / HTTP/1.1\r\nHost: %(host)s\r\nX-Long: %(long)s\r\n\r\n", 400, "bad_request"),
    (b"POST / HTTP/1.1\r\nHost: %(host)s\r\nContent-Length: x\r\n\r\n", 400, "bad_request"),
    (b"POST / HTTP/1.1\r\nHost: %(host)s\r\nContent-Length: 99999999\r\n\r\n", 413, "content_too_large"),
    (b"POST / HTTP/1.1\r\nHost: %(host)s\r\nTransfer-Encoding: gzip\r\n\r\n", 501, "not_implemented"),
    (b"TRACE / HTTP/1.1\r\nHost: %(host)s\r\n\r\n", 405, "method_not_allowed"),
    (b"CONNECT / HTTP/1.1\r\nHost: %(host)s\r\n\r\n", 405, "method_not_allowed"),
    (b"GET / HTTP/9.9\r\nHost: %(host)s\r\n\r\n", 505, "http_version_not_supported"),
    (b"GET /.refused HTTP/1.1\r\nHost: %(host)s\r\n\r\n", 404, "not_found"),
]
WORDS = {b"host": HOST.encode(), b"long": b"a" * 20_000}


def test_nothing_hostile_gets_an_answer_of_another_shape(site: Site) -> None:
    for request, status, code in HOSTILE:
        with _connect(site) as connection:
            head = _refusal(connection, request % WORDS, status, code)
        assert head.get_all("Strict-Transport-Security") == ["max-age=31536000"], request
        assert (head.get("Allow") is not None) == (status == 405), request
    plain = [
        # By HTTP where only HTTPS is spoken.
        (site.https_port, b"GET / HTTP/1.1\r\nHost: %(host)s\r\n\r\n", 400, "bad_request"),
        (site.http_port, b"TRACE / HTTP/1.1\r\nHost: %(host)s\r\n\r\n", 405, "method_not_allowed"),
        (site.http_port, b"POST / HTTP/1.1\r\nHost: %(host)s\r\nContent-Length: x\r\n\r\n", 400, "bad_request"),
        (site.http_port, b"GET /.well-known/acme-challenge/none HTTP/1.1\r\nHost: %(host)s\r\n\r\n", 404, "not_found"),
    ]
    for port, request, status, code in plain:
        with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
            _refusal(connection, request % WORDS, status, code)
    # Who does not even say which name is meant hears nothing.
    for port in (site.http_port, site.https_port):
        with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
            connection.sendall(b"GARBAGE\r\n\r\n")
            assert connection.recv(100) == b""


def _refusal(connection: socket.socket, request: bytes, status: int, code: str) -> http.client.HTTPMessage:
    """Send something, hold the answer against the envelope of errors, and return its head."""
    connection.sendall(request)
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    body = answer.read()
    assert (answer.status, answer.headers["Content-Type"]) == (status, "application/json"), (request[:80], body)
    found = json.loads(body)
    assert set(found) == {"status", "error"}
    assert found["status"] == "error"
    assert set(found["error"]) == {"message", "code", "request_id"}
    assert found["error"]["code"] == code
    assert found["error"]["request_id"] == answer.headers["X-Request-ID"]
    return answer.headers


def test_other_names_get_neither_a_certificate_nor_an_answer(site: Site) -> None:
    with pytest.raises(httpx.TransportError):
        site.ask("GET", "/api/v1/welcome", host="evil.example.net")
    with pytest.raises(httpx.TransportError):
        site.ask("GET", "/api/v1/welcome", scheme="http", host="evil.example.net")


@pytest.mark.parametrize(
    "path",
    [
        *("/metrics", "/metrics/", "/metrics//", "//metrics", "//metrics//", "/metrics%2f", "/metrics%2F%2f"),
        *("/./metrics", "/metrics/.", "/x/../metrics", "/api/../metrics/", "/%2e/metrics", "/api/%2e%2e/metrics"),
        *("/%6detrics", "/%6D%65%74%72%69%63%73/", "/METRICS", "/Metrics/", "/metrics?x=1", "/metrics/?x=1"),
        *("/metrics;x=1", "/metrics%20", "/metrics%0a", "/metrics/x", "/metrics%3Fx", "/metrics#x"),
    ],
)
def test_metrics_are_not_for_the_world_however_they_are_asked_for(site: Site, path: str) -> None:
    # By hand, because clients write such a path in their own way.
    client = http.client.HTTPSConnection("127.0.0.1", site.https_port, context=site.trust, timeout=30)
    client.sock = site.trust.wrap_socket(socket.create_connection(("127.0.0.1", site.https_port)), server_hostname=HOST)
    token = {"Authorization": f"Bearer {METRICS['TASKLANE_METRICS__TOKEN']}"}
    try:
        client.request("GET", path, headers={"Host": HOST, **token})
        answer = client.getresponse()
        said = json.loads(answer.read())["error"]
    finally:
        client.close()
    # It is nginx that says so; the service has never heard of it.
    assert (answer.status, said["message"]) == (404, "There is nothing here.")


def test_metrics_are_for_prometheus_on_a_door_of_its_own(site: Site) -> None:
    url = f"http://127.0.0.1:{site.metrics_port}/{site.service.port}/metrics"
    with httpx.Client(trust_env=False) as client:
        token = {"Authorization": f"Bearer {METRICS['TASKLANE_METRICS__TOKEN']}"}
        assert "\ntasklane_web_processes " in client.get(url, headers=token).text
        assert client.get(url).status_code == 401
        assert client.get(url.replace("/metrics", "/health"), headers=token).status_code == 404


def test_a_slow_head_holds_up_nobody(site: Site) -> None:
    slow = [_connect(site) for _ in range(50)]
    for connection in slow:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: ")
    start = time.monotonic()
    assert site.ask("GET", "/api/v1/welcome").status_code == 200
    assert time.monotonic() - start < 5
    for connection in slow:
        connection.close()


def test_a_flood_from_one_address_is_stopped_before_the_service(site: Site) -> None:
    found: list[httpx.Response] = []
    lock = threading.Lock()
    with httpx.Client(verify=site.trust, timeout=30, trust_env=False) as client:

        def flood(_: int) -> None:
            answer = client.get(
                f"https://127.0.0.1:{site.https_port}/health",
                headers={"Host": HOST},
                extensions={"sni_hostname": HOST},
            )
            with lock:
                found.append(answer)

        with ThreadPoolExecutor(16) as pool:
            list(pool.map(flood, range(400)))
    refused = [answer for answer in found if answer.status_code == 429]
    assert refused, sorted({answer.status_code for answer in found})
    assert refused[0].json()["error"]["code"] == "rate_limited"
    assert refused[0].headers["Retry-After"] == "1"
    time.sleep(1.1)
    assert site.ask("GET", "/api/v1/welcome").status_code == 200


def test_without_the_service_it_says_when_to_come_back(site: Site) -> None:
    site.service.stop()
    answer = site.ask("GET", "/api/v1/welcome")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unavailable")
    assert answer.headers["Retry-After"] == "5"
    assert re.fullmatch(r"[0-9a-f]{32}", answer.json()["error"]["request_id"])
    site.service.start()
    wait_for(lambda: site.ask("GET", "/api/v1/welcome").status_code, lambda status: status == 200, seconds=20)
