"""Our side of the driver: a subprocess in the other environment, asked line by line."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from bench.streamframework.environment import python

Kind = Literal["shipped", "mended"]
ROOT = Path(__file__).parents[2]
STOP_S = 15.0


class StreamFramework:
    """A running driver."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, do: str, **asked: Any) -> dict[str, Any]:
        """Ask for one thing; return the answer. Raises RuntimeError where the driver ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": do, **asked}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"Stream-Framework ended with status {self._process.wait(STOP_S)}; see stderr")
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def stream_framework(socket: Path, kind: Kind, cap: int) -> Iterator[StreamFramework]:
    """Start a driver on the Redis of that Unix socket, and end it after."""
    process = subprocess.Popen(
        [python(), "-W", "ignore", "-m", "bench.streamframework.driver", str(socket), kind, str(cap)],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield StreamFramework(process)
    finally:
        process.stdin.close()
        process.stdout.close()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
