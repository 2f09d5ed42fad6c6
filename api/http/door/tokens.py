"""JWTs, cookies and API keys: how callers prove on the wire who they are. The truth is in the database."""

import hashlib
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from flask import Flask, Response, current_app, request
from flask_jwt_extended import (
    JWTManager,
    create_access_token,
    create_refresh_token,
    get_csrf_token,
    get_jwt,
    verify_jwt_in_request,
)
from flask_jwt_extended.exceptions import CSRFError, JWTExtendedException
from jwt.exceptions import ExpiredSignatureError, PyJWTError

from api.http.answers.responses import on_answer
from api.http.door.verified_tokens import VerifiedTokens
from core.auth import keys
from core.auth import service as auth
from core.auth.service import Grant
from core.platform import clock
from core.platform.access import Actor
from core.platform.cache.marks import service as marks
from core.platform.config.current import current_settings
from core.platform.database.base import db
from core.platform.database.engine import reader_of
from core.platform.errors import ExpiredToken, Forbidden, InvalidToken, Unauthenticated
from core.platform.text import checks, redaction

NOT_VALID = "This token is not valid here."
KEY_HEADER = "X-API-Key"
CSRF_HEADER = "X-CSRF-TOKEN"
SESSION_COOKIE = "tasklane_session"
CSRF_COOKIE = "tasklane_csrf"
_VERIFIED = "tasklane.verified_tokens"
# In the environment of a request: the result of `recognize`, where it was asked before.
RECOGNIZED = "tasklane.recognized"


def init_tokens(app: Flask) -> None:
    """Configure Flask-JWT-Extended from the settings."""
    with app.app_context():
        settings = current_settings()
    app.config.update(
        JWT_ALGORITHM="HS256",
        JWT_TOKEN_LOCATION=["headers", "cookies"],
        JWT_ACCESS_TOKEN_EXPIRES=timedelta(minutes=settings.auth.access_token_minutes),
        JWT_REFRESH_TOKEN_EXPIRES=timedelta(days=settings.auth.refresh_token_days),
        JWT_ACCESS_COOKIE_NAME=SESSION_COOKIE,
        JWT_ACCESS_CSRF_HEADER_NAME=CSRF_HEADER,
    )
    app.extensions[_VERIFIED] = VerifiedTokens()
    _rotate_keys(JWTManager(app), [settings.jwt_secret_key, *settings.jwt_previous_secret_keys])


def _rotate_keys(manager: JWTManager, secrets: list[str]) -> None:
    """Sign with the first key, and verify with whichever the token names (RFC 7515, section 4.1.4)."""
    by_id = {_key_id(secret): secret for secret in reversed(secrets)}

    @manager.encode_key_loader
    def signing_key(identity: Any) -> str:
        return secrets[0]

    @manager.decode_key_loader
    def verifying_key(header: dict[str, Any], claims: dict[str, Any]) -> str:
        # A token from before keys had names was signed with the first one or is not ours.
        return by_id.get(str(header.get("kid")), secrets[0])


def _key_id(secret: str) -> str:
    """Return the name of a key, from which the key cannot be found."""
    return hashlib.sha256(b"tasklane jwt key " + secret.encode()).hexdigest()[:16]


def _headers() -> dict[str, str]:
    return {"kid": _key_id(current_settings().jwt_secret_key)}


def session_lifetime() -> timedelta:
    """Return how long a session lives without a refresh."""
    return timedelta(days=current_settings().auth.refresh_token_days)


def browser_session_lifetime(*, remember: bool) -> timedelta:
    """Return how long a browser session lives."""
    return session_lifetime() if remember else timedelta(hours=current_settings().auth.browser_session_hours)


def issue(grant: Grant) -> dict[str, Any]:
    """Return the token answer of RFC 6749, section 5.1."""
    subject = str(grant.user_id)
    claims = {"sid": grant.session_id}
    return {
        "access_token": create_access_token(subject, additional_claims=claims, additional_headers=_headers()),
        "refresh_token": create_refresh_token(
            subject, additional_claims={**claims, "jti": grant.refresh_jti}, additional_headers=_headers()
        ),
        "token_type": "Bearer",
        "expires_in": current_settings().auth.access_token_minutes * 60,
    }


def issue_cookies(grant: Grant, *, remember: bool) -> dict[str, Any]:
    """Put the session into cookies of the coming answer; return what the page may know of it.

    The token in the cookie lives as long as its session, so there is nothing to
    refresh: the session's row is asked at every request anyway, and unlike a
    Bearer token this one is out of reach of scripts. The grant's refresh token
    is never handed out.
    """
    lifetime = browser_session_lifetime(remember=remember)
    token = create_access_token(
        str(grant.user_id),
        additional_claims={"sid": grant.session_id},
        additional_headers=_headers(),
        expires_delta=lifetime,
    )
    csrf_token = get_csrf_token(token)

    def set_cookies(response: Response) -> None:
        # Without an age, the browser forgets them when it is closed.
        max_age = lifetime if remember else None
        response.set_cookie(SESSION_COOKIE, token, max_age=max_age, **_cookie_flags(SESSION_COOKIE))
        response.set_cookie(CSRF_COOKIE, csrf_token, max_age=max_age, **_cookie_flags(CSRF_COOKIE))

    on_answer(set_cookies)
    return {"user_id": grant.user_id, "csrf_token": csrf_token, "expires_at": clock.now() + lifetime}


