"""Units, image and compose file: checked by the programs that read them, and against the rest of the repository."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from dotenv import dotenv_values

from core.platform.config.keys import KEYS, PLAIN_NAMES, PREFIX, SELECTORS
from core.platform.config.load import ROOT, load_settings
from tests.support.compose import DEPLOY, compose, filled_in
from tests.support.ports import free_port
from tests.support.programs import need

UNITS = sorted(path.name for path in (DEPLOY / "systemd").iterdir())
COMMANDS = dict(line.split(": ", 1) for line in (ROOT / "Procfile").read_text().splitlines())


def names_in(text: str) -> set[str]:
    """Return the variables of Tasklane that a text sets."""
    ours = {*PLAIN_NAMES, *SELECTORS}
    found = re.findall(rf"^[\s#]*(?:Environment=)?({PREFIX}\w+|[A-Z_]+)(?=[:=])", text, re.MULTILINE)
    return {name for name in found if name.startswith(PREFIX) or name in ours}


def test_the_units_are_valid(tmp_path: Path) -> None:
    program = need("systemd-analyze")
    # All in one folder, where it finds what one says of another.
    for name in UNITS:
        shutil.copy(DEPLOY / "systemd" / name, tmp_path)
    for name in UNITS:
        done = subprocess.run([program, "verify", str(tmp_path / name)], capture_output=True, text=True, check=False)
        assert (done.returncode, [line for line in done.stderr.splitlines() if "tasklane" in line]) == (0, [])


@pytest.mark.parametrize("name", [name for name in UNITS if name.endswith(".service")])
def test_the_units_may_do_little(name: str) -> None:
    program = need("systemd-analyze")
    done = subprocess.run(
        [program, "security", "--offline=true", "--threshold=15", "--no-pager", str(DEPLOY / "systemd" / name)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout.splitlines()[-1:]


def test_the_units_run_what_the_procfile_runs() -> None:
    for process, unit in (("web", "web@"), ("worker", "worker"), ("scheduler", "scheduler"), ("release", "migrate")):
        text = (DEPLOY / "systemd" / f"tasklane-{unit}.service").read_text()
        assert COMMANDS[process].removeprefix("python ") in text


def commands_of(unit: str, key: str) -> list[str]:
    """Return what a unit starts, as systemd would, for port 5000."""
    line = re.search(rf"^{key}=(.+)$", (DEPLOY / "systemd" / unit).read_text(), re.MULTILINE)
    assert line is not None, unit
    return [word.replace("$$", "$").replace("%i", "5000") for word in shlex.split(line[1])]


def test_the_units_run_the_release_of_their_start(tmp_path: Path) -> None:
    """By its own name, and not that of the link, behind which modules would change while they are loaded."""
    release, link = tmp_path / "releases" / "1.0", tmp_path / "current"
    (release / "venv" / "bin").mkdir(parents=True)
    python = release / "venv" / "bin" / "python"
    python.write_text('#!/bin/sh\necho "$0 $*"\n')
    python.chmod(0o755)
    link.symlink_to(release)
    for unit in UNITS:
        if unit.endswith(".service"):
            done = subprocess.run(commands_of(unit, "ExecStart"), cwd=link, capture_output=True, text=True, check=True)
            assert done.stdout.startswith(f"{release.resolve()}/venv/bin/python manage.py "), unit
            assert "WorkingDirectory=/srv/tasklane/current\n" in (DEPLOY / "systemd" / unit).read_text()


def test_a_web_unit_has_started_when_it_answers(tmp_path: Path) -> None:
    (tmp_path / "venv" / "bin").mkdir(parents=True)
    (tmp_path / "venv" / "bin" / "python").symlink_to(sys.executable)
    port = free_port()
    wait = [word.replace(":5000/", f":{port}/") for word in commands_of("tasklane-web@.service", "ExecStartPost")]
    environ = {"PATH": "/usr/bin:/bin", "MAINPID": str(os.getpid())}
    with subprocess.Popen(wait, cwd=tmp_path, env=environ) as waiting:
        try:
            with pytest.raises(subprocess.TimeoutExpired):
                waiting.wait(0.5)
            with HTTPServer(("127.0.0.1", port), Healthy) as server:
                thread = threading.Thread(target=server.serve_forever)
                thread.start()
                assert waiting.wait(20) == 0
                server.shutdown()
                thread.join()
        finally:
            waiting.kill()
    with subprocess.Popen(["/bin/true"]) as gone:
        gone.wait()
    # What has died will not answer.
    done = subprocess.run(
        wait, cwd=tmp_path, env={**environ, "MAINPID": str(gone.pid)}, capture_output=True, check=False
    )
    assert done.returncode == 1


class Healthy(BaseHTTPRequestHandler):
    """Answers as `/health` does."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/health" else 404)
        self.end_headers()

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing."""


def test_a_failed_migration_takes_nothing_down_and_is_tried_again() -> None:
    for name in UNITS:
        text = (DEPLOY / "systemd" / name).read_text()
        assert not re.search(r"^(Requires|BindsTo|Requisite)=", text, re.MULTILINE), name
        if name.endswith(".service") and "backup" not in name:
            assert re.search(r"^Restart=(always|on-failure)$", text, re.MULTILINE), name
            assert "StartLimitIntervalSec=0\n" in text, name
    target = (DEPLOY / "systemd" / "tasklane.target").read_text()
    wanted = re.search(r"^Wants=(.+)$", target, re.MULTILINE)
    assert wanted is not None
    assert {re.sub(r"@\d+", "@", name) for name in wanted[1].split()} == {
        name for name in UNITS if name.endswith(".service") and "backup" not in name
    }


def test_the_command_of_the_operator_has_the_environment_of_the_units(tmp_path: Path) -> None:
    stub = tmp_path / "systemd-run"
    stub.write_text('#!/bin/sh\nfor word in "$@"; do echo "$word"; done\n')
    stub.chmod(0o755)
    done = subprocess.run(
        [DEPLOY / "tasklane", "user", "create", "a b"],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    words = done.stdout.splitlines()
    assert words[-5:] == ["/srv/tasklane/current/venv/bin/python", "manage.py", "user", "create", "a b"]
    text = (DEPLOY / "systemd" / "tasklane-migrate.service").read_text()
    given = [word.removeprefix("--property=") for word in words if word.startswith("--property=")]
    assert {line.partition("=")[0] for line in given} >= {"User", "EnvironmentFile", "Environment", "WorkingDirectory"}
    for line in given:
        assert f"\n{line}\n" in text


def test_the_image_passes_the_linter() -> None:
    program = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or need("hadolint")
    done = subprocess.run([program, str(DEPLOY / "Dockerfile")], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_image_has_what_runs_and_nothing_else() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    allowed = {line[1:] for line in ignored if line.startswith("!")}
    copied = {
        source for line in re.findall(r"^COPY (?!--from)(.+)$", text, re.MULTILINE) for source in line.split()[:-1]
    }
    assert copied == allowed
    for name in copied:
        assert (ROOT / name).exists()
    assert "*" in ignored
    assert re.search(r"^USER 10001", text, re.MULTILINE)
    python = (ROOT / ".python-version").read_text().strip()
    assert set(re.findall(r"^FROM python:([\d.]+)-slim", text, re.MULTILINE)) == {python}
    assert not re.search(r"(SECRET|PASSWORD|TOKEN)\w*=", text)


def test_compose_runs_what_the_procfile_runs_and_keeps_secrets_outside() -> None:
    services = compose()["services"]
    assert {*COMMANDS} - {"release"} <= set(services)
    assert services["backup"]["profiles"] == ["backup"]
    for process in ("web", "worker", "scheduler"):
        command = " ".join(services[process]["command"])
        assert command.startswith(COMMANDS[process])
        assert services[process]["read_only"] is True
        assert services[process]["stop_grace_period"] == "30s"
    assert " ".join(services["migrate"]["command"]) == COMMANDS["release"]
    for name, service in services.items():
        assert service.get("privileged") is None
        # Only nginx can be reached from outside.
        assert ("ports" in service) == (name == "nginx")
        for variable, value in service.get("environment", {}).items():
            if re.search("SECRET|PASSWORD", variable):
                assert str(value).startswith("${"), (name, variable)
        image = service["image"]
        assert image == "tasklane" or re.fullmatch(r"[\w/]+:[\w.-]*\d[\w.-]*", image), image
        # Who waits for another must be able to reach it.
        for needed in service.get("depends_on", {}):
            assert {*service["networks"]} & {*services[needed]["networks"]}, (name, needed)
        for network in service["networks"]:
            assert network in compose()["networks"]
    assert compose()["networks"]["inside"]["internal"] is True
    for folder in ("./certificates:", "./acme:/var/www/acme:"):
        assert any(volume.startswith(folder) for volume in services["nginx"]["volumes"])


def test_every_variable_is_one_that_tasklane_reads() -> None:
    known = {*PLAIN_NAMES, *SELECTORS, *(PREFIX + key.upper().replace(".", "__") for key in KEYS)}
    found = set()
    for path in (
        DEPLOY / "compose.yaml",
        DEPLOY / "env.example",
        DEPLOY / "Dockerfile",
        *(DEPLOY / "systemd").iterdir(),
    ):
        text = path.read_text().replace("Environment=", "\n").replace(" TASKLANE_", "\nTASKLANE_")
        found |= names_in(text)
    assert {"DATABASE_URL", "TASKLANE_TRUSTED_PROXIES", "TASKLANE_ENV", "TASKLANE_INSTANCE_PATH"} <= found
    assert found <= known


# What compose.yaml makes itself, and what is not for its containers.
OF_THE_UNITS = {"DATABASE_URL", "REDIS_URL", "TASKLANE_PUBLIC_URL", "TASKLANE_TRUSTED_PROXIES"}


def offered() -> dict[str, str]:
    """Return every variable of env.example, also those that are commented out, with its example."""
    text = (DEPLOY / "env.example").read_text()
    return dict(re.findall(r"^#?([A-Z_]+)=(.*)$", text, re.MULTILINE))


def test_compose_passes_on_what_is_offered_and_offers_what_it_passes_on() -> None:
    text = (DEPLOY / "compose.yaml").read_text()
    assert set(re.findall(r"\$\{(\w+)", text)) == offered().keys() - OF_THE_UNITS
    passed = compose()["services"]["web"]["environment"].keys()
    assert offered().keys() - {"SITE_HOST", "POSTGRES_PASSWORD", "WITH_SENTRY", "WITH_PGDG"} == passed


def test_tasklane_takes_the_variables_that_compose_passes_on(tmp_path: Path) -> None:
    """Without what may be missing, and with all of it."""
    own = {"TASKLANE_ENV": "production", "TASKLANE_INSTANCE_PATH": str(tmp_path)}
    needed = dict.fromkeys(("SECRET_KEY", "JWT_SECRET_KEY", "POSTGRES_PASSWORD"), "s" * 32)
    needed["SITE_HOST"] = "tasks.example.com"
    least = load_settings(environ={**own, **filled_in(needed)}, root=bare_root(tmp_path))
    assert (least.processes, least.trusted_hosts, least.metrics.enabled, least.sentry.dsn) == (0, [], False, "")
    examples = {name: value.strip('"') for name, value in offered().items()}
    given = {**examples, **needed, "TASKLANE_METRICS__TOKEN": "t" * 32}
    all_of_it = load_settings(environ={**own, **filled_in(given)}, root=bare_root(tmp_path))
    assert (all_of_it.processes, all_of_it.trusted_hosts) == (2, ["tasks.example.com"])
    assert (all_of_it.metrics.enabled, all_of_it.metrics.token) == (True, "t" * 32)
    assert all_of_it.sentry.dsn == given["SENTRY_DSN"]
    assert all_of_it.mail.sender == "Tasklane <tasklane@example.com>"


def bare_root(folder: Path) -> Path:
    """Return a folder with the defaults and no .env, which a clone may have."""
    root = folder / "root"
    root.mkdir(exist_ok=True)
    shutil.copy(ROOT / "config.toml", root)
    return root


def test_a_shell_and_dotenv_read_the_example_alike(tmp_path: Path) -> None:
    text = re.sub(r"^#(?=[A-Z_]+=)", "", (DEPLOY / "env.example").read_text(), flags=re.MULTILINE)
    file = tmp_path / "tasklane.env"
    file.write_text(text)
    done = subprocess.run(
        ["/bin/sh", "-euc", f"set -a; . {file}; exec env"],
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    by_shell = dict(line.split("=", 1) for line in done.stdout.splitlines())
    for name, value in dotenv_values(file).items():
        assert by_shell[name] == value
    assert by_shell["MAIL_SENDER"] == "Tasklane <tasklane@example.com>"


def test_sentry_is_pinned_for_the_image_as_for_the_tests() -> None:
    def pins(path: Path) -> dict[str, set[str]]:
        found = re.findall(r"^([\w-]+==\S+)((?: \\\n\s+--hash=\S+)+)", path.read_text(), re.MULTILINE)
        return {name: set(hashes.split()) for name, hashes in found}

    wanted = pins(ROOT / "requirements.txt") | pins(ROOT / "tests" / "requirements.txt")
    ours = pins(DEPLOY / "sentry.txt")
    assert {name.partition("==")[0] for name in ours} == {"sentry-sdk", "urllib3"}
    assert ours.items() <= wanted.items()


def test_the_image_has_the_tools_of_the_database_beside_it() -> None:
    version = re.fullmatch(r"postgres:(\d+)-bookworm", compose()["services"]["postgres"]["image"])
    assert version is not None
    text = (DEPLOY / "Dockerfile").read_text()
    assert f"postgresql-client-{version[1]} " in text
    assert f"/usr/lib/postgresql/{version[1]}/bin:" in text
