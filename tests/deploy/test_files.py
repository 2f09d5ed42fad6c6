"""Units, image and compose file: checked by the programs that read them, and against the rest of the repository."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from core.config import KEYS, PLAIN_NAMES, PREFIX, ROOT, SELECTORS
from tests.support.programs import need

DEPLOY = ROOT / "deploy"
UNITS = sorted(path.name for path in (DEPLOY / "systemd").iterdir())
COMMANDS = dict(line.split(": ", 1) for line in (ROOT / "Procfile").read_text().splitlines())


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return found


def names_in(text: str) -> set[str]:
    """Return the variables of Tasklane that a text sets."""
    ours = {*PLAIN_NAMES, *SELECTORS}
    found = re.findall(rf"^[\s#]*(?:Environment=)?({PREFIX}\w+|[A-Z_]+)(?=[:=])", text, re.MULTILINE)
    return {name for name in found if name.startswith(PREFIX) or name in ours}


def test_the_units_are_valid(tmp_path: Path) -> None:
    program = need("systemd-analyze")
    # It wants to see what is started, which is elsewhere here.
    for name in UNITS:
        text = (DEPLOY / "systemd" / name).read_text()
        (tmp_path / name).write_text(text.replace("/opt/tasklane/venv/bin/python", sys.executable))
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
    for process, unit in (("web", "web"), ("worker", "worker"), ("scheduler", "scheduler"), ("release", "migrate")):
        text = (DEPLOY / "systemd" / f"tasklane-{unit}.service").read_text()
        assert COMMANDS[process].removeprefix("python ") in text


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
        image = service.get("image", "")
        assert image == "tasklane" or re.fullmatch(r"[\w/]+:[\w.-]*\d[\w.-]*", image), image
    assert compose()["networks"]["inside"]["internal"] is True


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


def test_every_variable_of_compose_is_explained() -> None:
    text = (DEPLOY / "compose.yaml").read_text()
    example = (DEPLOY / "env.example").read_text()
    for name in set(re.findall(r"\$\{(\w+)", text)):
        assert re.search(rf"^#?{name}=", example, re.MULTILINE), name
