"""The Procfile as a platform runs it: honcho, PostgreSQL, and Redis behind TLS with a certificate of its own."""

import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from core.platform.config.load import ROOT
from tests.support.dev import Dev, main_job
from tests.support.processes import wait_for
from tests.support.servers import EncryptedRedis, PostgresServer, RedisServer
from tests.support.serving import wait_for_end

PROCESSES = ("web", "worker", "scheduler")


class Platform(Dev):
    """Runs each line of the Procfile by itself, with the variables that Heroku sets."""

    def __init__(self, instance: Path, database_url: str, redis_url: str) -> None:
        super().__init__(instance)
        self.environ |= {
            # `python` in the Procfile is the one that runs this test.
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONUNBUFFERED": "1",
            "TASKLANE_ENV": "production",
            "SECRET_KEY": secrets.token_hex(32),
            "JWT_SECRET_KEY": secrets.token_hex(32),
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            "TASKLANE_REDIS_VERIFY_CERTIFICATE": "false",
            "WEB_CONCURRENCY": "2",
        }
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def run(self, name: str) -> subprocess.Popen[bytes]:
        # honcho gives the n-th kind of process PORT + 100 n; the web process is the first that it is told.
        command = [sys.executable, "-m", "honcho", "start", "--port", str(self.port), name]
        with self.log.open("ab") as file:
            return subprocess.Popen(command, cwd=ROOT, env=self.environ, stdout=file, stderr=file)

    def start_all(self) -> None:
        for name in PROCESSES:
            self.running[name] = self.run(name)
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        wait_for(self.readiness, lambda ready: ready == ("ok", 1), seconds=40)

    def readiness(self) -> tuple[str, int] | None:
        try:
            _, answer, _ = self.call("GET", f"http://127.0.0.1:{self.port}/health/ready")
        except OSError:
            return None
        return answer["status"], answer["workers"]

    def end(self, *names: str) -> list[psutil.Process]:
        """End processes as a platform does; return who is still alive."""
        honchos = [self.running.pop(name) for name in names]
        family = [child for honcho in honchos for child in psutil.Process(honcho.pid).children(recursive=True)]
        for honcho in honchos:
            honcho.send_signal(signal.SIGTERM)
        assert {honcho.wait(20) for honcho in honchos} <= {128 + signal.SIGTERM}
        return wait_for_end(family)


@pytest.fixture
def platform(tmp_path: Path, postgres: PostgresServer, encrypted_redis: EncryptedRedis) -> Iterator[Platform]:
    # Heroku's URLs begin with postgres://, which SQLAlchemy no longer knows.
    database_url = "postgres://" + postgres.create_database().partition("://")[2]
    platform = Platform(tmp_path / "instance", database_url, encrypted_redis.url)
    yield platform
    platform.end(*platform.running)


def test_the_procfile_does_the_main_job_through_a_restart_of_each_process(
    platform: Platform, own_redis_server: RedisServer
) -> None:
    release = platform.run("release")
    assert release.wait(40) == 0, platform.log.read_text()
    platform.start_all()
    assert f"Listening on http://0.0.0.0:{platform.port}, processes: 2" in platform.log.read_text()
    main_job(platform)
    # The counters of the rate limits went through TLS, too.
    with own_redis_server.client as client:
        assert list(client.scan_iter("*tasklane*"))

    for name in PROCESSES:
        assert platform.end(name) == []
        platform.running[name] = platform.run(name)
    platform.wait_until_ready()
    main_job(platform)
    assert "Traceback" not in platform.log.read_text()
