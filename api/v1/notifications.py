"""Preferences for e-mails, over HTTP."""

from flask_restx import Namespace, fields

from api.http.answers.refusals import refuses
from api.http.answers.responses import returns
from api.http.door.resource import SecureResource
from api.http.input import places
from api.http.input.takes import takes
from core.mail import preferences
from core.mail.model import OPTIONAL, MailKind
from core.mail.preferences import Subscription
from core.platform.access import Permission
from core.platform.config.current import current_settings

ns = Namespace("notifications", description="Choose what to get by e-mail", path="/v1")

_MEANINGS = {
    MailKind.TASK_CREATED: "The confirmation of a task that you have created.",
    MailKind.TASK_ASSIGNED: "Another user has assigned tasks to you.",
    MailKind.TASKS_TRANSFERRED: "Another user has handed tasks over to you.",
    MailKind.TASK_REMINDER: "A task that you own or are assigned to is due the next day, in your time zone.",
}

preferences_out = ns.model(
    "NotificationPreferences",
    {kind.value: fields.Boolean(required=True, description=_MEANINGS[kind], example=True) for kind in OPTIONAL},
)
preferences_patch = ns.model(
    "NotificationPreferencesUpdate",
    {kind.value: fields.Boolean(description=_MEANINGS[kind], example=False) for kind in OPTIONAL},
    strict=True,
)
subscription_out = ns.model(
    "EmailSubscription",
    {
        "kind": fields.String(required=True, enum=[kind.value for kind in OPTIONAL], example="task_reminder"),
        "wanted": fields.Boolean(required=True, description="Whether such messages are sent.", example=True),
    },
)


@ns.route("/auth/me/notifications")
class Notifications(SecureResource):
    conditional_on = preferences_out
    operations = {"GET": "get_notification_preferences", "PATCH": "update_notification_preferences"}
    permissions = {"GET": Permission.ACCOUNT_READ, "PATCH": Permission.ACCOUNT_WRITE}

    @returns(preferences_out)
    def get(self) -> dict[str, bool]:
        """Return which e-mails the caller gets, of those that one may do without."""
        return preferences.get(self.actor)

    @takes(preferences_patch)
    @refuses(409)
    @returns(preferences_out)
    def patch(self) -> dict[str, bool]:
        """Choose which e-mails to get; what is not given stays. New kinds are on."""
        return preferences.change(self.actor, self.expected, **self.body)


@ns.route("/notifications/unsubscribe/<token>")
@ns.doc(params=places.text("token", "From a message."))
class Unsubscription(SecureResource):
    operations = {"GET": "get_email_subscription", "POST": "end_email_subscription"}
    permissions = {"GET": Permission.PUBLIC, "POST": Permission.PUBLIC}

    @refuses(404)
    @returns(subscription_out)
    def get(self, token: str) -> Subscription:
        """Return what a link of a message is about.

        Changes nothing, because mail scanners follow links.
        """
        return preferences.find(token, secret_keys=current_settings().secret_keys)

    @refuses(404)
    @returns(subscription_out)
    def post(self, token: str) -> Subscription:
        """End the kind of messages that a link is about, without logging in.

        Mail programs do this with one click (RFC 8058); their form, or any other
        body, is not looked at. Again is as good as once.
        """
        return preferences.unsubscribe(token, secret_keys=current_settings().secret_keys)
