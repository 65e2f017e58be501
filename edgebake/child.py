"""A process that `up` started: watched, started again when it dies, stopped in order.

Its stdin is a pipe that `up` holds: the child waits there for leave to begin, and ends when the pipe does. Its
stdout and stderr are read line by line.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from edgebake.errors import ChildFailed
from edgebake.forked import Forked
from edgebake.process import GO, READY

FIRST_WAIT_S = 0.1
LONGEST_WAIT_S = 10.0
STEADY_S = 30.0
"""A child that lived so long starts again at once, however often it died before."""

Line = Mapping[str, Any]
Tell = Callable[[str, Line], None]
Start = Callable[[], Awaitable[Forked]]


class Child:
    """One child of `up`, by name."""

    def __init__(self, name: str, start: Start, tell: Tell) -> None:
        self.name = name
        self.ready = asyncio.Event()
        self._start = start
        self._tell = tell
        self._process: Forked | None = None
        self._may_begin = False
        self._stopping = False
        self._over = asyncio.Event()
        self._last = "it said nothing"

    @property
    def pid(self) -> int | None:
        """Its process id, while it runs."""
        return self._process.pid if self._process is not None else None

    async def run(self) -> None:
        """Keep it running until it is stopped. Raises ChildFailed where it dies before it was ready once."""
        loop = asyncio.get_running_loop()
        wait = FIRST_WAIT_S
        while not self._stopping:
            begun = loop.time()
            status = await self._run_once()
            if self._stopping:
                return
            if not self.ready.is_set():
                raise ChildFailed(f"{self.name} did not start (status {status}): {self._last}")
            wait = FIRST_WAIT_S if loop.time() - begun > STEADY_S else min(LONGEST_WAIT_S, wait * 2)
            self._say("warning", f"ended with status {status} and is started again in {wait:.1f} s")
            await asyncio.sleep(wait)

    def begin(self) -> None:
        """Give it leave to open what it needs, which is there now."""
        self._may_begin = True
        self._send_go()

    async def stop(self, seconds: float) -> None:
        """Stop it; kill it where that takes longer than ``seconds``."""
        self._stopping = True
        process = self._process
        if process is None:
            return
        process.terminate()
        try:
            await asyncio.wait_for(self._over.wait(), seconds)
        except TimeoutError:
            self._say("error", f"did not end within {seconds:g} s and is killed")
            process.kill()
            await self._over.wait()

    def again(self) -> None:
        """End it so that it starts anew."""
        if self._process is not None:
            self._process.terminate()

    async def _run_once(self) -> int:
        try:
            self._process = process = await self._start()
        except (EOFError, OSError) as error:
            self._last = f"it could not be forked: {error!r}"
            return -1
        self._over.clear()
        if self._stopping:
            process.terminate()
        if self._may_begin:
            self._send_go()
        async for line in process.said:
            self._read(line)
        status = await process.wait()
        self._process = None
        self._over.set()
        return status

    def _send_go(self) -> None:
        if self._process is not None:
            self._process.write(GO)

    def _read(self, raw: bytes) -> None:
        text = raw.decode(errors="replace").rstrip()
        try:
            line = json.loads(text)
        except ValueError:
            line = None
        if not isinstance(line, dict):
            line = {"level": "warning", "message": text}
        if line.get("message") == READY:
            self.ready.set()
            return
        self._last = str(line.get("message", line.get("event", text)))
        self._tell(self.name, line)

    def _say(self, level: str, message: str) -> None:
        self._tell(self.name, {"level": level, "message": message})
