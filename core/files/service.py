"""Storing, reading and sweeping files, in pieces: no file is ever in memory as a whole.

A file is written in many short transactions, so that no other writer waits for a large
one, and has no owner until `attach` gives it to a job in the transaction
that completes or orders that job. What is left behind by a crash expires.
"""

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import IO, Any
from uuid import UUID, uuid4

from sqlalchemy import Engine, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from core.files.model import CHUNK_BYTES, FileChunk, StoredFile
from core.files.repository import FileRepository
from core.platform import clock
from core.platform.database.base import db
from core.platform.database.session import transaction


class FileGone(Exception):
    """The file has expired in the middle of being read."""


def store(stream: IO[bytes], *, name: str, media_type: str, kept_for: timedelta) -> StoredFile:
    """Store everything that `stream` still has, durably, and return the file, which has no owner yet.

    Must not be called inside a transaction: it makes many of its own. What was
    stored is deleted if the rest cannot be.
    """
    with provisional(stream, name=name, media_type=media_type, kept_for=kept_for) as file:
        return file


@contextmanager
def provisional(stream: IO[bytes], *, name: str, media_type: str, kept_for: timedelta) -> Iterator[StoredFile]:
    """Store like `store`, and delete the file again if the block, which gives it to a job, does not complete."""
    file = StoredFile(id=uuid4(), name=name, media_type=media_type, expires_at=clock.now() + kept_for)
    try:
        yield _store(stream, file)
    except BaseException:
        # What cannot be deleted now expires.
        with suppress(SQLAlchemyError), transaction() as session:
            # The block may have been interrupted just after it was stored.
            FileRepository(session).delete_unattached(file.id)
        raise


def write(session: Session, stream: IO[bytes], *, name: str, media_type: str, kept_for: timedelta) -> StoredFile:
    """Store a file in the caller's transaction, and return it; the session forgets what else it holds.

    For a file that is small, and true only if the rest of the transaction is.
    """
    session.flush()
    return _store(stream, StoredFile(id=uuid4(), name=name, media_type=media_type, expires_at=clock.now() + kept_for))


def _store(stream: IO[bytes], file: StoredFile) -> StoredFile:
    with transaction() as session:
        FileRepository(session).add(file)
    digest, size, number = hashlib.sha256(), 0, 0
    while piece := _read_exactly(stream, CHUNK_BYTES):
        with transaction() as session:
            FileRepository(session).add_chunk(file.id, number, piece)
            session.flush()
        db.session.expunge_all()  # The pieces must not pile up in the session.
        digest.update(piece)
        size, number = size + len(piece), number + 1
    with transaction() as session:
        return FileRepository(session).complete(file.id, size=size, sha256=digest.hexdigest())


def _read_exactly(stream: IO[bytes], size: int) -> bytes:
    """Return `size` bytes, or what is left: a stream may give less than it is asked for."""
    parts = []
    while size and (part := stream.read(size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def attach(session: Session, file: StoredFile, *, job_id: UUID, number: int | None = None) -> None:
    """Give a file to a job: as its result with this number, or without one as what it reads."""
    FileRepository(session).attach(file.id, job_id=job_id, number=number)


def describe(file: StoredFile) -> dict[str, Any]:
    """Return what the result of a job says of one of its files, as plain JSON."""
    expires_at = file.expires_at.isoformat().replace("+00:00", "Z")
    return {"name": file.name, "media_type": file.media_type, "size": file.size, "expires_at": expires_at}


def drop_results(session: Session, *, job_id: UUID) -> None:
    """Forget the files that an earlier run of the job has made."""
    FileRepository(session).delete_results(job_id)


def pieces(file_id: UUID, start: int, stop: int) -> Iterator[bytes]:
    """Return the bytes from `start` to before `stop`, with no transaction open in between two pieces.

    Reading them needs no application context, so an answer may go on after its
    request. Raises FileGone while it is read.
    """
    return _pieces(db.engine, file_id, start, stop)


def _pieces(engine: Engine, file_id: UUID, start: int, stop: int) -> Iterator[bytes]:
    for number in range(start // CHUNK_BYTES, -(-stop // CHUNK_BYTES)):
        with engine.connect() as connection:
            data = connection.scalar(
                select(FileChunk.data).where(FileChunk.file_id == file_id, FileChunk.number == number)
            )
        if data is None:
            raise FileGone
        offset = number * CHUNK_BYTES
        yield data[max(start - offset, 0) : stop - offset]


class StoredReader(io.RawIOBase):
    """A stored file as a binary stream that is read from its beginning to its end."""

    def __init__(self, file: StoredFile) -> None:
        self._pieces = pieces(file.id, 0, file.size)
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview[int] | bytearray") -> int:  # type: ignore[override]
        self._rest = self._rest or next(self._pieces, b"")
        part, self._rest = self._rest[: len(buffer)], self._rest[len(buffer) :]
        buffer[: len(part)] = part
        return len(part)


def open_stored(file: StoredFile) -> io.BufferedReader:
    """Return the file as a binary stream. Raises FileGone while it is read."""
    return io.BufferedReader(StoredReader(file), buffer_size=64 * 1024)


def sweep(*, limit: int = 100) -> int:
    """Delete expired files, a transaction each; return how many."""
    expired = FileRepository(db.session()).list_expired(clock.now(), limit)
    for file_id in expired:
        with transaction() as session:
            FileRepository(session).delete_whole(file_id)
    return len(expired)
