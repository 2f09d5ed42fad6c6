"""Conditional requests: copies that still hold, changes of what was meant, for every resource alike."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from tests.support.engines import on_sqlite
from tests.support.people import Person, make_person
from tests.support.world import TABLE, World, make_world, routes

STALE = '"0123456789abcdef"'
READS = [operation for operation in TABLE if operation.startswith("GET ")]
WRITES = [operation for operation in TABLE if operation.split(" ")[0] in ("PUT", "PATCH", "DELETE")]
# What has no state that anybody could mean.
UNCONDITIONAL = {"DELETE /api/v1/auth/session"}
# What tells the moment, so that no copy holds for long.
VOLATILE = {"GET /api/v1/echo", "GET /api/v1/health/ready"}


def match(tag: str) -> dict[str, str]:
    return {"If-Match": tag}


def none_match(tag: str) -> dict[str, str]:
    return {"If-None-Match": tag}


def sent(response: TestResponse, *but: str) -> dict[str, str]:
    """Return the headers but those that each answer has of its own."""
    own = {"X-Request-ID", "Date", "X-RateLimit-Remaining", "X-RateLimit-Reset", "RateLimit", *but}
    return {name: value for name, value in response.headers.items() if name not in own}


# --- every route ------------------------------------------------------------------


@on_sqlite
def test_every_read_has_a_tag_a_304_and_a_head(app: Flask, subtests: pytest.Subtests) -> None:
    world = make_world(app)
    for operation in READS:
        with subtests.test(operation):
            check_read(world, operation)


def check_read(world: World, operation: str) -> None:
    row = TABLE[operation]
    person = next(world.people[name] for name in ("owner", "project_owner", "admin") if name in row.allowed)
    path = world.path(operation.split(" ")[1]) + row.query(world)
    whole = person.get(path)
    if whole.status_code != 200:
        # The row has no good answer here; a refusal has no state.
        assert whole.status_code == row.answer
        assert "ETag" not in whole.headers
        return
    tag = whole.headers["ETag"]
    head = person.open("HEAD", path)
    assert (head.status_code, head.data) == (200, b"")
    if operation in VOLATILE:
        return
    assert sent(head) == sent(whole)
    for header in (tag, f'"other", {tag}', f"W/{tag.removeprefix('W/')}", tag.removeprefix("W/"), "*"):
        for method in ("GET", "HEAD"):
            known = person.open(method, path, headers=none_match(header))
            assert (known.status_code, known.data) == (304, b""), header
            assert known.headers["ETag"] == tag
            for name in ("Cache-Control", "Vary"):
                assert known.headers[name] == whole.headers[name]
            assert "Content-Type" not in known.headers
    assert person.get(path, headers=none_match('"other"')).data == whole.data
    assert person.get(path, headers=match("*")).status_code == 200
    refused = person.get(path, headers=match('"other"'))
    assert (refused.status_code, refused.headers["ETag"]) == (412, tag)
    broken = person.get(path, headers=none_match("unquoted"))
    assert broken.status_code == 400


def conditional_operations(app: Flask) -> set[str]:
    found = set()
    for rule in app.url_map.iter_rules():
        view: Any = app.view_functions[rule.endpoint]
        if getattr(getattr(view, "view_class", None), "conditional_on", None) is not None:
            found |= {f"{method} {rule.rule}" for method in rule.methods or ()}
    return found


def test_every_write_but_of_a_session_is_conditional(app: Flask) -> None:
    assert {one for one in routes(app) if one in WRITES} - conditional_operations(app) == UNCONDITIONAL


def test_a_post_to_a_resource_with_a_state_is_refused_for_another_state(app: Flask) -> None:
    world = make_world(app)
    posts = {one for one in conditional_operations(app) if one.startswith("POST ")}
    assert len(posts) == 2
    for operation in sorted(posts):
        path, person = world.path(operation.split(" ")[1]), world.people["owner"]
        if path.endswith("/restore"):
            person.delete(path.removesuffix("/restore"))
        refused = person.post(path, headers=match(STALE))
        assert (refused.status_code, "ETag" in refused.headers) == (412, True), operation
        done = person.post(path, headers=match(refused.headers["ETag"]))
        assert done.status_code in (200, 202), operation


@pytest.mark.parametrize("operation", [one for one in WRITES if one not in UNCONDITIONAL])
def test_every_write_is_refused_for_another_state_and_done_for_this_one(app: Flask, operation: str) -> None:
    row, world = TABLE[operation], make_world(app)
    method, rule = operation.split(" ")
    name = next(name for name in ("owner", "project_owner", "admin") if name in row.allowed)
    person = world.people[name]
    if operation == "DELETE /api/v1/projects/<int:project_id>":
        world.people["admin"].patch(f"/tasks/{world.task_id}", {"project_id": None})
    path, body = world.path(rule) + row.query(world), row.body(world) if row.body else None
    place = path.partition("?")[0].removesuffix("/status")
    before = person.get(place)
    stale = person.open(method, path, body, headers=match(STALE))
    assert stale.status_code == 412, stale.text
    assert stale.headers["ETag"] == before.headers["ETag"]
    assert stale.get_json()["error"]["code"] == "precondition_failed"
    weak = person.open(method, path, body, headers=match("W/" + before.headers["ETag"]))
    assert weak.status_code == 412
    assert person.open(method, path, body, headers=match("unquoted")).status_code == 400
    assert person.open(method, path, body, headers=none_match(before.headers["ETag"])).status_code == 412
    unchanged = person.get(place)
    assert (unchanged.data, unchanged.headers["ETag"]) == (before.data, before.headers["ETag"])
    done = person.open(method, path, body, headers=match(f'"other", {before.headers["ETag"]}'))
    assert done.status_code == (row.answer or done.status_code) < 300, done.text
    if done.status_code == 200:
        after = person.get(place)
        assert (done.headers["ETag"], done.headers["Content-Location"]) == (after.headers["ETag"], place)
        assert done.data == after.data


@on_sqlite
def test_a_deployment_may_demand_the_state_of_every_write(
    app: Flask, remake_app: Callable[..., Flask], subtests: pytest.Subtests
) -> None:
    world, strict = make_world(app), remake_app(require_if_match=True)
    there = {name: person.at(strict) for name, person in world.people.items()}
    for operation in WRITES:
        if operation in UNCONDITIONAL:
            continue
        row = TABLE[operation]
        method, rule = operation.split(" ")
        path, body = world.path(rule) + row.query(world), row.body(world) if row.body else None
        name = next(name for name in ("owner", "project_owner", "admin") if name in row.allowed)
        with subtests.test(operation):
            refused = {who: there[who].open(method, path, body).status_code for who in ("anonymous", "stranger", name)}
            # Who may not write at all hears that, and nothing of preconditions.
            assert refused == {"anonymous": 401, "stranger": 428 if "stranger" in row.allowed else 403, name: 428}
            # Another state is refused as such, so the one thing that was missing is there.
            assert there[name].open(method, path, body, headers=match(STALE)).status_code == 412


# --- tags -------------------------------------------------------------------------


def test_what_is_created_comes_with_the_tag_of_its_first_read(ada: Person) -> None:
    for place, body in (
        ("/tasks", {"title": "Water the plants", "due_date": "2026-12-01"}),
        ("/posts", {"title": "Done", "content": "All of it."}),
        ("/items", {"name": "Label printer", "price": 5, "sku": "a/b"}),
        ("/projects", {"key": "OPS", "name": "Operations"}),
    ):
        made = ada.post(place, body)
        read = ada.get(f"{place}/{made.get_json()['data']['id']}")
        assert made.headers["ETag"] == read.headers["ETag"]
        assert made.data == read.data
    # What is shown only once is no state of the key.
    assert "ETag" not in ada.post("/auth/keys", {"name": "CI", "scopes": ["tasks:read"]}).headers


def test_the_same_thing_has_the_same_tag_wherever_it_is(ada: Person, admin: Person) -> None:
    item = ada.create_item(sku="PRT/0042")
    assert ada.get("/items/by-sku/PRT/0042").headers["ETag"] == admin.get(f"/items/{item['id']}").headers["ETag"]
    assert ada.get("/auth/me").headers["ETag"] == admin.get(f"/users/{ada.user_id}").headers["ETag"]


def test_a_tag_changes_with_everything_that_is_shown(ada: Person, admin: Person) -> None:
    post = ada.create_post()
    path = f"/posts/{post['id']}"
    tags = [ada.get(path).headers["ETag"]]
    # The name of the author is shown, and is not of the post's row.
    ada.patch("/auth/me", {"name": "Ada Lovelace"})
    tags.append(ada.get(path).headers["ETag"])
    assert ada.patch(path, {"title": "New"}, headers=match(tags[0])).status_code == 412
    assert ada.patch(path, {"title": "New"}, headers=match(tags[1])).status_code == 200
    tags.append(ada.get(path).headers["ETag"])
    assert len(set(tags)) == 3
    account = ada.get("/auth/me").headers["ETag"]
    admin.patch(f"/users/{ada.user_id}", {"role": "admin"})
    assert ada.patch("/auth/me", {"name": "Ada"}, headers=match(account)).status_code == 412


def test_a_change_that_changes_nothing_is_conditional_too(ada: Person) -> None:
    task = ada.create_task()
    path = f"/tasks/{task['id']}"
    assert ada.patch(path, {"title": task["title"]}, headers=match(STALE)).status_code == 412
    tag = ada.get(path).headers["ETag"]
    assert ada.patch(path, {"title": task["title"]}, headers=match(tag)).headers["ETag"] == tag


def test_a_copy_of_a_list_holds_until_something_in_it_may_have_changed(ada: Person, bob: Person) -> None:
    for path, change in (
        ("/tasks?overdue=true", lambda: ada.create_task(due_date="2020-01-01")),
        ("/tasks?per_page=1", ada.create_task),
        ("/posts", ada.create_post),
        ("/items", ada.create_item),
        ("/projects", lambda: ada.post("/projects", {"key": "OPS", "name": "Operations"})),
        ("/users", lambda: ada.patch("/auth/me", {"name": "Ada Lovelace"})),
        ("/auth/keys", lambda: ada.post("/auth/keys", {"name": "CI", "scopes": ["tasks:read"]})),
        ("/jobs", ada.create_task),
    ):
        tag = ada.get(path).headers["ETag"]
        assert tag.startswith("W/")
        assert ada.get(path, headers=none_match(tag)).status_code == 304
        change()
        fresh = ada.get(path, headers=none_match(tag))
        assert (fresh.status_code, fresh.headers["ETag"] == tag) == (200, False), path
        # Nobody's copy is somebody else's.
        assert bob.get(path, headers=none_match(fresh.headers["ETag"])).status_code == 200


def test_a_copy_of_a_list_does_not_outlive_the_day(ada: Person, at: Callable[[str], None]) -> None:
    ada.create_task(due_date="2999-01-01")
    at("2026-03-31T23:59:59+00:00")
    person = make_person(ada.app, "eve")
    person.create_task(due_date="2026-03-31")
    before = person.get("/tasks?overdue=true")
    assert before.get_json()["data"] == []
    at("2026-04-01T00:00:01+00:00")
    after = person.get("/tasks?overdue=true", headers=none_match(before.headers["ETag"]))
    assert len(after.get_json()["data"]) == 1


@on_sqlite
@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("*", 200),
        (" * ", 200),
        ('"a", , {tag} ,', 200),
        ('"a,b", "a b"', 400),
        ('"a","b"', 412),
        ("", 400),
        (",", 400),
        ("abc", 400),
        ('"abc', 400),
        ('{tag} "b"', 400),
        ('w/"abc"', 400),
        ("*, {tag}", 400),
        ("W/{tag}", 412),
        ('"\xe4"', 412),
    ],
)
def test_only_tags_are_tags(ada: Person, header: str, status: int) -> None:
    path = f"/tasks/{ada.create_task()['id']}"
    tag = ada.get(path).headers["ETag"]
    response = ada.patch(path, {"title": "New"}, headers=match(header.replace("{tag}", tag)))
    assert response.status_code == status, response.text


# --- order of refusals --------------------------------------------------------------


def test_who_may_not_change_it_learns_nothing_of_its_state(ada: Person, bob: Person, anonymous: Person) -> None:
    path = f"/tasks/{ada.create_task()['id']}"
    for person, status in ((anonymous, 401), (bob, 403)):
        for method, body in (("PATCH", {"title": "x"}), ("DELETE", None)):
            refused = person.open(method, path, body, headers=match(STALE))
            assert (refused.status_code, "ETag" in refused.headers) == (status, False)
    assert ada.patch("/tasks/999999", {"title": "x"}, headers=match("*")).status_code == 404
    assert ada.patch(path, {"title": ""}, headers=match(STALE)).status_code == 422


def test_a_member_can_be_created_only_if_there_is_none(ada: Person, bob: Person) -> None:
    project = ada.post("/projects", {"key": "OPS", "name": "Operations"}).get_json()["data"]
    path = f"/projects/{project['id']}/members/{bob.user_id}"
    absent = ada.put(path, {"role": "viewer"}, headers=match("*"))
    assert (absent.status_code, "ETag" in absent.headers) == (412, False)
    assert ada.put(path, {"role": "viewer"}, headers=match(STALE)).status_code == 412
    made = ada.put(path, {"role": "viewer"}, headers=none_match("*"))
    assert made.status_code == 201
    again = ada.put(path, {"role": "owner"}, headers=none_match("*"))
    assert (again.status_code, again.headers["ETag"]) == (412, made.headers["ETag"])
    assert ada.get(path).get_json()["data"]["role"] == "viewer"
    assert ada.put(path, {"role": "owner"}, headers=match(made.headers["ETag"])).status_code == 200


def test_where_states_are_demanded_a_new_member_needs_none(
    ada: Person, bob: Person, remake_app: Callable[..., Flask]
) -> None:
    there = Person(remake_app(require_if_match=True), ada.username, ada.user_id, ada.role, ada.tokens)
    project = there.post("/projects", {"key": "OPS", "name": "Operations"}).get_json()["data"]
    path = f"/projects/{project['id']}/members/{bob.user_id}"
    assert there.put(path, {"role": "viewer"}).status_code == 428
    assert there.put(path, {"role": "viewer"}, headers=none_match("*")).status_code == 201


def test_the_statement_that_writes_names_the_version(ada: Person, statements: list[str]) -> None:
    for place, body, change in (
        ("/tasks", {"title": "x"}, {"title": "New"}),
        ("/posts", {"title": "x", "content": "x"}, {"title": "New"}),
        ("/items", {"name": "x", "price": 5}, {"name": "New"}),
        ("/projects", {"key": "OPS", "name": "x"}, {"name": "New"}),
    ):
        path = f"{place}/{ada.post(place, body).get_json()['data']['id']}"
        for method, given in (("PATCH", change), ("DELETE", None)):
            tag = ada.get(path).headers["ETag"]
            statements.clear()
            assert ada.open(method, path, given, headers=match(tag)).status_code in (200, 204)
            # A deleted task goes to the trash, by an UPDATE.
            starts = (f"UPDATE {place[1:]} ", f"DELETE FROM {place[1:]} ")
            writes = [text for text in statements if text.startswith(starts)]
            assert len(writes) == 1, statements
            assert f"{place[1:]}.version = " in writes[0].partition("WHERE")[2]


# --- races ------------------------------------------------------------------------


def test_of_fifty_editors_of_one_version_one_wins_and_no_change_is_lost(app: Flask, ada: Person) -> None:
    path = f"/tasks/{ada.create_task(description='')['id']}"
    editors = [ada.at(app) for _ in range(50)]
    for round_number in range(4):
        before = ada.get(path)
        text, tag = before.get_json()["data"]["description"], before.headers["ETag"]
        answers: list[tuple[int, int, str]] = []
        gate = threading.Barrier(len(editors))

        def edit(number: int, text: str = text, tag: str = tag, answers: list[Any] = answers, gate: Any = gate) -> None:
            gate.wait()
            way = number % 3
            if way == 0:
                body = {"title": "Whole", "status": "pending", "description": f"{text} {number}"}
                response = editors[number].put(path, body, headers=match(tag))
            else:
                response = editors[number].patch(path, {"description": f"{text} {number}"}, headers=match(tag))
            answers.append((response.status_code, number, response.headers.get("ETag", "")))

        run(len(editors), edit)
        winners = [(number, tag) for status, number, tag in answers if status == 200]
        assert sorted(status for status, _, _ in answers) == [200] + [412] * 49
        after = ada.get(path)
        assert after.get_json()["data"]["description"] == f"{text} {winners[0][0]}"
        assert after.headers["ETag"] == winners[0][1]
        # Every loser was told the tag to go on with.
        assert {tag for _, _, tag in answers} == {after.headers["ETag"]}, round_number
        assert after.get_json()["data"]["version"] == round_number + 2


def test_of_a_change_and_a_deletion_of_one_version_one_wins(app: Flask, ada: Person) -> None:
    for _ in range(5):
        made = ada.post("/tasks", {"title": "x"})
        path, tag = f"/tasks/{made.get_json()['data']['id']}", made.headers["ETag"]
        codes: dict[int, int] = {}
        gate = threading.Barrier(6)

        def act(number: int, path: str = path, tag: str = tag, codes: dict[int, int] = codes, gate: Any = gate) -> None:
            person = ada.at(app)
            gate.wait()
            if number % 2:
                response = person.delete(path, headers=match(tag))
            else:
                response = person.put(f"{path}/status", {"status": "completed"}, headers=match(tag))
            codes[number] = response.status_code

        run(6, act)
        deleted = [codes[number] for number in (1, 3, 5)].count(204)
        changed = [codes[number] for number in (0, 2, 4)].count(200)
        assert deleted + changed == 1, codes
        assert {code for code in codes.values() if code >= 300} <= ({404} if deleted else {412})


def test_accounts_and_members_lose_no_change_either(app: Flask, ada: Person, bob: Person) -> None:
    project = ada.post("/projects", {"key": "OPS", "name": "Operations"}).get_json()["data"]
    member = f"/projects/{project['id']}/members/{bob.user_id}"
    ada.put(member, {"role": "viewer"})
    for path, bodies in (
        ("/auth/me", [{"name": f"Ada {number}"} for number in range(10)]),
        (member, [{"role": "editor" if number % 2 else "owner"} for number in range(10)]),
    ):
        tag = ada.get(path).headers["ETag"]
        codes: list[int] = []
        gate = threading.Barrier(len(bodies))

        def write(
            number: int, path: str = path, bodies: Any = bodies, tag: str = tag, codes: Any = codes, gate: Any = gate
        ) -> None:
            person = ada.at(app)
            gate.wait()
            method = "PATCH" if path == "/auth/me" else "PUT"
            codes.append(person.open(method, path, bodies[number], headers=match(tag)).status_code)

        run(len(bodies), write)
        assert sorted(codes) == [200] + [412] * 9, path


def run(count: int, work: Callable[[int], None]) -> None:
    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_another_version_is_refused_even_to_who_knows_this_one(ada: Person) -> None:
    ada.create_task()
    for path in ("/tasks", "/auth/me", "/users", "/search?q=water"):
        tag = ada.get(path).headers["ETag"]
        assert ada.get(path, headers={"If-None-Match": tag}).status_code == 304, path
        both = {"If-Match": '"another"', "If-None-Match": tag}
        assert ada.get(path, headers=both).status_code == 412, path
