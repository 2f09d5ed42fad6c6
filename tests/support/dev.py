"""`manage.py dev` as a newcomer runs it."""

import json
import re
import signal
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import psutil

from core.platform.config.load import ROOT
from tests.support.processes import wait_for
from tests.support.serving import Program

PARTS = ("serve-process", "worker", "scheduler", "valkey-server")


class Dev(Program):
    """A running `manage.py dev` and a client for it."""

    def __init__(self, instance: Path, *, root: Path = ROOT, is_forked: bool = False, **environ: str) -> None:
        super().__init__(instance.parent / "dev.log", "dev", root=root, is_forked=is_forked)
        self.instance = instance
        self.environ |= {
            "TASKLANE_INSTANCE_PATH": str(instance),
            "TASKLANE_PROCESSING__STEP_SECONDS": "0.05",
            **environ,
        }

    def start(self, *options: str) -> "Dev":
        """Start it, and return when it says where it is."""
        running = self.launch(*options)
        while "Swagger UI: " not in self.log.read_text():
            assert running.poll() is None, self.log.read_text()
            time.sleep(0.02)
        return self

    def parts(self) -> dict[str, int]:
        """Return the process of each part."""
        commands = {child.pid: " ".join([child.name(), *child.cmdline()]) for child in self.parent.children()}
        return {name: pid for name in PARTS for pid, command in commands.items() if name in command}

    def own_lines(self) -> list[str]:
        """Return what `dev` itself has said, without what its parts have."""
        return re.findall(r"^dev +\| (.+)$", self.log.read_text(), re.MULTILINE)

    def stop(self, number: int = signal.SIGINT) -> tuple[int, float, list[psutil.Process]]:
        """Stop it by Ctrl+C unless told otherwise."""
        return super().stop(number)

    def call(self, method: str, path: str, body: Any = None, *, form: str | None = None) -> tuple[int, Any, Any]:
        url = path if path.startswith("http") else f"http://127.0.0.1:{self.port}/api/v1{path}"
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        data = None
        if body is not None:
            data, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
        if form is not None:
            data, headers["Content-Type"] = form.encode(), "application/x-www-form-urlencoded"
        request = urllib.request.Request(url, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                raw = response.read()
                return response.status, json.loads(raw) if raw else None, response.headers
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read()), error.headers

    def passwords(self) -> dict[str, str]:
        return dict(re.findall(r"username (\S+) +password (\S+)", self.log.read_text()))

    def log_in(self, username: str, password: str) -> None:
        status, answer, _ = self.call("POST", "/auth/login", {"username": username, "password": password})
        assert status == 200
        self.token = answer["access_token"]


def main_job(dev: Dev) -> int:
    """Register, log in, create, read, list, replace, patch, set status, process, follow; return the task's id."""
    name = f"grace{time.monotonic_ns()}"
    account = {"username": name, "email": f"{name}@example.com", "password": "a long password"}
    assert dev.call("POST", "/auth/register", account)[0] == 201
    dev.log_in(name, "a long password")

    status, answer, headers = dev.call("POST", "/tasks", {"title": "Try it", "description": "Before"})
    assert status == 201
    task_id: int = answer["data"]["id"]
    assert dev.call("GET", headers["Location"])[1]["data"]["title"] == "Try it"
    assert dev.call("GET", "/tasks?status=pending")[1]["meta"]["pagination"]["total"] == 1
    assert dev.call("PUT", f"/tasks/{task_id}", {"title": "Tried", "status": "pending"})[0] == 200
    assert dev.call("PATCH", f"/tasks/{task_id}", {"description": "Before"})[0] == 200
    assert dev.call("PUT", f"/tasks/{task_id}/status", {"status": "in_progress"})[0] == 200

    status, answer, headers = dev.call("POST", f"/tasks/{task_id}/process")
    assert status == 202
    job_url = headers["Location"]
    job = wait_for(lambda: dev.call("GET", job_url)[1]["data"], lambda job: job["state"] == "succeeded")
    assert (job["progress"], job["attempts"]) == (100, 1)
    task = dev.call("GET", f"/tasks/{task_id}")[1]["data"]
    assert (task["status"], task["description"]) == ("completed", "Before [Processed]")

    jobs = wait_for(
        lambda: dev.call("GET", "/jobs")[1]["data"], lambda jobs: {job["state"] for job in jobs} == {"succeeded"}
    )
    delivered = [job["result"]["delivered_to"] for job in jobs if job["kind"].startswith("email.")]
    assert len(delivered) == 2
    for path in delivered:
        text = (dev.instance / path).read_text()
        assert f"To: {name} <{name}@example.com>" in text
    return task_id
