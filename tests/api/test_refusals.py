"""A refusal is small and cheap, whatever was sent: sizes are looked at before contents."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import Client, TestResponse

from api.http.input.body import check
from api.v1.bulk import bulk_in, transfer_in
from api.v1.tasks import task_in
from core.platform.errors import Invalid, Malformed
from core.platform.text import redaction, strict_json
from core.platform.text.faults import MAX_FAULTS, MAX_HINTS, Faults, nearest
from tests.support import heavy
from tests.support.hostile import Operation
from tests.support.operations import operations
from tests.support.people import Person
from tests.support.world import World

LARGEST = 20_000
# Calls of functions written in Python, which cost some 0.1 to 0.3 microseconds each. A megabyte
# that is looked at entry by entry takes some millions.
MOST_CALLS = 60_000


@contextmanager
def counted() -> Iterator[Callable[[], int]]:
    """Count calls, which tell of work like a clock, but alike on every machine."""
    count = 0

    def note(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal count
        count += event == "call"

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        yield lambda: count
    finally:
        sys.setprofile(before)


def faults(response: TestResponse, calls: int) -> Iterator[str]:
    """Yield what is dear about a refusal."""
    if not 400 <= response.status_code < 500:
        yield f"is no refusal: {response.status_code}"
    if len(response.data) > LARGEST:
        yield f"has {len(response.data)} octets"
    if calls > MOST_CALLS:
        yield f"takes {calls} calls"


def ask(app: Flask, sound: Operation, *, body: bytes = b"", content_type: str = "", query: str = "") -> list[str]:
    """Send a heavy request in the place of a sound one; return what is dear about its answer."""
    headers = {name: value for name, value in sound.sound.headers if value is not None}
    if content_type:
        headers["Content-Type"] = content_type
    client = Client(app)
    with counted() as calls:
        response = client.open(
            sound.sound.path, method=sound.sound.method, query_string=query, data=body, headers=headers
        )
    return list(faults(response, calls()))


@pytest.fixture
def known(app: Flask) -> Mapping[str, Operation]:
    return {f"{found.sound.method} {found.rule}": found for found in operations(app, World(app))}


WORST = ("keys of 100 characters", "empty operations", "secrets")


def test_no_megabyte_of_json_makes_a_large_or_dear_refusal(app: Flask, known: Mapping[str, Operation]) -> None:
    wrong, bodies = {}, heavy.bodies()
    for name, body in bodies.items():
        for operation in ("POST /api/v1/tasks", "POST /api/v1/tasks/bulk", "POST /api/v1/auth/login"):
            wrong[name, operation] = ask(app, known[operation], body=body, content_type="application/json")
    for name, operation in (
        ("scopes", "POST /api/v1/auth/keys"),
        ("unknown scopes", "POST /api/v1/auth/keys"),
        ("task ids", "POST /api/v1/tasks/transfer"),
        ("1000 mixed ids", "POST /api/v1/tasks/transfer"),
        ("filters", "POST /api/v1/exports"),
    ):
        wrong[name, operation] = ask(app, known[operation], body=bodies[name], content_type="application/json")
    assert {key: found for key, found in wrong.items() if found} == {}


def test_no_operation_looks_at_all_of_a_megabyte(app: Flask, known: Mapping[str, Operation]) -> None:
    takes_json = [name for name, found in known.items() if ("Content-Type", "application/json") in found.sound.headers]
    assert len(takes_json) > 20
    bodies = heavy.bodies()
    wrong = {
        (name, body): ask(app, known[name], body=bodies[body], content_type="application/json")
        for name in takes_json
        for body in WORST
    }
    assert {key: found for key, found in wrong.items() if found} == {}


def test_no_form_makes_a_large_or_dear_refusal(app: Flask, known: Mapping[str, Operation]) -> None:
    wrong = {
        (name, operation): ask(app, known[operation], body=body, content_type=content_type)
        for name, (content_type, body) in heavy.forms().items()
        for operation in ("POST /api/v1/auth/login", "POST /api/v1/imports", "POST /api/v1/tasks")
    }
    assert {key: found for key, found in wrong.items() if found} == {}


def test_no_query_makes_a_large_or_dear_refusal(app: Flask, known: Mapping[str, Operation]) -> None:
    wrong = {
        (name, operation): ask(app, known[operation], query=query)
        for name, query in heavy.queries().items()
        for operation in ("GET /api/v1/tasks", "GET /api/v1/stats", "GET /api/v1/tasks/<int:task_id>")
    }
    assert {key: found for key, found in wrong.items() if found} == {}


def test_problem_details_are_as_small(app: Flask, known: Mapping[str, Operation]) -> None:
    headers = {"Accept": "application/problem+json", "Content-Type": "application/json"}
    headers |= dict(known["POST /api/v1/tasks"].sound.headers)
    response = Client(app).post("/api/v1/tasks", data=heavy.bodies()["keys of other scripts"], headers=headers)
    assert response.content_type == "application/problem+json"
    assert len(response.data) < LARGEST
    assert "more are not" in response.get_json()["detail"]


# --- what is told -------------------------------------------------------------------


def test_a_hundred_faults_are_named_and_the_others_counted(ada: Person) -> None:
    error = ada.post("/tasks", {"title": "A", **{f"k{number}": 0 for number in range(250)}}).get_json()["error"]
    assert len(error["details"]) == MAX_FAULTS
    assert error["message"] == ("The request has invalid fields. The first 100 faults are named, and 150 more are not.")


def test_as_many_as_can_be_named_are_not_counted(ada: Person) -> None:
    error = ada.post("/tasks", {f"k{number}": 0 for number in range(MAX_FAULTS - 1)}).get_json()["error"]
    assert (len(error["details"]), error["message"]) == (MAX_FAULTS, "The request has invalid fields.")


def test_only_the_first_names_come_with_the_one_that_may_be_meant(ada: Person) -> None:
    details = ada.post("/tasks", {f"titel{number}": 0 for number in range(20)}).get_json()["error"]["details"]
    hints = [name for name, sentences in details.items() if "Did you mean 'title'?" in sentences[0]]
    assert 0 < len(hints) <= MAX_HINTS


def test_a_list_that_is_too_long_is_not_looked_into(ada: Person) -> None:
    response = ada.post("/tasks/bulk", {"operations": [{}] * 101})
    assert response.get_json()["error"]["details"] == {"operations": ["Must have at most 100 entries."]}


def test_all_entries_of_a_bulk_share_what_is_named(ada: Person) -> None:
    entry = {"op": "create", "task": {f"k{number}": 0 for number in range(30)}}
    answer = ada.post("/tasks/bulk", {"operations": [entry] * 5, "atomic": False})
    named = [len(result["error"]["details"]) for result in answer.get_json()["data"]["results"]]
    # The title is missing too.
    assert named == [31, 31, 31, 7, 1]
    message = answer.get_json()["data"]["results"][4]["error"]["message"]
    assert message.endswith("The first 1 faults are named, and 30 more are not.")


def test_a_long_sentence_is_cut(ada: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise Invalid("m" * 5_000, details={"f" * 5_000: ["s" * 5_000]})

    monkeypatch.setattr("core.tasks.service.create", refuse)
    error = ada.post("/tasks", {"title": "A"}).get_json()["error"]
    ((field, sentences),) = error["details"].items()
    assert [len(text) for text in (error["message"], field, *sentences)] == [1_003] * 3


# --- without a request --------------------------------------------------------------


def test_what_has_too_many_values_is_not_read() -> None:
    many = strict_json.MAX_VALUES
    assert len(strict_json.parse(b"[" + b",".join([b"0"] * (many - 1)) + b"]")) == many - 1
    with pytest.raises(Invalid, match="too large"):
        strict_json.parse(b"[" + b",".join([b"0"] * (many + 1)) + b"]")


@pytest.mark.parametrize(
    "text", ["," * 30_000, "[{" * 30_000, '\\"' * 30_000, "\\\\" * 30_000, '\\\\\\"' * 10_000, "\\n\\u0041" * 5_000]
)
def test_what_is_in_a_string_is_no_value(text: str) -> None:
    raw = f'{{"a":"{text}","b":["{text}"]}}'.encode()
    assert strict_json.parse(raw)["a"] == strict_json.DECODER.decode(f'"{text}"')


@pytest.mark.parametrize("depth", [strict_json.MAX_DEPTH, strict_json.MAX_DEPTH + 1])
def test_the_depth_is_that_of_the_brackets_outside_of_strings(depth: int) -> None:
    raw = ("[" * (depth - 1) + '["]]]]]","[[["],' + "[1]" + "]" * (depth - 1)).encode()
    if depth <= strict_json.MAX_DEPTH:
        strict_json.parse(raw)
    else:
        with pytest.raises(Malformed, match="nested deeper"):
            strict_json.parse(raw)


@pytest.mark.parametrize(
    "entries", [[1, 2, 1], [1, True, 1.0, "1"], [{}, {}, [1], [1]], ["a", "a"], [None, None]], ids=repr
)
def test_entries_that_come_twice_are_found_among_any_others(entries: list[Any]) -> None:
    body = {"from_user_id": 1, "to_user_id": 2, "task_ids": entries}
    with pytest.raises(Invalid) as raised:
        check(transfer_in, body)
    told = (raised.value.details or {}).get("task_ids", [])
    assert ("Must not have an entry twice." in told) == (entries in ([1, 2, 1], ["a", "a"]))


def test_a_body_of_another_shape_than_its_model_is_refused_by_name() -> None:
    for model, body, field in (
        (task_in, {"title": []}, "title"),
        (bulk_in, {"operations": {}}, "operations"),
        (bulk_in, {"operations": [1]}, "operations.0"),
    ):
        with pytest.raises(Invalid) as raised:
            check(model, body)
        assert list(raised.value.details or {}) == [field]


def test_nobody_looks_for_what_a_long_name_may_mean() -> None:
    assert nearest("titel", ["title"]) == " Did you mean 'title'?"
    assert nearest("title" * 100, ["title"]) == ""


def test_a_fault_that_is_known_is_not_counted_again() -> None:
    found = Faults()
    for _ in range(3):
        found.add("title", "Must be a string.")
    assert (found.count, found.unnamed, found.details) == (1, 0, {"title": ["Must be a string."]})


def test_names_and_values_of_a_megabyte_are_not_remembered() -> None:
    redaction.forget_confided()
    redaction.confide("x" * heavy.MEGABYTE, *(f"secret-{number}" for number in range(1_000)))
    assert len(redaction.confided.get()) == redaction.MOST_VALUES
    redaction.forget_confided()
    assert not redaction.is_secret_name("password" * 100_000)
