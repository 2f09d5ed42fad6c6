"""Hostile requests to single operations, which know what the families of `hostile` do not."""

import base64
import hmac
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from tests.support import hostile_values as values
from tests.support.hostile import Request, is_text


def nowhere() -> Iterator[Request]:
    """Yield paths to which no route leads."""
    for number, path in enumerate(values.NOWHERE):
        method = ("GET", "POST", "DELETE", "PUT", "PATCH", "HEAD")[number % 6]
        yield Request("nowhere", method, path, frozenset({404, 405}) if is_text(path) else frozenset({400}))


def greetings() -> Iterator[Request]:
    """Yield names of nobody. What is text at all may be greeted; no route takes a path with a line break in front."""
    for part in values.PATH_NUMBERS:
        for method in ("GET", "HEAD"):
            yield Request("a name", method, f"/api/v1/greet/{part}", frozenset({200, 400, 404}))


def forged_tokens(sound: Request, claims: Mapping[str, Any], secret: str) -> Iterator[Request]:
    """Yield tokens that say something else than ours, or are signed by somebody else. `sound` asks for anything."""

    def ask(token: str, about: str = "") -> Request:
        others = tuple(item for item in sound.headers if item[0] != "Authorization")
        headers = (*others, ("Authorization", f"Bearer {token}"))
        return replace(sound, family=f"a forged token{about:.30}", expected=frozenset({401}), headers=headers)

    def sign(changes: Mapping[str, Any], **header: Any) -> str:
        changed = {name: value for name, value in {**claims, **changes}.items() if value is not ...}
        return _jws({"alg": "HS256", "typ": "JWT", **header}, changed, secret)

    yield ask(_jws({"alg": "none", "typ": "JWT"}, claims, None))
    yield ask(_jws({"alg": "NONE", "typ": "JWT"}, claims, None))
    yield ask(_jws({"alg": "HS256", "typ": "JWT"}, claims, None))
    yield ask(_jws({"alg": "HS256", "typ": "JWT"}, claims, ""))
    yield ask(_jws({"alg": "HS256", "typ": "JWT"}, claims, "secret" * 8))
    yield ask(_jws({"typ": "JWT"}, claims, secret))
    yield ask(_jws([1], claims, secret))
    yield ask(_jws({"alg": "HS256"}, [claims], secret))
    yield ask(_jws({"alg": "HS256"}, "claims", secret))
    for algorithm in ("HS384", "RS256", "ES256", "PS512", 256, None, ["HS256"], {"a": 1}):
        yield ask(sign({}, alg=algorithm))
    for key_id in ("../../dev/null", "' OR 1=1", 0, None, ["a"], "\x00"):
        yield ask(_jws({"alg": "HS256", "kid": key_id}, claims, "secret" * 8))
    yield ask(sign({}, crit=["b64"], b64=False))
    for name, wrong in values.WRONG_CLAIMS:
        yield ask(sign({name: wrong}), f" {name}={wrong}")


def _jws(header: Any, claims: Any, secret: str | None) -> str:
    """Return a token of whatever it is given; without a secret it is not signed. PyJWT is too well-behaved for this."""
    signed = b".".join(_base64url(json.dumps(part).encode()) for part in (header, claims))
    signature = b"" if secret is None else hmac.digest(secret.encode(), signed, "sha256")
    return (signed + b"." + _base64url(signature)).decode()


def _base64url(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def forms(sound: Request) -> Iterator[Request]:
    """Yield forms that cannot be read, or hold something else than the import is asked for with `sound`."""
    others = tuple(item for item in sound.headers if item[0] != "Content-Type")
    for expected, media_type, body in values.FORMS:
        headers = (*others, ("Content-Type", media_type))
        yield replace(sound, family="a wrong form", expected=frozenset({expected}), headers=headers, body=body)


def nested(sounds: Mapping[str, Request]) -> Iterator[Request]:
    """Yield bodies that are wrong deep inside."""
    for operation, raw in values.NESTED:
        yield replace(sounds[operation], family="wrong inside", expected=frozenset({422}), body=raw.encode())


def logins(sound: Request) -> Iterator[Request]:
    """Yield logins that are none, by form and by header."""
    form = "application/x-www-form-urlencoded"
    for expected, body in values.LOGIN_FORMS:
        headers: tuple[tuple[str, str | None], ...] = (("Content-Type", form),)
        yield replace(sound, family="a wrong login", expected=frozenset(expected), headers=headers, body=body)
    for value in values.AUTHORIZATIONS:
        headers = (("Authorization", value),)
        yield replace(sound, family="a wrong login", expected=frozenset({400, 401, 422}), headers=headers, body=b"")
