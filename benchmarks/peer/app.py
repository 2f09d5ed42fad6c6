"""The peer: a service of FastAPI, SQLAlchemy, pydantic and PyJWT as their tutorials build it.

It has the tasks of Tasklane, and pages and refusals of the same shape, but neither limits nor a log, and a token is
good until it expires. `benchmarks/compare.py` runs it under uvicorn.
"""

import os
from collections.abc import Iterator
from datetime import date, datetime
from typing import Annotated, Any

import jwt
from fastapi import Depends, FastAPI, Header, HTTPException, Query, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import create_engine, event, func, or_, select
from sqlalchemy.orm import Session
from tables import Member, Task

SECRET = os.environ["PEER_SECRET"]
URL = os.environ["PEER_DATABASE_URL"]

app = FastAPI()
engine = create_engine(URL, pool_size=40)
bearer = HTTPBearer()

if URL.startswith("sqlite"):

    @event.listens_for(engine, "connect")
    def set_pragmas(connection: Any, record: Any) -> None:
        # As durable as Tasklane, and as strict.
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "busy_timeout = 15000"):
            connection.execute(f"PRAGMA {pragma}")


class TaskIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    title: str = Field(min_length=1, max_length=150)
    description: str | None = Field(None, max_length=10_000)
    due_date: date | None = None
    assignee_id: int | None = None
    project_id: int | None = None


class TaskChange(TaskIn):
    title: str = Field("", min_length=1, max_length=150)


class TaskOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    title: str
    description: str | None
    status: str
    due_date: date | None
    owner_id: int
    assignee_id: int | None
    project_id: int | None
    item_id: int | None
    version: int
    created_at: datetime
    updated_at: datetime
    completed_at: datetime | None
    deleted_at: datetime | None


class One(BaseModel):
    status: str = "success"
    data: TaskOut


class Pagination(BaseModel):
    page: int
    per_page: int
    pages: int
    total: int
    next_cursor: str | None = None


class Meta(BaseModel):
    pagination: Pagination


class Many(BaseModel):
    status: str = "success"
    data: list[TaskOut]
    meta: Meta


def new_session() -> Iterator[Session]:
    """Give a request a session of its own."""
    with Session(engine) as session:
        yield session


def user_of_token(credentials: Annotated[HTTPAuthorizationCredentials, Depends(bearer)]) -> int:
    """Return the user whom the token names."""
    try:
        return int(jwt.decode(credentials.credentials, SECRET, algorithms=["HS256"])["sub"])
    except jwt.InvalidTokenError:
        raise HTTPException(401, "The token is not valid.") from None


Db = Annotated[Session, Depends(new_session)]
UserId = Annotated[int, Depends(user_of_token)]


def find_task(session: Session, user_id: int, task_id: int) -> Task:
    """Return a task that the user may see."""
    task = session.get(Task, task_id)
    if task is None or task.deleted_at is not None:
        raise HTTPException(404, "There is no such task.")
    if user_id not in (task.owner_id, task.assignee_id) and session.get(Member, (task.project_id, user_id)) is None:
        raise HTTPException(403, "This task belongs to somebody else.")
    return task


@app.get("/health")
def health() -> dict[str, str]:
    """Answer."""
    return {"status": "success"}


@app.get("/api/v1/tasks/{task_id}", response_model=One)
def get_task(
    session: Db,
    user_id: UserId,
    task_id: int,
    response: Response,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Any:
    """Return a task."""
    task = find_task(session, user_id, task_id)
    tag = f'"{task.id}-{task.version}"'
    if if_none_match == tag:
        return Response(status_code=304, headers={"ETag": tag})
    response.headers["ETag"] = tag
    return {"data": task}


@app.get("/api/v1/tasks", response_model=Many)
def list_tasks(
    session: Db,
    user_id: UserId,
    page: Annotated[int, Query(ge=1)] = 1,
    per_page: Annotated[int, Query(ge=1, le=100)] = 20,
    created_from: Annotated[datetime | None, Query(alias="created_at[gte]")] = None,
) -> Any:
    """Return a page of the tasks that the user may see, newest first."""
    projects = select(Member.project_id).where(Member.user_id == user_id)
    sees = or_(Task.owner_id == user_id, Task.assignee_id == user_id, Task.project_id.in_(projects))
    conditions = [sees, Task.deleted_at.is_(None)]
    if created_from is not None:
        conditions.append(Task.created_at >= created_from)
    total = session.scalar(select(func.count()).select_from(Task).where(*conditions)) or 0
    query = select(Task).where(*conditions).order_by(Task.created_at.desc(), Task.id.desc())
    found = session.scalars(query.limit(per_page).offset((page - 1) * per_page)).all()
    pagination = {"page": page, "per_page": per_page, "pages": -(-total // per_page), "total": total}
    return {"data": found, "meta": {"pagination": pagination}}


@app.post("/api/v1/tasks", response_model=One, status_code=201)
def create_task(session: Db, user_id: UserId, body: TaskIn) -> Any:
    """Create a task."""
    task = Task(**body.model_dump(), owner_id=user_id)
    session.add(task)
    session.commit()
    session.refresh(task)
    return {"data": task}


@app.patch("/api/v1/tasks/{task_id}", response_model=One)
def change_task(session: Db, user_id: UserId, task_id: int, body: TaskChange) -> Any:
    """Change some fields of a task."""
    task = find_task(session, user_id, task_id)
    for name, value in body.model_dump(exclude_unset=True).items():
        setattr(task, name, value)
    task.version += 1
    session.commit()
    session.refresh(task)
    return {"data": task}
