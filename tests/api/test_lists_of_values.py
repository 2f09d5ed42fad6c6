"""A list of values is comma-separated or repeated, which is one and the same list; what is no list is given once."""

import re
from urllib.parse import urlencode

from flask import Flask

from tests.support.document import document_of
from tests.support.operations import operations
from tests.support.people import Person
from tests.support.world import World

SPELLINGS = [
    "status=pending,in_progress",
    "status=pending%2Cin_progress",
    "status=pending&status=in_progress",
    "status=in_progress&status=pending",
    "status=in_progress,pending,pending",
    "status=pending&status=in_progress&status=pending",
]


def test_each_spelling_is_the_same_list_with_one_tag_one_cursor_and_one_link(ada: Person) -> None:
    made = [ada.create_task(title=f"Task {number}")["id"] for number in range(4)]
    for number, status in ((0, "completed"), (1, "in_progress")):
        assert ada.patch(f"/tasks/{made[number]}", {"status": status}).status_code == 200
    answers = [ada.get(f"/tasks?{spelling}&per_page=2") for spelling in SPELLINGS]
    first = answers[0]
    assert [task["id"] for task in first.get_json()["data"]] == [made[3], made[2]]
    cursor = first.get_json()["meta"]["pagination"]["next_cursor"]
    for spelling, answer in zip(SPELLINGS, answers, strict=True):
        assert answer.get_json()["data"] == first.get_json()["data"]
        for header in ("ETag", "Link"):
            assert answer.headers[header] == first.headers[header], spelling
        kept = {"If-None-Match": first.headers["ETag"]}
        assert ada.get(f"/tasks?{spelling}&per_page=2", headers=kept).status_code == 304
        rest = ada.get(f"/tasks?{spelling}&per_page=2&cursor={cursor}")
        assert [task["id"] for task in rest.get_json()["data"]] == [made[1]], spelling
        last = re.search(r'<([^>]+)>; rel="last"', answer.headers["Link"])
        assert last is not None
        assert ada.get(last[1].removeprefix("http://localhost")).get_json()["data"] == rest.get_json()["data"]


def test_a_sort_may_be_repeated(ada: Person) -> None:
    made = [ada.create_task(title=title)["id"] for title in ("B", "A", "B")]
    for spelling in ("sort=-title,id", "sort=-title&sort=id"):
        found = ada.get(f"/tasks?{spelling}").get_json()["data"]
        assert [task["id"] for task in found] == [made[0], made[2], made[1]]
    assert ada.get("/tasks?sort=title&sort=-title").status_code == 400
    assert ada.get("/tasks?status=pending&status=pendign").get_json()["error"]["details"] == {
        "status": ["Must be one of pending, in_progress, completed, cancelled. Did you mean 'pending'?"]
    }


def test_every_list_parameter_of_every_operation_may_be_repeated_and_nothing_else(app: Flask, admin: Person) -> None:
    world = World(app)
    seen: set[str] = set()
    for operation in operations(app, world):
        if operation.sound.method != "GET" or operation.is_relay:
            continue
        headers = dict(item for item in operation.sound.headers if item[1] is not None)
        for parameter in operation.parameters:
            name = parameter["name"]
            given = dict(pair.partition("=")[::2] for pair in operation.sound.query.split("&") if pair)
            given.pop(name, None)
            if parameter["type"] == "array":
                seen.add(name)
                assert parameter["collectionFormat"] == "multi"
                known = parameter["items"]["enum"]
                # A list cannot be sorted twice by the same.
                words = [known[0], *(word for word in known[-1:] if word.strip("-") != known[0].strip("-"))]
                forms = [[(name, ",".join(words))], [(name, word) for word in words]]
                answers = [
                    admin.get(f"{operation.sound.path}?{urlencode([*given.items(), *form])}", headers=headers)
                    for form in forms
                ]
                assert answers[0].status_code in (200, 403), answers[0].text
                assert answers[0].status_code == answers[1].status_code
                assert answers[0].headers.get("ETag") == answers[1].headers.get("ETag"), (operation.rule, name)
            else:
                twice = urlencode([*given.items(), (name, "1"), (name, "1")])
                refused = admin.get(f"{operation.sound.path}?{twice}", headers=headers)
                assert refused.status_code == 400
                assert refused.get_json()["error"]["details"][name] == ["Given more than once."]
    assert {"status", "sort", "state", "kind", "type", "role"} <= seen


def test_no_parameter_of_the_document_is_comma_separated_only(app: Flask) -> None:
    formats = {
        parameter.get("collectionFormat")
        for item in document_of(app)["paths"].values()
        for verb, operation in item.items()
        if verb != "parameters"
        for parameter in operation.get("parameters", [])
        if parameter.get("type") == "array"
    }
    assert formats == {"multi"}
