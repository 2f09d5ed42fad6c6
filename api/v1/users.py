"""Users over HTTP."""

from collections.abc import Mapping
from typing import Any

from flask_restx import Namespace, fields

from api.http.answers.cached import cached, cached_page
from api.http.answers.pages import paged
from api.http.answers.refusals import refuses
from api.http.answers.responses import created, no_content, returns
from api.http.door.resource import SecureResource
from api.http.input import places, query
from api.http.input.fields import (
    Email,
    Id,
    Line,
    Moment,
    NullableBoolean,
    NullableLine,
    NullableText,
    NullableWord,
    Password,
    Zone,
)
from api.http.input.takes import takes
from api.v1 import tasks as task_routes
from core.auth import accounts
from core.platform.access import Actor, Permission, Role
from core.platform.cache.marks.model import Topic
from core.platform.database.paging import Page
from core.removal import service as removal
from core.tasks import service as tasks
from core.users import service as users
from core.users.model import User

ns = Namespace("users", description="Find colleagues, manage accounts", path="/v1/users")

_USERNAME: dict[str, Any] = {"min_length": 3, "max_length": 80, "pattern": r"^[A-Za-z0-9_.-]{3,80}$"}
_PASSWORD: dict[str, Any] = {"min_length": 8, "max_length": 128, "example": "correct horse battery"}
_HIDDEN = "Null unless the caller is an administrator."

_TIME_ZONE: dict[str, Any] = {
    "max_length": 64,
    "description": "In which days begin and end for this person: a name of the IANA database.",
    "example": "Europe/Berlin",
}
_time_zone = {"time_zone": Zone(**_TIME_ZONE)}
_rights = {
    "role": fields.String(enum=list(Role), description="For administrators to set.", example="user"),
    "is_active": fields.Boolean(description="For administrators to set.", example=True),
}


def _username(example: str, **options: Any) -> dict[str, fields.Raw]:
    return {"username": Line(example=example, **_USERNAME, **options)}


def _profile(name: str, *, email_required: bool = False) -> dict[str, fields.Raw]:
    """Return what people say of themselves; examples are of somebody of this name.

    Each body has somebody of its own, or the one example would be in the way of the next.
    """
    address = f"{name.partition(' ')[0].lower()}@example.com"
    return {
        "email": Email(max_length=120, example=address, required=email_required),
        "name": NullableLine(min_length=2, max_length=80, example=name),
    }


def registration_fields(name: str) -> dict[str, fields.Raw]:
    """Return what an account begins with; examples are of somebody of this name."""
    return {
        **_username(name.partition(" ")[0].lower(), required=True),
        **_profile(name, email_required=True),
        "password": Password(required=True, **_PASSWORD),
        "time_zone": Zone(default="UTC", **_TIME_ZONE),
    }


me_fields = {**_profile("Mary Shelley"), **_time_zone}

user_out = ns.model(
    "User",
    {
        "id": Id(required=True),
        "username": fields.String(required=True, example="ada"),
        "email": Email(required=True, example="ada@example.com"),
        "name": NullableLine(required=True, example="Ada Lovelace"),
        "role": fields.String(required=True, enum=list(Role)),
        "is_active": fields.Boolean(required=True),
        "time_zone": fields.String(required=True, example="Europe/Berlin"),
        "created_at": Moment(required=True),
        "updated_at": Moment(required=True),
    },
)
user_entry_out = ns.model(
    "UserEntry",
    {
        "id": Id(required=True),
        "username": fields.String(required=True, example="ada"),
        "name": NullableLine(required=True, example="Ada Lovelace"),
        "created_at": Moment(required=True),
        "email": NullableText(required=True, description=_HIDDEN, example="ada@example.com"),
        "role": NullableWord(required=True, enum=list(Role), description=_HIDDEN, example="user"),
        "is_active": NullableBoolean(required=True, description=_HIDDEN, example=True),
    },
)
user_in = ns.model("UserInput", {**registration_fields("Grace Hopper"), **_rights}, strict=True)
user_replacement = ns.model(
    "UserReplacement",
    {
        **_username("alan", required=True),
        **_profile("Alan Turing", email_required=True),
        **_time_zone,
        **_rights,
    },
    strict=True,
)
user_patch = ns.model(
    "UserPatch", {**_username("alan"), **_profile("Alan Turing"), **_time_zone, **_rights}, strict=True
)

