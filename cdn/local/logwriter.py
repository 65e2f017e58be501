"""Writes the access log beside the event loop: a thread of its own takes what was noted, about once a second."""

import logging
from collections import deque
from collections.abc import Callable
from threading import Event, Thread

from cdn.accesslog import Record
from cdn.local.logfiles import LogFiles

logger = logging.getLogger(__name__)
PAUSE_S = 1.0
CHUNK = 500
"""Records that are encoded at once."""
MAX_WAITING = 200_000
"""Records that wait at most, should the disk be slow; about 100 MB."""


class LogWriter:
    """Takes records without waiting. What cannot be kept or written is counted in ``lost``, and told."""

    def __init__(self, files: LogFiles, *, pause_s: float = PAUSE_S, max_waiting: int = MAX_WAITING) -> None:
        self.lost = 0
        self._files = files
        self._pause_s = pause_s
        self._max_waiting = max_waiting
        self._waiting: deque[Record] = deque()
        self._overflowed = 0
        self._ended = Event()
        self._thread = Thread(target=self._run, name="access-log", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def add(self, record: Record) -> None:
        """Note a request."""
        if len(self._waiting) < self._max_waiting:
            self._waiting.append(record)
        else:
            self._overflowed += 1

    def close(self) -> None:
        """Write what was noted and end the file. Waits for the disk."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(self._pause_s):
            self._write()
        self._write()
        self._guarded(self._files.close)

    def _write(self) -> None:
        while self._waiting:
            self._write_some([self._waiting.popleft() for _ in range(min(CHUNK, len(self._waiting)))])
        self._guarded(self._files.rotate)
        overflowed, self._overflowed = self._overflowed, 0
        if overflowed:
            self._tell(overflowed, f"more than {self._max_waiting} waited for the disk")

    def _write_some(self, records: list[Record]) -> None:
        self._guarded(lambda: self._files.write(records), len(records))

    def _guarded(self, work: Callable[[], None], count: int = 0) -> None:
        """Do something with the files; serving goes on where that fails, and what was to be written is lost."""
        try:
            work()
        except OSError as error:
            self._tell(count, f"{error}; make room, or let Edgebake write there")

    def _tell(self, count: int, why: str) -> None:
        self.lost += count
        logger.error("access log: %d requests lost (%d in all): %s", count, self.lost, why)
