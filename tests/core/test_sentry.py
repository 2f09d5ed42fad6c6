"""Reports of errors, to a server of ours that speaks Sentry's protocol: what arrives there, and what never does."""

import gzip
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from core.platform.config.errors import ConfigError
from core.platform.config.load import ROOT, load_settings
from core.platform.logs.sentry import MISSING, init_sentry

# In a process of its own, because the library changes the whole process it is started in.
SERVICE = """
import logging, sys
import flask_migrate
from api import create_app
from core.platform.logs import sentry
from core.platform.logs.setup import configure_logging
from core.platform.config.current import current_settings

app = create_app()
with app.app_context():
    flask_migrate.upgrade()
client = app.test_client()
account = {"username": "carol", "email": "carol@example.com", "password": "c4n4ry password"}
client.post("/api/v1/auth/register", json=account)
import core.auth.service

def fail(**given):
    local_variable = given["password"]
    raise RuntimeError(f"cannot log in with {local_variable} at postgresql://u:c4n4ry@db/x")

core.auth.service.login = fail
headers = {"X-Request-ID": "find-me", "Cookie": "tasklane_session=c4n4ry"}
body = {"username": "carol", "password": "c4n4ry password"}
assert client.post("/api/v1/auth/login", json=body, headers=headers).status_code == 500
assert client.get("/api/v1/tasks/1").status_code == 401
logging.getLogger("tasklane.test").warning("No error: c4n4ry")
logging.getLogger("tasklane.test").error("An error with %s", {"api_key": "c4n4ry"}, extra={"password": "c4n4ry"})
sentry.flush()
"""


class Ingest(BaseHTTPRequestHandler):
    """Takes envelopes (https://develop.sentry.dev/sdk/envelopes)."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        server: Any = self.server
        server.bodies.append(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""


@pytest.fixture
def ingest() -> Iterator[Any]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Ingest) as server:
        server.bodies = []  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.slow
def test_an_error_is_reported_once_and_tells_no_secret(ingest: Any, tmp_path: Path) -> None:
    environ = {
        "TASKLANE_ENV": "testing",
        "TASKLANE_INSTANCE_PATH": str(tmp_path),
        "TEST_REDIS_URL": "redis://:c4n4ry@127.0.0.1:1/0",
        "TEST_SENTRY_DSN": f"http://publickey@127.0.0.1:{ingest.server_address[1]}/7",
    }
    command = [sys.executable, "-c", SERVICE]
    ended = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "Unexpected error" in ended.stderr
    assert "c4n4ry" not in ended.stderr
    everything = b"\n".join(ingest.bodies).decode()
    assert "c4n4ry" not in everything
    assert "carol" not in everything
    events = [json.loads(body.split(b"\n")[2]) for body in ingest.bodies]
    assert len(events) == 2
    bug, line = events
    assert bug["exception"]["values"][-1]["type"] == "RuntimeError"
    assert bug["exception"]["values"][-1]["stacktrace"]["frames"]
    assert bug["tags"] == {"request_id": "find-me"}
    assert bug["environment"] == "testing"
    assert "request" not in bug
    assert line["logger"] == "tasklane.test"


def test_without_the_package_the_start_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentry_sdk", None)
    settings = load_settings("testing", overrides={"sentry.dsn": "https://key@sentry.example/1"})
    with pytest.raises(ConfigError, match="pip install sentry-sdk"):
        init_sentry(settings)
    assert "pip install sentry-sdk" in MISSING


@pytest.mark.parametrize(
    "dsn", ["dsn.example", "ftp://key@dsn.example/1", "https://dsn.example/1", "https://k@dsn.example"]
)
def test_an_address_that_cannot_work_is_refused_without_showing_it(dsn: str) -> None:
    with pytest.raises(ConfigError, match=r"sentry\.dsn") as caught:
        load_settings("testing", overrides={"sentry.dsn": dsn})
    assert "dsn.example" not in str(caught.value)
