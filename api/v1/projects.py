"""Projects and their members over HTTP."""

from typing import Any

from flask_restx import Namespace, fields

from api.http.answers.cached import cached, cached_page
from api.http.answers.pages import paged
from api.http.answers.refusals import refuses
from api.http.answers.responses import created, created_or_replaced, no_content, returns
from api.http.door.resource import SecureResource
from api.http.input import declared, places, query
from api.http.input.fields import Id, Moment, NullableLine
from api.http.input.takes import takes
from core.platform.access import Permission
from core.platform.cache.marks.model import Topic
from core.platform.database.paging import Page
from core.projects import service as projects
from core.projects.fields import FIELDS
from core.projects.model import Project, ProjectRole
from core.removal import service as removal

ns = Namespace("projects", description="A team's tasks, and who may do what with them", path="/v1/projects")


_ROLE = {
    "enum": list(ProjectRole),
    "example": "editor",
    "description": "viewer reads, editor changes tasks, owner manages.",
}

project_out = ns.model("Project", declared.answer(FIELDS))
project_in = ns.model("ProjectCreate", declared.creation(FIELDS), strict=True)
project_replacement = ns.model("ProjectReplace", declared.replacement(FIELDS), strict=True)
project_patch = ns.model("ProjectUpdate", declared.patch(FIELDS), strict=True)
member_out = ns.model(
    "ProjectMember",
    {
        "project_id": Id(required=True),
        "user_id": Id(required=True),
        "username": fields.String(required=True, example="ada"),
        "name": NullableLine(required=True, example="Ada Lovelace"),
        "role": fields.String(required=True, **_ROLE),
        "created_at": Moment(required=True),
    },
)
member_in = ns.model("ProjectMemberReplace", {"role": fields.String(required=True, **_ROLE)}, strict=True)

list_query = declared.list_parser(projects.FILTERS, projects.DEFAULT_SORT)
members_query = query.list_parser(projects.MEMBER_SORTABLE, "user_id", identity="user_id")

PROJECT_TOPICS = (Topic.PROJECTS, Topic.PROJECT_MEMBERS)


@ns.route("")
class ProjectCollection(SecureResource):
    operations = {"GET": "list_projects", "POST": "create_project"}
    permissions = {"GET": Permission.PROJECTS_READ, "POST": Permission.PROJECTS_WRITE}

    @takes(query=list_query)
    @refuses(410)
    @cached_page(*PROJECT_TOPICS)
    @paged(project_out)
    def get(self) -> Page:
        """List the caller's projects, newest first; administrators see all."""
        return projects.list_visible(self.actor, page=self.page, filters=self.filters(projects.FILTERS))

    @takes(project_in)
    @refuses(409)
    @created(project_out)
    def post(self) -> Project:
        """Create a project; the caller becomes its owner."""
        return projects.create(self.actor, **self.body)


@ns.route("/<int:project_id>")
@ns.doc(params=places.PROJECT_ID)
class ProjectItem(SecureResource):
    conditional_on = project_out
    operations = {"GET": "get_project", "PUT": "replace_project", "PATCH": "update_project", "DELETE": "delete_project"}
    permissions = {
        "GET": Permission.PROJECTS_READ,
        "PUT": Permission.PROJECTS_WRITE,
        "PATCH": Permission.PROJECTS_WRITE,
        "DELETE": Permission.PROJECTS_WRITE,
    }

    @refuses(403, 404)
    @cached(*PROJECT_TOPICS)
    @returns(project_out)
    def get(self, project_id: int) -> Project:
        """Read a project."""
        return projects.get(self.actor, project_id=project_id)

    @takes(project_replacement)
    @refuses(403, 404, 409)
    @returns(project_out)
    def put(self, project_id: int) -> Project:
        """Replace a project's settings; what is not given is cleared."""
        return projects.change(self.actor, self.expected, project_id=project_id, **(projects.CLEARED | self.body))

    @takes(project_patch)
    @refuses(403, 404, 409)
    @returns(project_out)
    def patch(self, project_id: int) -> Project:
        """Change some settings of a project."""
        return projects.change(self.actor, self.expected, project_id=project_id, **self.body)

    @refuses(403, 404, 409)
    @no_content
    def delete(self, project_id: int) -> None:
        """Delete a project that has no tasks."""
        removal.delete_project(self.actor, self.expected, project_id=project_id)


@ns.route("/<int:project_id>/members")
@ns.doc(params=places.PROJECT_ID)
class MemberCollection(SecureResource):
    operations = {"GET": "list_project_members"}
    permissions = {"GET": Permission.PROJECTS_READ}

    @takes(query=members_query)
    @refuses(403, 404, 410)
    @cached_page(*PROJECT_TOPICS, Topic.USERS)
    @paged(member_out)
    def get(self, project_id: int) -> Page:
        """List the members of a project."""
        return projects.list_members(self.actor, project_id=project_id, page=self.page)


@ns.route("/<int:project_id>/members/<int:user_id>")
@ns.doc(params={**places.PROJECT_ID, **places.USER_ID})
class MemberItem(SecureResource):
    conditional_on = member_out
    operations = {"GET": "get_project_member", "PUT": "set_project_member", "DELETE": "remove_project_member"}
    permissions = {
        "GET": Permission.PROJECTS_READ,
        "PUT": Permission.PROJECTS_WRITE,
        "DELETE": Permission.PROJECTS_WRITE,
    }

    @refuses(403, 404)
    @cached(*PROJECT_TOPICS, Topic.USERS)
    @returns(member_out)
    def get(self, project_id: int, user_id: int) -> Any:
        """Read a member's role in a project."""
        return projects.get_member(self.actor, project_id=project_id, user_id=user_id)

    @takes(member_in)
    @refuses(403, 404, 409)
    @created_or_replaced(member_out)
    def put(self, project_id: int, user_id: int) -> tuple[Any, bool]:
        """Make a user a member, or change their role."""
        return projects.set_member(self.actor, self.expected, project_id=project_id, user_id=user_id, **self.body)

    @refuses(403, 404, 409)
    @no_content
    def delete(self, project_id: int, user_id: int) -> None:
        """Take a member out of a project; every member may leave."""
        projects.remove_member(self.actor, self.expected, project_id=project_id, user_id=user_id)
