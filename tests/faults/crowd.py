"""People who use a stack over HTTP at once, each on a connection of their own."""

import threading
import time
from collections.abc import Callable
from typing import Any

import click
import httpx

from tests.faults.stack import Client, Stack


class Crowd:
    """Does something again and again with as many clients, until the end of the `with` block.

    `work` gets a client and its number. What it raises is in `broken`, and ends
    the work of that client.
    """

    def __init__(self, stack: Stack, size: int, work: Callable[[httpx.Client, int], None]) -> None:
        self.broken: list[str] = []
        self._stack = stack
        self._work = work
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(size)]

    def __enter__(self) -> "Crowd":
        first = Client(self._stack.url)
        # Checking a password takes long on purpose, so that is done once.
        self._headers = {"Authorization": first.http.headers["Authorization"]}
        first.close()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self.join()

    def join(self) -> None:
        """Wait until everybody has ended by themselves."""
        for thread in self._threads:
            thread.join()

    def leave(self) -> None:
        """End the work of the client that calls this."""
        raise _Enough

    def _run(self, number: int) -> None:
        with httpx.Client(base_url=f"{self._stack.url}/api/v1", timeout=60, trust_env=False) as client:
            client.headers.update(self._headers)
            try:
                while not self._over.is_set():
                    self._work(client, number)
            except _Enough:
                pass
            except Exception as error:  # noqa: BLE001 - whatever it is, the report has to say it
                self.broken.append(f"{type(error).__name__}: {error}")


class _Enough(Exception):
    pass


def timed(ask: Callable[[], httpx.Response]) -> tuple[httpx.Response, float]:
    """Return an answer and the seconds that it took."""
    start = time.monotonic()
    return ask(), time.monotonic() - start


def database_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that say on what it runs."""
    command = click.option("--database", help="URL of an empty database; without it one of its own.")(command)
    kinds = click.Choice(["sqlite", "postgresql"])
    return click.option("--engine", type=kinds, default="sqlite", show_default=True)(command)


def database_of(database: str | None) -> dict[str, str]:
    """Return what `new_settings` has to be told of the option `--database`."""
    return {"database_url": database} if database else {}
