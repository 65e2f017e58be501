"""README.md and docs/quickstart.md do what they say: their commands run in order, and print what the pages show.

What a fenced block is, by its first line:

- ``sh``: run in a folder of the reader's own, where ``.venv`` is. One of STARTS begins everything, stopping what ran.
- ``text`` after it: what it printed; ``…`` stands for anything, and numbers and generated ids may differ.
- ``log``: lines that ``edgebake up`` printed since it was started.
- ``python NAME``, ``js NAME``, ``csv NAME``: a file, written there.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.e2e.running import PATIENCE_S, until

ROOT = Path(__file__).parents[2]
VENV = Path(sys.executable).parents[1]
PAGES = ("README.md", "docs/quickstart.md")
FOLDERS = ("edgebake-demo", "edgebake-data")
STARTS = {"scripts/demo": str(ROOT / "scripts/demo"), ".venv/bin/edgebake up": f"{VENV}/bin/edgebake up"}
LANGUAGES = {"sh", "text", "log", "python", "js", "csv"}
PORTS = {8080: "edge", 8081: "origin", 8082: "api", 8083: "ops"}
WANTED = ("bash", "curl")

_fence = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Step(NamedTuple):
    """A fenced block of a page."""

    page: str
    line: int
    language: str
    name: str
    text: str


def steps() -> Iterator[Step]:
    """Yield the blocks of both pages, in order."""
    for page in PAGES:
        text = (ROOT / page).read_text(encoding="utf-8")
        for found in _fence.finditer(text):
            language, name, body = found.groups()
            yield Step(page, text.count("\n", 0, found.start()) + 1, language, name or "", body)


STEPS = list(steps())


class Reader:
    """Somebody who follows a page, in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._folder.mkdir(parents=True)
        (folder / ".venv").symlink_to(VENV)
        self._log = folder / "up.log"
        self._running: subprocess.Popen[bytes] | None = None
        self._said = ""

    def follow(self, step: Step) -> None:
        """Do what a block says."""
        if step.language == "log":
            until(lambda: not self.missing(step.text), f"{step.page}:{step.line} in {self._log.read_text()}")
        elif step.language == "text":
            assert shape(step.text).fullmatch(squeezed(self._said)), self._said
        elif step.language != "sh":
            (self._folder / step.name).write_text(self._with_ports(step.text), encoding="utf-8")
        elif step.text.strip() in STARTS:
            self._start(STARTS[step.text.strip()])
        else:
            self._said = self._run(step.text)

    def missing(self, lines: str) -> list[str]:
        """Return those of these lines that `edgebake up` has not printed."""
        printed = squeezed(self._log.read_text(encoding="utf-8")).splitlines()
        return [line for line in squeezed(lines).splitlines() if not any(map(shape(line).fullmatch, printed))]

    def stop(self) -> None:
        """Stop what was started, as Ctrl-C does."""
        if self._running is not None:
            self._running.send_signal(signal.SIGINT)
            assert self._running.wait(PATIENCE_S) == 0
            self._running = None

    def _start(self, command: str) -> None:
        self.stop()
        folder = self._folder / FOLDERS["demo" not in command]
        with self._log.open("wb") as log:
            self._running = subprocess.Popen(
                [*command.split(), "--port", "0", "--data-dir", folder],
                cwd=self._folder,
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stderr=log,
            )
        until(lambda: (folder / "up.json").exists() or self._ended(), "everything answers")
        assert not self._ended(), self._log.read_text(encoding="utf-8")

    def _ended(self) -> bool:
        return self._running is not None and self._running.poll() is not None

    def _run(self, script: str) -> str:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", self._with_ports(script)],
            cwd=self._folder,
            env=self._environ,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def _with_ports(self, script: str) -> str:
        """Put the ports that `--port 0` took in place of those that it takes by itself."""
        for port, name in PORTS.items():
            script = script.replace(f"http://127.0.0.1:{port}", self._found.get(name, ""))
        return script

    @property
    def _found(self) -> dict[str, Any]:
        for name in FOLDERS:
            with suppress(FileNotFoundError):
                return dict(json.loads((self._folder / name / "up.json").read_text(encoding="utf-8")))
        return {}

    @property
    def _environ(self) -> dict[str, str]:
        return {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}


def squeezed(text: str) -> str:
    """Return text without its runs of spaces."""
    return "\n".join(" ".join(line.split()) for line in text.strip().splitlines())


def shape(text: str) -> re.Pattern[str]:
    """Return what matches any text that differs from this one in numbers, generated ids and what ``…`` stands for."""
    pattern = re.escape(squeezed(text)).replace("…", ".*")
    return re.compile(re.sub(r"[0-9a-f]*[0-9][0-9a-f]*(\\\.[0-9]+)?", r"[0-9a-f]+(\\.[0-9]+)?", pattern))


@pytest.fixture(scope="module")
def readers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Reader]]:
    """A reader of each page."""
    if absent := [name for name in WANTED if shutil.which(name) is None]:
        pytest.skip(f"{' and '.join(absent)} not on PATH: the commands of {' and '.join(PAGES)} were not run")
    folder = tmp_path_factory.mktemp("reader")
    found = {page: Reader(folder / Path(page).stem) for page in PAGES}
    yield found
    for reader in found.values():
        reader.stop()


@pytest.mark.parametrize("step", STEPS, ids=[f"{step.page}:{step.line}" for step in STEPS])
def test_what_the_page_says_is_what_happens(readers: dict[str, Reader], step: Step) -> None:
    if "node " in step.text and shutil.which("node") is None:
        pytest.skip(f"node is not on PATH: {step.text.strip()} of {step.page} was not run")
    readers[step.page].follow(step)


def test_every_block_of_the_pages_is_of_a_kind_that_is_run() -> None:
    assert {step.language for step in STEPS} <= LANGUAGES
    opened = sum((ROOT / page).read_text(encoding="utf-8").count("```") for page in PAGES)
    assert opened == 2 * len(STEPS)
