"""The trash: a deleted task is gone for everybody, and can be restored by whoever may delete it."""

import re
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from core.mail import service as mail
from core.mail.repository import MailRepository
from core.operations.cleanup import clean_up
from core.platform import clock
from core.platform.config.current import current_settings
from core.platform.database.base import db
from core.platform.database.session import transaction
from core.platform.errors import JobFailed
from core.posts.model import Post
from core.tasks import processing
from core.tasks.model import Task, TaskChange
from core.users.model import User
from tests.support.answers import data
from tests.support.people import Person

# A word that nothing else in these tests contains.
CANARY = "quetzalcoatlus"


def trash(person: Person, query: str = "") -> list[int]:
    """The numbers of the tasks that somebody finds in the trash."""
    return [task["id"] for task in data(person.get(f"/tasks?deleted=true{query}"))]


def delete(person: Person, task: dict[str, Any]) -> None:
    assert person.delete(f"/tasks/{task['id']}").status_code == 204


def restore(person: Person, task: dict[str, Any]) -> Any:
    return person.post(f"/tasks/{task['id']}/restore")


@pytest.fixture
def project(ada: Person, bob: Person) -> dict[str, Any]:
    """A project that Ada owns and in which Bob edits."""
    made: dict[str, Any] = data(ada.post("/projects", {"key": "OPS", "name": "Operations"}))
    data(ada.put(f"/projects/{made['id']}/members/{bob.user_id}", {"role": "editor"}))
    return made


def test_a_deleted_task_is_gone_and_comes_back_as_it_was(ada: Person) -> None:
    task = ada.create_task(title="Old", description="Whole", due_date="2026-12-01", status="completed")
    delete(ada, task)
    path = f"/tasks/{task['id']}"
    for answer in (ada.get(path), ada.delete(path), ada.patch(path, {"title": "x"}), ada.post(f"{path}/process")):
        assert answer.status_code == 404
    assert ada.put(f"{path}/status", {"status": "pending"}).status_code == 404
    back = data(restore(ada, task))
    assert back == {**task, "version": 3, "updated_at": back["updated_at"]}
    assert data(ada.get(path)) == back
    assert [entry["action"] for entry in data(ada.get(f"{path}/history"))] == ["restored", "deleted", "created"]


def test_the_trash_shows_what_somebody_may_restore_last_deleted_first(
    ada: Person, bob: Person, admin: Person, project: dict[str, Any]
) -> None:
    own, assigned = ada.create_task(title="A"), ada.create_task(assignee_id=bob.user_id)
    shared, his = ada.create_task(project_id=project["id"]), bob.create_task(project_id=project["id"])
    kept = ada.create_task()
    for task in (own, his, shared, assigned):
        delete(ada, task)
    assert trash(ada) == [assigned["id"], shared["id"], his["id"], own["id"]]
    assert trash(bob) == [his["id"]]
    assert trash(admin) == trash(ada)
    assert trash(ada, "&sort=title,id&q=a&page=1") == [own["id"], assigned["id"], shared["id"], his["id"]]
    assert trash(ada, f"&project_id={project['id']}") == [shared["id"], his["id"]]
    shown = data(ada.get("/tasks?deleted=true&per_page=1"))[0]
    assert shown["created_at"] < shown["deleted_at"] <= shown["updated_at"]
    assert [task["id"] for task in data(ada.get("/tasks?deleted=false"))] == [kept["id"]]
    assert data(ada.get("/tasks"))[0]["deleted_at"] is None


def test_the_trash_has_pages(ada: Person) -> None:
    numbers = []
    for _ in range(5):
        task = ada.create_task()
        delete(ada, task)
        numbers.insert(0, task["id"])
    answer = ada.get("/tasks?deleted=true&cursor=&per_page=2").get_json()
    seen = [task["id"] for task in answer["data"]]
    while cursor := answer["meta"]["pagination"]["next_cursor"]:
        answer = ada.get(f"/tasks?deleted=true&per_page=2&cursor={cursor}").get_json()
        seen += [task["id"] for task in answer["data"]]
        assert ada.get(f"/tasks?per_page=2&cursor={cursor}").status_code == 400
    assert seen == numbers
    assert ada.get("/tasks?deleted=true").get_json()["meta"]["pagination"]["total"] == 5


