"""Registration, login and the own account."""

from datetime import timedelta
from typing import Any

from flask import url_for
from flask_limiter.util import get_remote_address
from flask_restx import Namespace, fields

from api.http.answers.cached import cached
from api.http.answers.refusals import refuses
from api.http.answers.responses import created, no_content, returns, returns_bare
from api.http.door import login_limits, tokens
from api.http.door.basic import presented_credentials, require_confidential_channel
from api.http.door.idempotency import Effect
from api.http.door.resource import SecureResource
from api.http.input import grants, media
from api.http.input.body import LACKING, check, load_object
from api.http.input.fields import Id, Moment, Password
from api.http.input.forms import urlencoded
from api.http.input.takes import Input, takes
from api.v1.users import me_fields, registration_fields, user_out
from core.auth import accounts
from core.auth import service as auth
from core.platform.access import Permission
from core.platform.cache.marks.model import Topic
from core.platform.config.current import current_settings
from core.platform.errors import Invalid, Malformed
from core.platform.text import checks, strict_json
from core.platform.text.redaction import confide
from core.users import service as users
from core.users.model import User

ns = Namespace("auth", description="Registration, login and the own account", path="/v1/auth")

register_in = ns.model("Registration", registration_fields("Ada Lovelace"), strict=True)
registered_out = ns.model(
    "RegistrationResult",
    {"message": fields.String(required=True, example="Welcome, ada."), "user_id": Id(required=True)},
)
_credentials = {
    "username": fields.String(
        description="Username or e-mail address. Required, unless email is given.", example="ada"
    ),
    "email": fields.String(description="Another name of username, which counts if both are given."),
    "password": Password(required=True, example="correct horse battery"),
}
login_in = ns.model("Login", _credentials, strict=True)
session_in = ns.model(
    "BrowserSessionCreate",
    {
        **_credentials,
        "remember": fields.Boolean(default=False, description="Whether to outlive the browser window."),
    },
    strict=True,
)
session_out = ns.model(
    "BrowserSession",
    {
        "user_id": Id(required=True),
        "csrf_token": fields.String(required=True, description="For the header X-CSRF-TOKEN."),
        "expires_at": Moment(required=True),
    },
)
tokens_out = ns.model(
    "Tokens",
    {
        "access_token": fields.String(required=True),
        "refresh_token": fields.String(required=True),
        "token_type": fields.String(required=True, enum=["Bearer"]),
        "expires_in": fields.Integer(required=True, description="Seconds until the access token ends.", example=900),
    },
)
me_patch = ns.model("MeUpdate", me_fields, strict=True)
password_in = ns.model(
    "PasswordChange",
    {
        "old_password": Password(required=True, min_length=1, example="correct horse battery"),
        "new_password": Password(required=True, min_length=8, max_length=128, example="an even longer one"),
    },
    strict=True,
)


@ns.route("/register")
class Registration(SecureResource):
    operations = {"POST": "register_account"}
    permissions = {"POST": Permission.PUBLIC}

    @takes(register_in, missing_status=400)
    @refuses(403, 409)
    @created(
        registered_out,
        at=lambda made: url_for("api.users_user_item", user_id=made["user_id"], _external=True),
        is_whole=False,
    )
    def post(self) -> dict[str, Any]:
        """Create an account.

        Its role is always `user`. A welcome e-mail follows.
        """
        user = accounts.register(is_open=current_settings().registration_open, **self.body)
        return {"message": f"Welcome, {user.username}.", "user_id": user.id}


def _read_login(wanted: Input, body: dict[str, Any]) -> dict[str, Any]:
    """Return a checked body with what names the account as `username`. Raises like `check`."""
    is_named = "username" in body or "email" in body
    try:
        checked = check(wanted.body, body, missing_status=wanted.missing_status)
    except (Malformed, Invalid) as error:
        if not is_named:
            error.details = {"username": [checks.REQUIRED], **(error.details or {})}
        if is_named or isinstance(error, Malformed):
            raise
        raise Malformed(LACKING, details=error.details, unnamed=error.unnamed) from None
    if not is_named:
        raise Malformed(LACKING, details={"username": [checks.REQUIRED]})
    email = checked.pop("email", None)
    return {"username": email, **checked}


def _log_in(lifetime: timedelta, body: dict[str, Any]) -> auth.Grant:
    """Open a session for who is named in the body, if this is them."""
    return auth.login(
        lifetime=lifetime, address=get_remote_address(), secret_keys=current_settings().secret_keys, **body
    )


