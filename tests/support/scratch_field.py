"""Scratch copies of the declarations with one field more each, and the places where it is found.

For tests/e2e/test_new_field.py. A process of its own, because everything is read from the declarations once,
when modules are imported: `python -m tests.support.scratch_field FOLDER` prints, for each kind, the places and
whether the field is there.
"""

import importlib
import json
import sys
from pathlib import Path
from typing import Any

from sqlalchemy import Integer, text
from sqlalchemy.orm import mapped_column

from core.platform.fields.declaration import Field, Fields, InRange, Writer
from core.platform.fields.types import Whole

MODELS = {"tasks": "Task", "posts": "Post", "items": "Item", "projects": "Project", "users": "User"}
BODIES: dict[str, dict[str, Any]] = {
    "tasks": {"title": "Water"},
    "posts": {"title": "Done", "content": "All of it."},
    "items": {"name": "Printer", "price": 5},
    "projects": {"key": "OPS", "name": "Operations"},
    "users": {"username": "grace", "email": "grace@example.com", "password": "correct horse battery"},
}
# The example that is documented, so that it can be seen in the document.
EXAMPLE = 4


def declare(kind: str) -> None:
    """Add a nullable whole number to the declaration and to the model, before anybody has read either."""
    declared = importlib.import_module(f"core.{kind}.fields")
    taken = [field.column for field in declared.FIELDS if field.column]
    place = 1 + max(taken) if taken else None
    new = Field(
        "scratch_number",
        Whole(-5, 5),
        writer=Writer.EDITOR,
        nullable=True,
        sortable=True,
        filter=InRange("Severity"),
        column=place,
        example=EXAMPLE,
    )
    declared.FIELDS = Fields(*declared.FIELDS, new)
    model = getattr(importlib.import_module(f"core.{kind}.model"), MODELS[kind])
    model.scratch_number = mapped_column(Integer, nullable=True)


def begin(folder: Path) -> Any:
    """Return the administrator of an application whose things have the new field."""
    from api import create_app
    from core.platform.access import Role
    from core.platform.config.load import load_settings
    from core.platform.database.base import db
    from tests.support.people import make_person

    settings = load_settings(
        "testing",
        environ={"TASKLANE_INSTANCE_PATH": str(folder)},
        overrides={"database_url": f"sqlite:///{folder / 'scratch.db'}"},
    )
    app = create_app(settings=settings)
    with app.app_context():
        importlib.import_module("flask_migrate").upgrade(directory=str(Path("migrations").resolve()))
        with db.engine.begin() as connection:
            for kind in MODELS:
                connection.execute(text(f"ALTER TABLE {kind} ADD COLUMN scratch_number INTEGER"))
    return make_person(app, "root", Role.ADMIN)


