"""Redaction of secrets in texts before they are written, and the rest that stays."""

import json
import time

import pytest

from core.auth.resets import ResetLink
from core.idempotency.service import Ticket
from core.platform import clock
from core.platform.database.paging import PageRequest
from core.platform.text.redaction import REDACTED, Redactor, confide, confided, forget_confided, is_secret_name

C = "c4n4ry/pa+ss_w0rd"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c4n4ry-signature_"

LEAKS = [
    f"password={C}",
    f"password: {C}, and more",
    f"PGPASSWORD='{C}'",
    f"{{'new_password': '{C} with blanks', 'name': 'kept'}}",
    json.dumps({"password": f'{C}"quoted', "name": "kept"}),
    f'{{"a": 1, "refresh_token": "{C}", broken',
    f'{{"username": "kept", "password": "{C} cut off',
    f"client_secret={C}&grant_type=password",
    f"JWT_SECRET_KEY={C}",
    f"SENTRY_DSN=https://{C}@sentry.example/1",
    f"api_key = '{C}'",
    f"Api-Key: {C}",
    f'"key": "{C}"',
    f"Authorization: Bearer {C}",
    f"Authorization: Basic dXNlcjpjNG40cnk= {C}",
    f"headers={{'authorization': 'Bearer {C}', 'accept': 'kept'}}",
    f"[(b'Set-Cookie', b'id={C}; Path=/'), (b'Accept', b'kept'), ('X-API-Key', '{C}')]",
    f"[(b'Authorization', b'x'), (b'accept', b'kept')] authorization: {C}",
    f"Cookie: tasklane_session={C}; tasklane_csrf={C}",
    f"Set-Cookie: tasklane_session={C}; HttpOnly; Path=/api",
    f"X-API-Key: {C}",
    f"X-CSRF-TOKEN: {C}",
    f"Bearer {C}",
    "Basic YWRhOmM0bjRyeQ==",
    f"postgresql+psycopg://tasklane:{C.replace('/', '%2F')}@db.example:5432/kept",
    "could not connect to postgres://u:c4n4ry@host/kept: refused",
    "redis://:c4n4ry@127.0.0.1:6379/0",
    "rediss://default:c4n4ry@@host:6380?db=0",
    "smtp://mailer:c4n4ry@mail.example:587",
    f"connection to server failed: host=db user=u password={C} dbname=kept",
    f"the token {JWT} is no good",
    "tl_c4n4ry".replace("c4n4ry", "0123456789abcdef0123456789abcdef0123456789abcdef"),
    "$argon2id$v=19$m=19456,t=2,p=1$c4n4ry$c4n4ry",
    "-----BEGIN PRIVATE KEY-----\nc4n4ry\nc4n4ry\n-----END PRIVATE KEY-----\nkept",
    "-----BEGIN RSA PRIVATE KEY-----\nc4n4ry",
]
HARMLESS = [
    "GET /api/v1/tasks/7 200 1.9 ms 812 B",
    "key_used account=1 actor=1 address=127.0.0.1 key=1",
    "account_created account=1 actor=None address=127.0.0.1 role='user'",
    "Listening on http://127.0.0.1:5000, processes: 2, threads of each: 8",
    "email.welcome failed: The mail server could not take the message now (451).",
    'Key (email)=(ada@example.com) already exists. constraint "uq_users_email"',
    "Basic credentials are only accepted over HTTPS.",
    "see https://docs.example/path?page=2#part, or ask ada@example.com",
    "The API key 12 was not recorded: OperationalError",
    "unix:///srv/instance/valkey.sock?db=0",
    "sqlite:////srv/instance/tasklane.db",
    "Token answers have the shape of RFC 6749.",
]


@pytest.mark.parametrize("text", LEAKS)
def test_a_secret_is_found_by_its_name_or_its_shape(text: str) -> None:
    shown = Redactor().text(text)
    assert "c4n4ry" not in shown
    assert "YWRhOmM0bjRyeQ" not in shown
    assert "0123456789abcdef" not in shown
    assert REDACTED in shown
    assert shown.count("kept") == text.count("kept"), shown


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_no_secret_stays(text: str) -> None:
    assert Redactor().text(text) == text


def test_known_values_are_found_wherever_they_stand_and_however_they_are_written() -> None:
    redactor = Redactor(["p@ss w/rd", "p@ss w/rd and more", "short"])
    text = "a p@ss w/rd b p%40ss%20w%2Frd c p@ss w/rd and more d shorter"
    assert redactor.text(text) == f"a {REDACTED} b {REDACTED} c {REDACTED} d shorter"
    assert Redactor(["back\\slash'ed"]).text(repr("back\\slash'ed")).count(REDACTED) == 1


def test_what_a_request_has_told_is_forgotten_with_the_next() -> None:
    forget_confided()
    assert confided.get() == ()
    confide("correct horse", None, "abc", 5)
    assert Redactor().text("no correct horse and abc") == f"no {REDACTED} and abc"
    forget_confided()
    assert Redactor().text("no correct horse and abc") == "no correct horse and abc"


def test_structures_lose_what_has_a_secret_name_and_keep_the_rest() -> None:
    redacted = Redactor().structure(
        {
            "password": {"deep": "c4n4ry"},
            "headers": [("Authorization: c4n4ry", 1), {"X-Api-Key": b"c4n4ry", "Accept": "text"}],
            "token": None,
            "tokens": 3,
            "at": Exception("password=c4n4ry"),
            "name": "kept",
        }
    )
    assert "c4n4ry" not in repr(redacted)
    assert redacted["headers"][1]["Accept"] == "text"
    assert (redacted["token"], redacted["tokens"], redacted["name"]) == (None, 3, "kept")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *((name, True) for name in ("password", "new_password", "X-API-Key", "refresh_token", "key")),
        *((name, False) for name in ("title", "key_id", "monkey", "description", "author")),
    ],
)
def test_names_of_secrets(name: str, expected: bool) -> None:
    assert is_secret_name(name) is expected


@pytest.mark.parametrize(
    "holder",
    [
        PageRequest(1, 20, None, None, signing_keys=("hidden",)),
        ResetLink("hidden", clock.now()),
        Ticket("user 1", "hidden", "0", ["hidden"]),
    ],
    ids=lambda holder: type(holder).__name__,
)
def test_what_holds_a_secret_does_not_show_it(holder: object) -> None:
    assert "hidden" not in repr(holder)


def test_a_long_harmless_text_costs_little() -> None:
    # Patterns that look back and forth would take minutes for these.
    parts = (
        "a",
        "a.",
        "password",
        "key=",
        'key="',
        "token '",
        "://",
        "a://",
        "eyJ",
        "eyJa.",
        "tl_0",
        "-----BEGIN ",
        "bearer ",
    )
    parts += ("-----BEGIN PRIVATE KEY-----", "cookie: ", "secret" + " " * 50, "authorization", "$argon2id$", "Basic a")
    redactor = Redactor(["some known value"])
    for part in parts:
        began = time.process_time()
        redactor.text(part * (100_000 // len(part)))
        assert time.process_time() - began < 1, part
