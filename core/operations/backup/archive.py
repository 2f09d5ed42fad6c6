"""The file of a backup: what is in it, how it is written, and how it is read without trusting it.

Only members with names that are known here are read, by content and never by
what the archive says of paths, modes, owners, links or devices. The standard
library's filters do the same, but not every Python 3.11 has them.
"""

import gzip
import hashlib
import io
import json
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import IO

from core.operations.backup.engines import BackupError
from core.platform import clock
from core.platform.config.settings import SECRETS
from core.platform.disk.private_files import new_private_file

FORMAT = 1
MANIFEST, DATABASE = "manifest.json", "database"
# Bytes. Of a file that says what another one is, and of a secret, more is no text of ours.
_MOST_TEXT = 2**16
_PIECE = 2**20
_PLAIN = (tarfile.REGTYPE, tarfile.AREGTYPE)
# What is said of bytes that are no archive, or not all of one. A mistake of this code raises something else.
_DAMAGE = (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError)


@dataclass(frozen=True, slots=True)
class Manifest:
    """Description of a backup. `size` is that of the database's copy in bytes, `revision` its schema's version."""

    format: int
    engine: str
    revision: str
    created_at: str
    size: int
    sha256: str


def write(draft: Path, manifest: Manifest, copy: Path, kept_secrets: dict[str, str]) -> None:
    """Write a backup with the copy of a database into a new file."""
    with (
        new_private_file(draft) as file,
        tarfile.open(fileobj=file, mode="w:gz", compresslevel=6) as archive,
    ):
        _add_text(archive, MANIFEST, json.dumps(asdict(manifest), indent=2) + "\n")
        for name, value in kept_secrets.items():
            _add_text(archive, f"secrets/{name}", value)
        archive.add(copy, DATABASE)


def _add_text(archive: tarfile.TarFile, name: str, text: str) -> None:
    content = text.encode()
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = len(content), 0o600, int(clock.now().timestamp())
    archive.addfile(entry, io.BytesIO(content))


def unpack(path: Path, folder: Path) -> Manifest:
    """Write what a backup has into a folder, all of it checked, and return what it is. Raises BackupError.

    In the folder are then `database` and, in `secrets/`, what there is of them.
    """
    with _opened(path) as archive:
        members = _members(archive, path)
        manifest = _manifest_of(_text_of(archive, members.get(MANIFEST), path), path)
        if DATABASE not in members or members[DATABASE].size != manifest.size:
            raise _is_damaged(path)
        if _copied(archive, members[DATABASE], folder / DATABASE, path) != manifest.sha256:
            raise _is_damaged(path)
        (folder / "secrets").mkdir(mode=0o700)
        for name in SECRETS:
            if member := members.get(f"secrets/{name}"):
                with new_private_file(folder / "secrets" / name) as file:
                    file.write(_text_of(archive, member, path))
    return manifest


def measured(path: Path) -> tuple[int, str]:
    """Return the size and the SHA-256 of a file."""
    with path.open("rb") as file:
        return path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest()


# --- reading what may be anything -------------------------------------------------


@contextmanager
def _opened(path: Path) -> Iterator[tarfile.TarFile]:
    with ExitStack() as stack:
        with _reading(path):
            file = stack.enter_context(path.open("rb"))
            content = stack.enter_context(gzip.GzipFile(fileobj=file))
            # The checksum of all of it is at its end, where no reader of the archive comes.
            while content.read(_PIECE):
                pass
            content.seek(0)
            archive = stack.enter_context(tarfile.open(fileobj=content, mode="r:"))
        yield archive


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Say in one sentence what is wrong with the bytes that are read inside, and nothing of anything else."""
    try:
        yield
    except _DAMAGE:
        raise BackupError(f"{path} is not a backup of Tasklane, or damaged.") from None
    except FileNotFoundError:
        raise BackupError(f"There is no file {path}.") from None
    except OSError as error:
        raise BackupError(f"{path} cannot be read: {error.strerror}.") from None


def _is_damaged(path: Path) -> BackupError:
    return BackupError(f"{path} is damaged: it is not what was written.")


def _members(archive: tarfile.TarFile, path: Path) -> dict[str, tarfile.TarInfo]:
    """Return the members that a backup may have."""
    known = {MANIFEST, DATABASE, *(f"secrets/{name}" for name in SECRETS)}
    found: dict[str, tarfile.TarInfo] = {}
    with _reading(path):
        try:
            members = archive.getmembers()
        except ValueError:
            # Numbers in a header that are none, which the library does not name as what they are.
            raise tarfile.HeaderError from None
    for member in members:
        if member.name not in known:
            continue
        # Neither links, folders and devices, nor files with holes, nor two that claim to be the same.
        if member.type not in _PLAIN or member.issparse() or member.name in found:
            raise _is_damaged(path)
        found[member.name] = member
    if MANIFEST not in found:
        raise BackupError(f"{path} is not a backup of Tasklane, or damaged.")
    return found


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    content = archive.extractfile(member)
    if content is None:
        raise RuntimeError(f"{member.name} was seen to be a plain file.")
    return content


def _text_of(archive: tarfile.TarFile, member: tarfile.TarInfo | None, path: Path) -> bytes:
    if member is None or member.size > _MOST_TEXT:
        raise _is_damaged(path)
    with _reading(path), _content(archive, member) as content:
        return content.read()


def _copied(archive: tarfile.TarFile, member: tarfile.TarInfo, target: Path, path: Path) -> str:
    """Copy a member into a new file, and return the SHA-256 of its content."""
    digest = hashlib.sha256()
    with _content(archive, member) as content, new_private_file(target) as file:
        while True:
            with _reading(path):
                piece = content.read(_PIECE)
            if not piece:
                return digest.hexdigest()
            digest.update(piece)
            file.write(piece)


def _manifest_of(text: bytes, path: Path) -> Manifest:
    try:
        given = json.loads(text)
    except (ValueError, RecursionError):
        raise _is_damaged(path) from None
    if not isinstance(given, dict) or not isinstance(given.get("format"), int):
        raise _is_damaged(path)
    if given["format"] != FORMAT:
        raise BackupError(f"{path} is by a newer version of Tasklane.")
    if {name: type(value) for name, value in given.items()} != {field.name: field.type for field in fields(Manifest)}:
        raise _is_damaged(path)
    return Manifest(**given)
