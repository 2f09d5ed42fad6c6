"""Requests that meet: what takes owners away from a project, and what wants the same rows in different orders."""

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement, count
from typing import Any

from flask import Flask
from sqlalchemy import select

from core.platform.access import Role
from core.platform.database.base import db
from core.platform.database.session import transaction
from core.projects.model import Project, ProjectMember, ProjectRole
from core.users.model import User
from tests.support.answers import data
from tests.support.people import Person, make_people, make_person

_numbers = count(1)

Call = Callable[[], Any]


def new_key(prefix: str) -> str:
    """Return a key that no project has."""
    return prefix + "".join(chr(65 + int(digit)) for digit in str(next(_numbers)))


def batched(people: Sequence[Person], size: int) -> list[Sequence[Person]]:
    return [people[start : start + size] for start in range(0, len(people), size)]


def at_once(*calls: Call) -> list[int]:
    """Start all calls at the same moment; return the status of each, in their order."""
    statuses = [0] * len(calls)
    barrier = threading.Barrier(len(calls))

    def run(number: int, call: Call) -> None:
        barrier.wait(30)
        statuses[number] = call().status_code

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return statuses


# --- the last owner of a project ----------------------------------------------------


@dataclass
class Owners:
    """A project with two owners and a viewer; and a stranger and an administrator."""

    app: Flask
    admin: Person
    project_id: int
    one: Person
    two: Person
    viewer: Person
    stranger: Person

    def membership(self, person: Person) -> str:
        return f"/projects/{self.project_id}/members/{person.user_id}"

    def other(self, person: Person) -> Person:
        return self.two if person is self.one else self.one

    def leave_everything(self, person: Person, by: Person, receiver: Person) -> Any:
        return by.delete(f"/users/{person.user_id}?transfer_to={receiver.user_id}")

    def count(self) -> int:
        """Return how many owners there are who can log in."""
        query = (
            select(ProjectMember.user_id)
            .join(User)
            .where(ProjectMember.project_id == self.project_id, ProjectMember.role == ProjectRole.OWNER, User.is_active)
        )
        with self.app.app_context():
            return len(db.session.scalars(query).all())


# Everything that takes an owner away.
WAYS: dict[str, Callable[[Owners, Person], Any]] = {
    "leaves": lambda w, p: p.delete(w.membership(p)),
    "steps back": lambda w, p: p.put(w.membership(p), {"role": "viewer"}),
    "is removed by the other": lambda w, p: w.other(p).delete(w.membership(p)),
    "is demoted by the other": lambda w, p: w.other(p).put(w.membership(p), {"role": "editor"}),
    "is removed by an administrator": lambda w, p: w.admin.delete(w.membership(p)),
    "is demoted by an administrator": lambda w, p: w.admin.put(w.membership(p), {"role": "editor"}),
    "deletes the account, for a stranger": lambda w, p: w.leave_everything(p, p, w.stranger),
    "deletes the account, for a viewer": lambda w, p: w.leave_everything(p, p, w.viewer),
    "deletes the account, for the other": lambda w, p: w.leave_everything(p, p, w.other(p)),
    "is deleted by an administrator": lambda w, p: w.leave_everything(p, w.admin, w.stranger),
}
PAIRS = list(combinations_with_replacement(WAYS, 2))


def make_owners(app: Flask, admin: Person, number: int) -> list[Owners]:
    """Return so many projects with people of their own, made in one go."""
    names = [f"{name}.{next(_numbers)}" for _ in range(number) for name in ("one", "two", "viewer", "stranger")]
    people = list(make_people(app, dict.fromkeys(names, Role.USER)).values())
    made = []
    with app.app_context(), transaction() as session:
        for one, two, viewer, stranger in batched(people, 4):
            project = Project(key=new_key("R"), name="Race")
            session.add(project)
            session.flush()
            for person, role in ((one, "owner"), (two, "owner"), (viewer, "viewer")):
                member = ProjectMember(project_id=project.id, user_id=person.user_id, role=ProjectRole(role))
                session.add(member)
            made.append(Owners(app, admin, project.id, one, two, viewer, stranger))
    return made


def race_for_the_last_owner(world: Owners, pair: Sequence[str]) -> str | None:
    """Take both owners away at once; return what is wrong afterwards, if anything."""
    first, second = (WAYS[name] for name in pair)
    statuses = at_once(lambda: first(world, world.one), lambda: second(world, world.two))
    if any(status >= 500 for status in statuses):
        return f"One {pair[0]} while the other {pair[1]}: answered {statuses}."
    if not world.count():
        return f"One {pair[0]} while the other {pair[1]}: nobody owns the project ({statuses})."
    return None


# --- the same rows in different orders ----------------------------------------------


class Crowding:
    """Some people, things and tasks that many requests want at once; `answers` counts what they got."""

    def __init__(self, app: Flask, admin: Person) -> None:
        self.app, self.admin = app, admin
        self.answers: Counter[int] = Counter()

    def run(self, calls: Sequence[Call]) -> None:
        self.answers.update(at_once(*calls))

    def person(self) -> Person:
        return make_person(self.app, f"person.{next(_numbers)}")


