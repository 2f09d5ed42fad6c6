"""The image, run as compose.yaml says: migrated, serving, working, asked for its health, and told to end.

Nothing is built here: TESTS_IMAGE names an image that .ci/image has made of deploy/Dockerfile.
"""

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.compose import compose, filled_in
from tests.support.dev import Dev, main_job
from tests.support.processes import wait_for
from tests.support.programs import need
from tests.support.servers import PostgresServer, RedisServer

UID = 10001
INSTANCE = "/var/lib/tasklane"
SERVICES = ("web", "worker", "scheduler")


@pytest.fixture
def image() -> str:
    name = os.environ.get("TESTS_IMAGE")
    if name:
        need("buildah")
        return name
    reason = "TESTS_IMAGE names no image"
    if os.environ.get("TESTS_NEED_EVERYTHING"):
        pytest.fail(reason)
    pytest.skip(reason)


class Containers(Dev):
    """The services of compose.yaml that are Tasklane's own, as containers without a container engine.

    What an engine would add to a process, its own network and a disk that is read only, is not there.
    """

    def __init__(self, image: str, folder: Path, database_url: str, redis: RedisServer) -> None:
        super().__init__(folder / "instance")
        self.image = image
        self.services: dict[str, Any] = compose()["services"]
        # The volume of a container belongs to the user of the image.
        self.instance.mkdir(mode=0o700)
        os.chown(self.instance, UID, UID)
        given = dict.fromkeys(("SECRET_KEY", "JWT_SECRET_KEY", "POSTGRES_PASSWORD"), "s" * 32)
        self.variables = filled_in({**given, "SITE_HOST": "tasks.example.com"}) | {
            # What would be other containers, and the site, are elsewhere here.
            "DATABASE_URL": database_url,
            "REDIS_URL": redis.url,
            "TASKLANE_PUBLIC_URL": f"http://127.0.0.1:{self.port}",
            "PORT": str(self.port),
            "TASKLANE_PROCESSING__STEP_SECONDS": "0.05",
            "WEB_CONCURRENCY": "2",
        }
        self.sockets = [Path(re.findall(r"host=([^&]+)", database_url)[0]), redis.folder]
        self.made: list[str] = []
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def start_service(self, name: str, command: list[str] | None = None) -> subprocess.Popen[bytes]:
        """Start the command of a service in a new container, as its user and with its environment and volumes."""
        service = self.services[name]
        assert service["image"] == "tasklane"
        assert service["volumes"] == [f"instance:{INSTANCE}"]
        container = self.buildah("from", "--pull-never", self.image).strip()
        self.made.append(container)
        # The trailing dash takes it off: buildah 1.28 mounts either the volume of the image or ours, as it happens.
        self.buildah("config", f"--volume={INSTANCE}-", container)
        options = [f"--volume={self.instance}:{INSTANCE}"]
        options += [f"--volume={folder}:{folder}" for folder in self.sockets]
        options += [f"--env={name}={value}" for name, value in self.variables.items()]
        words = [need("buildah"), "run", "--isolation=chroot", "--network=host", *options, container, "--"]
        with self.log.open("ab") as file:
            return subprocess.Popen([*words, *(command or service["command"])], stdout=file, stderr=file)

    def finish(self, name: str, command: list[str] | None = None) -> int:
        return self.start_service(name, command).wait(120)

    def start_all(self) -> None:
        for name in SERVICES:
            self.running[name] = self.start_service(name)

    def inside(self, name: str) -> psutil.Process:
        """Return the first process of a container, which is what an engine would send its signals to."""
        for process in psutil.Process(self.running[name].pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                if process.cmdline()[1:] == self.services[name]["command"][1:]:
                    return process
        raise AssertionError(f"{name} does not run: {self.log.read_text()}")

    def remove(self) -> None:
        for process in self.running.values():
            if process.poll() is None:
                for each in psutil.Process(process.pid).children(recursive=True):
                    with suppress(psutil.NoSuchProcess):
                        each.kill()
                process.wait(20)
        if self.made:
            self.buildah("rm", *self.made)

    @staticmethod
    def buildah(*arguments: str) -> str:
        return subprocess.run([need("buildah"), *arguments], capture_output=True, text=True, check=True).stdout


@pytest.fixture
def containers(
    image: str, tmp_path: Path, postgres: PostgresServer, own_redis_server: RedisServer
) -> Iterator[Containers]:
    database_url = postgres.create_database()
    found = Containers(image, tmp_path, database_url, own_redis_server)
    # The user of the image may pass to the sockets, as through the network of compose.
    for folder in found.sockets:
        folder.chmod(0o755)
    own_redis_server.socket.chmod(0o777)
    yield found
    found.remove()


def readiness(containers: Containers) -> tuple[str, int] | None:
    try:
        _, answer, _ = containers.call("GET", f"http://127.0.0.1:{containers.port}/health/ready")
    except OSError:
        return None
    return answer["status"], answer["workers"]


def test_the_image_does_what_compose_asks_of_it(image: str, containers: Containers) -> None:
    settings = json.loads(containers.buildah("inspect", "--type=image", image))["Docker"]["config"]
    assert settings["User"] == f"{UID}:{UID}"
    assert settings["StopSignal"] == "SIGTERM"
    assert list(settings["Volumes"]) == [INSTANCE]
    # Without an own command, the image serves.
    assert settings["Cmd"] == containers.services["web"]["command"]

    assert containers.finish("migrate") == 0, containers.log.read_text()
    containers.start_all()
    # The worker of compose runs two jobs at once, and each of its processes counts.
    wait_for(lambda: readiness(containers), lambda ready: ready == ("ok", 2), seconds=90)
    for name in SERVICES:
        family = [containers.inside(name), *containers.inside(name).children(recursive=True)]
        assert {process.uids().real for process in family} == {UID}, name
    assert settings["Healthcheck"]["Test"][0] == "CMD"
    assert containers.finish("web", settings["Healthcheck"]["Test"][1:]) == 0

    main_job(containers)
    # All of it belongs to the user of the image, so that the next version can use the volume.
    assert {path.stat().st_uid for path in containers.instance.rglob("*")} == {UID}

    start = time.monotonic()
    for name in SERVICES:
        containers.inside(name).send_signal(signal.SIGTERM)
    codes = {name: containers.running[name].wait(30) for name in SERVICES}
    assert codes == dict.fromkeys(SERVICES, 0), containers.log.read_text()
    assert time.monotonic() - start < 30
    assert "Traceback" not in containers.log.read_text()
    # Who is healthy only while it serves says so.
    assert containers.finish("web", settings["Healthcheck"]["Test"][1:]) != 0
