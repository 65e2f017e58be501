"""Runs of many schedules, in processes of their own."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PROCESSES = 2


def started(*words: object) -> subprocess.Popen[str]:
    """Start a run."""
    command = [sys.executable, "-m", "tests.simulation", *map(str, words)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finished(run: subprocess.Popen[str]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Wait for a run; return what failed in it, and its sums."""
    out, err = run.communicate()
    lines = [json.loads(line) for line in out.splitlines()]
    assert lines, err
    return lines[:-1], lines[-1]


def ran(first: int, count: int) -> tuple[list[dict[str, Any]], int]:
    """Run schedules, spread over processes; return what failed, and how many ran."""
    share = -(-count // PROCESSES)
    runs = [started("--first", first + n * share, "--count", share) for n in range(PROCESSES)]
    found = [finished(run) for run in runs]
    return [failure for failures, _ in found for failure in failures], sum(total["ran"] for _, total in found)


def told(failures: Sequence[dict[str, Any]]) -> str:
    """Say what failed, and how to see it again."""
    shown = [
        f"{each['error']}: {each['text']}\n  replay: python -m tests.simulation {each['seed']}" for each in failures
    ]
    return "\n".join([f"{len(failures)} schedules failed", *shown[:5]])