def test_only_whoever_may_delete_a_task_may_restore_it(
    ada: Person, bob: Person, admin: Person, anonymous: Person, project: dict[str, Any]
) -> None:
    task = ada.create_task(project_id=project["id"], assignee_id=bob.user_id)
    assert restore(ada, task).status_code == 409
    assert restore(bob, task).status_code == 403
    delete(ada, task)
    assert restore(bob, task).status_code == 403
    assert restore(anonymous, task).status_code == 401
    assert data(restore(admin, task))["deleted_at"] is None
    assert restore(admin, task).status_code == 409
    for number in (10**12, 0):
        assert restore(ada, {"id": number}).status_code == 404


def test_a_task_is_restored_from_the_state_that_was_meant(ada: Person, bob: Person) -> None:
    task = ada.create_task()
    path = f"/tasks/{task['id']}/restore"
    assert ada.delete(f"/tasks/{task['id']}").status_code == 204
    stale = ada.post(path, headers={"If-Match": '"0123456789abcdef"'})
    assert stale.status_code == 412
    assert bob.post(path, headers={"If-Match": "*"}).status_code == 403
    assert ada.get(f"/tasks/{task['id']}").status_code == 404
    done = ada.post(path, headers={"If-Match": stale.headers["ETag"]})
    assert done.status_code == 200
    assert done.headers["Content-Location"] == f"/api/v1/tasks/{task['id']}"
    assert done.headers["ETag"] == ada.get(f"/tasks/{task['id']}").headers["ETag"]


def test_a_task_is_processed_in_the_state_that_was_meant(ada: Person) -> None:
    path = f"/tasks/{ada.create_task()['id']}"
    tag = ada.get(path).headers["ETag"]
    assert ada.patch(path, {"title": "Something else"}).status_code == 200
    jobs = ada.get("/jobs").get_json()["meta"]["pagination"]["total"]
    stale = ada.post(f"{path}/process", headers={"If-Match": tag})
    assert (stale.status_code, stale.headers["ETag"]) == (412, ada.get(path).headers["ETag"])
    assert ada.get("/jobs").get_json()["meta"]["pagination"]["total"] == jobs
    done = ada.post(f"{path}/process", headers={"If-Match": stale.headers["ETag"]})
    assert (done.status_code, "ETag" in done.headers) == (202, False)


def test_the_past_of_a_deleted_task_is_for_whoever_may_restore_it(
    ada: Person, bob: Person, project: dict[str, Any]
) -> None:
    task = ada.create_task(project_id=project["id"], title=CANARY)
    path = f"/tasks/{task['id']}/history"
    assert len(data(bob.get(path))) == 1
    delete(ada, task)
    entries = data(ada.get(path))
    assert entries[0]["action"] == "deleted"
    assert entries[0]["actor"]["id"] == ada.user_id
    refused = bob.get(path)
    assert refused.status_code == 404
    assert CANARY not in refused.text


def test_no_answer_shows_anything_of_a_deleted_task(
    app: Flask, ada: Person, bob: Person, admin: Person, project: dict[str, Any]
) -> None:
    """Every GET that the document knows, by everybody who could see the task before."""
    item = ada.create_item()
    task = ada.create_task(title=CANARY, assignee_id=bob.user_id, project_id=project["id"], item_id=item["id"])
    post = ada.create_post(title=CANARY, content=CANARY, task_id=task["id"])
    values = {"task_id": task["id"], "post_id": post["id"], "item_id": item["id"], "project_id": project["id"]}
    values |= {"user_id": ada.user_id, "name": "Ada", "sku": "x", "path": "x", "job_id": "x", "key_id": 1, "token": "x"}
    rules = [rule for rule in app.url_map.iter_rules() if rule.rule.startswith("/api/v1/")]
    paths = [
        re.sub(r"<(?:\w+:)?(\w+)>", lambda found: str(values[found[1]]), rule.rule)
        for rule in rules
        if "GET" in (rule.methods or ())
    ]
    queries = {"/api/v1/search": f"?q={CANARY}"}

    def seen_by(person: Person) -> list[str]:
        return [path for path in paths if CANARY in person.get(path + queries.get(path, "")).text]

    for person in (ada, bob, admin):
        assert len(seen_by(person)) >= 7
    delete(ada, task)
    for person in (ada, admin):
        # Its history is the one place, for those who may restore it.
        assert seen_by(person) == [f"/api/v1/tasks/{task['id']}/history"]
    assert seen_by(bob) == []
    data(restore(ada, task))
    for person in (ada, bob, admin):
        assert len(seen_by(person)) >= 7


