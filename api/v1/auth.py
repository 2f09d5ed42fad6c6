"""Registration, login and the own account."""

from typing import Any

from flask import request, url_for
from flask_restx import Namespace, fields
from flask_restx.model import ModelBase

from api.http import tokens
from api.http.body import check
from api.http.fields import Email, Id, Line, Moment, NullableLine, Password
from api.http.limits import limiter, login_key, login_limit
from api.http.responses import created, no_content, refuses, returns, returns_bare
from api.http.security import SecureResource
from core.access import Permission, Role
from core.auth import service as auth
from core.bootstrap import current_settings
from core.errors import Malformed
from core.users import service as users
from core.users.model import User

ns = Namespace("auth", description="Registration, login and the own account", path="/v1/auth")

_USERNAME = {"min_length": 3, "max_length": 80, "pattern": r"^[A-Za-z0-9_.-]+$", "example": "ada"}

register_in = ns.model(
    "Registration",
    {
        "username": Line(required=True, **_USERNAME),
        "email": Email(required=True, max_length=120, example="ada@example.com"),
        "password": Password(required=True, min_length=8, max_length=128, example="correct horse battery"),
        "name": NullableLine(min_length=2, max_length=80, example="Ada Lovelace"),
    },
    strict=True,
)
registered_out = ns.model(
    "Registered",
    {"message": fields.String(required=True, example="Welcome, ada."), "user_id": Id(required=True)},
)
login_in = ns.model(
    "Login",
    {
        "username": fields.String(required=True, description="Username or e-mail address.", example="ada"),
        "password": Password(required=True, example="correct horse battery"),
    },
    strict=True,
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
me_out = ns.model(
    "User",
    {
        "id": Id(required=True),
        "username": fields.String(required=True, example="ada"),
        "email": Email(required=True, example="ada@example.com"),
        "name": NullableLine(required=True, example="Ada Lovelace"),
        "role": fields.String(required=True, enum=list(Role)),
        "is_active": fields.Boolean(required=True),
        "created_at": Moment(required=True),
        "updated_at": Moment(required=True),
    },
)
me_patch = ns.model(
    "UserPatch",
    {
        "email": Email(max_length=120, example="ada@example.com"),
        "name": NullableLine(min_length=2, max_length=80, example="Ada Lovelace"),
    },
    strict=True,
)
password_in = ns.model(
    "PasswordChange",
    {
        "old_password": Password(required=True, min_length=1),
        "new_password": Password(required=True, min_length=8, max_length=128),
    },
    strict=True,
)


@ns.route("/register")
class Registration(SecureResource):
    permissions = {"POST": Permission.PUBLIC}
    missing_status = 400

    @ns.expect(register_in, validate=True)
    @refuses(403, 409)
    @created(registered_out, at=lambda _: url_for("api.auth_me", _external=True))
    def post(self) -> dict[str, Any]:
        """Create an account.

        Its role is always `user`. A welcome e-mail follows.
        """
        user = users.register(is_open=current_settings().registration_open, **self.body)
        return {"message": f"Welcome, {user.username}.", "user_id": user.id}


@ns.route("/login")
class Login(SecureResource):
    permissions = {"POST": Permission.PUBLIC}
    missing_status = 400
    decorators = (limiter.limit(login_limit, key_func=login_key),)

    @ns.expect(login_in, validate=True)
    @refuses(401, 429)
    @returns_bare(tokens_out)
    def post(self) -> dict[str, Any]:
        """Log in with a username or an e-mail address.

        The form-encoded password grant of OAuth 2 (RFC 6749, section 4.3) is
        accepted too, which is what the Authorize dialog sends.
        """
        return tokens.issue(auth.login(lifetime=tokens.session_lifetime(), **self.body))

    def read_body(self, model: ModelBase) -> dict[str, Any]:
        """Accept a form beside JSON."""
        if request.mimetype != "application/x-www-form-urlencoded":
            return super().read_body(model)
        if request.form.get("grant_type") != "password":
            raise Malformed("Only the password grant is offered.", details={"grant_type": ["Must be password."]})
        # Clients send client_id, client_secret and scope too; RFC 6749 lets a server ignore them.
        form = {name: request.form[name] for name in ("username", "password") if name in request.form}
        return check(model, form, missing_status=400)


@ns.route("/refresh")
class Refresh(SecureResource):
    permissions = {"POST": Permission.SESSION_REFRESH}

    @returns_bare(tokens_out)
    def post(self) -> dict[str, Any]:
        """Exchange a refresh token, sent as the Bearer token, for new tokens.

        Each refresh token works once. Using one again ends its session.
        """
        grant = auth.refresh(self.actor, jti=tokens.presented_jti(), lifetime=tokens.session_lifetime())
        return tokens.issue(grant)


@ns.route("/logout")
class Logout(SecureResource):
    permissions = {"POST": Permission.ACCOUNT_WRITE}

    @no_content
    def post(self) -> None:
        """End this session; its tokens stop working at once."""
        auth.logout(self.actor)


@ns.route("/logout-all")
class LogoutEverywhere(SecureResource):
    permissions = {"POST": Permission.ACCOUNT_WRITE}

    @no_content
    def post(self) -> None:
        """End every session of the caller."""
        auth.logout_everywhere(self.actor)


@ns.route("/me")
class Me(SecureResource):
    permissions = {"GET": Permission.ACCOUNT_READ, "PATCH": Permission.ACCOUNT_WRITE}

    @returns(me_out)
    def get(self) -> User:
        """Return the caller's account."""
        return users.get(user_id=self.actor.user_id)

    @ns.expect(me_patch, validate=True)
    @refuses(409)
    @returns(me_out)
    def patch(self) -> User:
        """Change the caller's own e-mail address or name."""
        return users.change(self.actor, user_id=self.actor.user_id, **self.body)


@ns.route("/password")
class PasswordChange(SecureResource):
    permissions = {"POST": Permission.ACCOUNT_WRITE}

    @ns.expect(password_in, validate=True)
    @no_content
    def post(self) -> None:
        """Change the caller's password and end all other sessions."""
        auth.change_password(self.actor, **self.body)