def clear_cookies() -> None:
    """Remove the cookies of a browser session with the coming answer."""

    def unset_cookies(response: Response) -> None:
        for name in (SESSION_COOKIE, CSRF_COOKIE):
            response.delete_cookie(name, **_cookie_flags(name))

    on_answer(unset_cookies)


def _cookie_flags(name: str) -> dict[str, Any]:
    # Flask-JWT-Extended's own setter knows Secure only for all requests or none,
    # and a Secure cookie never comes back over plain http, which `dev` speaks.
    is_session = name == SESSION_COOKIE
    return {
        # Pages anywhere on this host read the CSRF token; only the API gets the session.
        "path": "/api" if is_session else "/",
        "httponly": is_session,
        "secure": request.is_secure,
        "samesite": "Lax",
    }


def verify(*, refresh: bool) -> Actor:
    """Return the verified caller. Raises Unauthenticated or Forbidden, and nothing of the JWT libraries.

    The first of these that is present decides, and no other is tried after it:
    the Authorization header, an API key, the cookie. Only the cookie is sent by
    a browser without being asked, so only it needs the CSRF token.
    """
    if "Authorization" in request.headers:
        recognized: tuple[Actor, str] | None = request.environ.pop(RECOGNIZED, None)
        token = _bearer(request.headers["Authorization"])
        if recognized is not None and not refresh:
            marks.note(db.session(), recognized[1])
            return recognized[0]
        if token is None:
            return _actor_of(_verify_jwt("headers", refresh=refresh))
        # The library knows this spelling only, but a scheme may be written in any case (RFC 9110, section
        # 11.1); and into the field of Swagger UI people paste nothing but the token.
        request.environ["HTTP_AUTHORIZATION"] = f"Bearer {token}"
        return _actor_of(_verify_jwt("headers", refresh=True) if refresh else _access_claims(token))
    if KEY_HEADER in request.headers:
        redaction.confide(request.headers[KEY_HEADER])
        return keys.authenticate(key=request.headers[KEY_HEADER], secret_keys=current_settings().secret_keys)
    if SESSION_COOKIE in request.cookies and not refresh:
        redaction.confide(request.cookies[SESSION_COOKIE], request.headers.get(CSRF_HEADER))
        return _actor_of(_verify_jwt("cookies", refresh=False))
    raise Unauthenticated("Credentials are needed.")


def recognize(app: Flask, authorization: str) -> tuple[Actor, str] | None:
    """Return whose access token this is and all change marks, None for a token that was not verified before.

    Needs no context of the application. Raises InvalidToken if its session does not count any more.
    """
    token = _bearer(authorization)
    claims = None if token is None else _verified(app).find(token)
    if claims is None:
        return None
    actor, all_marks = auth.recognize(reader_of(app), session_id=_session_of(claims))
    _require_subject(claims, actor)
    return actor, all_marks


def _bearer(authorization: str) -> str | None:
    """Return the token of an Authorization header, None for another scheme. It is written down nowhere from now on."""
    scheme, _, token = authorization.rpartition(" ")
    redaction.confide(token)
    return token if scheme.strip().lower() in ("bearer", "") else None


def _verified(app: Flask) -> VerifiedTokens:
    verified: VerifiedTokens = app.extensions[_VERIFIED]
    return verified


def _access_claims(token: str) -> Mapping[str, Any]:
    """Return the claims of an access token, whose signature is looked at once in each process."""
    verified = _verified(current_app)
    claims = verified.find(token)
    if claims is None:
        claims = _verify_jwt("headers", refresh=False)
        verified.remember(token, claims)
    return claims


def _verify_jwt(location: str, *, refresh: bool) -> Mapping[str, Any]:
    """Return the claims of the token that the request presents there."""
    if location == "cookies" and not request.headers.get(CSRF_HEADER, "").isascii():
        # The library compares in constant time, which works on ASCII only.
        raise Forbidden("The CSRF token is wrong.")
    try:
        verify_jwt_in_request(refresh=refresh, locations=location)
    except CSRFError:
        raise Forbidden(
            f"A request that changes something needs the CSRF token of its session in {CSRF_HEADER}."
        ) from None
    except ExpiredSignatureError:
        raise ExpiredToken("This token has expired.") from None
    except (JWTExtendedException, PyJWTError, ValueError):
        raise InvalidToken(NOT_VALID) from None
    return get_jwt()


def _actor_of(claims: Mapping[str, Any]) -> Actor:
    """Return whose token this is, if its session still counts."""
    actor = auth.authenticate(session_id=_session_of(claims))
    _require_subject(claims, actor)
    return actor


def _session_of(claims: Mapping[str, Any]) -> str:
    session_id = claims.get("sid")
    if not isinstance(session_id, str) or checks.UNSTORABLE.search(session_id):
        raise InvalidToken(NOT_VALID)
    return session_id


def _require_subject(claims: Mapping[str, Any], actor: Actor) -> None:
    if claims.get("sub") != str(actor.user_id):
        raise InvalidToken(NOT_VALID)


def presented_jti() -> str:
    """Return the identifier of the refresh token that the caller presented."""
    return str(get_jwt()["jti"])