def deletions_beside_restores(crowd: Crowding, size: int) -> None:
    """Delete items, projects and accounts to which tasks of the trash refer, while others restore these."""
    boss, leaver = crowd.person(), crowd.person()
    calls: list[Call] = []
    for _ in range(size):
        item = data(boss.post("/items", {"name": "Thing", "price": 1}))["id"]
        project = data(boss.post("/projects", {"key": new_key("D"), "name": "Thing"}))["id"]
        tasks = [boss.create_task(item_id=item, project_id=project, assignee_id=leaver.user_id)["id"] for _ in range(2)]
        for task in tasks:
            assert boss.delete(f"/tasks/{task}").status_code == 204
            calls.append(lambda task=task: boss.post(f"/tasks/{task}/restore"))  # type: ignore[misc]
        calls.append(lambda item=item: boss.delete(f"/items/{item}"))  # type: ignore[misc]
        calls.append(lambda project=project: boss.delete(f"/projects/{project}"))  # type: ignore[misc]
    calls.append(lambda: leaver.delete(f"/users/{leaver.user_id}"))
    crowd.run(calls)


def account_deletions_beside_changes(crowd: Crowding, size: int) -> None:
    """Delete accounts while their tasks are changed by them and by others, and given to each other."""
    heir, calls = crowd.person(), list[Call]()
    leavers = [crowd.person() for _ in range(max(size // 2, 2))]
    for index, leaver in enumerate(leavers):
        other = leavers[index - 1]
        own = leaver.create_task(assignee_id=other.user_id)["id"]
        given = heir.create_task(assignee_id=leaver.user_id)["id"]
        path = f"/users/{leaver.user_id}?transfer_to={heir.user_id}"
        calls += [
            lambda leaver=leaver, path=path: leaver.delete(path),
            lambda leaver=leaver, own=own: leaver.patch(f"/tasks/{own}", {"title": "Mine"}),
            lambda other=other, own=own: other.patch(f"/tasks/{own}", {"status": "in_progress"}),
            lambda leaver=leaver, given=given: leaver.patch(f"/tasks/{given}", {"status": "in_progress"}),
            lambda given=given, other=other: heir.patch(f"/tasks/{given}", {"assignee_id": other.user_id}),
            lambda leaver=leaver: leaver.post("/tasks", {"title": "In between"}),
        ]
    crowd.run(calls)


def account_deletions_beside_members(crowd: Crowding, size: int) -> None:
    """Delete accounts while projects get them as members, lose them, and are deleted."""
    boss, heir, calls = crowd.person(), crowd.person(), list[Call]()
    for _ in range(size):
        leaver = crowd.person()
        project = data(leaver.post("/projects", {"key": new_key("M"), "name": "Team"}))["id"]
        place = f"/projects/{project}/members"
        assert leaver.put(f"{place}/{boss.user_id}", {"role": "owner"}).status_code == 201
        path = f"/users/{leaver.user_id}?transfer_to={heir.user_id}"
        calls += [
            lambda leaver=leaver, path=path: leaver.delete(path),
            lambda place=place: boss.put(f"{place}/{heir.user_id}", {"role": "viewer"}),
            lambda place=place, leaver=leaver: boss.delete(f"{place}/{leaver.user_id}"),
            lambda project=project: boss.post("/tasks", {"title": "New", "project_id": project}),
            lambda project=project: boss.patch(f"/projects/{project}", {"name": "Crew"}),
        ]
    crowd.run(calls)


def bulks_beside_transfers(crowd: Crowding, size: int) -> None:
    """Change the same tasks by bulks, in different orders, by transfers in both directions, and one by one."""
    one, two = crowd.person(), crowd.person()
    tasks = [one.create_task(assignee_id=two.user_id)["id"] for _ in range(6)]
    tasks += [two.create_task(assignee_id=one.user_id)["id"] for _ in range(6)]

    def bulk(person: Person, order: Sequence[int]) -> Any:
        operations = [{"op": "update", "id": task, "task": {"status": "in_progress"}} for task in order]
        return person.post("/tasks/bulk", {"operations": operations, "atomic": False})

    def transfer(giver: Person, receiver: Person) -> Any:
        order = {"from_user_id": giver.user_id, "to_user_id": receiver.user_id}
        return giver.post("/tasks/transfer", order)

    calls: list[Call] = []
    for number in range(size):
        order = tasks if number % 2 else tasks[::-1]
        calls += [
            lambda order=order: bulk(one, order),
            lambda order=order: bulk(two, order),
            lambda: transfer(one, two),
            lambda: transfer(two, one),
            lambda number=number: one.patch(f"/tasks/{tasks[number % 12]}", {"status": "completed"}),
        ]
    crowd.run(calls)


RACES: dict[str, Callable[[Crowding, int], None]] = {
    race.__name__: race
    for race in (
        deletions_beside_restores,
        account_deletions_beside_changes,
        account_deletions_beside_members,
        bulks_beside_transfers,
    )
}
