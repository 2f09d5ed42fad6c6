"""Bodies in chunks (RFC 9112, section 7.1), without what makes waitress's reader slow."""

from waitress.buffers import OverflowableBuffer
from waitress.receiver import ChunkedReceiver
from waitress.utilities import BadRequest

# It reads an unfinished line again with each piece that arrives, so lines must be short.
MAX_LINE_BYTES = 1024
MAX_TRAILER_BYTES = 8 * 1024
# All that is no content: sizes, extensions, line ends. So much is always fine, and above that a share of the
# content, because a program that sends a hundred bytes at a time does so for as long as it likes.
FREE_OVERHEAD_BYTES = 128 * 1024
CONTENT_PER_OVERHEAD = 8


class Chunks(ChunkedReceiver):
    """Refuses long extensions, long trailers, and a body of nothing but tiny chunks."""

    def __init__(self, buf: OverflowableBuffer) -> None:
        super().__init__(buf)
        self._received = 0

    def received(self, s: bytes) -> int:
        """Take bytes; return how many of them belong to this body."""
        count: int = super().received(s)
        self._received += count
        content = len(self)
        if (
            len(self.control_line) > MAX_LINE_BYTES
            or len(self.trailer) > MAX_TRAILER_BYTES
            or self._received - content > FREE_OVERHEAD_BYTES + content // CONTENT_PER_OVERHEAD
        ):
            self.error = BadRequest("The chunks have more around them than in them.")
        return count