list_query = query.list_parser(users.SORTABLE, users.DEFAULT_SORT)
query.add(
    list_query, "q", query.words, "Only people whose username or name contains this; for administrators also email."
)
query.add(list_query, "role", query.one_or_more(Role), "Only these, comma-separated or repeated; for administrators.")
query.add(list_query, "is_active", query.boolean, "Whether the account is active; for administrators.")

delete_query = query.parser()
query.add(delete_query, "transfer_to", query.integer(), "The active user who gets everything that the account has.")

tasks_query = task_routes.list_query.copy().remove_argument("owner_id")


def narrowed(actor: Actor, arguments: Mapping[str, Any]) -> users.UserFilter:
    """Return what the parameters of `list_query` narrow a list of users to."""
    return users.UserFilter(q=arguments.get("q"), role=arguments.get("role"), is_active=arguments.get("is_active"))


@ns.route("")
class UserCollection(SecureResource):
    """The people of this installation."""

    permissions = {"GET": Permission.USERS_READ, "POST": Permission.USERS_ADMIN}

    @takes(query=list_query)
    @refuses(410)
    @cached_page(Topic.USERS)
    @paged(user_entry_out)
    def get(self) -> Page:
        """List people by username.

        Members find active users and see `email`, `role` and `is_active` as
        null; administrators see everything of everybody.
        """
        return users.list_visible(self.actor, page=self.page, narrowed=narrowed(self.actor, self.query))

    @takes(user_in)
    @refuses(409)
    @created(user_out)
    def post(self) -> User:
        """Create an account; administrators may.

        A welcome e-mail follows if it is active.
        """
        return accounts.create(actor_id=self.actor.user_id, **self.body)


@ns.route("/<int:user_id>")
@ns.doc(params=places.USER_ID)
class UserItem(SecureResource):
    conditional_on = user_out
    permissions = {
        "GET": Permission.USERS_READ,
        "PUT": Permission.USERS_WRITE,
        "PATCH": Permission.USERS_WRITE,
        "DELETE": Permission.USERS_WRITE,
    }

    @refuses(404)
    @cached(Topic.USERS)
    @returns(user_out)
    def get(self, user_id: int) -> User:
        """Read an account; its owner and administrators may."""
        return users.get(self.actor, user_id=user_id)

    @takes(user_replacement)
    @refuses(404, 409)
    @returns(user_out)
    def put(self, user_id: int) -> User:
        """Replace an account's username, e-mail address and name; a name that is not given becomes null.

        `time_zone`, `role` and `is_active` stay unless given, the last two only by administrators;
        an API key needs the scope `users:admin` for it, and for other accounts.
        """
        return accounts.replace(self.actor, self.expected, user_id=user_id, **self.body)

    @takes(user_patch)
    @refuses(404, 409)
    @returns(user_out)
    def patch(self, user_id: int) -> User:
        """Change some fields of an account; what is not given stays.

        Deactivating it ends its sessions and API keys at once. The last active
        administrator stays one (409).
        """
        return accounts.change(self.actor, self.expected, user_id=user_id, **self.body)

    @takes(query=delete_query)
    @refuses(404, 409)
    @no_content
    def delete(self, user_id: int) -> None:
        """Delete an account; its owner and administrators may.

        With `transfer_to`, its tasks, posts and items go to that user, and those
        assignments and project memberships that the caller could give them otherwise,
        where the stronger role in a project counts; others end. Tasks of archived
        projects stop that (409). An API key needs the scopes to write all of these.
        Without `transfer_to`, an account that has any of these stays (409).
        """
        removal.delete_user(self.actor, self.expected, user_id=user_id, transfer_to=self.query.get("transfer_to"))


@ns.route("/<int:user_id>/tasks")
@ns.doc(params=places.USER_ID)
class UserTasks(SecureResource):
    permissions = {"GET": Permission.TASKS_READ}

    @takes(query=tasks_query)
    @refuses(404, 410)
    @cached_page(*task_routes.TASK_TOPICS, Topic.USERS)
    @paged(task_routes.task_out)
    def get(self, user_id: int) -> Page:
        """List the tasks that a user owns and the caller may see, newest first."""
        # The cursor belongs to this user's list as to any other filter.
        page = query.page_request({**self.query, "owner_id": user_id})
        wanted = task_routes.narrowed(self.actor, self.query)
        return tasks.list_owned(self.actor, owner_id=user_id, page=page, narrowed=wanted)
