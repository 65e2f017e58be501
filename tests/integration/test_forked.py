"""The processes of `up`: each a command with its own environment and sockets, which ends and is ended as any other."""

import asyncio
import json
import os
from collections.abc import Mapping
from socket import AF_INET, SOCK_DGRAM, socket
from typing import Any

import httpx
import pytest

from edgebake.child import Child
from edgebake.forked import Forked, forked, prepare
from edgebake.listeners import listen, url_of
from edgebake.process import GO

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


async def test_a_command_serves_on_the_sockets_that_it_is_handed_until_it_is_told_to_end() -> None:
    with listen("127.0.0.1", 0, "a port") as edge, listen("127.0.0.1", 0, "a port") as api:
        process = await forked("edge", EDGE, environ(), {"edge": edge, "edge_api": api}, ())
        process.write(GO)
        async with httpx.AsyncClient(base_url=url_of(edge)) as client:
            assert (await client.get("/feed/ada")).status_code == 502
        assert process.pid is not None
        assert os.getpgid(process.pid) == process.pid, "Ctrl-C in a terminal reaches `up` alone"
        process.terminate()
        assert await process.wait() == 0
        process.terminate()  # nobody else has its number


async def test_a_mistake_of_ours_is_one_line_of_the_log() -> None:
    with socket(AF_INET, SOCK_DGRAM) as none:  # for a server
        process = await forked("edge", EDGE, environ(), {"edge": none, "edge_api": none}, ())
    process.write(GO)
    lines = await said(process)
    assert await process.wait() == 1
    assert "ended by" in lines[-1]["message"]


async def test_a_child_that_is_stopped_while_it_starts_ends_too() -> None:
    leave, told = asyncio.Event(), list[Mapping[str, Any]]()

    async def start() -> Forked:
        await leave.wait()
        return await forked("edge", EDGE, environ(), {}, ())

    child = Child("edge", start, lambda _, line: told.append(line))
    running = asyncio.create_task(child.run())
    await asyncio.sleep(0)
    await child.stop(10)
    leave.set()
    await asyncio.wait_for(running, 60)
    assert child.pid is None
