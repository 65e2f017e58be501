"""Whose turn it is to write into a SQLite file: a queue of processes, for SQLite's own lock has none.

Who waits for SQLite's lock asks for it now and then, and who lets go of it may take it again at once. So a process that
writes one long transaction after the other keeps all others out for as long as it does. Here nobody asks for that lock
but whoever holds another, on a file beside the database, and lets go of it as soon as their transaction has begun.
Whoever writes again finds the next one there already. In a process transactions follow each other in the order in
which they were asked for, each to its end, so only one of a process stands in the queue. The kernel lets go of the
lock of a process that dies.
"""

import asyncio
import fcntl
import os
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from feeds.errors import RecordUnavailable

FIRST_S = 0.001
LONGEST_S = 0.02
"""Between two looks at whether the turn is free; whoever has it keeps it for as long as a transaction takes."""

LATE = "the system of record does not answer: others have been writing for too long. Try again"


class Turn:
    """One process's place in the queue of a database file. Raises RecordUnavailable after ``deadline``, loop time."""

    def __init__(self, database: str) -> None:
        self._path = f"{database}-turn"
        self._fd = -1
        self._transaction = asyncio.Lock()

    @asynccontextmanager
    async def transaction(self, deadline: float) -> AsyncIterator[None]:
        """Let no other transaction of this process begin before this one is over."""
        try:
            async with asyncio.timeout_at(deadline):
                await self._transaction.acquire()
        except TimeoutError as error:
            raise RecordUnavailable(LATE) from error
        try:
            yield
        finally:
            self._transaction.release()

    @asynccontextmanager
    async def next(self, deadline: float) -> AsyncIterator[None]:
        """Let nobody else ask for SQLite's lock."""
        pause = FIRST_S
        while not self._is_taken():
            if asyncio.get_running_loop().time() > deadline:
                raise RecordUnavailable(LATE)
            await asyncio.sleep(pause * random.uniform(0.5, 1.5))
            pause = min(pause * 2, LONGEST_S)
        try:
            yield
        finally:
            fcntl.flock(self._fd, fcntl.LOCK_UN)

    def close(self) -> None:
        """Let go of the file; it stays, for removing it would race with the next one that opens it."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _is_taken(self) -> bool:
        """Take the lock if it is free."""
        if self._fd < 0:
            # to read is all that a lock wants, so whoever made the file, all may take it
            self._fd = os.open(self._path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
