"""Present one refresh token many times at once: `python -m tests.faults.rotation --rounds 100`.

Exits with 1 unless in every round one request wins, and then nothing of the session is accepted any
more, neither what the winner has got nor what was there before.
"""

import sys
import threading
from collections import Counter
from dataclasses import dataclass, field

import click
import httpx

from tests.faults.report import table
from tests.faults.stack import PASSWORD, USERNAME, Stack, new_settings


@dataclass(slots=True)
class Outcome:
    """Number of winners in each round, answers to the others, and tokens that outlived it."""

    winners: Counter[int] = field(default_factory=Counter)
    refusals: Counter[int] = field(default_factory=Counter)
    survivors: int = 0

    @property
    def is_good(self) -> bool:
        return set(self.winners) == {1} and set(self.refusals) <= {401} and self.survivors == 0


def run(stack: Stack, *, rounds: int, parallel: int) -> Outcome:
    """Present a new session's refresh token `parallel` times at once, round after round."""
    outcome = Outcome()
    clients = [httpx.Client(base_url=f"{stack.url}/api/v1", timeout=60, trust_env=False) for _ in range(parallel)]
    for client in clients:
        # So that no connection has to be made when it counts.
        client.get("/health").raise_for_status()
    for _ in range(rounds):
        _round(clients, outcome)
    for client in clients:
        client.close()
    return outcome


def _round(clients: list[httpx.Client], outcome: Outcome) -> None:
    login = clients[0].post("/auth/login", json={"username": USERNAME, "password": PASSWORD})
    login.raise_for_status()
    token, access = login.json()["refresh_token"], login.json()["access_token"]
    gate = threading.Barrier(len(clients))
    answers: list[httpx.Response] = []

    def refresh(client: httpx.Client) -> None:
        gate.wait()
        answers.append(client.post("/auth/refresh", headers=_bearer(token)))

    threads = [threading.Thread(target=refresh, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    won = [answer.json() for answer in answers if answer.status_code == 200]
    outcome.winners[len(won)] += 1
    outcome.refusals.update(answer.status_code for answer in answers if answer.status_code != 200)
    for tokens in won:
        outcome.survivors += clients[0].get("/auth/me", headers=_bearer(tokens["access_token"])).status_code != 401
        outcome.survivors += clients[0].post("/auth/refresh", headers=_bearer(tokens["refresh_token"])).is_success
    outcome.survivors += clients[0].get("/auth/me", headers=_bearer(access)).status_code != 401


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def show(outcome: Outcome) -> str:
    """Return the outcome as a table."""
    return table(
        [
            ("rounds", outcome.winners.total()),
            ("winners: rounds", dict(outcome.winners)),
            ("the others were answered", dict(outcome.refusals)),
            ("tokens of these sessions that still worked", outcome.survivors),
        ]
    )


@click.command()
@click.option("--engine", type=click.Choice(["sqlite", "postgresql"]), default="sqlite", show_default=True)
@click.option("--rounds", default=100, show_default=True)
@click.option("--parallel", default=20, show_default=True, help="Requests with the same token at once.")
@click.option("--processes", default=2, show_default=True, help="Web processes.")
def main(engine: str, rounds: int, parallel: int, processes: int) -> None:
    """Race for refresh tokens. Exits with 1 unless one request wins each time and the session ends."""
    click.echo(f"{engine}, {parallel} at once, {processes} web processes")
    environ = {"WEB_CONCURRENCY": str(processes)}
    with new_settings(engine) as (settings, redis, _), Stack(settings, redis, **environ) as stack:
        outcome = run(stack, rounds=rounds, parallel=parallel)
    click.echo(show(outcome))
    sys.exit(0 if outcome.is_good else 1)


if __name__ == "__main__":
    main()
