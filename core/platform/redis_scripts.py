"""Lua scripts that a Redis server runs: one round trip for each call, whatever the script asks."""

import hashlib
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from redis import Redis
from redis.exceptions import ConnectionError as LostConnection
from redis.exceptions import NoScriptError


class Script:
    """A script that is called at each request, over connections of its own.

    The client looks into a pool, renews and checks a connection, and builds its answer at each call, which
    takes three times as long as the call itself.
    """

    def __init__(self, client: "Redis", text: str) -> None:
        self._client = client
        self._text = text
        self._name = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
        # The one that was used last is taken first, so there are no more than were ever used at once.
        self._kept: deque[Any] = deque()

    def __call__(self, keys: Sequence[str], arguments: Sequence[str]) -> Any:
        """Return the answer of the script. Raises RedisError.

        A script that was on its way when the server ended may be called once more, on the new server.
        """
        question = (str(len(keys)), *keys, *arguments)
        try:
            connection = self._kept.pop()
        except IndexError:
            # The pool itself would count it, and would never hear that it is gone.
            pool = self._client.connection_pool
            connection = pool.connection_class(**pool.connection_kwargs)
        else:
            # A server that was started anew, or closes what is silent, has left a connection that only looks open.
            with suppress(LostConnection):
                return self._ask(connection, question)
        return self._ask(connection, question)

    def close(self) -> None:
        """Close the connections that are not in use."""
        while self._kept:
            self._kept.pop().disconnect()

    def _ask(self, connection: Any, question: Sequence[str]) -> Any:
        """Ask by a connection, which connects where it is not, and keep it if that went well."""
        try:
            try:
                answer = _exchange(connection, "EVALSHA", self._name, *question)
            except NoScriptError:
                answer = _exchange(connection, "EVAL", self._text, *question)
        except BaseException:
            connection.disconnect()
            raise
        self._kept.append(connection)
        return answer


def _exchange(connection: Any, *words: str) -> Any:
    connection.send_command(*words, check_health=False)
    return connection.read_response()