@pytest.mark.parametrize("who", ["ada", "admin"])
def test_numbers_count_only_what_is_there(ada: Person, admin: Person, who: str) -> None:
    person = ada if who == "ada" else admin
    kept, task = ada.create_task(), ada.create_task(status="completed", due_date="2020-01-01")
    ada.create_post(task_id=task["id"])
    delete(ada, task)

    def numbers() -> tuple[Any, ...]:
        stats, profile = data(person.get("/stats")), data(person.get(f"/users/{ada.user_id}/profile"))
        listed = person.get("/tasks").get_json()["meta"]["pagination"]["total"]
        return (
            stats["total"],
            stats["by_status"]["completed"],
            sum(day["completed"] for day in stats["per_day"]),
            profile["tasks_owned"]["completed"],
            profile["posts"],
            listed,
            person.get("/posts").get_json()["meta"]["pagination"]["total"],
        )

    assert numbers() == (1, 0, 0, 0, 0, 1, 0)
    data(restore(ada, task))
    assert numbers() == (2, 1, 1, 1, 1, 2, 1)
    assert data(ada.get(f"/tasks/{kept['id']}"))["version"] == 1


def test_posts_go_and_come_back_with_their_task(ada: Person, bob: Person, admin: Person) -> None:
    task = ada.create_task(assignee_id=bob.user_id)
    post, other = bob.create_post(task_id=task["id"]), bob.create_post()
    delete(ada, task)
    path = f"/posts/{post['id']}"
    for person in (ada, bob, admin):
        assert person.get(path).status_code == 404
        assert person.patch(path, {"title": "x"}).status_code == 404
        assert person.delete(path).status_code == 404
        assert [row["id"] for row in data(person.get("/posts"))] == [other["id"]]
        assert person.get(f"/tasks/{task['id']}/posts").status_code == 404
    assert ada.post(f"/tasks/{task['id']}/posts", {"title": "x", "content": "x"}).status_code == 404
    assert ada.post("/posts", {"title": "x", "content": "x", "task_id": task["id"]}).status_code == 422
    data(restore(ada, task))
    assert data(bob.get(path)) == post


def test_a_bulk_and_a_transfer_pass_the_trash_by(ada: Person, bob: Person) -> None:
    task, kept = ada.create_task(), ada.create_task()
    delete(ada, task)
    for operation in ({"op": "delete"}, {"op": "update", "task": {"title": "x"}}):
        assert ada.post("/tasks/bulk", {"operations": [{**operation, "id": task["id"]}]}).status_code == 404
    body = {"from_user_id": ada.user_id, "to_user_id": bob.user_id}
    assert ada.post("/tasks/transfer", {**body, "task_ids": [task["id"]]}).status_code == 422
    assert data(ada.post("/tasks/transfer", body))["transferred"] == 1
    assert data(bob.get("/tasks"))[0]["id"] == kept["id"]
    assert trash(ada) == [task["id"]]


def test_a_bulk_deletes_into_the_trash(ada: Person) -> None:
    task = ada.create_task()
    data(ada.post("/tasks/bulk", {"operations": [{"op": "delete", "id": task["id"]}]}))
    assert trash(ada) == [task["id"]]
    assert data(restore(ada, task))["version"] == 3


def test_jobs_and_messages_about_a_deleted_task_say_why_they_fail(app: Flask, ada: Person) -> None:
    task = ada.create_task()
    delete(ada, task)
    with app.app_context():
        with transaction() as session, pytest.raises(JobFailed, match="no longer exists"):
            processing.finish(session, ada.actor, task_id=task["id"])
        with pytest.raises(mail.NotNeeded, match="was deleted"):
            mail.task_created(task_id=task["id"])


