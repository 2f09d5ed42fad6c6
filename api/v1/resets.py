"""Password resets over HTTP."""

from typing import Any

from flask_restx import Namespace, fields

from api.http.answers.refusals import refuses
from api.http.answers.responses import no_content, returns
from api.http.door import login_limits
from api.http.door.resource import SecureResource
from api.http.input import places
from api.http.input.fields import Moment, NullableText, Password
from api.http.input.takes import takes
from core.auth import resets
from core.platform.access import Permission
from core.platform.config.current import current_settings
from core.platform.text.redaction import confide

ns = Namespace("passwords", description="A way back for who has forgotten their password", path="/v1")

# Whatever the name is, so that no caller learns whether there is such an account.
ORDERED = "If there is an active account of this name, its owner gets an e-mail that helps for 30 minutes."

forgotten_in = ns.model(
    "ForgottenPassword",
    {
        "username": fields.String(
            required=True, max_length=400, description="Username or e-mail address.", example="ada"
        )
    },
    strict=True,
)
forgotten_out = ns.model("ForgottenPasswordNotice", {"message": fields.String(required=True, example=ORDERED)})
reset_in = ns.model(
    "PasswordReset",
    {
        "token": Password(required=True, description="From the e-mail or the link.", example="tlr_" + 12 * "0f1e"),
        "new_password": Password(required=True, min_length=8, max_length=128, example="an even longer one"),
    },
    strict=True,
)
link_out = ns.model(
    "PasswordResetLink",
    {
        "token": fields.String(required=True, description="Shown this once.", example="tlr_" + 12 * "0f1e"),
        "url": NullableText(
            required=True,
            description="The page of `mail.reset_url` with the token; null if there is none.",
            example="https://app.example.com/reset#tlr_" + 12 * "0f1e",
        ),
        "expires_at": Moment(required=True),
    },
)


@ns.route("/auth/password/forgotten")
class ForgottenPassword(SecureResource):
    operations = {"POST": "request_password_reset"}
    permissions = {"POST": Permission.PUBLIC}
    decorators = (login_limits.limits_resets,)
    count = login_limits.count_unless_login

    @takes(forgotten_in, missing_status=400)
    @refuses(429)
    @returns(forgotten_out)
    def post(self) -> dict[str, Any]:
        """Ask for an e-mail by which its owner sets a new password.

        The answer is the same whether there is such an account or not. What is sent
        works once, for 30 minutes; of one account at most three hold at once.
        """
        resets.order(**self.body)
        return {"message": ORDERED}


@ns.route("/auth/password/reset")
class PasswordReset(SecureResource):
    operations = {"POST": "reset_password"}
    permissions = {"POST": Permission.PUBLIC}
    decorators = (login_limits.limits_tokens,)
    count = login_limits.count_unless_login

    @takes(reset_in, missing_status=400)
    @refuses(429)
    @no_content
    def post(self) -> None:
        """Set a new password by a token from an e-mail or an administrator.

        Ends all sessions, all API keys and all other such tokens of the account.
        A token that is unknown, used or expired is 422.
        """
        confide(self.body["token"])
        resets.redeem(secret_keys=current_settings().secret_keys, **self.body)


@ns.route("/users/<int:user_id>/password-reset")
@ns.doc(params=places.USER_ID)
class PasswordResetLink(SecureResource):
    operations = {"POST": "create_password_reset_link"}
    permissions = {"POST": Permission.CREDENTIALS_MANAGE}

    @refuses(403, 404, 409)
    @returns(link_out)
    def post(self, user_id: int) -> dict[str, Any]:
        """Make a link by which another user sets a new password; administrators may, without API keys.

        It works once, for 30 minutes, and is shown this once: hand it over yourself.
        An inactive account gets none (409).
        """
        settings = current_settings()
        link = resets.make(self.actor, user_id=user_id, secret_key=settings.secret_key)
        return {"token": link.token, "url": settings.mail.reset_link(link.token), "expires_at": link.expires_at}
