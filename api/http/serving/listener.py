"""A socket that listens, shared with other processes."""

import errno
import logging
import select
import time
from typing import Any

from waitress import wasyncore
from waitress.server import TcpWSGIServer

from api.http.serving.connections import Channel
from api.http.serving.loop import Loop, Threads

log = logging.getLogger("tasklane.server")

# A connection may be silent for this long, and a request's header may take this long to arrive.
SILENCE_SECONDS = 30
# What `accept` fails with while this process or machine has no room for another connection.
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
REST_SECONDS = 0.2
REPORT_SECONDS = 1.0


class Listener(TcpWSGIServer):
    """One listening socket, shared with other processes."""

    channel_class = Channel
    is_draining = False
    task_dispatcher: Threads
    _rests_until = 0.0
    _reported_at = 0.0
    _refused = 0

    def __init__(self, app: Any, loop: Loop, **options: Any) -> None:
        self.loop = loop
        self._over: list[Channel] = []
        super().__init__(app, loop.dispatchers, **options)
        loop.look_at(self.trigger)

    def del_channel(self, map: Any = None) -> None:  # noqa: A002 - waitress's name
        descriptor = self._fileno
        super().del_channel(map)
        self.loop.forget(descriptor)

    def pull_trigger(self) -> None:
        """Wake the loop. A thread that answers only has its own connection looked at, which needs nobody awake."""
        channel = getattr(self.task_dispatcher.own, "channel", None)
        if channel is None:
            super().pull_trigger()
        else:
            self.loop.look_at(channel)

    def readable(self) -> bool:
        return bool(super().readable()) and time.monotonic() >= self._rests_until

    def accept(self) -> Any:
        """Take a connection. When there is no room for one, rest a little: it stays in the kernel's queue."""
        try:
            return super().accept()
        except OSError as error:
            if error.errno not in _EXHAUSTED:
                raise
            self._rest(error)
            return None

    def _rest(self, error: OSError) -> None:
        now = time.monotonic()
        self._rests_until = now + REST_SECONDS
        self._refused += 1
        if now - self._reported_at >= REPORT_SECONDS:
            log.error(
                "No room for another connection: %s. It was tried %s times; those who wait are served when there is.",
                error.strerror,
                self._refused,
            )
            self._reported_at, self._refused = now, 0

    def maintenance(self, now: float) -> None:
        """Note what is silent, and what has been sending a header for too long, drop by drop."""
        super().maintenance(now)
        # A copy, because others may be accepted or closed meanwhile.
        for channel in list(self.active_channels.values()):
            if channel.is_over(now, now - SILENCE_SECONDS):
                channel.will_close = True
                self._over.append(channel)

    def sweep(self) -> None:
        """Close what was noted. Not there: it is called with the lock of the loop, behind which comes a connection's.

        Waitress would wait until it can write, which whoever does not read never lets it.
        """
        while self._over:
            self._over.pop().handle_close()

    def leave(self) -> None:
        """Take what the kernel has accepted already, then close this process's copy of the socket."""
        self.is_draining = True
        poller = select.poll()
        poller.register(self.socket, select.POLLIN)
        # At most as many as fit into the queue: a process out of files would otherwise try for ever.
        for _ in range(self.adj.backlog):
            if not poller.poll(0):
                break
            self.handle_accept()
        # Not `self.close()`: that would also close the trigger by which threads wake the loop.
        wasyncore.dispatcher.close(self)
