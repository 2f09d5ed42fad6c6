"""Changes of code and settings are noticed, each once."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from core.platform.disk import changed_files
from core.platform.disk.changed_files import ChangedFiles


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(changed_files, "LOOK_SECONDS", 0)
    for name in ("api/v1/tasks.py", "core/tasks/service.py", "workers/worker.py", "manage.py", "config.toml", ".env"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("before\n")
    (tmp_path / "instance").mkdir()
    return tmp_path


def write(name: str) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("something else\n")

    return change


def rename_over(name: str) -> Callable[[Path], None]:
    """As many editors write: another file takes the name, of the same size and even of the same age."""

    def change(root: Path) -> None:
        before = (root / name).stat()
        other = root / name.replace(".", "~.")
        other.write_text("after_\n")
        os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
        other.replace(root / name)

    return change


def remove(name: str) -> Callable[[Path], None]:
    return lambda root: (root / name).unlink()


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (write("api/v1/tasks.py"), ["api/v1/tasks.py"]),
        (write("core/new/model.py"), ["core/new/model.py"]),
        (write("workers/worker.py"), ["workers/worker.py"]),
        (write("manage.py"), ["manage.py"]),
        (write("config.toml"), ["config.toml"]),
        (write("instance/config.toml"), ["instance/config.toml"]),
        (write(".env"), [".env"]),
        (rename_over("core/tasks/service.py"), ["core/tasks/service.py"]),
        (remove("core/tasks/service.py"), ["core/tasks/service.py"]),
        (remove(".env"), [".env"]),
        (write("api/v1/.#tasks.py"), []),
        (write("api/v1/.tasks.py.swp"), []),
        (write("api/v1/__pycache__/tasks.cpython-311.pyc"), []),
        (write("api/v1/notes.md"), []),
        (write("instance/tasklane.db"), []),
        (write("tests/test_tasks.py"), []),
        (write("migrations/versions/1_new.py"), []),
        (write(".venv/lib/thing.py"), []),
    ],
)
def test_code_and_settings_count_and_nothing_else(
    project: Path, change: Callable[[Path], None], names: list[str]
) -> None:
    files = ChangedFiles(project, project / "instance")
    change(project)
    assert files.settled() == []  # It may go on.
    assert files.settled() == names
    assert files.settled() == []


def test_many_changes_are_told_once_when_they_are_over(project: Path) -> None:
    files = ChangedFiles(project, project / "instance")
    for number in range(5):
        write(f"core/part{number}.py")(project)
        assert files.settled() == []
    assert files.settled() == [f"core/part{number}.py" for number in range(5)]


def test_an_instance_folder_elsewhere_is_named_in_full(project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    instance = tmp_path_factory.mktemp("instance")
    files = ChangedFiles(project, instance)
    (instance / "config.toml").write_text("")
    assert files.settled() == []
    assert files.settled() == [str(instance / "config.toml")]
