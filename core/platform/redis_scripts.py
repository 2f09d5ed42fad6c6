"""Lua scripts that a Redis server runs: one round trip for each call, whatever the script asks."""

import hashlib
from collections import deque
from collections.abc import Sequence
from ssl import SSLError
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import InvalidResponse, ResponseError
from redis.maint_notifications import MaintNotificationsConfig
from redis.retry import Retry

_LINE_END = b"\r\n"
_PIECE = 4096
_NO_SCRIPT = b"NOSCRIPT "
# So that nothing comes but answers, and nobody waits for a server that is gone.
_OPTIONS: dict[str, Any] = {
    "protocol": 2,
    "maint_notifications_config": MaintNotificationsConfig(enabled=False),
    "retry": Retry(NoBackoff(), 0),
}


class Script:
    """A script that is called at each request and answers with a text, over connections of its own.

    The client connects. But it looks into a pool, renews and checks a connection, and makes and reads commands of
    any kind at each call, which takes four times as long as the exchange itself.
    """

    def __init__(self, client: "Redis", text: str) -> None:
        self._client = client
        name = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
        self._by_name = _words("EVALSHA", name)
        self._by_text = _words("EVAL", text)
        # The one that was used last is taken first, so there are no more than were ever used at once.
        self._kept: deque[_Line] = deque()

    def call(self, keys: Sequence[str], arguments: Sequence[str]) -> bytes:
        """Return a call with these keys and arguments, as `ask` takes it however often."""
        words = (str(len(keys)), *keys, *arguments)
        return b"*%d\r\n%b%b" % (2 + len(words), self._by_name, _words(*words))

    def ask(self, call: bytes) -> bytes:
        """Return the answer of the script. Raises RedisError and OSError.

        A script that was on its way when the server ended may be called once more, on the new server.
        """
        try:
            line = self._kept.pop()
        except IndexError:
            return self._ask(self._connect(), call)
        try:
            return self._ask(line, call)
        except (ConnectionError, SSLError):
            # A server that was started anew, or closes what is silent, has left a connection that only looks open.
            return self._ask(self._connect(), call)

    def close(self) -> None:
        """Close the connections that are not in use."""
        while self._kept:
            self._kept.pop().close()

    def _connect(self) -> "_Line":
        # The pool itself would count the connection, and would never hear that it is gone.
        pool = self._client.connection_pool
        connection = pool.connection_class(**{**pool.connection_kwargs, **_OPTIONS})
        connection.connect()
        return _Line(connection)

    def _ask(self, line: "_Line", call: bytes) -> bytes:
        """Ask by a connection, and keep it if that went well."""
        try:
            answer = line.exchange(call)
            if answer is None:
                # It knows the script from then on.
                answer = line.exchange(call.replace(self._by_name, self._by_text, 1))
            if answer is None:
                raise ResponseError("The server does not keep the script that it was sent.")
        except BaseException:
            line.close()
            raise
        self._kept.append(line)
        return answer


class _Line:
    """A connection of the client that is open, on which commands are asked whose answer is a text."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._socket = connection._sock

    def exchange(self, command: bytes) -> bytes | None:
        """Return the answer, None if there is no such script. Raises RedisError and OSError."""
        self._socket.sendall(command)
        head, found, text = self._receive().partition(_LINE_END)
        while not found:
            head, found, text = (head + self._receive()).partition(_LINE_END)
        if head[:1] == b"-":
            if head.startswith(_NO_SCRIPT, 1):
                return None
            raise ResponseError(head[1:].decode(errors="replace"))
        if head[:1] != b"$":
            raise InvalidResponse(f"Not a text: {head[:100]!r}")
        length = int(head[1:])
        while len(text) < length + len(_LINE_END):
            text += self._receive()
        return text[:length]

    def _receive(self) -> bytes:
        piece: bytes = self._socket.recv(_PIECE)
        if not piece:
            raise ConnectionResetError("The server has closed the connection.")
        return piece

    def close(self) -> None:
        self._connection.disconnect()


def _words(*words: str) -> bytes:
    """Return the words of a command as the server reads them (redis.io, RESP)."""
    parts = [word.encode() for word in words]
    return b"".join([b"$%d\r\n%b\r\n" % (len(part), part) for part in parts])
