"""Queries over files."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, select, update

from core.files.model import FileChunk, StoredFile
from core.platform.database.repository import Repository


class FileRepository(Repository):
    """Files in the database."""

    def add_chunk(self, file_id: UUID, number: int, data: bytes) -> None:
        self.session.add(FileChunk(file_id=file_id, number=number, data=data))

    def find(self, file_id: UUID) -> StoredFile | None:
        return self.session.get(StoredFile, file_id)

    def complete(self, file_id: UUID, *, size: int, sha256: str) -> StoredFile:
        """Note what the file turned out to be, and return it."""
        file = self.session.get_one(StoredFile, file_id)
        file.size, file.sha256 = size, sha256
        return file

    def attach(self, file_id: UUID, *, job_id: UUID, number: int | None) -> None:
        self.session.execute(update(StoredFile).where(StoredFile.id == file_id).values(job_id=job_id, number=number))

    def list_results(self, job_id: UUID) -> list[StoredFile]:
        """Return what the job has made, in its order."""
        query = select(StoredFile).where(StoredFile.job_id == job_id, StoredFile.number.is_not(None))
        return list(self.session.scalars(query.order_by(StoredFile.number)))

    def list_expired(self, now: datetime, limit: int) -> list[UUID]:
        return list(self.session.scalars(select(StoredFile.id).where(StoredFile.expires_at <= now).limit(limit)))

    def delete_results(self, job_id: UUID) -> None:
        self.session.execute(delete(StoredFile).where(StoredFile.job_id == job_id, StoredFile.number.is_not(None)))

    def delete_unattached(self, file_id: UUID) -> None:
        """Delete the file unless it belongs to a job by now."""
        query = select(StoredFile.id).where(StoredFile.id == file_id, StoredFile.job_id.is_(None)).with_for_update()
        if self.session.scalar(query) is not None:
            self.delete_whole(file_id)

    def delete_whole(self, file_id: UUID) -> None:
        self.session.execute(delete(FileChunk).where(FileChunk.file_id == file_id))
        self.session.execute(delete(StoredFile).where(StoredFile.id == file_id))
