"""Rows of JSON Lines, of a JSON array, and of the answer to a list, which has its array in `data`.

What a file is called does not matter: people give the one the name of the other.
"""

import json
import re
from collections.abc import Collection, Iterator
from typing import Any

from core.exchange.imports.rows import RawRow
from core.exchange.imports.source import MAX_ROW_CHARACTERS, TOO_LONG, FileRefused, Text, lines
from core.platform.errors import DomainError, Invalid, Malformed
from core.platform.text.faults import nearest
from core.platform.text.strict_json import DECODER, parse, printable, require_storable

_ARRAY = re.compile(r"\s*\[\s*[\]{]")
# One of our own answers: its rows are in `data`, and some short values or `meta` may come first.
_ANSWER = re.compile(r'\s*\{\s*("(?!data")\w+"\s*:\s*("[^"\\]*"|[\w.+-]+)\s*,\s*)*"(data"\s*:\s*[\[{]|meta"\s*:\s*\{)')
_OBJECT_IN_A_LINE = re.compile(r"\s*\{[^\n]*\}\s*(\n|\Z)")
_NO_ROWS = "The file must be a JSON array of objects, or have one object in each line."


def read_json(text: Text, known: Collection[str]) -> Iterator[RawRow]:
    """Yield the objects of a file of JSON."""
    beginning = text.peek()
    if not beginning.strip(" \t\r\n"):
        raise FileRefused("The file is empty.")
    if _ANSWER.match(beginning):
        return _read_answer(_Window(text), known)
    if beginning.lstrip(" \t\r\n").startswith("["):
        return _read_whole_array(_Window(text), known)
    if _OBJECT_IN_A_LINE.match(beginning):
        return _read_lines(text, known)
    raise FileRefused(_NO_ROWS)


def read_json_lines(text: Text, known: Collection[str]) -> Iterator[RawRow]:
    """Yield the objects of a file that has one in each line."""
    beginning = text.peek()
    if _ARRAY.match(beginning) or _ANSWER.match(beginning):
        return read_json(text, known)
    return _read_lines(text, known)


def _read_lines(text: Text, known: Collection[str]) -> Iterator[RawRow]:
    number = 0
    for line_number, line in enumerate(lines(text), start=1):
        if line is not None and not line.strip(" \t\r\n"):
            continue
        number += 1
        yield RawRow(number, line_number, {}, TOO_LONG) if line is None else _parsed(number, line_number, line, known)
    if number == 0:
        raise FileRefused("The file is empty.")


def _parsed(number: int, line_number: int, line: str, known: Collection[str]) -> RawRow:
    try:
        value = parse(line.encode("utf-8"), what="This line")
    except (Malformed, Invalid) as refusal:
        return _refused(number, line_number, refusal)
    except RecursionError:
        return RawRow(number, line_number, {}, "This line is nested too deep.")
    return _object(number, line_number, value, known)


# --- arrays -------------------------------------------------------------------------


def _read_whole_array(window: "_Window", known: Collection[str]) -> Iterator[RawRow]:
    yield from _read_array(window, known)
    if window.peek():
        raise FileRefused(f"The file goes on after the end of its array, in line {window.line}.")


def _read_array(window: "_Window", known: Collection[str]) -> Iterator[RawRow]:
    """Yield the objects of the array that begins here, without ever having the whole of it."""
    window.peek()
    window.skip(1)
    number = 0
    if window.peek() == "]":
        window.skip(1)
        return
    while True:
        number += 1
        window.peek()
        line = window.line
        yield window.value(number, line, known)
        separator = window.peek()
        window.skip(1)
        if separator == "]":
            return
        if separator != ",":
            raise FileRefused(
                f"The file is cut off after row {number}."
                if not separator
                else f"The file is not valid JSON: ',' or ']' is missing after row {number}, in line {window.line}."
            )


def _read_answer(window: "_Window", known: Collection[str]) -> Iterator[RawRow]:
    """Yield the objects in `data` of the object that begins here, and pass over what else it has."""
    window.peek()
    following = "{"
    while following in ("{", ","):
        window.skip(1)
        name = window.name()
        if name != "data":
            window.skip_value()
        elif window.peek() == "[":
            yield from _read_array(window, known)
        else:
            yield window.value(1, window.line, known)
        following = window.peek()
    if following != "}":
        raise FileRefused(f"The file is not valid JSON: '}}' is missing in line {window.line}.")
    window.skip(1)
    if window.peek():
        raise FileRefused(f"The file goes on after the end of its object, in line {window.line}.")


# Finds where a value ends that the strict decoder has refused.
_LENIENT = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str)
_SPACE = re.compile(r"[ \t\r\n]*")
_NAME = re.compile(r'"(\w*)"[ \t\r\n]*:')
_STRUCTURE = re.compile(r'[^"\\{}\[\],]*+(?:\\.|(["{}\[\],]))?', re.DOTALL)


