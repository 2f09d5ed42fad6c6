"""`q` of the lists: what it finds does not depend on case, nor on the engine, and no character in it means anything."""

import pytest

from tests.support.people import Person

# A text, a part of it, and whether it is one.
PARTS = [
    ("Water the plants", "WATER THE", True),
    ("Water the plants", "ter th", True),
    ("Lange Straße", "STRAẞE", True),
    ("Łódź", "łÓDŹ", True),
    ("Łódź", "lodz", False),
    ("ΟΔΟΣ ερμού", "οδος ΕΡΜΟΎ", True),
    ("ПРИВЕТ мир", "привет МИР", True),
    ("ÄRGER", "ärger", True),
    ("東京タワー", "京タ", True),
    ("Launch 🚀 now", "🚀 N", True),
    ("100 % [a-z] *", "100 % [A-Z] *", True),
    ("a*b", "a?b", False),
    ("abc", "a*c", False),
    ("abc", "a.c", False),
    ("abc", "[a-c]", False),
    ("abc", "^a", False),
    ("a\\b (c|d) {1} ^$ ~ ! - ] [ _ +.", "A\\B (C|D) {1} ^$ ~ ! - ] [ _ +.", True),
    ("***: (?i)x", "***: (?I)X", True),
]


@pytest.mark.parametrize("kind", ["tasks", "posts", "items", "users"])
def test_q_finds_parts_whatever_their_case(ada: Person, admin: Person, kind: str) -> None:
    wrong = []
    for number, (whole, part, expected) in enumerate(PARTS):
        match kind:
            case "tasks":
                made = ada.create_task(title=whole)
            case "posts":
                made = ada.create_post(content=whole)
            case "items":
                made = ada.create_item(name=whole)
            case _:
                body = {"username": f"user{number}", "email": f"u{number}@example.com", "password": "a long password"}
                made = admin.post("/users", body | {"name": f"x {whole}"}).get_json()["data"]
        found = admin.get(f"/{kind}", query_string={"q": part, "sort": "-id", "per_page": 100}).get_json()["data"]
        if (made["id"] in [thing["id"] for thing in found]) is not expected:
            wrong.append((whole, part))
        admin.delete(f"/{kind}/{made['id']}")
    assert wrong == []
