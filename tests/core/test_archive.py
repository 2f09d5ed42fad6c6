"""The file of a backup, read as if somebody hostile had made it, on every Python alike."""

import hashlib
import io
import json
import random
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.operations.backup import archive
from core.operations.backup.engines import BackupError

CONTENT = b"the copy of a database" * 1000
MANIFEST = {
    "format": 1,
    "engine": "sqlite",
    "revision": "0001",
    "created_at": "2026-01-02T03:04:05Z",
    "size": len(CONTENT),
    "sha256": hashlib.sha256(CONTENT).hexdigest(),
}
NO_BACKUP = "is not a backup of Tasklane, or damaged"
NOT_WRITTEN = "is damaged: it is not what was written"

Entry = tuple[tarfile.TarInfo, bytes]


def plain(name: str, content: bytes = b"", **fields: Any) -> Entry:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), 0o600
    for field, value in fields.items():
        setattr(entry, field, value)
    return entry, content


def manifest(**changes: Any) -> Entry:
    kept = {name: value for name, value in {**MANIFEST, **changes}.items() if value is not None}
    return plain("manifest.json", json.dumps(kept).encode())


DATABASE = plain("database", CONTENT)
SECRET = plain("secrets/secret_key", b"s" * 64)


def made(path: Path, *entries: Entry) -> Path:
    with tarfile.open(path, "w:gz") as file:
        for entry, content in entries:
            file.addfile(entry, io.BytesIO(content))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "instance" / "scratch"
    place.mkdir(parents=True)
    return place


def test_a_backup_is_unpacked_as_it_was_written(tmp_path: Path, folder: Path) -> None:
    found = archive.unpack(made(tmp_path / "one.tar.gz", manifest(), SECRET, DATABASE), folder)
    assert found == archive.Manifest(**MANIFEST)
    assert (folder / "database").read_bytes() == CONTENT
    assert (folder / "secrets" / "secret_key").read_bytes() == b"s" * 64


@pytest.mark.parametrize(
    ("entries", "sentence"),
    [
        ([], NO_BACKUP),
        ([DATABASE], NO_BACKUP),
        ([manifest()], NOT_WRITTEN),
        ([manifest(), plain("database", type=tarfile.SYMTYPE, linkname="/etc/passwd")], NOT_WRITTEN),
        ([manifest(), plain("database", type=tarfile.LNKTYPE, linkname="../../outside")], NOT_WRITTEN),
        ([manifest(), plain("database", type=tarfile.DIRTYPE)], NOT_WRITTEN),
        ([manifest(), plain("database", type=tarfile.FIFOTYPE)], NOT_WRITTEN),
        ([manifest(), plain("database", type=tarfile.CHRTYPE, devmajor=1, devminor=8)], NOT_WRITTEN),
        ([manifest(), plain("database", type=tarfile.BLKTYPE, devmajor=7)], NOT_WRITTEN),
        ([manifest(), DATABASE, DATABASE], NOT_WRITTEN),
        (
            [manifest(), DATABASE, plain("secrets/secret_key", type=tarfile.SYMTYPE, linkname="/etc/passwd")],
            NOT_WRITTEN,
        ),
        ([manifest(), DATABASE, plain("secrets/secret_key", b"s" * 100_000)], NOT_WRITTEN),
        ([manifest(size=len(CONTENT) + 1), DATABASE], NOT_WRITTEN),
        ([manifest(sha256="0" * 64), DATABASE], NOT_WRITTEN),
        ([manifest(engine=7), DATABASE], NOT_WRITTEN),
        ([manifest(revision=None), DATABASE], NOT_WRITTEN),
        ([manifest(more="than is known"), DATABASE], NOT_WRITTEN),
        ([manifest(format="1"), DATABASE], NOT_WRITTEN),
        ([manifest(format=True), DATABASE], NOT_WRITTEN),
        ([manifest(format=2, more="of a later day"), DATABASE], "is by a newer version"),
        ([plain("manifest.json", b"[1, 2]"), DATABASE], NOT_WRITTEN),
        ([plain("manifest.json", b"no JSON"), DATABASE], NOT_WRITTEN),
        ([plain("manifest.json", b"\xff\xfe"), DATABASE], NOT_WRITTEN),
        ([plain("manifest.json", b"[" * 60_000), DATABASE], NOT_WRITTEN),
        ([plain("manifest.json", b" " * 100_000), DATABASE], NOT_WRITTEN),
        ([manifest(), plain("database", b"1\n0\n5\n", pax_headers={"GNU.sparse.major": "1"})], NOT_WRITTEN),
        ([manifest(), plain("database", b"x", pax_headers={"GNU.sparse.map": "a,b"})], NO_BACKUP),
    ],
)
def test_what_is_no_backup_is_refused_by_one_sentence(
    tmp_path: Path, folder: Path, entries: list[Entry], sentence: str
) -> None:
    with pytest.raises(BackupError, match=sentence):
        archive.unpack(made(tmp_path / "one.tar.gz", *entries), folder)