class _Window:
    """The part of a JSON text that is being looked at."""

    def __init__(self, text: Text) -> None:
        self.text = text
        self.line = 1
        self._buffer = ""
        self._position = 0

    def peek(self) -> str:
        """Return the next character that is not space, or nothing at the end."""
        while True:
            end = _SPACE.match(self._buffer, self._position).end()  # type: ignore[union-attr]
            self.skip(end - self._position)
            if self._position < len(self._buffer):
                return self._buffer[self._position]
            if not self._grow():
                return ""

    def skip(self, count: int) -> None:
        self.line += self._buffer.count("\n", self._position, self._position + count)
        self._position += count

    def name(self) -> str:
        """Pass over a plain name and its colon; return it."""
        self.peek()
        while True:
            if found := _NAME.match(self._buffer, self._position):
                self.skip(found.end() - self._position)
                return found.group(1)
            if len(self._buffer) - self._position > 200 or not self._grow():
                raise FileRefused(f"The file is not valid JSON: a name is missing in line {self.line}.")

    def _grow(self) -> bool:
        """Read on, twice as far each time that one value does not end; return False at the end of the file."""
        parts = [self._buffer[self._position :]]
        wanted = max(len(parts[0]), 1)
        while wanted > 0 and (piece := self.text.read()):
            parts.append(piece)
            wanted -= len(piece)
        self._buffer, self._position = "".join(parts), 0
        return len(parts) > 1

    def _may_go_on(self, error: json.JSONDecodeError) -> bool:
        """Return whether the value may only look wrong because its rest has not been read."""
        # The longest thing that cannot be told from its beginning is -Infinity or an escaped pair of surrogates.
        return error.msg.startswith("Unterminated string") or error.pos > len(self._buffer) - 16

    def value(self, number: int, line: int, known: Collection[str]) -> RawRow:
        """Return the value that begins here. Raises FileRefused if it has no end."""
        while True:
            refusal: DomainError | None = None
            value: Any = None
            try:
                try:
                    value, end = DECODER.raw_decode(self._buffer, self._position)
                except (Malformed, Invalid) as error:
                    refusal = error
                    _, end = _LENIENT.raw_decode(self._buffer, self._position)
            except json.JSONDecodeError as error:
                if self._may_go_on(error):
                    if len(self._buffer) - self._position > MAX_ROW_CHARACTERS:
                        self.skip_value()
                        return RawRow(number, line, {}, TOO_LONG)
                    if self._grow():
                        continue
                where = self.line + self._buffer.count("\n", self._position, error.pos)
                raise FileRefused(f"The file is not valid JSON: {error.msg} in row {number}, line {where}.") from None
            except RecursionError:
                raise FileRefused(f"Row {number}, in line {line}, is nested too deep.") from None
            # A number may go on behind what has been read so far.
            if end == len(self._buffer) and not isinstance(value, dict) and self._grow():
                continue
            length = end - self._position
            self.skip(length)
            if length > MAX_ROW_CHARACTERS:
                return RawRow(number, line, {}, TOO_LONG)
            return _refused(number, line, refusal) if refusal else _object(number, line, value, known)

    def _next_sign(self) -> tuple[int, str | None]:
        """Return the next sign of structure and where it ends, or how far there is certainly none."""
        found = _STRUCTURE.match(self._buffer, self._position)
        return (found.end(), found.group(1)) if found else (self._position, None)

    def skip_value(self) -> None:
        """Pass over a value of any length without keeping it. Raises FileRefused if it has no end."""
        line = self.line
        depth, in_string = 0, False
        self.peek()
        while True:
            end, sign = self._next_sign()
            if not sign:
                self.skip(end - self._position)
                # A backslash at the end of the piece belongs to what follows it.
                if len(self._buffer) - self._position <= 1 and not self._grow():
                    raise FileRefused(f"The file is not valid JSON: what begins in line {line} has no end.")
                continue
            if not in_string and depth == 0 and sign in ("]", "}", ","):
                self.skip(end - 1 - self._position)
                return
            self.skip(end - self._position)
            if sign == '"':
                in_string = not in_string
            elif sign and not in_string:
                depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(sign, 0)
            if sign and sign != "," and not in_string and depth == 0:
                return


def _object(number: int, line: int, value: Any, known: Collection[str]) -> RawRow:
    if not isinstance(value, dict):
        return RawRow(number, line, {}, "A row must be an object.")
    for name in value:
        if name not in known:
            return RawRow(number, line, {}, f"Unknown field.{nearest(name, known)}", printable(name))
    try:
        require_storable(value)
    except Invalid as refusal:
        return _refused(number, line, refusal)
    except RecursionError:
        # From Python 3.12 on, what reads JSON goes deeper than what looks through it.
        return RawRow(number, line, {}, "This row is nested too deep.")
    return RawRow(number, line, value)


def _refused(number: int, line: int, refusal: DomainError) -> RawRow:
    if refusal.details:
        field, sentences = next(iter(refusal.details.items()))
        return RawRow(number, line, {}, sentences[0], "" if field == "body" else field)
    return RawRow(number, line, {}, refusal.message)
