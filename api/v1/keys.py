"""API keys over HTTP."""

from typing import Any

from flask_restx import Namespace, fields

from api.http.answers.pages import paged
from api.http.answers.refusals import refuses
from api.http.answers.responses import created, no_content, returns
from api.http.answers.urls import own_url
from api.http.door.resource import SecureResource
from api.http.input import places, query
from api.http.input.fields import Id, Line, Moment, NullableMoment
from api.http.input.takes import takes
from core.auth import keys
from core.auth.model import KEY_NAME_LENGTH, ApiKey
from core.platform.access import SCOPES, Permission
from core.platform.config.current import current_settings
from core.platform.database.paging import Page

ns = Namespace("keys", description="API keys for scripts", path="/v1/auth/keys")

_name = Line(required=True, max_length=KEY_NAME_LENGTH, example="Nightly import")
_scopes = fields.List(
    fields.String(enum=[str(scope) for scope in SCOPES]),
    required=True,
    min_items=1,
    max_items=len(SCOPES),
    unique=True,
    example=["tasks:read", "tasks:write"],
)

key_in = ns.model(
    "ApiKeyCreate",
    {
        "name": _name,
        "scopes": _scopes,
        "expires_at": NullableMoment(description="A moment to come; null: never.", example=None),
    },
    strict=True,
)
key_out = ns.model(
    "ApiKey",
    {
        "id": Id(required=True),
        "name": _name,
        "prefix": fields.String(required=True, description="How the key begins.", example="tl_9f86d081"),
        "scopes": fields.List(fields.String, required=True, example=["tasks:read", "tasks:write"]),
        "created_at": Moment(required=True),
        "expires_at": NullableMoment(required=True),
        "last_used_at": NullableMoment(required=True, description="To the minute."),
    },
)
created_key_out = ns.clone(
    "CreatedApiKey",
    key_out,
    {
        "key": fields.String(
            required=True, description="Shown this once.", example="tl_9f86d081884c7d659a2feaa0c55ad015"
        )
    },
)

list_query = query.list_parser(keys.SORTABLE, "-created_at")


@ns.route("")
class KeyCollection(SecureResource):
    """The caller's keys."""

    operations = {"GET": "list_api_keys", "POST": "create_api_key"}
    permissions = {"GET": Permission.CREDENTIALS_MANAGE, "POST": Permission.CREDENTIALS_MANAGE}

    @takes(query=list_query)
    @refuses(410)
    @paged(key_out)
    def get(self) -> Page:
        """List the caller's API keys, newest first; revoked ones are gone."""
        return keys.list_visible(self.actor, page=self.page)

    @takes(key_in)
    @created(created_key_out, at=lambda made: f"{own_url().rstrip('/')}/{made['id']}", is_whole=False)
    def post(self) -> dict[str, Any]:
        """Make an API key; it is shown this once.

        Send it as `X-API-Key`. It acts for its owner, within its scopes and
        never beyond what the owner may do, until it expires, is revoked, or the
        owner's password changes. It cannot manage keys, passwords and sessions.
        """
        made = keys.create(self.actor, secret_key=current_settings().secret_key, **self.body)
        return {**{name: getattr(made.row, name) for name in key_out}, "key": made.key}


@ns.route("/<int:key_id>")
@ns.doc(params=places.KEY_ID)
class KeyItem(SecureResource):
    conditional_on = key_out
    operations = {"GET": "get_api_key", "DELETE": "revoke_api_key"}
    permissions = {"GET": Permission.CREDENTIALS_MANAGE, "DELETE": Permission.CREDENTIALS_MANAGE}

    @refuses(403, 404)
    @returns(key_out)
    def get(self, key_id: int) -> ApiKey:
        """Read what is known of an API key, without the key."""
        return keys.get(self.actor, key_id=key_id)

    @refuses(403, 404)
    @no_content
    def delete(self, key_id: int) -> None:
        """Revoke an API key; it stops working at once."""
        keys.revoke(self.actor, self.expected, key_id=key_id)