@ns.route("/login")
class Login(SecureResource):
    operations = {"POST": "log_in"}
    permissions = {"POST": Permission.PUBLIC}
    decorators = (login_limits.limits_logins,)
    effect = Effect.RESERVATION
    count = login_limits.count_unless_login

    @takes(login_in, or_urlencoded=True, missing_status=400)
    @refuses(401, 429)
    @returns_bare(tokens_out)
    def post(self) -> dict[str, Any]:
        """Log in with a username or an e-mail address.

        The form-encoded password grant of OAuth 2 (RFC 6749, section 4.3) is
        accepted too, which is what the Authorize dialog sends, and so are Basic
        credentials without a body, by HTTPS or from this machine. A client that sends the form
        is refused as RFC 6749, section 5.2, says: `error` (such as `invalid_grant`) and `error_description`.
        """
        return tokens.issue(_log_in(tokens.session_lifetime(), self.body))

    def read_body(self, wanted: Input) -> dict[str, Any]:
        """Accept Basic credentials and a form beside JSON."""
        basic = presented_credentials()
        if basic is not None:
            require_confidential_channel()
            strict_json.require_storable(basic)
            return basic
        if not grants.is_grant():
            return _read_login(wanted, load_object(media.URLENCODED))
        form = grants.read_grant(urlencoded())
        confide(form.get("password"))
        strict_json.require_storable(form)
        return _read_login(wanted, form)


@ns.route("/session")
class BrowserSession(SecureResource):
    operations = {"POST": "create_browser_session", "DELETE": "delete_browser_session"}
    permissions = {"POST": Permission.PUBLIC, "DELETE": Permission.CREDENTIALS_MANAGE}
    decorators = (login_limits.limits_logins,)
    effect = Effect.RESERVATION
    count = login_limits.count_unless_login

    @takes(session_in, missing_status=400)
    @refuses(401, 429)
    @returns(session_out)
    def post(self) -> dict[str, Any]:
        """Log a browser in: the session comes as an HttpOnly cookie.

        Requests by cookie that change something need `csrf_token`, which is in
        the readable cookie `tasklane_csrf` too, in the header `X-CSRF-TOKEN`;
        without it or with a wrong one they are refused with 403. With `remember`
        the session lasts as long as one with tokens, else until the browser is
        closed, by default at most 12 hours. There is nothing to refresh meanwhile.
        """
        remember = self.body.pop("remember", False)
        lifetime = tokens.browser_session_lifetime(remember=remember)
        return tokens.issue_cookies(_log_in(lifetime, self.body), remember=remember)

    def read_body(self, wanted: Input) -> dict[str, Any]:
        """Accept an e-mail address under its own name."""
        return _read_login(wanted, load_object())

    @no_content
    def delete(self) -> None:
        """End this session, however it was opened, and clear its cookies."""
        auth.logout(self.actor)
        tokens.clear_cookies()


@ns.route("/refresh")
class Refresh(SecureResource):
    operations = {"POST": "refresh_tokens"}
    permissions = {"POST": Permission.SESSION_REFRESH}
    effect = Effect.RESERVATION

    def origin(self) -> str:
        """Return the token: another one is another request."""
        return tokens.presented_jti()

    @returns_bare(tokens_out)
    def post(self) -> dict[str, Any]:
        """Exchange a refresh token, sent as the Bearer token, for new tokens.

        Each refresh token works once. Using one again ends its session.
        """
        grant = auth.refresh(self.actor, jti=tokens.presented_jti(), lifetime=tokens.session_lifetime())
        return tokens.issue(grant)


class OfThisSession(SecureResource):
    """Resource whose effect depends on the session of the request, and not only on the account."""

    def origin(self) -> str:
        """Return the session: what was done for another was not done for this one."""
        return self.actor.session_id or ""


@ns.route("/logout")
class Logout(OfThisSession):
    operations = {"POST": "log_out"}
    permissions = {"POST": Permission.CREDENTIALS_MANAGE}

    @no_content
    def post(self) -> None:
        """End this session; its tokens stop working at once."""
        auth.logout(self.actor)


@ns.route("/logout-all")
class LogoutEverywhere(OfThisSession):
    operations = {"POST": "log_out_everywhere"}
    permissions = {"POST": Permission.CREDENTIALS_MANAGE}

    @no_content
    def post(self) -> None:
        """End every session of the caller."""
        auth.logout_everywhere(self.actor)


@ns.route("/me")
class Me(SecureResource):
    conditional_on = user_out
    operations = {"GET": "get_me", "PATCH": "update_me"}
    permissions = {"GET": Permission.ACCOUNT_READ, "PATCH": Permission.ACCOUNT_WRITE}

    @cached(Topic.USERS)
    @returns(user_out)
    def get(self) -> User:
        """Return the caller's account."""
        return users.get(self.actor, user_id=self.actor.user_id)

    @takes(me_patch)
    @refuses(409)
    @returns(user_out)
    def patch(self) -> User:
        """Change the caller's own e-mail address, name or time zone."""
        return accounts.change(self.actor, self.expected, user_id=self.actor.user_id, **self.body)


@ns.route("/password")
class PasswordChange(OfThisSession):
    operations = {"POST": "change_password"}
    permissions = {"POST": Permission.CREDENTIALS_MANAGE}
    count = login_limits.count_password

    @takes(password_in)
    @no_content
    def post(self) -> None:
        """Change the caller's password, and end all other sessions and all API keys."""
        auth.change_password(self.actor, **self.body)
