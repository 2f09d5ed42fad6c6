"""Users over HTTP."""

from typing import Any

from flask_restx import Namespace, fields

from api.http.answers.cached import cached, cached_page
from api.http.answers.pages import paged
from api.http.answers.refusals import refuses
from api.http.answers.responses import created, no_content, returns
from api.http.door.resource import SecureResource
from api.http.input import arguments, declared, places, query
from api.http.input.fields import Line, Password, Text
from api.http.input.takes import takes
from api.v1 import tasks as task_routes
from core.auth import accounts
from core.platform.access import Permission
from core.platform.cache.marks.model import Topic
from core.platform.database.paging import Page
from core.removal import service as removal
from core.tasks import service as tasks
from core.users import policy
from core.users import service as users
from core.users.fields import FIELDS
from core.users.model import User

ns = Namespace("users", description="Find colleagues, manage accounts", path="/v1/users")

_PASSWORD: dict[str, Any] = {"min_length": 8, "max_length": 128, "example": "correct horse battery"}
_HIDDEN = "Null unless the caller is an administrator."

# What people say of themselves, and what administrators say of them.
_OWN = [name for name in FIELDS.changeable if name not in policy.ADMIN_FIELDS]
_RIGHTS = [name for name in FIELDS.changeable if name in policy.ADMIN_FIELDS]


def _examples(name: str) -> dict[str, dict[str, Any]]:
    """Return options of the fields of a body, with examples of a user of this name.

    Each body has a user of its own, or the one example would be in the way of the next.
    """
    first = name.partition(" ")[0].lower()
    return {
        "username": {"cls": Line, "example": first},
        "email": {"example": f"{first}@example.com"},
        "name": {"example": name},
    }


def registration_fields(name: str) -> dict[str, fields.Raw]:
    """Return what an account begins with; examples are of a user of this name."""
    model = declared.creation(FIELDS, only=_OWN, **_examples(name))
    zone = model.pop("time_zone")
    return {**model, "password": Password(required=True, **_PASSWORD), "time_zone": zone}


me_fields = declared.patch(FIELDS, only=[name for name in _OWN if name != "username"], **_examples("Mary Shelley"))

# Answers promise less of a text than bodies ask, because not all of them were bodies.
_SHOWN: dict[str, dict[str, Any]] = {
    "name": {"min_length": 1, "max_length": None},
    "username": {"cls": fields.String, "min_length": None, "max_length": None, "pattern": None},
    "time_zone": {"cls": fields.String, "description": None},
}
user_out = ns.model("User", declared.answer(FIELDS, role={"example": None}, **_SHOWN))
# In lists, some of it is null.
user_entry_out = ns.model(
    "UserSummary",
    {
        **declared.answer(FIELDS, only=FIELDS.names(lambda field: field.listed and not field.private), **_SHOWN),
        **declared.hidden(
            FIELDS, only=FIELDS.names(lambda field: field.listed and field.private), why=_HIDDEN, email={"cls": Text}
        ),
    },
)
_rights = declared.patch(FIELDS, only=_RIGHTS)
user_in = ns.model("UserCreate", {**registration_fields("Grace Hopper"), **_rights}, strict=True)
user_replacement = ns.model(
    "UserReplace",
    {**declared.replacement(FIELDS, only=_OWN, **_examples("Alan Turing")), **_rights},
    strict=True,
)
user_patch = ns.model(
    "UserUpdate", {**declared.patch(FIELDS, only=_OWN, **_examples("Alan Turing")), **_rights}, strict=True
)

list_query = declared.list_parser(users.FILTERS, users.DEFAULT_SORT, first=["q"])

delete_query = query.parser()
query.add(delete_query, "transfer_to", query.integer(), "The active user who gets everything that the account has.")

tasks_query = task_routes.list_query.copy().remove_argument("owner_id")


@ns.route("")
class UserCollection(SecureResource):
    """The people of this installation."""

    operations = {"GET": "list_users", "POST": "create_user"}
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
        return users.list_visible(self.actor, page=self.page, filters=self.filters(users.FILTERS))

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
    operations = {"GET": "get_user", "PUT": "replace_user", "PATCH": "update_user", "DELETE": "delete_user"}
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
        return accounts.change(self.actor, self.expected, user_id=user_id, **(users.CLEARED | self.body))

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
    operations = {"GET": "list_user_tasks"}
    permissions = {"GET": Permission.TASKS_READ}

    @takes(query=tasks_query)
    @refuses(404, 410)
    @cached_page(*task_routes.TASK_TOPICS, Topic.USERS)
    @paged(task_routes.task_out)
    def get(self, user_id: int) -> Page:
        """List the tasks that a user owns and the caller may see, newest first."""
        # The cursor belongs to this user's list as to any other filter.
        page = arguments.page_request({**self.query, "owner_id": user_id})
        return tasks.list_owned(self.actor, owner_id=user_id, page=page, filters=self.filters(tasks.FILTERS))
