"""JWTs: how a session is spelled on the wire. The truth about it is in the database."""

from datetime import timedelta
from typing import Any

from flask import Flask, request
from flask_jwt_extended import JWTManager, create_access_token, create_refresh_token, get_jwt, verify_jwt_in_request
from flask_jwt_extended.exceptions import JWTExtendedException
from jwt.exceptions import ExpiredSignatureError, PyJWTError

from core.access import Actor
from core.auth import service as auth
from core.auth.service import Grant
from core.bootstrap import current_settings
from core.errors import ExpiredToken, InvalidToken, Unauthenticated

NOT_VALID = "This token is not valid here."


def init_tokens(app: Flask) -> None:
    """Configure Flask-JWT-Extended from the settings."""
    with app.app_context():
        settings = current_settings()
    app.config.update(
        JWT_ALGORITHM="HS256",
        JWT_TOKEN_LOCATION=["headers"],
        JWT_ACCESS_TOKEN_EXPIRES=timedelta(minutes=settings.auth.access_token_minutes),
        JWT_REFRESH_TOKEN_EXPIRES=timedelta(days=settings.auth.refresh_token_days),
    )
    JWTManager(app)


def session_lifetime() -> timedelta:
    """Return how long a session lives without a refresh."""
    return timedelta(days=current_settings().auth.refresh_token_days)


def issue(grant: Grant) -> dict[str, Any]:
    """Return the token answer of RFC 6749, section 5.1."""
    subject = str(grant.user_id)
    claims = {"sid": grant.session_id}
    return {
        "access_token": create_access_token(subject, additional_claims=claims),
        "refresh_token": create_refresh_token(subject, additional_claims={**claims, "jti": grant.refresh_jti}),
        "token_type": "Bearer",
        "expires_in": current_settings().auth.access_token_minutes * 60,
    }


def verify(*, refresh: bool) -> Actor:
    """Return the verified caller. Raises Unauthenticated, and nothing of the JWT libraries."""
    if "Authorization" not in request.headers:
        raise Unauthenticated("Credentials are needed.")
    try:
        verify_jwt_in_request(refresh=refresh)
    except ExpiredSignatureError:
        raise ExpiredToken("This token has expired.") from None
    except (JWTExtendedException, PyJWTError, ValueError):
        raise InvalidToken(NOT_VALID) from None
    claims = get_jwt()
    session_id = claims.get("sid")
    if not isinstance(session_id, str):
        raise InvalidToken(NOT_VALID)
    actor = auth.authenticate(session_id=session_id)
    if claims.get("sub") != str(actor.user_id):
        raise InvalidToken(NOT_VALID)
    return actor


def presented_jti() -> str:
    """Return the identifier of the token that the caller presented."""
    return str(get_jwt()["jti"])
