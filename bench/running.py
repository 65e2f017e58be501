"""An `edgebake up` of the bench's own: every process as a user runs it, in a folder that is gone afterwards."""

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

LOOK_S = 0.02
STOP_S = 60.0
EDGEBAKE = (sys.executable, "-m", "edgebake")


class NotLive(Exception):
    """Changes did not become live in time."""


@dataclass(frozen=True, slots=True)
class Running:
    """An `edgebake up` that answers: its data folder, and what it said of itself."""

    folder: Path
    found: dict[str, Any]

    def port(self, name: str) -> int:
        """Return the port of one of its URLs."""
        return int(self.found[name].rpartition(":")[2])

    def not_live(self) -> int:
        """Return how many changes in the outbox are not live."""
        file = self.found["database"].partition("///")[2]
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as database:
            (count,) = database.execute("SELECT count(*) FROM outbox WHERE live_ms IS NULL").fetchone()
        return int(count)

    def until_live(self, seconds: float) -> None:
        """Return once every change is live. Raises NotLive where that takes longer."""
        deadline = time.monotonic() + seconds
        while waiting := self.not_live():
            if time.monotonic() > deadline:
                raise NotLive(f"{waiting} changes are not live after {seconds:g} s")
            time.sleep(LOOK_S)

    def peak_mb(self) -> dict[str, float]:
        """Return the most memory that each process had, by name."""
        pids = json.loads((self.folder / "up.json").read_text(encoding="utf-8"))["pids"]
        return {name: peak_mb(pid) for name, pid in pids.items()}


@contextmanager
def up(*arguments: str, **settings: object) -> Iterator[Running]:
    """Start `edgebake up` on free ports with settings (``edge_port=8080``), wait until it answers, and end it after."""
    with TemporaryDirectory(prefix="edgebake-bench-") as parent:
        folder = Path(parent) / "data"
        process = subprocess.Popen(
            [*EDGEBAKE, "up", "--json", "--no-events", "--port", "0", "--data-dir", str(folder), *arguments],
            env=environ() | {f"EDGEBAKE_{name.upper()}": str(value) for name, value in settings.items()},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            if not line:
                raise RuntimeError(f"`edgebake up` did not start (status {process.wait()}); its reason is on stderr")
            yield Running(folder, json.loads(line))
        finally:
            process.terminate()
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def environ() -> dict[str, str]:
    """Return our environment without the settings in it."""
    return {name: value for name, value in os.environ.items() if not name.startswith("EDGEBAKE_")}


def measured(command: Sequence[str]) -> tuple[float, float]:
    """Run a command to its end; return its seconds, and the most megabytes it had."""
    begun = time.perf_counter()
    process = subprocess.Popen(command, env=environ(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    with process.stderr as said:
        last = said.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with status {process.returncode}: {last.strip()}")
    unit = 1 if sys.platform == "darwin" else 1024  # the kernels disagree on ru_maxrss
    return time.perf_counter() - begun, used.ru_maxrss * unit / 1e6


def peak_mb(pid: int) -> float:
    """Return the most megabytes that a running process had; where the system does not tell, those it has."""
    status = Path(f"/proc/{pid}/status")
    if status.exists():
        line = next(line for line in status.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024 / 1e6
    said = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=True)
    return int(said.stdout) * 1024 / 1e6
