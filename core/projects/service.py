"""Creating, listing and changing projects and their members."""

from typing import Any

from sqlalchemy import Row
from sqlalchemy.orm import Session

from core.platform.access import Actor
from core.platform.database.base import db
from core.platform.database.declared import blank, cleared, sortable
from core.platform.database.filters import Filter, Filters
from core.platform.database.paging import Page, PageRequest, made_anew, paginate
from core.platform.database.repeats import repeated
from core.platform.database.session import transaction
from core.platform.errors import Conflict, DomainError, Forbidden, Invalid, Malformed, NotFound
from core.platform.preconditions import Expected
from core.projects import policy
from core.projects.fields import FIELDS
from core.projects.model import Project, ProjectMember, ProjectRole
from core.projects.repository import ProjectRepository
from core.users.repository import UserRepository

SORTABLE = sortable(Project, FIELDS)
DEFAULT_SORT = "-created_at"
FILTERS = Filters(Project, FIELDS)
_BLANK = blank(Project, FIELDS)
CLEARED = cleared(Project, FIELDS)
MEMBER_SORTABLE = {"role": ProjectMember.role, "created_at": ProjectMember.created_at}

NO_PROJECT = "There is no such project."
NO_MEMBER = "There is no such member."
STRANGER = "You are not a member of this project."


@repeated
def create(actor: Actor, **values: Any) -> Project:
    """Create a project of the given fields, whose owner is the actor. Raises Conflict if the key is taken."""
    FIELDS.require_new(values)
    with transaction() as session:
        projects = ProjectRepository(session)
        project = projects.add(Project(**(_BLANK | values)))
        projects.add(ProjectMember(project_id=project.id, user_id=actor.user_id, role=ProjectRole.OWNER))
    return project


def get(actor: Actor, *, project_id: int) -> Project:
    """Return a project. Raises NotFound, or Forbidden for a stranger."""
    return _require(actor, db.session(), project_id)[0]


def require_named(actor: Actor, project_id: int, *, refusal: type[DomainError] = Malformed) -> None:
    """Raise a refusal unless the actor may see the project that a question of theirs names.

    Lists, searches, statistics, exports and reports all ask this, so that the answer
    to such a question never is an empty one. It is Forbidden for a stranger, and
    `refusal`, naming `project_id`, where there is no such project.
    """
    try:
        get(actor, project_id=project_id)
    except NotFound:
        raise refusal("The project cannot be used.", details={"project_id": [NO_PROJECT]}) from None


def list_visible(actor: Actor, *, page: PageRequest, filters: Filter) -> Page:
    """Return a page of the projects that the actor may see."""
    session = db.session()
    query = ProjectRepository(session).select(policy.visible_to(actor), *FILTERS.conditions(filters))
    return paginate(session, made_anew(query), page, sortable=SORTABLE, default_sort=DEFAULT_SORT, identity=Project.id)


@repeated
def change(actor: Actor, expected: Expected, /, *, project_id: int, **values: Any) -> Project:
    """Change the given settings of a project. Raises NotFound, Forbidden, and Conflict if the key is taken."""
    FIELDS.require_changeable(values)
    with transaction() as session:
        project = lock_to_manage(actor, session, project_id)
        expected.require(lambda: project)
        for name, value in values.items():
            setattr(project, name, value)
    return project


# --- members ----------------------------------------------------------------------


def list_members(actor: Actor, *, project_id: int, page: PageRequest) -> Page:
    """Return a page of a project's members. Raises NotFound, or Forbidden for a stranger."""
    session = db.session()
    _require(actor, session, project_id)
    query = ProjectRepository(session).select_members(ProjectMember.project_id == project_id)
    return paginate(
        session,
        made_anew(query),
        page,
        sortable=MEMBER_SORTABLE,
        default_sort="user_id",
        identity=ProjectMember.user_id,
    )


