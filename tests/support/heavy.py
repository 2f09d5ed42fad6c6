"""Bodies, queries and headers of about a megabyte that are refused: each would be dear to look at as a whole."""

import json
from collections.abc import Callable

MEGABYTE = 1024 * 1024 - 4096


def _members(text: Callable[[int], str], size: int = MEGABYTE) -> bytes:
    """Return an object of so many different members as have room."""
    parts, length, number = [], 0, 0
    while length < size:
        parts.append(text(number))
        length += len(parts[-1].encode()) + 1
        number += 1
    return ("{" + ",".join(parts[:-1]) + "}").encode()


def _list(entry: str, *, before: str = "[", after: str = "]", size: int = MEGABYTE) -> bytes:
    count = size // (len(entry.encode()) + 1)
    return (before + ",".join([entry] * count) + after).encode()


def _field(name: str, value: str) -> bytes:
    return f'{{"{name}":{value}}}'.encode()


LONG = "x" * MEGABYTE

# What the contract calls broken is 400 or 422, what is too large 413.


def bodies() -> dict[str, bytes]:
    """Return the bodies, which are made each time: together they are large, and few tests want them."""
    return {
        "unknown keys": _members(lambda number: f'"k{number}":0'),
        "keys that nearly are ones": _members(lambda number: f'"titl{number}":0'),
        "keys of 100 characters": _members(lambda number: f'"{number:0100d}":0'),
        "keys of other scripts": _members(lambda number: f'"{number}{"ж" * 90}":0'),
        "keys with NUL": _members(lambda number: f'"\\u0000{number}":0'),
        "keys with surrogates": _members(lambda number: f'"\\ud800{number}":0'),
        "secrets": _members(lambda number: f'"password{number}":"secret{number}"'),
        "one key of a megabyte": f'{{"{LONG}":0}}'.encode(),
        "one key of a megabyte of NULs": ('{"' + "\\u0000" * (MEGABYTE // 6) + '":0}').encode(),
        "the same key": _list('"title":"a"', before="{", after="}"),
        "the last key twice": _members(lambda number: f'"k{number}":0')[:-1] + b',"k1":1}',
        "empty operations": _list("{}", before='{"operations":[', after="]}"),
        "operations that are numbers": _list("1", before='{"operations":[', after="]}"),
        "operations without a task": _list('{"op":"create"}', before='{"operations":[', after="]}"),
        "100 operations of unknown keys": (
            '{"operations":['
            + ",".join(
                ['{"op":"create","task":' + _members(lambda n: f'"k{n}":0', MEGABYTE // 110).decode() + "}"] * 100
            )
            + "]}"
        ).encode(),
        "100 operations of wrong values": (
            '{"operations":['
            + ",".join(['{"op":"x","id":"y","version":[],"task":{"title":1,"status":2,"due_date":3,"a":4}}'] * 100)
            + "]}"
        ).encode(),
        "scopes": _list('"tasks:read"', before='{"name":"n","scopes":[', after="]}"),
        "unknown scopes": _list('"x"', before='{"name":"n","scopes":[', after="]}"),
        "task ids": _list("1", before='{"from_user_id":1,"to_user_id":2,"task_ids":[', after="]}"),
        "1000 mixed ids": _list(
            '{},[1],"a",1,null', before='{"from_user_id":1,"to_user_id":2,"task_ids":[', after="]}", size=3600
        ),
        "filters": b'{"kind":"tasks","format":"csv","filters":' + _members(lambda number: f'"f{number}":0') + b"}",
        "integers of 20 digits": _list("18446744073709551616", before='{"title":[', after="]}"),
        "numbers": _list("1.5", before='{"title":[', after="]}"),
        "open brackets": b"[" * MEGABYTE,
        "open objects": b'{"a":' * (MEGABYTE // 5),
        "many flat lists": _list("[]", before='{"title":[', after="]}"),
        "brackets in a string": _field("title", f'"{"[" * MEGABYTE}"'),
        "commas in a string": _field("title", f'"{"," * MEGABYTE}"'),
        "escaped quotation marks": _field("title", '"' + '\\"' * (MEGABYTE // 2) + '"'),
        "escaped quotation marks without an end": (
            '{"title":[,' + "," * 30_000 + '"' + '\\"' * (MEGABYTE // 2 - 20_000)
        ).encode(),
        "backslashes without an end": b'{"title":"' + b"," * 30_000 + b"\\" * (MEGABYTE - 30_011),
        "empty strings": _list('""', before='{"title":[', after="]}"),
        **{
            f"a megabyte in {name}": _field(name, json.dumps(LONG))
            for name in (
                "title",
                "status",
                "due_date",
                "username",
                "email",
                "time_zone",
                "token",
                "password",
                "expires_at",
            )
        },
        "a megabyte of space": _field("title", f'"{" " * MEGABYTE}"'),
        "a megabyte of controls": _field("username", '"' + "\\u0001" * (MEGABYTE // 6) + '"'),
        "a megabyte of other letters": _field("username", f'"{"ж" * (MEGABYTE // 2)}"'),
        "an integer of a megabyte": _field("version", "1" * MEGABYTE),
        "a number of a megabyte": _field("price", "0." + "1" * MEGABYTE),
        "an exponent of a megabyte": _field("price", "1e" + "1" * MEGABYTE),
        "no JSON": b"x" * MEGABYTE,
        "no UTF-8": b"\xff" * MEGABYTE,
        "white space": b" " * MEGABYTE,
        "a string": json.dumps(LONG).encode(),
        "zeros": b"\x00" * MEGABYTE,
    }


def forms() -> dict[str, tuple[str, bytes]]:
    """Return the forms, which are made each time: together they are large, and few tests want them."""
    return {
        "fields": ("application/x-www-form-urlencoded", b"&".join(b"a%d=1" % number for number in range(100_000))),
        "ampersands": ("application/x-www-form-urlencoded", b"&" * MEGABYTE),
        "many fields": ("application/x-www-form-urlencoded", b"&".join(b"a%d=1" % number for number in range(20_000))),
        "escapes": ("application/x-www-form-urlencoded", b"grant_type=password&username=" + b"%41" * 60_000),
        "a long field": ("application/x-www-form-urlencoded", b"grant_type=password&username=" + b"x" * MEGABYTE),
        "parts": (
            "multipart/form-data; boundary=b",
            b"".join(b'--b\r\nContent-Disposition: form-data; name="n%d"\r\n\r\nx\r\n' % n for n in range(10_000))
            + b"--b--\r\n",
        ),
        "a part of a megabyte": (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="kind"\r\n\r\n' + b"x" * MEGABYTE + b"\r\n--b--\r\n",
        ),
        "a name of a part": (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="' + b"x" * MEGABYTE + b'"\r\n\r\nx\r\n--b--\r\n',
        ),
        "boundaries": ("multipart/form-data; boundary=b", b"--b\r\n" * (MEGABYTE // 5)),
    }


# A request line may have 256 KiB.
_LINE = 250 * 1024


def queries() -> dict[str, str]:
    """Return the queries, which are made each time: together they are large, and few tests want them."""
    return {
        "parameters": "&".join(f"p{number}=1" for number in range(10_000)),
        "the same parameter": "&".join(["page=1"] * 10_000),
        "parameters that nearly are ones": "&".join(f"statu{number}=1" for number in range(10_000)),
        "a long name": "x" * _LINE + "=1",
        "a long value": "status=" + "x" * _LINE,
        "many values": "status=" + ",".join(["pending"] * 20_000 + ["x"]),
        "a long sort": "sort=" + ",".join(["title"] * 20_000),
        "a long cursor": "cursor=" + "A" * _LINE,
        "a long page": "page=" + "1" * _LINE,
        "escapes": "q=" + "%00" * (_LINE // 3),
        "ampersands": "&" * _LINE,
        "a long zone": "tz=" + "x" * _LINE,
    }