def test_nobody_is_written_to_about_a_deleted_task(app: Flask, ada: Person, bob: Person) -> None:
    today = clock.now().date()
    task = ada.create_task(assignee_id=bob.user_id, due_date=today.isoformat())
    about = {"user_id": bob.user_id, "task_ids": [task["id"]], "by_user_id": ada.user_id}

    def letters() -> list[Callable[[], Any]]:
        return [
            lambda: mail.task_created(task_id=task["id"]),
            lambda: mail.task_assigned(**about),
            lambda: mail.tasks_transferred(**about, count=1, from_user_id=ada.user_id),
            lambda: mail.task_reminder(user_id=bob.user_id, task_id=task["id"], due_date=today.isoformat()),
        ]

    def due() -> int:
        with app.app_context(), transaction() as session:
            return len(MailRepository(session).lock_unreminded({today: ["UTC"]}, 10))

    with app.app_context():
        assert [letter().recipient.id for letter in letters()] == [ada.user_id, bob.user_id, bob.user_id, bob.user_id]
    assert due() == 2
    delete(ada, task)
    for letter in letters():
        with app.app_context(), pytest.raises(mail.NotNeeded):
            letter()
    assert due() == 0


def test_the_trash_of_one_person_can_be_asked_for(ada: Person, bob: Person, admin: Person) -> None:
    task, other = ada.create_task(), bob.create_task()
    delete(ada, task)
    delete(bob, other)
    assert [row["id"] for row in data(admin.get(f"/users/{ada.user_id}/tasks?deleted=true"))] == [task["id"]]
    assert data(bob.get(f"/users/{ada.user_id}/tasks?deleted=true")) == []


# --- what a deleted task refers to ----------------------------------------------------


def test_a_task_of_an_archived_project_is_restored_when_that_is_open_again(
    ada: Person, project: dict[str, Any]
) -> None:
    task = ada.create_task(project_id=project["id"])
    delete(ada, task)
    data(ada.patch(f"/projects/{project['id']}", {"archived": True}))
    assert restore(ada, task).status_code == 409
    data(ada.patch(f"/projects/{project['id']}", {"archived": False}))
    assert data(restore(ada, task))["project_id"] == project["id"]


@pytest.mark.parametrize("kind", ["project", "item"])
def test_what_only_deleted_tasks_refer_to_can_be_deleted(ada: Person, project: dict[str, Any], kind: str) -> None:
    thing = project if kind == "project" else ada.create_item()
    name, path = f"{kind}_id", f"/{kind}s/{thing['id']}"
    task, other = (ada.create_task(**{name: thing["id"]}) for _ in range(2))
    delete(ada, task)
    assert ada.delete(path).status_code == 409
    delete(ada, other)
    assert ada.delete(path).status_code == 204
    back = data(restore(ada, task))
    assert (back[name], back["version"]) == (None, 4)
    entry = data(ada.get(f"/tasks/{task['id']}/history"))[1]
    assert (entry["action"], entry["changes"]) == (
        "changed",
        [{"field": name, "old": thing["id"], "new": None}],
    )


def test_a_task_of_somebody_inactive_is_restored_as_it_was(app: Flask, ada: Person, bob: Person) -> None:
    task = ada.create_task(assignee_id=bob.user_id)
    delete(ada, task)
    with app.app_context(), transaction() as session:
        session.get_one(User, bob.user_id).is_active = False
    assert data(restore(ada, task))["assignee_id"] == bob.user_id


def test_an_account_with_nothing_but_trash_can_be_deleted(app: Flask, ada: Person, bob: Person, admin: Person) -> None:
    own, assigned = ada.create_task(), bob.create_task(assignee_id=ada.user_id)
    ada.create_post(task_id=assigned["id"])
    delete(ada, own)
    assert ada.delete(f"/users/{ada.user_id}").status_code == 409
    delete(bob, assigned)
    assert ada.delete(f"/users/{ada.user_id}").status_code == 204
    assert trash(admin) == [assigned["id"]]
    assert data(restore(bob, assigned))["assignee_id"] is None
    assert data(bob.get("/posts")) == []
    entry = data(bob.get(f"/tasks/{assigned['id']}/history"))[1]
    assert (entry["changes"], entry["actor"]) == ([{"field": "assignee_id", "old": ada.user_id, "new": None}], None)


def test_an_account_hands_its_trash_over_with_the_rest(ada: Person, bob: Person, admin: Person) -> None:
    task = ada.create_task()
    ada.create_task()
    delete(ada, task)
    assert admin.delete(f"/users/{ada.user_id}?transfer_to={bob.user_id}").status_code == 204
    assert trash(bob) == [task["id"]]
    assert data(restore(bob, task))["owner_id"] == bob.user_id