class Scratch:
    """Search for the new field of one kind of thing."""

    def __init__(self, kind: str, admin: Any) -> None:
        self.kind, self.admin, self.app = kind, admin, admin.app

    def found(self) -> dict[str, bool]:
        """Return the places where the field belongs, and whether it is there."""
        found = self.in_the_document() | self.over_http()
        if self.kind == "tasks":
            found |= self.in_bulks() | self.in_the_history()
        if self.kind != "projects":
            found |= self.in_files()
        return found

    def in_the_document(self) -> dict[str, bool]:
        from api.reference import document, markdown

        definitions = document(self.app)["definitions"]
        name = MODELS[self.kind]
        models = [f"{name}{suffix}" for suffix in ("", "Create", "Replace", "Update", "Summary")]
        models = [model for model in models if model in definitions]
        parameters = document(self.app)["paths"][f"/v1/{self.kind}"]["get"]["parameters"]
        wanted = {"scratch_number", *(f"scratch_number[{operator}]" for operator in ("gt", "gte", "lt", "lte"))}
        order = next(one for one in parameters if one["name"] == "sort")["items"]["enum"]
        page = markdown(self.app).count("| `scratch_number` (optional) | integer, -5 to 5 or null |")
        return {
            **{f"document: {model}": "scratch_number" in definitions[model]["properties"] for model in models},
            "document: filters": wanted <= {one["name"] for one in parameters},
            "document: sort": {"scratch_number", "-scratch_number"} <= set(order),
            "docs/api.md": page >= 2,
        }

    def over_http(self) -> dict[str, bool]:
        path, body = f"/{self.kind}", BODIES[self.kind]
        made = self.admin.post(path, {**body, "scratch_number": 3})
        assert made.status_code == 201, made.text
        one = f"{path}/{made.get_json()['data']['id']}"
        refused = self.admin.patch(one, {"scratch_number": 6})
        changed = self.admin.patch(one, {"scratch_number": 2})
        listed = self.admin.get(f"{path}?scratch_number[gte]=2&scratch_number[lt]=3").get_json()["data"]
        others = self.admin.get(f"{path}?scratch_number=1").get_json()["data"]
        ordered = self.admin.get(f"{path}?sort=-scratch_number").get_json()["data"]
        replacement = {name: value for name, value in body.items() if name != "password"}
        replacement |= {"status": "pending"} if self.kind == "tasks" else {}
        cleared = self.admin.put(one, replacement)
        self.admin.patch(one, {"scratch_number": 2})
        return {
            "POST": made.get_json()["data"]["scratch_number"] == 3,
            "bounds of bodies": refused.status_code == 422
            and "scratch_number" in refused.get_json()["error"]["details"],
            "PATCH": changed.get_json()["data"]["scratch_number"] == 2,
            "GET": self.admin.get(one).get_json()["data"]["scratch_number"] == 2,
            "filter": [row["scratch_number"] for row in listed] == [2] and others == [],
            "sort": ordered[0]["scratch_number"] == 2,
            "PUT": cleared.status_code == 200 and cleared.get_json()["data"]["scratch_number"] is None,
        }

    def in_bulks(self) -> dict[str, bool]:
        new = {"op": "create", "task": {"title": "Bulk", "scratch_number": 1}}
        made = self.admin.post("/tasks/bulk", {"operations": [new]}).get_json()["data"]["results"][0]
        change = {"op": "update", "id": made["id"], "task": {"scratch_number": 5}}
        self.admin.post("/tasks/bulk", {"operations": [change]})
        self.bulked = made["id"]
        return {
            "bulk create": made["task"]["scratch_number"] == 1,
            "bulk update": self.admin.get(f"/tasks/{made['id']}").get_json()["data"]["scratch_number"] == 5,
        }

    def in_the_history(self) -> dict[str, bool]:
        entries = self.admin.get(f"/tasks/{self.bulked}/history").get_json()["data"]
        told = [change for entry in entries for change in entry["changes"] if change["field"] == "scratch_number"]
        return {"history": [(change["old"], change["new"]) for change in told] == [(1, 5), (None, 1)]}

    def in_files(self) -> dict[str, bool]:
        from core.exchange.columns import columns_table
        from tests.support.imports import counts, exported, imported

        head, *rows = exported(self.admin, kind=self.kind).decode("utf-8-sig").splitlines()
        needed = {name: value for name, value in BODIES[self.kind].items() if name != "password"}
        changes = {"username": "augusta", "email": "augusta@example.com"} if self.kind == "users" else {}
        row = {**needed, **changes, "scratch_number": -5}
        if self.kind != "users":
            row["external_id"] = "1"
        made = counts(imported(self.admin, json.dumps([row]), kind=self.kind, name="t.json"))
        again = counts(imported(self.admin, json.dumps([{**row, "scratch_number": 0}]), kind=self.kind, name="t.json"))
        wrong = counts(imported(self.admin, json.dumps([{**row, "scratch_number": 6}]), kind=self.kind, name="t.json"))
        cells = ",".join(f'"{value}"' for value in row.values())
        as_csv = f"{','.join(row)}\r\n{cells}\r\n"
        by_csv = counts(imported(self.admin, as_csv, kind=self.kind, name="t.csv"))
        stored = self.admin.get(f"/{self.kind}?sort=scratch_number").get_json()["data"][0]["scratch_number"]
        return {
            "export": head.endswith(',"scratch_number"') and any(line.endswith(',"2"') for line in rows),
            "import: new": made == {"created": 1},
            "import: changed": again == {"updated": 1} == by_csv,
            "import: bounds": wrong == {"failed": 1},
            "import: stored": stored == -5,
            "docs/exchange.md": any(
                line.startswith(f"| {self.kind} |") and line.endswith(", **scratch_number** |")
                for line in columns_table()
            ),
        }


if __name__ == "__main__":
    for each in MODELS:
        declare(each)
    root = begin(Path(sys.argv[1]))
    sys.stdout.write(json.dumps({each: Scratch(each, root).found() for each in MODELS}))
