"""bench report: lines of an access log that `edgebake report` reads a second, and the memory that it takes."""

import gzip
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bench.loglines import write
from bench.report import Report, Say, machine, middle, rounded
from bench.running import peak_mb

QUICK_LINES, LINES = 200_000, 1_000_000
FEEDS = 20_000
ROUNDS = 3
SHORT = 10
"""The memory is set beside that of a log with this part of the lines."""
AIM_A_SECOND = 100_000
LOOK_S = 0.01
AWK = '{ if (!/^#/) { n[$8]++; b += $4; if ($23 == "Hit") h[$8]++ } } END { for (p in n) print n[p], h[p], p }'
"""Requests and hits of each path, and bytes in sum: less than half of what a report tells."""


@dataclass(frozen=True, slots=True)
class Run:
    """A command that read a log, to its end."""

    wall_s: float
    cpu_s: float
    peak_mb: float


def run(*, full: bool, say: Say) -> Report:
    """Measure."""
    lines = LINES if full else QUICK_LINES
    report = Report("report", machine() | {"lines": lines, "feeds": FEEDS})
    with tempfile.TemporaryDirectory() as folder:
        logs = _logs(Path(folder), lines, say)
        contenders = {f"edgebake report, {name}": _report(path) for name, path in logs.items()}
        if shutil.which("gawk") or shutil.which("mawk"):
            contenders["awk, plain"] = ["awk", "-F", "\t", AWK, *map(str, sorted(logs["plain"].iterdir()))]
        runs: dict[str, list[Run]] = {name: [] for name in contenders}
        for number in range(ROUNDS):
            say(f"round {number + 1} of {ROUNDS}")
            for name, command in contenders.items():
                runs[name].append(_timed(command))
        short = _timed(_report(_logs(Path(folder) / "short", lines // SHORT, say)["gzip"]))
    for name, some in runs.items():
        report.figures[name] = {
            "lines a second": middle(lines / each.wall_s for each in some),
            "CPU, µs a line": middle(each.cpu_s / lines * 1e6 for each in some),
            "peak MB": middle(each.peak_mb for each in some),
        }
    ours = report.figures["edgebake report, gzip"]
    report.figures[f"peak MB with a {SHORT}th of the lines"] = rounded(short.peak_mb)
    report.at_least("lines a second, gzip", ours["lines a second"], AIM_A_SECOND)
    report.at_least("lines a second, plain", report.figures["edgebake report, plain"]["lines a second"], AIM_A_SECOND)
    report.below(f"memory to that with a {SHORT}th of the lines", ours["peak MB"] / short.peak_mb, 1.5)
    return report


def _logs(folder: Path, lines: int, say: Say) -> dict[str, Path]:
    """Write a log as the local edge does, and once more plain."""
    say(f"{lines:,} lines are written")
    packed, plain = folder / "gzip", folder / "plain"
    write(packed, lines, FEEDS)
    plain.mkdir()
    for path in packed.iterdir():
        with gzip.open(path) as source, (plain / path.stem).open("wb") as target:
            shutil.copyfileobj(source, target)
    return {"gzip": packed, "plain": plain}


def _report(logs: Path) -> list[str]:
    return [sys.executable, "-m", "edgebake", "report", str(logs), "--json"]


def _timed(command: Sequence[str]) -> Run:
    """Run a command to its end; what it prints is thrown away. Raises CalledProcessError."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    peak = watched(process.pid)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Run(time.perf_counter() - began, used.ru_utime + used.ru_stime, peak)


def watched(pid: int) -> float:
    """Wait for the end of a child, leave it to be reaped, and return the most megabytes that it had.

    As of shortly before its end. What wait4 tells would be ours: a child has our memory until it runs its own program.
    """
    peak = 0.0
    while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
        with suppress(StopIteration):  # it ended meanwhile, and has no memory any more
            peak = max(peak, peak_mb(pid))
        time.sleep(LOOK_S)
    return peak
