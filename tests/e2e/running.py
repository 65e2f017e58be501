"""An `edgebake up` of the installed command, as a subprocess, with what the tests ask of it."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

COMMAND = str(Path(sys.executable).with_name("edgebake"))
PATIENCE_S = 60.0
SLOW_S = 0.5
"""Where a bake is slow a baker answers 503 after longer than this; sooner it sheds load, and here there is none."""


def until(condition: Callable[[], bool], what: str, seconds: float = PATIENCE_S) -> None:
    """Return once a condition of another process holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    """Tell whether a process runs; a zombie does not."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(state.strip()) and not state.startswith("Z")


def edgebake(*arguments: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, in a folder of its own and with no environment but these EDGEBAKE_ variables."""
    environ = {f"EDGEBAKE_{name}": value for name, value in variables.items()}
    return subprocess.run(
        [COMMAND, *arguments], cwd=folder, env=environ, capture_output=True, text=True, check=False, timeout=PATIENCE_S
    )


class Running:
    """An `edgebake up` that answers."""

    def __init__(self, process: subprocess.Popen[str], folder: Path, found: dict[str, Any]) -> None:
        self.process = process
        self.folder = folder
        self.found = found
        self.edge = httpx.Client(base_url=found["edge"], timeout=20)
        self.api = httpx.Client(
            base_url=found["api"], timeout=20, headers={"Authorization": f"Bearer {found['token']}"}
        )
        self.ops = httpx.Client(base_url=found["ops"], timeout=20)

    def pids(self) -> dict[str, int]:
        """Return the processes that run now, by name."""
        pids: dict[str, int] = json.loads((self.folder / "up.json").read_text())["pids"]
        return pids

    def write(self, method: str, path: str, body: object = None) -> str:
        """Write through the API and return the change."""
        answer = self.api.request(method, path, json=body)
        assert answer.status_code == 202, answer.text
        change: str = answer.json()["change"]
        return change

    def publish(self, author: str, title: str) -> str:
        """Publish a post and return its change."""
        return self.write("POST", "/api/posts", {"author": author, "title": title})

    def is_live(self, change: str) -> bool:
        """Tell whether a change is live; while Redis is away the API cannot say, and asks to come back."""
        answer = self.api.get(f"/api/changes/{change}")
        if answer.status_code == 503 and "Retry-After" in answer.headers:
            return False
        assert answer.status_code == 200, answer.text
        return bool(answer.json()["state"] == "live")

    def until_live(self, *changes: str) -> None:
        """Return once all these changes are live."""
        for change in changes:
            until(lambda change=change: self.is_live(change), f"{change} is live")  # type: ignore[misc]

    def read(self, path: str) -> httpx.Response:
        """Read at the edge; where a bake took longer than an edge waits, come back once, when the answer says so."""
        answer = self.edge.get(path)
        if answer.status_code == 503 and answer.elapsed.total_seconds() > SLOW_S:
            time.sleep(float(answer.headers["Retry-After"]))
            answer = self.edge.get(path)
        assert answer.status_code == 200, answer.text
        return answer

    def close(self) -> None:
        """Let go of connections."""
        for client in (self.edge, self.api, self.ops):
            client.close()


@contextmanager
def up(
    folder: Path,
    *arguments: str,
    ports: Sequence[str] = ("--port", "0"),
    others: Mapping[str, str] | None = None,
    **variables: str,
) -> Iterator[Running]:
    """Start `edgebake up --json` in a data folder, on free ports, wait until it answers, and end it after.

    ``variables`` are EDGEBAKE's, ``others`` further ones of its environment.
    """
    process = subprocess.Popen(
        [COMMAND, "up", "--json", *ports, "--data-dir", str(folder), *arguments],
        cwd=folder.parent,
        env={**{f"EDGEBAKE_{name}": value for name, value in variables.items()}, **(others or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line, f"`edgebake up` did not start (status {process.wait()}); its reason is on stderr"
        running = Running(process, folder, json.loads(line))
        try:
            yield running
        finally:
            running.close()
    finally:
        process.terminate()
        process.wait(PATIENCE_S)
        process.stdout.close()
