"""Making backups, looking at them, and restoring them.

A backup is a compressed tar file: `manifest.json` says what it is, `database`
is the copy of the database, and `secrets/` has the secrets that Tasklane made
itself. Without these nobody could log in with an API key after a restore, so
whoever has the file has them: it is readable for its owner only.

Redis is not part of it: whatever has to outlive a restart is in the database.
"""

import gzip
import hashlib
import io
import json
import os
import secrets
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from core import clock
from core.backup.engines import BackupError, engine_of
from core.durable import new_private_file, sync_folder
from core.settings import SECRETS, Settings

FORMAT = 1
_MEMBERS = ("manifest.json", "database", *(f"secrets/{name}" for name in SECRETS))


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup is. `size` is that of the copy of the database in bytes, `revision` the version of its schema."""

    format: int
    engine: str
    revision: str
    created_at: str
    size: int
    sha256: str


def make(settings: Settings, target: Path, *, in_folder: bool = False) -> tuple[Path, Manifest]:
    """Make a backup in a folder, or as a file that does not exist yet; return where it is, and what it is.

    With `in_folder` the target is a folder, which is made for its owner only if there is none.
    It appears under its name when it is complete and on the disk. Raises BackupError.
    """
    engine = engine_of(settings.database_url)
    revision = engine.revision()
    if not revision:
        raise BackupError("The database is empty, so there is nothing to back up.")
    if in_folder:
        _make_folder(target)
    now = clock.now()
    path = target / f"tasklane-{now:%Y%m%dT%H%M%SZ}.tar.gz" if target.is_dir() else target
    if path.exists():
        raise BackupError(f"{path} exists already.")
    if not path.parent.is_dir():
        raise BackupError(f"There is no folder {path.parent}.")
    try:
        # Beside the target, where there has to be room anyway.
        with tempfile.TemporaryDirectory(prefix=".tasklane-", dir=path.parent) as folder:
            copy = Path(folder) / "database"
            engine.copy_to(copy)
            size, digest = _measured(copy)
            manifest = Manifest(FORMAT, engine.name, revision, f"{now:%Y-%m-%dT%H:%M:%SZ}", size, digest)
            draft = Path(folder) / "backup"
            _write(draft, manifest, copy, _generated_secrets(settings))
            os.replace(draft, path)
            sync_folder(path.parent)
    except OSError as error:
        raise BackupError(f"{path} cannot be written: {error.strerror}.") from None
    return path, manifest


def _make_folder(folder: Path) -> None:
    """Make a folder, and those above it that are missing, for its owner only."""
    try:
        for missing in [place for place in (*reversed(folder.parents), folder) if not place.exists()]:
            missing.mkdir(mode=0o700, exist_ok=True)
        if not folder.is_dir():
            raise BackupError(f"{folder} is not a folder.")
    except OSError as error:
        raise BackupError(f"The folder {folder} cannot be made: {error.strerror}.") from None


def prune(folder: Path, keep: int) -> list[Path]:
    """Delete all but the newest backups in a folder, and return what was deleted."""
    old = sorted(folder.glob("tasklane-*Z.tar.gz"), reverse=True)[keep:]
    for path in old:
        path.unlink()
    return old


def examine(settings: Settings, path: Path) -> Manifest:
    """Return what a backup is, having read all of it. Raises BackupError if anything is missing or damaged."""
    with _unpacked(path, settings) as (manifest, _):
        return manifest


def restore(settings: Settings, path: Path, *, replace: bool, known_revisions: set[str]) -> Manifest:
    """Replace the database by that of a backup, whole or not at all, and return what the backup is.

    A database that has something in it is only replaced if `replace` says so.
    Raises BackupError, also for a backup by a newer version of Tasklane.
    """
    engine = engine_of(settings.database_url)
    with _unpacked(path, settings) as (manifest, folder):
        if manifest.engine != engine.name:
            raise BackupError(
                f"The backup is of {manifest.engine}, and the database of this installation is {engine.name}."
                " Use `export` and `import` to move from one to the other."
            )
        if manifest.revision not in known_revisions:
            raise BackupError(f"The backup is by a newer version of Tasklane (schema {manifest.revision}).")
        if engine.revision() and not replace:
            raise BackupError("The database is not empty. Say --replace to give up everything that is in it.")
        with _secrets_restored(settings, folder / "secrets"):
            engine.read_from(folder / "database")
    return manifest


# --- the file -----------------------------------------------------------------


def _write(draft: Path, manifest: Manifest, copy: Path, kept_secrets: dict[str, str]) -> None:
    with (
        new_private_file(draft) as file,
        tarfile.open(fileobj=file, mode="w:gz", compresslevel=6) as archive,
    ):
        _add_text(archive, "manifest.json", json.dumps(asdict(manifest), indent=2) + "\n")
        for name, value in kept_secrets.items():
            _add_text(archive, f"secrets/{name}", value)
        archive.add(copy, "database")


def _add_text(archive: tarfile.TarFile, name: str, text: str) -> None:
    content = text.encode()
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = len(content), 0o600, int(clock.now().timestamp())
    archive.addfile(entry, io.BytesIO(content))


@contextmanager
def _unpacked(path: Path, settings: Settings) -> Iterator[tuple[Manifest, Path]]:
    """Unpack a backup into a folder for as long as it takes, all of it checked."""
    settings.instance_path.mkdir(parents=True, exist_ok=True)
    # Not where the system keeps temporary files, which may be smaller than the database.
    with tempfile.TemporaryDirectory(prefix=".restore-", dir=settings.instance_path) as name:
        folder = Path(name)
        try:
            with tarfile.open(path, mode="r:gz") as archive:
                for member in _MEMBERS:
                    with suppress(KeyError):
                        archive.extract(member, folder, filter="data")
            manifest = Manifest(**json.loads((folder / "manifest.json").read_text()))
            measured = _measured(folder / "database")
        except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, ValueError, TypeError, FileNotFoundError):
            if not path.exists():
                raise BackupError(f"There is no file {path}.") from None
            raise BackupError(f"{path} is not a backup of Tasklane, or damaged.") from None
        except OSError as error:
            raise BackupError(f"{path} cannot be read: {error.strerror}.") from None
        if manifest.format != FORMAT:
            raise BackupError(f"{path} is by a newer version of Tasklane.")
        if measured != (manifest.size, manifest.sha256):
            raise BackupError(f"{path} is damaged: the copy of the database is not what was written.")
        yield manifest, folder


def _measured(path: Path) -> tuple[int, str]:
    """Return the size and the SHA-256 of a file."""
    with path.open("rb") as file:
        return path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest()


# --- the secrets ----------------------------------------------------------------


def _generated_secrets(settings: Settings) -> dict[str, str]:
    return {name: getattr(settings, name) for name in SECRETS if settings.has_made(name)}


@contextmanager
def _secrets_restored(settings: Settings, folder: Path) -> Iterator[None]:
    """Put the secrets of a backup where this installation keeps its own, unless it gets them from elsewhere.

    They are written beside these before the database is restored, and take their
    place after it: an installation whose database stays as it is keeps its secrets.
    """
    drafts: dict[Path, Path] = {}
    try:
        for name in SECRETS:
            kept = folder / name
            if not kept.exists() or not settings.has_made(name):
                continue
            draft = settings.instance_path / f".{name}.{secrets.token_hex(4)}"
            drafts[draft] = settings.instance_path / name
            with new_private_file(draft) as file:
                file.write(kept.read_bytes())
        yield
        for draft, path in drafts.items():
            os.replace(draft, path)
        sync_folder(settings.instance_path)
    finally:
        for draft in drafts:
            draft.unlink(missing_ok=True)
