"""People who use the API in tests."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cache
from typing import Any
from uuid import uuid4

from argon2 import PasswordHasher
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import insert
from werkzeug.test import TestResponse

from api.http.door import tokens
from core.auth.model import LoginSession, RefreshToken
from core.auth.service import Grant
from core.platform import clock, passwords
from core.platform.access import Actor, Role
from core.platform.database.base import Base
from core.users.model import User
from tests.support.database import writing
from tests.support.document import CheckedClient

PASSWORD = "correct horse battery"

_NEW_USER = insert(Base.metadata.tables[User.__tablename__]).returning(User.id)
_NEW_SESSION = insert(Base.metadata.tables[LoginSession.__tablename__])
_NEW_TOKEN = insert(Base.metadata.tables[RefreshToken.__tablename__])


@dataclass
class Person:
    """User with a client of their own; logged in if there is a token."""

    app: Flask
    username: str = ""
    user_id: int = 0
    role: Role = Role.USER
    tokens: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.app.test_client_class = CheckedClient
        self.client: FlaskClient = self.app.test_client(use_cookies=False)

    @property
    def actor(self) -> Actor:
        return Actor(self.user_id, self.role)

    def at(self, app: Flask) -> "Person":
        """Return the same person, with the same tokens, at another application."""
        return replace(self, app=app)

    def log_in(self, password: str = PASSWORD) -> TestResponse:
        response = self.post("/auth/login", {"username": self.username, "password": password}, token="")
        if response.status_code == 200:
            self.tokens = response.get_json()
        return response

    def open(
        self, method: str, path: str, body: Any = None, *, token: str | None = None, **kwargs: Any
    ) -> TestResponse:
        headers = dict(kwargs.pop("headers", {}))
        token = self.tokens.get("access_token", "") if token is None else token
        if token:
            headers.setdefault("Authorization", f"Bearer {token}")
        if body is not None:
            kwargs["json"] = body
        prefix = "" if path.startswith(("/api", "/health")) else "/api/v1"
        return self.client.open(prefix + path, method=method, headers=headers, **kwargs)

    def get(self, path: str, **kwargs: Any) -> TestResponse:
        return self.open("GET", path, **kwargs)

    def post(self, path: str, body: Any = None, **kwargs: Any) -> TestResponse:
        return self.open("POST", path, body, **kwargs)

    def put(self, path: str, body: Any = None, **kwargs: Any) -> TestResponse:
        return self.open("PUT", path, body, **kwargs)

    def patch(self, path: str, body: Any = None, **kwargs: Any) -> TestResponse:
        return self.open("PATCH", path, body, **kwargs)

    def delete(self, path: str, **kwargs: Any) -> TestResponse:
        return self.open("DELETE", path, **kwargs)

    def create_task(self, **fields: Any) -> dict[str, Any]:
        response = self.post("/tasks", {"title": "Water the plants", **fields})
        assert response.status_code == 201, response.text
        task: dict[str, Any] = response.get_json()["data"]
        return task

    def create_post(self, **fields: Any) -> dict[str, Any]:
        return self._create("/posts", {"title": "Done", "content": "All of it.", **fields})

    def create_item(self, **fields: Any) -> dict[str, Any]:
        return self._create("/items", {"name": "Label printer", "price": 5, **fields})

    def _create(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        response = self.post(path, body)
        assert response.status_code == 201, response.text
        created: dict[str, Any] = response.get_json()["data"]
        return created


def password_hash() -> str:
    """Hash the password of everybody, with each hasher once."""
    return _hashed(passwords._hasher)


@cache
def _hashed(hasher: PasswordHasher) -> str:
    return hasher.hash(PASSWORD)


def make_person(app: Flask, username: str, role: Role = Role.USER) -> Person:
    """Return somebody who has an account and is logged in, without the slow ways to either."""
    return make_people(app, {username: role})[username]


def make_people(app: Flask, roles: Mapping[str, Role]) -> dict[str, Person]:
    """Return people by their usernames, in one transaction."""
    made = {}
    # As core.users and core.auth would, without their mappers: this happens before each of thousands of tests.
    with app.app_context(), writing(app) as connection:
        for username, role in roles.items():
            user = {"username": username, "email": f"{username}@example.com", "password_hash": password_hash()}
            user_id = connection.scalar(_NEW_USER, {**user, "role": role})
            grant = Grant(user_id, role, secrets.token_hex(16), str(uuid4()))
            expires_at = clock.now() + timedelta(days=30)
            session = {"id": grant.session_id, "user_id": user_id, "expires_at": expires_at}
            connection.execute(_NEW_SESSION, session)
            token = {"jti": grant.refresh_jti, "session_id": grant.session_id, "expires_at": expires_at}
            connection.execute(_NEW_TOKEN, token)
            made[username] = Person(app, username, user_id, role, tokens.issue(grant))
    return made
