"""The files of the access log: gzipped, rotated, each in its folder under its name only when it is whole.

Named as CloudFront names them: ``<distribution>.YYYY-MM-DD-HH.<unique id>.gz``, by the hour in which requests ended.
"""

import gzip
import secrets
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from itertools import groupby, islice
from pathlib import Path

from cdn.accesslog import HEAD, Record, line

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
MAX_BYTES = 64 * 1024 * 1024
MAX_S = 60.0
HOUR_S = 3_600
AT_ONCE = 1_000
"""Lines that are held in memory."""
LEVEL = 1
"""Of compression: a tenth of the size already, at a third of the time of the usual 6."""


class LogFiles:
    """Writes records into files of a folder. What is in a file that was not closed is lost: CloudFront's logs too are
    "best effort"."""

    def __init__(
        self,
        folder: Path,
        distribution: str,
        *,
        max_bytes: int = MAX_BYTES,
        max_s: float = MAX_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """A file ends after ``max_bytes`` of text, when it is ``max_s`` old, and with its hour."""
        self._folder = folder
        self._distribution = distribution
        self._max_bytes = max_bytes
        self._max_s = max_s
        self._clock = clock
        self._open: _File | None = None

    def write(self, records: Iterable[Record]) -> None:
        """Write records, which should be about in the order of their time. Raises OSError."""
        for hour, some in groupby(records, lambda record: int(record.at) // HOUR_S):
            while text := "".join(map(line, islice(some, AT_ONCE))):
                self._of(hour).write(text.encode("ascii"))
                self.rotate()

    def rotate(self) -> None:
        """End the file if it is large or old. Raises OSError."""
        file = self._open
        if file is not None and (file.bytes >= self._max_bytes or self._clock() - file.began >= self._max_s):
            self.close()

    def close(self) -> None:
        """End the file, so that it appears under its name. Raises OSError."""
        file, self._open = self._open, None
        if file is not None:
            file.close()

    def _of(self, hour: int) -> "_File":
        if self._open is None or self._open.hour != hour:
            self.close()
            self._folder.mkdir(parents=True, exist_ok=True)
            self._open = _File(self._folder / self._name(hour), hour, self._clock())
        return self._open

    def _name(self, hour: int) -> str:
        unique = "".join(secrets.choice(ALPHABET) for _ in range(11))
        return f"{self._distribution}.{datetime.fromtimestamp(hour * HOUR_S, UTC):%Y-%m-%d-%H}.{unique}.gz"


class _File:
    """A file that is being written, hidden until it is whole."""

    def __init__(self, path: Path, hour: int, began: float) -> None:
        self.hour = hour
        self.began = began
        self.bytes = 0
        self._path = path
        self._part = path.with_name(f".{path.name}.part")
        self._stream = gzip.open(self._part, "wb", compresslevel=LEVEL)  # noqa: SIM115 - open for up to an hour
        self.write(HEAD.encode("ascii"))

    def write(self, text: bytes) -> None:
        self._stream.write(text)
        self.bytes += len(text)

    def close(self) -> None:
        self._stream.close()
        self._part.rename(self._path)
