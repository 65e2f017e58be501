"""The processes of `up`: each a command with its own environment and sockets, which ends and is ended as any other."""

import asyncio
import json
import os
import signal
from multiprocessing import get_context
from pathlib import Path
from socket import AF_INET, SOCK_DGRAM, socket
from typing import Any

import httpx
import pytest

from edgebake.child import Child, Start
from edgebake.errors import ChildFailed
from edgebake.forked import Forked, forked, prepare
from edgebake.listeners import listen, url_of
from edgebake.process import GO
from tests.integration.house import until

EDGE = ("edge", "--origin", "http://127.0.0.1:1", "--supervised")


@pytest.fixture(autouse=True)
def _prepared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONSAFEPATH", "")  # what it was, when the test is over
    prepare()


def environ(**settings: str) -> dict[str, str]:
    """Return an environment with these settings and no others of ours."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("EDGEBAKE_")}
    return others | {f"EDGEBAKE_{name}": value for name, value in settings.items()}


async def said(process: Forked) -> list[dict[str, Any]]:
    """Return all that a process logs, until its end."""
    return [json.loads(line) async for line in process.said]


async def test_a_command_has_the_environment_that_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEBAKE_FEED_TTL", "55")
    for ttl in ("77", "88"):
        process = await forked("config", ("config",), environ(FEED_TTL=ttl), {}, ())
        lines = (await process.said.read()).decode().splitlines()
        assert await process.wait() == 0
        (line,) = [line for line in lines if "FEED_TTL" in line]
        assert ttl in line


async def test_a_wrong_command_says_so_and_ends_with_its_status() -> None:
    process = await forked("config", ("config", "--no-such-option"), environ(), {}, ())
    assert b"--no-such-option" in await process.said.read()
    assert await process.wait() == 2


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
async def test_a_command_serves_on_the_sockets_that_it_is_handed_until_it_is_told_to_end(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgebake.forked._context", get_context(method))
    with listen("127.0.0.1", 0, "a port") as edge, listen("127.0.0.1", 0, "a port") as api:
        process = await forked("edge", EDGE, environ(), {"edge": edge, "edge_api": api}, ())
        process.write(GO)
        async with httpx.AsyncClient(base_url=url_of(edge), timeout=60) as client:
            assert (await client.get("/feed/ada")).status_code == 502
        assert process.pid is not None
        assert os.getpgid(process.pid) == process.pid, "Ctrl-C in a terminal reaches `up` alone"
        process.terminate()
        assert await process.wait() == 0
        process.write(GO)  # nobody reads it
        process.terminate()  # nobody else has its number


async def test_a_mistake_of_ours_is_one_line_of_the_log() -> None:
    with socket(AF_INET, SOCK_DGRAM) as none:  # for a server
        process = await forked("edge", EDGE, environ(), {"edge": none, "edge_api": none}, ())
    process.write(GO)
    lines = await said(process)
    assert await process.wait() == 1
    assert "ended by" in lines[-1]["message"]


def child_of(start: Start) -> Child:
    """Return a child that starts so, and tells nobody."""
    return Child("edge", start, lambda _name, _line: None)


async def waiting() -> Forked:
    """Start a command that waits for leave to begin."""
    return await forked("edge", EDGE, environ(), {}, ())


def stat(pid: int | None) -> list[str]:
    """Return a process's state, its parent and more (proc_pid_stat(5)); nothing where there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


async def runs(pid: int | None) -> bool:
    """Tell whether there is such a process."""
    return bool(stat(pid))


async def ended(pid: int | None) -> bool:
    """Tell whether a process is no more, though nobody may have asked for its status yet."""
    return stat(pid)[:1] in ([], ["Z"])


async def test_a_child_that_is_stopped_while_it_starts_ends_too() -> None:
    leave = asyncio.Event()

    async def start() -> Forked:
        await leave.wait()
        return await waiting()

    child = child_of(start)
    running = asyncio.create_task(child.run())
    await asyncio.sleep(0)
    await child.stop(10)
    leave.set()
    await asyncio.wait_for(running, 60)
    assert child.pid is None


async def test_a_child_whose_fork_server_was_killed_is_stopped_and_the_next_has_another() -> None:
    child = child_of(waiting)
    running = asyncio.create_task(child.run())
    await until(lambda: runs(child.pid), 60)
    pid = child.pid
    os.kill(int(stat(pid)[1]), signal.SIGKILL)
    await child.stop(60)
    assert running.done(), "it is stopped when it is over, though nobody knows how it ended"
    await until(lambda: ended(pid))
    after = await waiting()
    after.terminate()
    assert await after.wait() in (0, -signal.SIGTERM)


async def test_a_child_that_cannot_be_forked_says_why() -> None:
    async def start() -> Forked:
        raise EOFError("unexpected EOF")

    child = child_of(start)
    with pytest.raises(ChildFailed, match=r"edge did not start.*could not be forked.*unexpected EOF"):
        await child.run()
