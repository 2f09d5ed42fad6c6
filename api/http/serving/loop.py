"""The loop over all sockets, and the threads that answer.

Waitress has both, but they take longer than an answer that is kept: before each wait its loop asks every
connection what it waits for, and after each answer it is woken to ask again. Here the thread that changes
this tells the kernel, and the loop sleeps on.
"""

import logging
import selectors
import threading
import time
from queue import Empty, SimpleQueue
from typing import Any

from waitress import wasyncore

log = logging.getLogger("tasklane.server")

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE


class Loop:
    """Waits for the sockets of waitress's dispatchers. One that may wait for something else now must be looked at."""

    def __init__(self) -> None:
        # By descriptor. Dispatchers add and remove themselves.
        self.dispatchers: dict[int, Any] = {}
        self._selector = selectors.DefaultSelector()
        self._awaited: dict[int, int] = {}
        # The kernel must hear of two looks in their order. Looking at a listener may be to look at its connections.
        self._lock = threading.RLock()

    def look_at(self, dispatcher: Any) -> None:
        """Wait for what this dispatcher waits for now. Any thread may call it."""
        with self._lock:
            descriptor = dispatcher._fileno
            if descriptor is None:
                return
            wanted = (READ if dispatcher.readable() else 0) | (WRITE if dispatcher.writable() else 0)
            awaited = self._awaited.get(descriptor, 0)
            if wanted == awaited:
                return
            if not awaited:
                self._selector.register(descriptor, wanted, dispatcher)
            elif wanted:
                self._selector.modify(descriptor, wanted, dispatcher)
            else:
                self._selector.unregister(descriptor)
            self._awaited[descriptor] = wanted

    def forget(self, descriptor: int) -> None:
        """Wait no more for a socket that is about to be closed, and whose dispatcher does not have it any more."""
        with self._lock:
            if self._awaited.pop(descriptor, 0):
                self._selector.unregister(descriptor)

    def turn(self, seconds: float) -> None:
        """Wait so long for any socket, and let each dispatcher do what it can do now."""
        for key, events in self._selector.select(seconds):
            for event, act in ((READ, wasyncore.read), (WRITE, wasyncore.write)):
                # Another one may have closed it just now.
                if events & event and self.dispatchers.get(key.fd) is key.data:
                    act(key.data)
            self.look_at(key.data)

    def close(self) -> None:
        """Close all sockets."""
        wasyncore.close_all(self.dispatchers)
        self._selector.close()


class Threads:
    """Threads that answer, each one connection at a time."""

    def __init__(self, number: int) -> None:
        self._waiting: SimpleQueue[Any] = SimpleQueue()
        self._unanswered = 0
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._answer, name=f"waitress-{place}", daemon=True) for place in range(number)
        ]
        # The connection that a thread works on.
        self.own = threading.local()
        for thread in self._threads:
            thread.start()

    def add_task(self, channel: Any) -> None:
        """Let a thread answer a request of this connection as soon as one is free."""
        with self._lock:
            self._unanswered += 1
        self._waiting.put(channel)

    def has_work(self) -> bool:
        """Return whether anything waits or is worked on."""
        return self._unanswered > 0

    def waiting(self) -> int:
        """Return how many requests no thread works on yet."""
        return self._waiting.qsize()

    def end(self, seconds: float) -> None:
        """Begin nothing any more, and wait so long for what is being answered."""
        try:
            while True:
                self._waiting.get_nowait().cancel()
        except Empty:
            pass
        for _ in self._threads:
            self._waiting.put(None)
        until = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(until - time.monotonic(), 0))

    def _answer(self) -> None:
        while (channel := self._waiting.get()) is not None:
            self.own.channel = channel
            try:
                channel.service()
            except BaseException:
                log.exception("A connection cannot be served.")
            finally:
                self.own.channel = channel = None
                with self._lock:
                    self._unanswered -= 1
