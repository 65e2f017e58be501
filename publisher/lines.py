"""Lines of a file that may hold anything: too long, not UTF-8, cut off. Read in constant memory, plain or gzip."""

import gzip
import io
import zlib
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

MAX_LINE = 4_194_304
"""Bytes: the longest content, each character of it escaped, fits."""

_GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row that was not imported: the line on which it begins, counted from 1, and why."""

    line: int
    reason: str


class _Counted(io.RawIOBase):
    """A stream that counts what was read of it, also where it has no position (a pipe)."""

    def __init__(self, stream: BinaryIO) -> None:
        self.count = 0
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # the buffer that io hands over is one
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        self.count += len(data)
        return len(data)


class Lines:
    """The lines of a stream, one at a time, which can be put back."""

    def __init__(self, stream: BinaryIO, max_line: int = MAX_LINE) -> None:
        self.max_line = max_line
        self.number = 0
        """The line that was taken last, counted from 1."""
        self.bytes_taken = 0
        """How many bytes the lines taken had, those put back counted each time."""
        self._counted = _Counted(stream)
        plain = io.BufferedReader(self._counted, 262_144)
        packed = plain.peek(2)[:2] == _GZIP_MAGIC
        self._readline = (gzip.GzipFile(fileobj=plain) if packed else plain).readline
        self._back: deque[bytes | Refusal] = deque()

    @property
    def bytes_read(self) -> int:
        """How much of the file has been read, as it is stored."""
        return self._counted.count

    def take(self) -> bytes | Refusal | None:
        """Return the next line without its end, or why it cannot be read; None at the end of the file."""
        line = self._back.popleft() if self._back else self._read()
        if line is None:
            return None
        self.number += 1
        if isinstance(line, Refusal):
            return line
        self.bytes_taken += len(line)
        return line.rstrip(b"\r\n")

    def put_back(self, lines: Sequence[bytes | Refusal]) -> None:
        """Let the lines taken last be taken again."""
        self._back.extendleft(reversed(lines))
        self.number -= len(lines)

    def _read(self) -> bytes | Refusal | None:
        try:
            line = self._readline(self.max_line + 1)
            return (line or None) if len(line) <= self.max_line else self._skip(line)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            self._readline = io.BytesIO().readline
            return Refusal(self.number + 1, f"the gzip file is broken from here on: {error}")

    def _skip(self, line: bytes) -> Refusal:
        while line and not line.endswith(b"\n"):
            line = self._readline(self.max_line)
        return Refusal(self.number + 1, f"the line is over {self.max_line} bytes long")
