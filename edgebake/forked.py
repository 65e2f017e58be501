"""A process that `up` starts: forked from one that has imported everything, or each would import for a second or two.

That one is multiprocessing's fork server. A fork of `up` itself would take its threads' locks with it. Where forks are
not safe (macOS, https://docs.python.org/3/library/multiprocessing.html#contexts-and-start-methods) it is spawned.
"""

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from multiprocessing import forkserver, get_context
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import DupFd
from socket import socket
from typing import Any, BinaryIO

from edgebake.listeners import handed_down

PRELOADED = ["edgebake.preloaded"]
LINE_BYTES = 1 << 20
PR_SET_NAME = 15
"""prctl(2): what `top` and `ps -o comm` show, 15 bytes at the most."""

_METHOD = "forkserver" if sys.platform == "linux" else "spawn"
_context: Any = get_context(_METHOD)
_asked = ThreadPoolExecutor(1, "fork")
"""Whoever starts a process and whoever asks for its end do so one after the other: they share its pipe."""


def prepare() -> None:
    """Begin the fork server and return at once: it imports meanwhile."""
    os.environ["PYTHONSAFEPATH"] = "1"  # a folder of the reader's own that is called feeds or cdn is not imported
    if _METHOD == "forkserver":
        forkserver.set_forkserver_preload(PRELOADED)
        forkserver.ensure_running()


class Forked:
    """A command that runs in a process of its own. Its stdin is a pipe, and so are stdout and stderr, together."""

    def __init__(self, process: BaseProcess, stdin: BinaryIO, said: asyncio.StreamReader) -> None:
        self.pid: int | None = process.pid
        self.said = said
        self._process = process
        self._stdin = stdin
        self._ended = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(process.sentinel, self._note_end)

    def write(self, what: bytes) -> None:
        """Write a few bytes to its stdin; one that has ended hears nothing."""
        with suppress(OSError, ValueError):  # ValueError: the pipe is closed here
            self._stdin.write(what)

    def terminate(self) -> None:
        """Send it SIGTERM, if it is still there."""
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        """Send it SIGKILL, if it is still there."""
        self._send(signal.SIGKILL)

    async def wait(self) -> int:
        """Wait for its end; return its exit status, or the signal that ended it as a negative number.

        Where the fork server was killed nobody knows: it is 255 then, at once, and ``said`` goes on until its end.
        """
        await self._ended.wait()
        await self._loop.run_in_executor(_asked, self._process.join)
        self._stdin.close()
        status = self._process.exitcode
        return -1 if status is None else status

    def _send(self, number: int) -> None:
        is_over = self._ended.is_set() and self.said.at_eof()
        if self.pid is not None and not is_over:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def _note_end(self) -> None:
        self._loop.remove_reader(self._process.sentinel)
        self._ended.set()


async def forked(
    name: str,
    arguments: Sequence[str],
    environ: Mapping[str, str],
    sockets: Mapping[str, socket],
    kept: Sequence[int],
) -> Forked:
    """Run ``edgebake`` with these arguments, sockets and environment in a process of its own.

    ``kept`` are descriptors that it holds open, for they are locks. Raises EOFError where the fork server ended.
    """
    loop = asyncio.get_running_loop()
    (stdin, writing), (reading, stdout) = os.pipe(), os.pipe()
    handed = [_Handed(descriptor) for descriptor in (stdin, stdout, *kept)]
    command = (name, arguments, dict(environ), dict(sockets), handed)
    process = _context.Process(target=_run, args=command, name=name)
    try:
        await loop.run_in_executor(_asked, process.start)
    except BaseException:
        os.close(writing)
        os.close(reading)
        raise
    finally:
        os.close(stdin)
        os.close(stdout)
    said = asyncio.StreamReader(limit=LINE_BYTES)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(said), os.fdopen(reading, "rb", buffering=0))
    return Forked(process, os.fdopen(writing, "wb", buffering=0), said)


class _Handed:
    """A descriptor on its way into another process, where it arrives as its number there."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def __reduce__(self) -> tuple[Callable[[Any], int], tuple[Any]]:
        return _taken, (DupFd(self._descriptor),)


def _taken(duplicate: Any) -> int:
    taken: int = duplicate.detach()
    return taken


def _run(
    name: str, arguments: Sequence[str], environ: Mapping[str, str], sockets: Mapping[str, socket], handed: list[int]
) -> None:
    """Become the command, in the new process: as if its shell had started it."""
    from edgebake.cli import main

    os.setpgid(0, 0)  # Ctrl-C in a terminal reaches `up` alone, which stops its children in order
    stdin, stdout, *_ = handed
    for descriptor, number in ((stdin, 0), (stdout, 1), (stdout, 2)):
        os.dup2(descriptor, number)
    os.close(stdin)
    os.close(stdout)
    _call_it(f"edgebake-{name}")
    os.environ.clear()
    os.environ.update(environ)
    sys.argv = ["edgebake", *arguments, *handed_down(sockets)]
    for opened in sockets.values():
        opened.detach()  # the command makes its own of the numbers
    try:
        main()
    except Exception:
        sys.excepthook(*sys.exc_info())  # multiprocessing would print it past our log
        sys.exit(1)


def _call_it(name: str) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_NAME, name.encode()[:15], 0, 0, 0)
