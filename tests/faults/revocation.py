"""Use credentials that were revoked, while Redis and the database are dead or hang.

`python -m tests.faults.revocation` exits with 1 if one of them is ever let in, or if a refusal takes
longer than 300 ms.
"""

import os
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import httpx
from sqlalchemy.engine import make_url

from tests.faults.report import table
from tests.faults.stack import PASSWORD, USERNAME, Stack, new_settings
from tests.support.servers import PostgresServer

ALLOWED_MS = 300.0
# A read that is kept, one that is not, one whose answer comes from Redis, and a write.
REQUESTS = (("GET", "/tasks"), ("GET", "/auth/me"), ("GET", "/stats"), ("POST", "/tasks"))

# As much of Redis as can be in the way of a request, and no limit that is reached.
ENVIRON = {"TASKLANE_RATELIMIT_ENABLED": "true", "TASKLANE_CACHE__BACKEND": "redis"} | {
    f"TASKLANE_{name}": "1000000 per minute"
    for name in ("LIMITS__USER", "LIMITS__ADDRESS", "LIMITS__API_KEY", "AUTH__LOGIN_LIMIT", "AUTH__ADDRESS_LIMIT")
}

Headers = dict[str, str]


@dataclass(slots=True)
class Outcome:
    """Answers to revoked credentials in each situation, and the milliseconds they took."""

    answers: dict[str, Counter[int]] = field(default_factory=dict)
    times: dict[str, list[float]] = field(default_factory=dict)
    good: dict[str, Counter[int]] = field(default_factory=dict)

    @property
    def let_in(self) -> int:
        return sum(number for codes in self.answers.values() for code, number in codes.items() if code < 400)

    @property
    def slowest(self) -> float:
        return max(max(values) for values in self.times.values())

    @property
    def is_good(self) -> bool:
        return not self.let_in and self.slowest <= ALLOWED_MS and self.good["all is well"][200] > 0


class Caller:
    """Caller with credentials that count, and with some that do not any more."""

    def __init__(self, url: str) -> None:
        self.http = httpx.Client(base_url=f"{url}/api/v1", timeout=60, trust_env=False)
        self.good = self._log_in()
        made = self._post("/auth/keys", self.good, {"name": "Revoked", "scopes": ["tasks:read", "tasks:write"]})
        cookies = self.http.post("/auth/session", json={"username": USERNAME, "password": PASSWORD, "remember": True})
        ended = self._log_in()
        browser = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.cookies.items())}
        browser["X-CSRF-TOKEN"] = cookies.json()["data"]["csrf_token"]
        self.http.cookies.clear()
        key = {"X-API-Key": made["data"]["key"]}
        self.revoked = [ended, key, browser]
        for credentials in (*self.revoked, self.good):
            # What they have read may be kept.
            for _, path in REQUESTS[:3]:
                self.http.get(path, headers=credentials)
        self._post("/auth/logout", ended)
        self.http.delete(f"/auth/keys/{made['data']['id']}", headers=self.good).raise_for_status()
        self.http.delete("/auth/session", headers=browser).raise_for_status()

    def log_out_now(self) -> Headers:
        """Return the credentials of a session that was just used, and has just ended."""
        ended = self._log_in()
        self.http.get("/tasks", headers=ended).raise_for_status()
        self._post("/auth/logout", ended)
        return ended

    def ask(self, method: str, path: str, headers: Headers) -> tuple[int, float]:
        """Return the status and how many milliseconds it took."""
        start = time.perf_counter()
        body = {"title": "Not to be"} if method == "POST" else None
        status = self.http.request(method, path, headers=headers, json=body).status_code
        return status, (time.perf_counter() - start) * 1000

    def _log_in(self) -> Headers:
        answer = self.http.post("/auth/login", json={"username": USERNAME, "password": PASSWORD})
        answer.raise_for_status()
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}

    def _post(self, path: str, headers: Headers, body: Any = None) -> Any:
        answer = self.http.post(path, headers=headers, json=body)
        answer.raise_for_status()
        return answer.json() if answer.content else None


def run(stack: Stack, postgres: PostgresServer | None, *, times: int) -> Outcome:
    """Go through the situations, with so many requests by each credential in each of them."""
    outcome = Outcome()
    caller = Caller(stack.url)

    def look(situation: str, *, logs_out: bool = True) -> None:
        def refused(headers: Headers) -> None:
            for method, path in REQUESTS:
                code, milliseconds = caller.ask(method, path, headers)
                outcome.answers.setdefault(situation, Counter())[code] += 1
                outcome.times.setdefault(situation, []).append(milliseconds)

        # These first, because the first to meet the situation waits the longest.
        for _ in range(times):
            for headers in caller.revoked:
                refused(headers)
        if logs_out:
            refused(caller.log_out_now())
        outcome.good.setdefault(situation, Counter())[caller.ask("GET", "/tasks", caller.good)[0]] += 1

    look("all is well")
    stack.redis.kill()
    look("Redis is dead")
    stack.redis.forget()
    stack.redis.start()
    look("Redis is back, empty")
    # Until the limiters trust it again.
    time.sleep(2)
    stack.redis.hang()
    look("Redis hangs")
    stack.redis.go_on()
    look("Redis goes on")
    gone, back = _database(stack, postgres)
    gone()
    look("the database is gone", logs_out=False)
    back()
    _wait_until_it_is_back(caller)
    look("the database is back")
    caller.http.close()
    return outcome


def _database(stack: Stack, postgres: PostgresServer | None) -> tuple[Callable[[], None], Callable[[], None]]:
    """Return how to take the database away, and how to bring it back."""
    if postgres is not None:
        return postgres.crash, postgres.start
    path = Path(make_url(stack.settings.database_url).database or "")
    away = path.with_suffix(".away")
    return lambda: os.rename(path, away), lambda: os.replace(away, path)


def _wait_until_it_is_back(caller: Caller) -> None:
    for _ in range(100):
        with suppress(httpx.HTTPError):
            if caller.ask("GET", "/tasks", caller.good)[0] == 200:
                return
        time.sleep(0.1)


def show(outcome: Outcome) -> str:
    """Return the outcome as a table."""
    rows: list[tuple[str, Any]] = [
        (f"{situation}: revoked", f"{dict(codes)}, slowest {max(outcome.times[situation]):.0f} ms")
        for situation, codes in outcome.answers.items()
    ]
    rows += [(f"{situation}: not revoked", dict(codes)) for situation, codes in outcome.good.items()]
    return table([*rows, ("LET IN", outcome.let_in), ("slowest", f"{outcome.slowest:.0f} ms")])


@click.command()
@click.option("--engine", type=click.Choice(["sqlite", "postgresql"]), default="postgresql", show_default=True)
@click.option("--times", default=20, show_default=True, help="Requests of each kind with each credential.")
@click.option("--cache", type=click.Choice(["memory", "redis"]), default="redis", show_default=True)
def main(engine: str, times: int, cache: str) -> None:
    """Use revoked credentials while parts are dead. Exits with 1 if one is let in, or refused too slowly."""
    click.echo(f"{engine}, cache: {cache}")
    environ = {**ENVIRON, "TASKLANE_CACHE__BACKEND": cache}
    with new_settings(engine) as (settings, redis, postgres), Stack(settings, redis, **environ) as stack:
        outcome = run(stack, postgres, times=times)
    click.echo(show(outcome))
    sys.exit(0 if outcome.is_good else 1)


if __name__ == "__main__":
    main()