# --- races and the end --------------------------------------------------------------


def test_of_many_who_restore_a_task_at_once_one_succeeds(app: Flask, ada: Person) -> None:
    task = ada.create_task()
    delete(ada, task)
    codes: list[int] = []
    people = [Person(app, tokens=ada.tokens) for _ in range(4)]
    threads = [threading.Thread(target=lambda who=who: codes.append(restore(who, task).status_code)) for who in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes) == [200, 409, 409, 409]
    assert data(ada.get(f"/tasks/{task['id']}"))["version"] == 3


def purged(app: Flask) -> int:
    with app.app_context():
        return clean_up(current_settings(), lambda: None)["tasks"]


def test_the_trash_is_emptied_of_what_was_deleted_30_days_ago(
    app: Flask, ada: Person, at: Callable[[str], None]
) -> None:
    now = clock.now()
    old, new, kept = (ada.create_task(title=title) for title in ("old", "new", "kept"))
    ada.create_post(task_id=old["id"])
    for task, days in ((old, 30), (new, 29)):
        delete(ada, task)
        with app.app_context(), transaction() as session:
            session.get_one(Task, task["id"]).deleted_at = now - timedelta(days=days)
    assert purged(app) == 1
    assert purged(app) == 0
    assert trash(ada) == [new["id"]]
    assert restore(ada, old).status_code == 404
    assert ada.get(f"/tasks/{old['id']}/history").status_code == 404
    with app.app_context():
        assert db.session.scalars(select(Task.id).order_by(Task.id)).all() == [new["id"], kept["id"]]
        assert set(db.session.scalars(select(TaskChange.task_id))) == {new["id"], kept["id"]}
        assert db.session.scalars(select(Post)).all() == []
    data(restore(ada, new))


def test_the_trash_is_emptied_in_steps(app: Flask, ada: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.operations.cleanup.BATCH", 2)
    with app.app_context():
        long_ago = clock.now() - timedelta(days=31)
        with transaction() as session:
            session.add_all([Task(title="x", owner_id=ada.user_id, deleted_at=long_ago) for _ in range(5)])
        steps: list[int] = []
        assert clean_up(current_settings(), lambda: steps.append(len(trash(ada))))["tasks"] == 5
        assert steps[-3:] == [3, 1, 0]


def test_the_number_of_a_purged_task_is_never_given_again(app: Flask, ada: Person) -> None:
    task = ada.create_task()
    delete(ada, task)
    with app.app_context(), transaction() as session:
        session.get_one(Task, task["id"]).deleted_at = clock.now() - timedelta(days=31)
    assert purged(app) == 1
    assert ada.create_task()["id"] > task["id"]


@pytest.mark.parametrize("lost", ["item_id", "project_id", "assignee_id"])
def test_what_a_task_in_the_trash_loses_is_in_its_history_with_the_version_it_made(
    ada: Person, bob: Person, admin: Person, project: dict[str, Any], lost: str
) -> None:
    item = ada.create_item()
    numbers = {"item_id": item["id"], "project_id": project["id"], "assignee_id": bob.user_id}
    task = ada.create_task(**{lost: numbers[lost]})
    delete(ada, task)
    paths = {"item_id": f"/items/{item['id']}", "project_id": f"/projects/{project['id']}"}
    gone = admin.delete(paths.get(lost, f"/users/{bob.user_id}?transfer_to={admin.user_id}"))
    assert gone.status_code == 204, gone.text
    restored = data(restore(ada, task))
    entries = data(ada.get(f"/tasks/{task['id']}/history"))
    assert [entry["version"] for entry in entries] == [4, 3, 2, 1]
    assert restored["version"] == 4
    after = None if lost != "assignee_id" else restored["assignee_id"]
    assert entries[1]["changes"] == [{"field": lost, "old": numbers[lost], "new": after}]


def test_what_is_handed_over_is_in_the_history_with_the_version_it_made(
    ada: Person, bob: Person, admin: Person
) -> None:
    task = bob.create_task()
    assert admin.delete(f"/users/{bob.user_id}?transfer_to={ada.user_id}").status_code == 204
    entries = data(ada.get(f"/tasks/{task['id']}/history"))
    assert [entry["version"] for entry in entries] == [2, 1]
    assert data(ada.get(f"/tasks/{task['id']}"))["version"] == 2
