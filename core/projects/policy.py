"""Rights in a project, by role. Administrators may do everything."""

from sqlalchemy import BigInteger, BindParameter, ColumnElement, ScalarSelect, Select, select, true

from core.platform.access import Actor
from core.platform.database.kept_queries import named
from core.projects.model import Project, ProjectMember, ProjectRole

# The name of the number of whoever asks, in queries that are kept for all of them.
ME = "me"


def number_of(actor: Actor) -> BindParameter[int]:
    """Return the number of the actor as a value of a query, under a name."""
    return named(ME, actor.user_id, BigInteger())


def ids_of(user_id: int | BindParameter[int], *roles: ProjectRole) -> Select[int]:
    """Return the query for the projects of a user, in these roles or any; one index scan, however many there are."""
    query = select(ProjectMember.project_id).where(ProjectMember.user_id == user_id)
    return query.where(ProjectMember.role.in_(roles)) if roles else query


def visible_to(actor: Actor) -> ColumnElement[bool]:
    """Return the condition on projects that the actor may see."""
    return true() if actor.is_admin else Project.id.in_(ids_of(actor.user_id))


def own_role(actor: Actor) -> ScalarSelect[ProjectRole]:
    """Return the actor's role in the project of the enclosing query, null for a stranger."""
    return (
        select(ProjectMember.role)
        .where(ProjectMember.project_id == Project.id, ProjectMember.user_id == actor.user_id)
        .correlate(Project)
        .scalar_subquery()
    )


def may_read(actor: Actor, role: ProjectRole | None) -> bool:
    """Return whether the actor, in this role, may see the project and all that is in it."""
    return actor.is_admin or role is not None


def may_edit_tasks(actor: Actor, role: ProjectRole | None) -> bool:
    """Return whether the actor, in this role, may create and change the project's tasks."""
    return actor.is_admin or role in (ProjectRole.EDITOR, ProjectRole.OWNER)


def may_manage(actor: Actor, role: ProjectRole | None) -> bool:
    """Return whether the actor, in this role, may change settings and members, and delete the project."""
    return actor.is_admin or role is ProjectRole.OWNER


def may_remove_member(actor: Actor, role: ProjectRole | None, user_id: int) -> bool:
    """Return whether the actor may take this member out; everybody may leave."""
    return actor.user_id == user_id or may_manage(actor, role)
