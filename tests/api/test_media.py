"""Media types and encodings that bodies may have."""

import gzip
import json
import zlib
from dataclasses import replace

import pytest
from flask import Flask

from tests.support import hostile
from tests.support.document import document_of
from tests.support.operations import operations
from tests.support.people import Person
from tests.support.world import World

ENCODINGS = ["gzip", "br", "deflate", "zstd", "compress", "x-unknown", "identity, gzip", "GZIP", "aes128gcm"]


def test_no_operation_takes_an_encoded_body(app: Flask) -> None:
    wrong = []
    for number, operation in enumerate(operations(app, World(app))):
        sound = operation.sound
        for body in {sound.body or b"{}", gzip.compress(sound.body), zlib.compress(sound.body), b"\xff\xfe"}:
            encoding = ENCODINGS[number % len(ENCODINGS)]
            request = replace(sound, body=body, headers=(*sound.headers, ("Content-Encoding", encoding)))
            response = hostile.send(app, request)
            if (response.status_code, response.headers.get("Accept-Encoding")) != (415, "identity"):
                wrong.append(f"{request}: {response.status_code} {response.headers}")
            elif "encoded" not in response.get_json()["error"]["message"]:
                wrong.append(f"{request}: {response.text}")
    assert not wrong, "\n".join(wrong[:20])


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_encoding_is_refused_whatever_the_body_is(ada: Person, encoding: str) -> None:
    plain = json.dumps({"title": "A"}).encode()
    for body in (plain, gzip.compress(plain), b"\xff", b""):
        headers = {"Content-Encoding": encoding, "Content-Type": "application/json"}
        assert ada.post("/tasks", data=body, headers=headers).status_code == 415
    form = "grant_type=password&username=ada&password=x"
    headers = {"Content-Encoding": encoding, "Content-Type": "application/x-www-form-urlencoded"}
    assert ada.post("/auth/login", data=form, headers=headers, token="").status_code == 415
    assert ada.get("/tasks").get_json()["data"] == []


@pytest.mark.parametrize("encoding", ["identity", "Identity", "", " identity , identity"])
def test_no_encoding_may_be_said(ada: Person, encoding: str) -> None:
    assert ada.post("/tasks", {"title": "A"}, headers={"Content-Encoding": encoding}).status_code == 201


def test_who_sends_nothing_may_call_it_encoded(ada: Person) -> None:
    assert ada.get("/tasks", headers={"Content-Encoding": "gzip"}).status_code == 200


def test_a_log_in_of_another_type_hears_of_both_that_are_taken(ada: Person) -> None:
    refused = ada.post("/auth/login", data="username=ada", content_type="text/plain", token="")
    assert (refused.status_code, refused.headers["Accept"]) == (
        415,
        "application/json, application/x-www-form-urlencoded",
    )
    refused = ada.post("/auth/session", data="username=ada", content_type="text/plain", token="")
    assert (refused.status_code, refused.headers["Accept"]) == (415, "application/json")


def test_another_type_is_refused_by_what_would_be_taken(ada: Person) -> None:
    refused = ada.post("/tasks", data="title=A", content_type="text/plain")
    assert (refused.status_code, refused.headers["Accept"]) == (415, "application/json")
    assert "Accept-Patch" not in refused.headers
    refused = ada.post("/imports", data="title=A", content_type="text/csv")
    assert (refused.status_code, refused.headers["Accept"]) == (415, "multipart/form-data")


# --- PATCH ------------------------------------------------------------------------------

PATCH_TYPES = "application/json, application/merge-patch+json"


def test_every_patch_takes_a_merge_patch(app: Flask) -> None:
    patches = [one for one in operations(app, World(app)) if one.sound.method == "PATCH"]
    assert len(patches) > 4
    for operation in patches:
        typed = [(name, value) for name, value in operation.sound.headers if name != "Content-Type"]
        for media_type in ("application/merge-patch+json", "Application/Merge-Patch+JSON; charset=utf-8"):
            request = replace(operation.sound, headers=(*typed, ("Content-Type", media_type)))
            assert hostile.send(app, request).status_code == 200, operation.rule
        request = replace(operation.sound, headers=(*typed, ("Content-Type", "application/json-patch+json")))
        refused = hostile.send(app, request)
        assert (refused.status_code, refused.headers["Accept-Patch"]) == (415, PATCH_TYPES), operation.rule
        assert operation.document["consumes"] == PATCH_TYPES.split(", ")
        encoded = replace(operation.sound, headers=(*operation.sound.headers, ("Content-Encoding", "gzip")))
        assert hostile.send(app, encoded).headers["Accept-Encoding"] == "identity"


def test_a_merge_patch_is_for_patch_alone(ada: Person) -> None:
    for method, path in (("POST", "/tasks"), ("PUT", f"/tasks/{ada.create_task()['id']}")):
        body = {"data": b'{"title": "A"}', "content_type": "application/merge-patch+json"}
        assert ada.open(method, path, **body).status_code == 415


def test_a_merge_patch_removes_by_null(ada: Person) -> None:
    task = ada.create_task(description="To be removed")
    body = {"data": b'{"description": null}', "content_type": "application/merge-patch+json"}
    assert ada.patch(f"/tasks/{task['id']}", **body).get_json()["data"]["description"] is None
    body["data"] = b'{"title": null}'
    assert ada.patch(f"/tasks/{task['id']}", **body).status_code == 422


def test_options_and_405_say_what_a_patch_takes(ada: Person) -> None:
    task = f"/tasks/{ada.create_task()['id']}"
    for answer in (ada.open("OPTIONS", task), ada.post(task, {})):
        assert "PATCH" in answer.headers["Allow"]
        assert answer.headers["Accept-Patch"] == PATCH_TYPES
    assert "Accept-Patch" not in ada.open("OPTIONS", "/tasks").headers


def test_the_document_says_that_nothing_else_takes_one(app: Flask) -> None:
    taking = {
        (path, verb)
        for path, item in document_of(app)["paths"].items()
        for verb, operation in item.items()
        if verb != "parameters" and "application/merge-patch+json" in operation.get("consumes", [])
    }
    assert {verb for _, verb in taking} == {"patch"}
