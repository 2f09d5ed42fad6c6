"""Ask more often than one may: `python -m tests.faults.limits`, over several web processes.

Exits with 1 if a burst across the end of a window, invented addresses, keys or tokens let more than
105 % through, or if the limits are not in force while Redis is dead, or not shared again afterwards.
"""

import math
import secrets
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import click
import httpx

from tests.faults.report import table
from tests.faults.stack import PASSWORD, USERNAME, Stack, new_settings

ALLOWED = 1.05
ALLOWED_MS = 300.0
Headers = dict[str, str]


@dataclass(slots=True)
class Outcome:
    """Number of requests let through in each trial, and duration of the answers while Redis went away."""

    limit: int
    processes: int
    let_through: dict[str, int] = field(default_factory=dict)
    without_redis: int = 0
    slowest_ms: float = 0
    shared_again_after: float | None = None

    @property
    def is_good(self) -> bool:
        is_held = all(self.limit * 0.9 <= number <= self.limit * ALLOWED for number in self.let_through.values())
        # Each process counts by itself then.
        is_held_alone = 0 < self.without_redis <= self.limit * self.processes * ALLOWED
        return is_held and is_held_alone and self.slowest_ms <= ALLOWED_MS and self.shared_again_after is not None


class Crowd:
    """Clients that ask at once, each on a connection of its own."""

    def __init__(self, stack: Stack, number: int) -> None:
        limits = httpx.Limits(max_keepalive_connections=1)
        options = {"timeout": 60, "trust_env": False, "limits": limits}
        self.clients = [httpx.Client(base_url=f"{stack.url}/api/v1", **options) for _ in range(number)]
        self.slowest_ms = 0.0

    def ask(self, times: int, make_headers: Callable[[], Headers], *, until: float = math.inf) -> int:
        """Ask so often, together and as fast as they can; return how often they were not told to wait.

        What is answered after `until` does not count: time goes on, and lets more through.
        """
        through: list[bool] = []
        unexpected: list[str] = []

        def ask(client: httpx.Client) -> None:
            for _ in range(times // len(self.clients)):
                start = time.perf_counter()
                answer = client.get("/auth/me", headers=make_headers())
                self.slowest_ms = max(self.slowest_ms, (time.perf_counter() - start) * 1000)
                through.append(answer.status_code != 429 and time.monotonic() <= until)
                if answer.status_code not in (200, 401, 429):
                    unexpected.append(answer.text)

        threads = [threading.Thread(target=ask, args=(client,)) for client in self.clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not unexpected, unexpected
        return sum(through)

    def close(self) -> None:
        for client in self.clients:
            client.close()


def environ(*, limit: int, seconds: int, processes: int, proxies: int = 0) -> dict[str, str]:
    """Return what the stack has to be started with."""
    return {
        "TASKLANE_RATELIMIT_ENABLED": "true",
        # Longer than anything here takes.
        "TASKLANE_LIMITS__ADDRESS": f"{limit} per {max(60, seconds)} second",
        "TASKLANE_LIMITS__API_KEY": f"{limit} per {seconds} second",
        "TASKLANE_LIMITS__USER": "1000000 per minute",
        "TASKLANE_AUTH__LOGIN_LIMIT": "1000000 per minute",
        "TASKLANE_AUTH__ADDRESS_LIMIT": "1000000 per minute",
        "WEB_CONCURRENCY": str(processes),
        "TASKLANE_TRUSTED_PROXIES": str(proxies),
    }


INVENTED: dict[str, Callable[[], Headers]] = {
    "invented tokens": lambda: {"Authorization": f"Bearer {secrets.token_hex(8)}.{secrets.token_hex(8)}.x"},
    "invented keys": lambda: {"X-API-Key": f"tl_{secrets.token_hex(24)}"},
    "invented addresses": lambda: {
        name: f"198.51.{secrets.randbelow(256)}.{secrets.randbelow(256)}"
        for name in ("X-Forwarded-For", "X-Real-IP", "X-Client-IP", "Forwarded", "True-Client-IP")
    },
}


def run(stack: Stack, *, limit: int, seconds: int, processes: int, crowd: int, with_redis: bool = True) -> Outcome:
    """Try everything. `limit` and `seconds` are what `environ` was told."""
    outcome = Outcome(limit, processes)
    key = _make_key(stack)
    everybody = Crowd(stack, crowd)
    outcome.let_through["one key, across the end of a window"] = _burst(everybody, key, limit, seconds)
    for name, make in INVENTED.items():
        # As if nobody had asked before.
        with stack.redis.client as client:
            client.flushall()
        outcome.let_through[name] = everybody.ask(3 * limit, make)
    if with_redis:
        _without_redis(stack, everybody, outcome)
    everybody.close()
    return outcome


def behind_a_proxy(stack: Stack, *, limit: int, crowd: int) -> int:
    """Return how many requests of one client of a proxy are let through if it invents what came before."""
    everybody = Crowd(stack, crowd)
    through = everybody.ask(3 * limit, lambda: {"X-Forwarded-For": f"198.51.100.{secrets.randbelow(256)}, 192.0.2.7"})
    everybody.close()
    return through


def _make_key(stack: Stack) -> Headers:
    with httpx.Client(base_url=f"{stack.url}/api/v1", timeout=60, trust_env=False) as client:
        login = client.post("/auth/login", json={"username": USERNAME, "password": PASSWORD}).json()
        headers = {"Authorization": f"Bearer {login['access_token']}"}
        made = client.post("/auth/keys", json={"name": "Busy", "scopes": ["account:read"]}, headers=headers)
        return {"X-API-Key": made.json()["data"]["key"]}


def _burst(everybody: Crowd, key: Headers, limit: int, seconds: int) -> int:
    """Begin a window, use it up shortly before it ends, and go on right after; return how many came through."""
    begun = time.monotonic()
    through = everybody.ask(len(everybody.clients), lambda: key)
    # Late enough to be a burst across the end, and early enough for a busy machine to finish before it.
    time.sleep(max(0, begun + seconds * 0.9 - 1 - time.monotonic()))
    through += everybody.ask(limit, lambda: key)
    time.sleep(max(0, begun + seconds - time.monotonic()))
    return through + everybody.ask(limit // 2, lambda: key, until=begun + seconds * ALLOWED)


def _without_redis(stack: Stack, everybody: Crowd, outcome: Outcome) -> None:
    make = INVENTED["invented tokens"]
    everybody.slowest_ms = 0
    stack.redis.kill()
    outcome.without_redis = everybody.ask(3 * outcome.limit * outcome.processes, make)
    outcome.slowest_ms = everybody.slowest_ms
    stack.redis.forget()
    stack.redis.start()
    start = time.monotonic()
    while time.monotonic() - start < 30:
        everybody.ask(len(everybody.clients), make)
        with stack.redis.client as client:
            if any(True for _ in client.scan_iter("LIMITS*")):
                outcome.shared_again_after = time.monotonic() - start
                return
        time.sleep(0.05)


def show(outcome: Outcome) -> str:
    """Return the outcome as a table."""
    after = outcome.shared_again_after
    return table(
        [
            ("limit, and processes that count together", f"{outcome.limit}, {outcome.processes}"),
            *((f"let through: {name}", number) for name, number in outcome.let_through.items()),
            ("let through without Redis, by all processes", outcome.without_redis),
            ("slowest answer while Redis went away", f"{outcome.slowest_ms:.0f} ms"),
            ("shared again after", "never" if after is None else f"{after:.1f} s"),
        ]
    )


@click.command()
@click.option("--engine", type=click.Choice(["sqlite", "postgresql"]), default="postgresql", show_default=True)
@click.option("--processes", default=4, show_default=True, help="Web processes.")
@click.option("--limit", default=100, show_default=True, help="Requests in a window.")
@click.option("--seconds", default=10, show_default=True, help="How long a window is.")
@click.option("--crowd", default=10, show_default=True, help="Clients that ask at once.")
def main(engine: str, processes: int, limit: int, seconds: int, crowd: int) -> None:
    """Ask more often than one may. Exits with 1 if a limit does not hold."""
    click.echo(f"{engine}, {limit} requests in {seconds} s, {processes} web processes, {crowd} clients")
    wanted = {"limit": limit, "seconds": seconds, "processes": processes}
    with new_settings(engine) as (settings, redis, _), Stack(settings, redis, **environ(**wanted)) as stack:
        outcome = run(stack, **wanted, crowd=crowd)
    with new_settings(engine) as (settings, redis, _), Stack(settings, redis, **environ(**wanted, proxies=1)) as stack:
        outcome.let_through["invented addresses, behind a proxy"] = behind_a_proxy(stack, limit=limit, crowd=crowd)
    click.echo(show(outcome))
    sys.exit(0 if outcome.is_good else 1)


if __name__ == "__main__":
    main()
