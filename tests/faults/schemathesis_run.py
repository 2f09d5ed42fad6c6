"""Schemathesis against a served Tasklane: all of its checks, with requests that it derives from the document.

    python -m tests.faults.schemathesis_run --minutes 5 --seed 1

Serves an application on SQLite and on PostgreSQL, or on the database that
`--database` names, which must be empty. Two people ask it, so that Schemathesis
tries what is one's as the other, and as a stranger. Exits with 1 if any check
fails. The same seed repeats a run as far as time allows.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.platform.config.load import ROOT
from tests.support.servers import PostgresServer
from tests.support.serving import Service

ENGINES = ("sqlite", "postgresql")
PEOPLE = ("grace", "heidi")
PASSWORD = "a long password"
LASTING = {"TASKLANE_AUTH__ACCESS_TOKEN_MINUTES": "1440"}
PHASES = "examples,coverage,fuzzing,stateful"


@dataclass(frozen=True)
class Outcome:
    """Exit code and output of a run."""

    code: int
    output: str

    @property
    def is_clean(self) -> bool:
        return self.code == 0


def run(
    folder: Path, database_url: str, *, seconds: int, seed: int, phases: str = PHASES, options: tuple[str, ...] = ()
) -> Outcome:
    """Serve an application on a new database at this address, and have Schemathesis ask it for so long."""
    service = Service(folder, "--processes", "1", is_forked=True, TEST_DATABASE_URL=database_url, **LASTING)
    service.prepare().start()
    try:
        tokens = {name: prepare(service, name) for name in PEOPLE}
        people = folder / "people.json"
        people.write_text(json.dumps({"auth": [_identity(name, token) for name, token in tokens.items()]}))
        command = [str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(CONFIG), "run"]
        command += [f"http://127.0.0.1:{service.port}/api/swagger.json", "--auth-wfc", str(people)]
        command += ["--phases", phases, "--checks", "all", "--mode", "all", "--max-time", str(seconds)]
        command += ["--seed", str(seed), "--generation-database", "none", "--no-color", *options]
        environ = {**os.environ, "SCHEMATHESIS_HOOKS": "tests.faults.schemathesis_hooks", "PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)
        log = service.log.read_text()
        output = done.stdout + done.stderr
        if "Traceback" in log:
            output += log[log.index("Traceback") :][:5_000]
        # Whoever is locked out in the middle asks for nothing any more.
        dead = [name for name, token in tokens.items() if not _is_alive(service, token)]
        return Outcome(done.returncode or bool(dead), output + "".join(f"{name} was locked out.\n" for name in dead))
    finally:
        service.stop()


CONFIG = Path(__file__).with_name("schemathesis.toml")


def prepare(service: Service, name: str) -> str:
    """Register somebody and give them one thing of each kind; return their token, which outlives the run."""
    account = {"username": name, "email": f"{name}@example.com", "password": PASSWORD}
    service.token = ""
    service.call("POST", "/auth/register", account)
    service.token = service.call("POST", "/auth/login", {"username": name, "password": PASSWORD})[1]["access_token"]
    project_id = _create(service, "/projects", key=name.upper(), name=f"{name}'s project")
    item_id = _create(service, "/items", name="Label printer", price=19.99, sku=f"PRT/{name}")
    task_id = _create(service, "/tasks", title="Clean the printer", project_id=project_id, item_id=item_id)
    _create(service, f"/tasks/{task_id}/posts", title="Half of it", content="It is cleaner now.")
    return service.token


def _create(service: Service, path: str, **body: Any) -> int:
    status, answer = service.call("POST", path, body)
    assert status == 201, answer
    return int(answer["data"]["id"])


def _identity(name: str, token: str) -> dict[str, Any]:
    return {"name": name, "fixedHeaders": [{"name": "Authorization", "value": f"Bearer {token}"}]}


def _is_alive(service: Service, token: str) -> bool:
    service.token = token
    return service.call("GET", "/auth/me")[0] == 200


def main() -> int:
    """Run Schemathesis; return 1 if a check failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=5, help="on each database")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--engine", choices=ENGINES, action="append", help="default: both, one after the other")
    parser.add_argument("--database", help="the URL of an empty database of yours, instead")
    options = parser.parse_args()
    is_clean = True
    with ExitStack() as stack:
        urls = [options.database] if options.database else []
        for engine in () if urls else options.engine or ENGINES:
            if engine == "sqlite":
                urls.append(f"sqlite:///{stack.enter_context(tempfile.TemporaryDirectory())}/test.db")
            else:
                postgres = PostgresServer()
                stack.callback(postgres.stop)
                urls.append(postgres.create_database())
        for url in urls:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            print(f"{url.partition(':')[0]}, seed {options.seed}", flush=True)
            outcome = run(folder, url, seconds=round(options.minutes * 60), seed=options.seed)
            print(outcome.output, flush=True)
            is_clean = is_clean and outcome.is_clean
    return int(not is_clean)


if __name__ == "__main__":
    sys.exit(main())
