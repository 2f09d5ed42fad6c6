"""`manage.py doctor`: what is well, and each thing that may be wrong, with real servers."""

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import text

from core import clock
from core.config import ROOT
from core.db import db
from core.doctor import Finding, Verdict, examine
from tests.support.commands import Operator
from tests.support.dev import Dev
from tests.support.processes import free_port
from tests.support.servers import RedisServer

Remake = Callable[..., Flask]


def examined(app: Flask) -> dict[str, Finding]:
    """Return what is not well, by part."""
    with app.app_context():
        return {finding.part: finding for finding in examine() if finding.verdict is not Verdict.OK}


def test_a_running_installation_is_well(tmp_path: Path) -> None:
    dev = Dev(tmp_path / "instance").start()
    try:
        command = [sys.executable, str(ROOT / "manage.py"), "doctor"]
        done = subprocess.run(command, env=dev.environ, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        lines = done.stdout.splitlines()
        assert lines[-1].startswith("0 failed, 2 warnings, ")
        assert [line.split()[1] for line in lines if line.startswith("warning")] == ["configuration", "mail"]
        assert "ok       workers        1 alive" in lines
        as_json = subprocess.run([*command, "--json"], env=dev.environ, capture_output=True, text=True, check=False)
        assert {finding["part"] for finding in json.loads(as_json.stdout)} >= {"database", "redis", "workers", "disk"}
    finally:
        dev.stop()
    done = subprocess.run(command, env=dev.environ, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "FAILED   redis          down" in done.stdout


def test_a_redis_that_forgets_is_a_fault(remake_app: Remake, own_redis_server: RedisServer) -> None:
    with own_redis_server.client as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        client.config_set("appendonly", "no")
    app = remake_app(redis_url=own_redis_server.url)
    with app.app_context():
        found = [finding for finding in examine() if finding.part == "redis"]
    assert [(finding.verdict, finding.text) for finding in found] == [
        (Verdict.OK, "ok"),
        (Verdict.FAILED, "maxmemory-policy allkeys-lru"),
        (Verdict.WARNING, "appendonly no"),
    ]
    assert all(finding.advice for finding in found[1:])


def test_a_database_that_is_not_migrated_is_a_fault(app: Flask) -> None:
    with app.app_context():
        with db.engine.begin() as connection:
            head = connection.scalar(text("SELECT version_num FROM alembic_version"))
            connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
        try:
            found = examined(app)["database"]
        finally:
            with db.engine.begin() as connection:
                connection.execute(text("UPDATE alembic_version SET version_num = :head"), {"head": head})
    assert (found.verdict, found.text) == (Verdict.FAILED, "migrations: pending")
    assert found.advice == "Run `python manage.py db upgrade`."


def test_clocks_that_differ_are_noticed(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    now = clock.now
    for minutes, verdict in ((0.1, Verdict.WARNING), (5, Verdict.FAILED)):
        monkeypatch.setattr(clock, "now", lambda minutes=minutes: now() + timedelta(minutes=minutes))
        assert examined(app)["clock"].verdict is verdict


def test_a_mail_server_that_lets_nobody_in_is_a_fault(remake_app: Remake) -> None:
    app = remake_app(mail__server="127.0.0.1", mail__port=free_port(), mail__use_tls=False)
    assert examined(app)["mail"].verdict is Verdict.FAILED


def test_secrets_that_others_can_read_are_a_fault(tmp_path: Path) -> None:
    operator = Operator(tmp_path / "instance")
    operator.run("init-db")
    (tmp_path / "instance" / "secret_key").chmod(0o644)
    done = operator.run("doctor", "--json")
    failed = {finding["part"]: finding for finding in json.loads(done.stdout) if finding["verdict"] == "failed"}
    assert failed["secrets"]["advice"] == f"chmod 600 {tmp_path / 'instance' / 'secret_key'}"
