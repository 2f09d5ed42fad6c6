"""Moments as the languages of clients write them (RFC 3339, section 5.6), alike in queries, bodies and imports."""

from typing import Any
from urllib.parse import quote

import pytest

from api.http.input import query
from core.exchange import notations
from core.platform.text import checks
from tests.support.engines import on_sqlite
from tests.support.people import Person

GOOD = {
    "2026-11-20T09:30:00Z": "2026-11-20T09:30:00+00:00",
    "2026-11-20t09:30:00z": "2026-11-20T09:30:00+00:00",
    "2026-11-20T09:30:00z": "2026-11-20T09:30:00+00:00",
    "2026-11-20t09:30:00+00:00": "2026-11-20T09:30:00+00:00",
    "2026-11-20T09:30:00.1Z": "2026-11-20T09:30:00.100000+00:00",
    "2026-11-20T09:30:00.12Z": "2026-11-20T09:30:00.120000+00:00",
    "2026-11-20T09:30:00.123Z": "2026-11-20T09:30:00.123000+00:00",
    "2026-11-20T09:30:00.12345Z": "2026-11-20T09:30:00.123450+00:00",
    "2026-11-20T09:30:00.123456Z": "2026-11-20T09:30:00.123456+00:00",
    "2026-11-20T09:30:00.1234567Z": "2026-11-20T09:30:00.123456+00:00",
    "2026-11-20T09:30:00.123456789Z": "2026-11-20T09:30:00.123456+00:00",
    "2026-11-20T10:30:00.123456789+01:00": "2026-11-20T09:30:00.123456+00:00",
    "2026-11-20T09:30:00.9999999999999999999Z": "2026-11-20T09:30:00.999999+00:00",
    "2026-11-20T04:00:00-05:30": "2026-11-20T09:30:00+00:00",
    "2026-11-20T09:30:00-00:00": "2026-11-20T09:30:00+00:00",
    "2026-11-21T09:29:00+23:59": "2026-11-20T09:30:00+00:00",
    "2016-12-31T23:59:60Z": "2017-01-01T00:00:00+00:00",
    "2017-01-01T00:59:60.5+01:00": "2017-01-01T00:00:00.500000+00:00",
    "0001-01-01T00:00:00Z": "0001-01-01T00:00:00+00:00",
    "9999-12-31T23:59:59.999999999Z": "9999-12-31T23:59:59.999999+00:00",
}
BAD = [
    "2026-11-20T09:30:00.Z",
    "2026-11-20T09:30:00,5Z",
    "2026-11-20T09:30:00ZZ",
    "2026-11-20T24:00:00Z",
    "2026-11-20T09:60:00Z",
    "2026-11-20T09:30:61Z",
    "2026-11-20T09:30:60Z",
    "9999-12-31T23:59:60Z",
    "2026-11-20T09:30:00+24:00",
    "2026-11-20T09:30:00+01:60",
    "2026-11-20T09:30:00+0100",
    "2026-11-20T09:30:00+01",
    "2026-11-20T09:30:00+01:00:00",
    "2026-02-29T09:30:00Z",
    "0000-01-01T00:00:00Z",
    "0001-01-01T00:00:00+01:00",
    "9999-12-31T23:59:59-01:00",
    "12026-11-20T09:30:00Z",
    "2026-W47-5T09:30:00Z",
    "20261120T093000Z",
    "٢٠٢٦-11-20T09:30:00Z",
    "2026-11-20T09:30:00Z\n",
    "2026-11-20T09:30:00\u0131",
]


@pytest.mark.parametrize("sent", GOOD)
def test_a_moment_is_the_same_wherever_it_is_read(sent: str) -> None:
    assert checks.moment(sent).isoformat() == GOOD[sent]
    assert query.moment(sent).isoformat() == GOOD[sent]
    assert query.moment(sent.replace("+", " ")).isoformat() == GOOD[sent]
    assert notations.MOMENT.from_json(sent).isoformat() == GOOD[sent]


@pytest.mark.parametrize("sent", BAD)
def test_what_is_no_moment_is_none_anywhere(sent: str) -> None:
    for read in (checks.moment, query.moment):
        with pytest.raises(ValueError, match=r"."):
            read(sent)


@on_sqlite
def test_bodies_and_queries_take_what_dotnet_and_go_write(ada: Person) -> None:
    task = ada.create_task()
    for sent in ("2030-11-20T09:30:00.1234567Z", "2030-11-20t09:30:00.123456789z", "2030-11-20T10:30:00.1234567+01:00"):
        body: dict[str, Any] = {"name": "Go", "scopes": ["tasks:read"], "expires_at": sent}
        made = ada.post("/auth/keys", body)
        assert made.status_code == 201, made.text
        assert made.get_json()["data"]["expires_at"] == "2030-11-20T09:30:00.123456Z"
        found = ada.get(f"/tasks?created_at[lt]={quote(sent)}").get_json()["data"]
        assert [each["id"] for each in found] == [task["id"]]
        assert ada.get(f"/tasks?created_at[gt]={quote(sent)}").get_json()["data"] == []
