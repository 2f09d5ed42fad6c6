"""The text of a file, piece by piece, whatever encoding it turns out to have."""

import codecs
from collections.abc import Iterator
from typing import IO

from core.platform.errors import JobFailed

MAX_ROW_CHARACTERS = 1024 * 1024
TOO_LONG = f"This row is longer than {MAX_ROW_CHARACTERS} characters."
# Bytes of a file that are looked at to find its format.
GLANCE_CHARACTERS = 64 * 1024


class FileRefused(JobFailed):
    """The file as a whole cannot be read; the message says where and why."""


_OTHER_KINDS = {
    b"PK\x03\x04": "The file is an Excel workbook or another archive. Save it as CSV.",
    b"\xd0\xcf\x11\xe0": "The file is an old Excel workbook. Save it as CSV.",
    b"\x1f\x8b": "The file is compressed. Unpack it first.",
    b"%PDF": "The file is a PDF document.",
}
_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    # The mark of UTF-32 begins with that of UTF-16.
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
# Where the zeros are in the first four bytes when these are ASCII, which the names of columns and JSON begin with.
_ZEROS = {
    ".000": "utf-32-le",
    "000.": "utf-32-be",
    ".0.0": "utf-16-le",
    "0.0.": "utf-16-be",
}


class Text:
    """The characters of a file, without a mark at the beginning, and with a sentence for what is no text."""

    def __init__(self, stream: IO[bytes], chunk_bytes: int) -> None:
        self._stream = stream
        self._chunk_bytes = chunk_bytes
        self._encoding = ""
        self._decoder: codecs.IncrementalDecoder = codecs.getincrementaldecoder("utf-8")()
        self._lines = 1
        self._waiting = ""
        self._is_read = False

    @property
    def is_over(self) -> bool:
        """Return whether nothing more can be read."""
        return self._is_read and not self._waiting

    def read(self) -> str:
        """Return the next piece, empty at the end."""
        piece, self._waiting = self._waiting or self._next(), ""
        return piece

    def peek(self) -> str:
        """Return the beginning of what is next, as far as it is there, and leave it there."""
        pieces = [self._waiting]
        while sum(map(len, pieces)) < GLANCE_CHARACTERS and (piece := self._next()):
            pieces.append(piece)
        self._waiting = "".join(pieces)
        return self._waiting[:GLANCE_CHARACTERS]

    def skip(self, count: int) -> None:
        """Pass over characters that `peek` has returned."""
        self._waiting = self._waiting[count:]

    def _next(self) -> str:
        while not self._is_read:
            raw = self._stream.read(self._chunk_bytes)
            if not self._encoding:
                raw = self._begin(raw)
            self._is_read = not raw
            text = self._decoded(raw)
            if text:
                return text
        return ""

    def _begin(self, raw: bytes) -> bytes:
        """Look at the first bytes; return them without a mark."""
        while len(raw) < 4 and (more := self._stream.read(self._chunk_bytes)):
            raw += more
        for beginning, sentence in _OTHER_KINDS.items():
            if raw.startswith(beginning):
                raise FileRefused(sentence)
        mark = next((mark for mark in _MARKS if raw.startswith(mark)), b"")
        zeros = "".join("." if byte else "0" for byte in raw[:4])
        self._encoding = _MARKS[mark] if mark else _ZEROS.get(zeros, "utf-8")
        self._decoder = codecs.getincrementaldecoder(self._encoding)()
        return raw[len(mark) :]

    def _decoded(self, raw: bytes) -> str:
        try:
            text = self._decoder.decode(raw, final=not raw)
        except UnicodeDecodeError as error:
            line = self._lines + error.object.count(b"\n", 0, error.start)
            found = f"byte 0x{error.object[error.start]:02X}" if error.start < len(error.object) else "its end"
            name = self._encoding.upper().removesuffix("-LE").removesuffix("-BE")
            raise FileRefused(
                f"The file is not {name}: line {line} has {found} where no character can be."
                " Save it as UTF-8, which spreadsheets call 'CSV UTF-8'."
            ) from None
        self._lines += text.count("\n")
        return text


def lines(text: Text) -> Iterator[str | None]:
    """Yield the lines that end with a line feed, and None for one that is too long."""
    parts: list[str] = []
    length = 0

    def line() -> str | None:
        return "".join(parts) if length <= MAX_ROW_CHARACTERS else None

    while piece := text.read():
        *ended, rest = piece.split("\n")
        for end in ended:
            length += len(end)
            parts.append(end + "\n")
            yield line()
            parts, length = [], 0
        length += len(rest)
        if length > MAX_ROW_CHARACTERS:
            parts = []
        elif rest:
            parts.append(rest)
    if length:
        yield line()