def get_member(actor: Actor, *, project_id: int, user_id: int) -> Row[Any]:
    """Return a user's membership. Raises NotFound, or Forbidden for a stranger."""
    session = db.session()
    _require(actor, session, project_id)
    member = ProjectRepository(session).find_shown_member(project_id, user_id)
    if member is None:
        raise NotFound(NO_MEMBER)
    return member


@repeated
def set_member(
    actor: Actor, expected: Expected, /, *, project_id: int, user_id: int, role: ProjectRole
) -> tuple[Row[Any] | None, bool]:
    """Make a user a member, or change their role; return the membership, and whether it is new.

    Raises NotFound for the project, Forbidden, Invalid for an unknown or
    inactive user, and Conflict if the project would lose its last owner.
    """
    role = ProjectRole(role)
    with transaction() as session:
        lock_to_manage(actor, session, project_id)
        user = UserRepository(session).find(user_id)
        if user is None or not user.is_active:
            raise Invalid("The request has invalid fields.", details={"user_id": ["There is no such active user."]})
        projects = ProjectRepository(session)
        member = projects.find_member(project_id, user_id)
        expected.require(lambda: projects.find_shown_member(project_id, user_id))
        if member is None:
            projects.add(ProjectMember(project_id=project_id, user_id=user_id, role=role))
        else:
            if role is not ProjectRole.OWNER:
                _require_another_owner(projects, member)
            member.role = role
        return projects.find_shown_member(project_id, user_id), member is None


@repeated
def remove_member(actor: Actor, expected: Expected, /, *, project_id: int, user_id: int) -> None:
    """Take a member out of a project; their tasks stay. Raises NotFound, Forbidden, and Conflict for the last owner."""
    with transaction() as session:
        projects = ProjectRepository(session)
        if projects.lock(project_id) is None:
            raise NotFound(NO_PROJECT)
        role = _require(actor, session, project_id)[1]
        if not policy.may_remove_member(actor, role, user_id):
            raise Forbidden("Only an owner of the project may do this.")
        member = projects.find_member(project_id, user_id)
        if member is None:
            raise NotFound(NO_MEMBER)
        expected.require(lambda: projects.find_shown_member(project_id, user_id))
        _require_another_owner(projects, member)
        projects.delete(member)


# --- what the tasks ask -----------------------------------------------------------


def require_open_for_tasks(actor: Actor, project: Project, role: ProjectRole | None) -> None:
    """Raise Forbidden or Conflict unless the actor, in this role, may put tasks into the project now."""
    if not policy.may_edit_tasks(actor, role):
        raise Forbidden("You may not put tasks into this project.")
    if project.archived:
        raise Conflict("This project is archived.", details={"project_id": ["The project is archived."]})


def _require(actor: Actor, session: Session, project_id: int) -> tuple[Project, ProjectRole | None]:
    found = ProjectRepository(session).find(actor, project_id)
    if found is None:
        raise NotFound(NO_PROJECT)
    project, role = found
    if not policy.may_read(actor, role):
        raise Forbidden(STRANGER)
    return project, role


def lock_to_manage(actor: Actor, session: Session, project_id: int, *, to_delete: bool = False) -> Project:
    """Return the project, locked. Raises NotFound, and Forbidden unless the actor may manage it."""
    project = ProjectRepository(session).lock(project_id, to_delete=to_delete)
    if project is None:
        raise NotFound(NO_PROJECT)
    role = _require(actor, session, project_id)[1]
    if not policy.may_manage(actor, role):
        raise Forbidden("Only an owner of the project may do this.")
    return project


def _require_another_owner(projects: ProjectRepository, member: ProjectMember) -> None:
    """Refuse what would leave the project without an owner; the project's row is locked, so the count holds."""
    if member.role is ProjectRole.OWNER and not projects.has_another_owner(member.project_id, member.user_id):
        raise Conflict("A project always keeps an owner. Make somebody else an owner first.")
