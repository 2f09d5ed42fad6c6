"""Queries over projects and their members."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, select

from core.platform.access import Actor
from core.platform.database.repository import Repository
from core.platform.database.statements import find_locked
from core.projects import policy
from core.projects.model import Project, ProjectMember, ProjectRole
from core.users.model import User


class ProjectRepository(Repository):
    """Projects in the database."""

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
        """Return the projects that a user is a member of."""
        return set(self.session.scalars(policy.ids_of(user_id)))

    def list_roles(self, user_id: int) -> dict[int, ProjectRole]:
        """Return a user's role in each of their projects."""
        query = select(ProjectMember.project_id, ProjectMember.role).where(ProjectMember.user_id == user_id)
        return {row[0]: row[1] for row in self.session.execute(query)}

    def list_archived(self, project_ids: Collection[int]) -> list[Project]:
        """Return those of the projects that are archived, by number."""
        if not project_ids:
            return []
        query = select(Project).where(Project.id.in_(project_ids), Project.archived).order_by(Project.id)
        return list(self.session.scalars(query, execution_options={"populate_existing": True}))

    def lock(self, project_id: int, *, to_delete: bool = False) -> Project | None:
        """Return the project; no other transaction changes it or its members until the transaction ends."""
        return find_locked(self.session, Project, project_id, to_delete=to_delete)

    def lock_those_of(self, user_id: int) -> None:
        """Lock every project that a user is a member of, as `lock` does."""
        query = select(Project.id).where(Project.id.in_(policy.ids_of(user_id))).order_by(Project.id)
        self.session.execute(query.with_for_update(key_share=True)).all()

    def find_member(self, project_id: int, user_id: int) -> ProjectMember | None:
        return self.session.get(ProjectMember, (project_id, user_id), populate_existing=True)

    def find_shown_member(self, project_id: int, user_id: int) -> Row[Any] | None:
        """Return a member as others see them, with their names."""
        query = self.select_members(ProjectMember.project_id == project_id, ProjectMember.user_id == user_id)
        return self.session.execute(query).one_or_none()

    def has_another_owner(self, project_id: int, user_id: int) -> bool:
        """Return whether another user who can log in owns the project."""
        is_owner = (ProjectMember.project_id == project_id) & (ProjectMember.role == ProjectRole.OWNER)
        query = select(ProjectMember.user_id).join(User, User.id == ProjectMember.user_id)
        return self.session.scalar(query.where(is_owner, User.id != user_id, User.is_active).limit(1)) is not None

    def select(self, *conditions: ColumnElement[bool]) -> Select[Any]:
        return select(*Project.__table__.columns).where(*conditions)

    def select_members(self, *conditions: ColumnElement[bool]) -> Select[Any]:
        """Return a query for members with their names."""
        return (
            select(*ProjectMember.__table__.columns, User.username, User.name)
            .join(User, User.id == ProjectMember.user_id)
            .where(*conditions)
        )
