"""Locks on files, by which two processes never share a data folder. The kernel lets go when the holder dies."""

import fcntl
import os
import time
from pathlib import Path


class Held(Exception):
    """Another process holds the lock; ``note`` is what it wrote there, its process id."""

    def __init__(self, path: Path, note: str) -> None:
        super().__init__(f"{path} is held by process {note or 'unknown'}")
        self.path = path
        self.note = note


class FileLock:
    """An exclusive lock. A child that inherits ``fd`` keeps it held after its parent was killed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.fd = -1

    def take(self) -> None:
        """Take the lock and note this process in it. Raises Held."""
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            note = os.pread(fd, 64, 0).decode(errors="replace").strip()
            os.close(fd)
            raise Held(self.path, note) from None
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        self.fd = fd

    def wait(self, seconds: float) -> None:
        """Take the lock as soon as it is free. Raises Held when it was not within ``seconds``."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                return self.take()
            except Held:
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.05)

    def release(self) -> None:
        """Let go; the file stays, for removing it would race with the next one that opens it."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