@pytest.mark.parametrize("name", ["../../outside", "/tmp/outside", "secrets/../../../outside", "secrets/other", ".."])
def test_nothing_is_written_beside_the_folder(tmp_path: Path, folder: Path, name: str) -> None:
    stranger = plain(name, b"stranger", mode=0o6777)
    archive.unpack(made(tmp_path / "one.tar.gz", manifest(), stranger, DATABASE), folder)
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["database", "one.tar.gz"]


def test_modes_and_owners_are_ours_whatever_the_archive_says(tmp_path: Path, folder: Path) -> None:
    entry, content = plain("database", CONTENT, mode=0o6777, uid=12345, gid=12345)
    archive.unpack(made(tmp_path / "one.tar.gz", manifest(), (entry, content)), folder)
    status = (folder / "database").stat()
    assert (status.st_mode & 0o7777, status.st_uid) == (0o600, folder.stat().st_uid)


def test_every_cut_and_every_flipped_bit_is_noticed(tmp_path: Path) -> None:
    # Random content, so that a changed byte of the file is a changed byte of something that counts.
    content = random.Random(7).randbytes(3000)
    right = manifest(size=len(content), sha256=hashlib.sha256(content).hexdigest())
    whole = made(tmp_path / "one.tar.gz", right, plain("database", content)).read_bytes()
    damaged = tmp_path / "damaged.tar.gz"
    cuts = [whole[:length] for length in range(0, len(whole) - 8, 37)]
    # The header of gzip has a time and a name, in which nothing is said.
    flips = [whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :] for at in range(40, len(whole), 37)]
    for number, text in enumerate(cuts + flips):
        damaged.write_bytes(text)
        place = tmp_path / str(number)
        place.mkdir()
        with pytest.raises(BackupError, match="damaged"):
            archive.unpack(damaged, place)


@pytest.mark.parametrize("mistake", [TypeError, ValueError, AttributeError, KeyError, RuntimeError])
@pytest.mark.parametrize("place", ["_manifest_of", "_copied", "_text_of", "new_private_file"])
def test_a_mistake_of_the_code_is_not_called_damage(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, place: str, mistake: type[Exception]
) -> None:
    def fail(*given: Any, **named: Any) -> None:
        raise mistake("of a programmer")

    path = made(tmp_path / "one.tar.gz", manifest(), SECRET, DATABASE)
    monkeypatch.setattr(archive, place, fail)
    with pytest.raises(mistake, match="of a programmer"):
        archive.unpack(path, folder)


def test_a_library_that_knows_less_is_not_called_damage_either(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*given: Any, **named: Any) -> None:
        raise TypeError("got an unexpected keyword argument")

    path = made(tmp_path / "one.tar.gz", manifest(), DATABASE)
    for name in ("open", "getmembers", "extractfile"):
        with monkeypatch.context() as patch:
            patch.setattr(tarfile if name == "open" else tarfile.TarFile, name, fail)
            with pytest.raises(TypeError, match="unexpected keyword"):
                archive.unpack(path, folder)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda path: None, "There is no file"),
        (lambda path: path.mkdir(), "cannot be read: Is a directory"),
        (lambda path: path.write_bytes(b""), NO_BACKUP),
        (lambda path: path.write_bytes(b"no archive"), NO_BACKUP),
    ],
)
def test_a_file_that_is_none_is_named_as_what_it_is(
    tmp_path: Path, folder: Path, spoil: Callable[[Path], object], sentence: str
) -> None:
    spoil(tmp_path / "one.tar.gz")
    with pytest.raises(BackupError, match=sentence):
        archive.unpack(tmp_path / "one.tar.gz", folder)


def test_a_disk_that_is_full_is_not_called_damage(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = made(tmp_path / "one.tar.gz", manifest(), DATABASE)

    def full(path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(archive, "new_private_file", full)
    with pytest.raises(OSError, match="No space left"):
        archive.unpack(path, folder)
