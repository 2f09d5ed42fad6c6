"""Queries over projects and their members."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, func, select
from sqlalchemy.orm import Session

from core.access import Actor
from core.db import find_locked
from core.projects import policy
from core.projects.model import Project, ProjectMember, ProjectRole
from core.tasks.model import PRESENT, Task
from core.users.model import User


class ProjectRepository:
    """Projects in the database. Never commits and never authorises."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def add(self, project: Project) -> Project:
        self.session.add(project)
        self.session.flush()
        return project

    def add_member(self, member: ProjectMember) -> ProjectMember:
        self.session.add(member)
        self.session.flush()
        return member

    def find(self, actor: Actor, project_id: int) -> Row[Project, ProjectRole | None] | None:
        """Return the project and the actor's role in it."""
        query = select(Project, policy.own_role(actor)).where(Project.id == project_id)
        return self.session.execute(query).one_or_none()

    def list_with_role(
        self, actor: Actor, project_ids: Collection[int]
    ) -> dict[int, tuple[Project, ProjectRole | None]]:
        """Return those of the projects that exist, with the actor's role in each."""
        if not project_ids:
            return {}
        query = select(Project, policy.own_role(actor)).where(Project.id.in_(project_ids))
        return {row[0].id: (row[0], row[1]) for row in self.session.execute(query)}

    def list_ids_of(self, user_id: int) -> set[int]:
        """Return the projects that somebody is a member of."""
        return set(self.session.scalars(policy.ids_of(user_id)))

    def list_archived(self, project_ids: Collection[int]) -> list[Project]:
        """Return those of the projects that are archived, by number."""
        if not project_ids:
            return []
        query = select(Project).where(Project.id.in_(project_ids), Project.archived).order_by(Project.id)
        return list(self.session.scalars(query, execution_options={"populate_existing": True}))

    def lock(self, project_id: int) -> Project | None:
        """Return the project; nobody else changes it or its members until the transaction ends."""
        return find_locked(self.session, Project, project_id)

    def find_member(self, project_id: int, user_id: int) -> ProjectMember | None:
        return self.session.get(ProjectMember, (project_id, user_id), populate_existing=True)

    def count_owners(self, project_id: int) -> int:
        query = select(func.count()).where(
            ProjectMember.project_id == project_id, ProjectMember.role == ProjectRole.OWNER
        )
        return self.session.scalar(query) or 0

    def count_tasks(self, project_id: int) -> int:
        return self.session.scalar(select(func.count()).where(Task.project_id == project_id, PRESENT)) or 0

    def delete(self, row: Project | ProjectMember) -> None:
        self.session.delete(row)
        self.session.flush()

    def select(self, *conditions: ColumnElement[bool]) -> Select[Any]:
        return select(*Project.__table__.columns).where(*conditions)

    def select_members(self, *conditions: ColumnElement[bool]) -> Select[Any]:
        """Return a query for members with their names."""
        return (
            select(*ProjectMember.__table__.columns, User.username, User.name)
            .join(User, User.id == ProjectMember.user_id)
            .where(*conditions)
        )
