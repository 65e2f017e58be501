"""Servers under load: each a process of ``bench.serving``, asked over pipes for what it used, and ended by them."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

STOP_S = 15.0


@dataclass(frozen=True, slots=True)
class Used:
    """What a server used and did since it started."""

    cpu_s: float
    bakes: float
    late: float

    def since(self, before: Self) -> "Used":
        """Return what it used and did since then."""
        return Used(self.cpu_s - before.cpu_s, self.bakes - before.bakes, self.late - before.late)


class Server:
    """A server that answers on a port."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.port = port
        self._process = process

    def used(self) -> Used:
        """Return what it used and did so far."""
        assert self._process.stdin is not None
        self._process.stdin.write("used\n")
        self._process.stdin.flush()
        return Used(**_line(self._process))


@contextmanager
def serving(name: str, **options: Any) -> Iterator[Server]:
    """Start a server, and end it after."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.serving", name, json.dumps(options)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    try:
        yield Server(process, _line(process)["port"])
    finally:
        process.stdin.close()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _line(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"a server of the bench ended with status {process.wait(STOP_S)}; its reason is on stderr")
    found: dict[str, Any] = json.loads(line)
    return found
