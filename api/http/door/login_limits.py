"""Limits of attempts to guess a password or a token, and of questions for a way back into an account."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from flask import g, request
from flask_limiter.util import get_remote_address

from api.http.door.basic import presented_credentials
from api.http.door.limit_headers import Limit, concerns
from api.http.door.limiters import caller_key, credentials_limiter
from api.http.door.limits import count_request
from api.http.input import continuation
from api.http.input.forms import limit_size
from api.http.input.media import URLENCODED
from core.platform.access import Actor
from core.platform.config.current import current_settings
from core.platform.errors import DomainError
from core.platform.text import checks, strict_json


def limits_logins(view: Callable[..., Any]) -> Callable[..., Any]:
    """Count the POSTs to a view as attempts to log in, together with those to all other such views.

    One address may try one username only so often, and all usernames together
    somewhat more often.
    """
    return _limited(view, _LOGIN, _FROM_ADDRESS)


def limits_resets(view: Callable[..., Any]) -> Callable[..., Any]:
    """Count the POSTs to a view as questions for a way back into an account, and as attempts to log in."""
    return _limited(view, _RESET, _FROM_ADDRESS)


def limits_tokens(view: Callable[..., Any]) -> Callable[..., Any]:
    """Count the POSTs to a public view as attempts to log in from this address."""
    return _limited(view, _FROM_ADDRESS)


def _limited(view: Callable[..., Any], *limits: Limit) -> Callable[..., Any]:
    unlimited = view
    for limit in limits:
        shared = credentials_limiter.shared_limit(limit.value, scope=limit.scope, key_func=limit.key, methods=["POST"])
        view = shared(view)

    @wraps(view)
    def counted(*args: Any, **kwargs: Any) -> Any:
        if continuation.is_asked():
            # Which name is tried is known when the body is there.
            return unlimited(*args, **kwargs)
        if request.method == "POST":
            concerns(*(limit.quota for limit in limits))
        return view(*args, **kwargs)

    return counted


def reset_limit() -> str:
    """Return how often one client may ask for a link for one username."""
    return current_settings().auth.reset_limit


def login_limit() -> str:
    """Return how often one client may try one username."""
    return current_settings().auth.login_limit


def address_limit() -> str:
    """Return how often one client may try to log in."""
    return current_settings().auth.address_limit


def password_limit() -> str:
    """Return how often a caller may send their old password."""
    return current_settings().auth.password_limit


_PASSWORDS = Limit(credentials_limiter, password_limit, "password", caller_key)


@credentials_limiter.shared_limit(_PASSWORDS.value, scope=_PASSWORDS.scope, key_func=_PASSWORDS.key)
def _count_password() -> None:
    """Count this attempt to send a password, or raise RateLimitExceeded."""


def count_password(actor: Actor | None) -> None:
    """Count an attempt of a verified caller to send their password. Raises RateLimitExceeded."""
    g.limited_actor = actor
    g.is_counted = True
    concerns(_PASSWORDS.quota)
    _count_password()


def count_unless_login(actor: Actor | None) -> None:
    """Count this request, unless it is an attempt to log in, which was counted before a caller was verified."""
    if request.method == "POST":
        g.is_counted = True
    else:
        count_request(actor)


def login_key() -> str:
    """Return client address and username, so that a stranger cannot lock a colleague out."""
    basic = presented_credentials()
    username: object = basic["username"] if basic else None
    if basic is None and request.mimetype == URLENCODED:
        limit_size()
        username = request.form.get("username", request.form.get("email"))
    if basic is None and request.mimetype == "application/json":
        try:
            body = strict_json.parse(request.get_data())
        except DomainError:
            body = None
        username = body.get("username", body.get("email")) if isinstance(body, dict) else None
    # The same spelling that finds the account, so that no number of spaces or capitals gives further tries.
    return f"{get_remote_address()} {checks.login_name(checks.strip(str(username or ''))[:400])[:120]}"


_LOGIN = Limit(credentials_limiter, login_limit, "login", login_key)
_RESET = Limit(credentials_limiter, reset_limit, "reset", login_key)
_FROM_ADDRESS = Limit(credentials_limiter, address_limit, "logins", get_remote_address)
