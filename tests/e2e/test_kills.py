"""Any process may die at any time: what was accepted becomes live all the same."""

import os
import signal
from collections.abc import Iterator

import pytest

from tests.e2e.running import Running, up

POSTS = 100


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """An `edgebake up` with an author and a reader."""
    with up(tmp_path_factory.mktemp("kills") / "data") as running:
        running.until_live(
            running.write("PUT", "/api/users/ada", {"name": "Ada"}),
            running.write("PUT", "/api/users/reader", {"name": "Reader"}),
            running.write("PUT", "/api/users/reader/follows/ada"),
        )
        yield running


@pytest.mark.parametrize("name", ["relay", "fanout", "invalidator", "feeds", "valkey"])
def test_a_hundred_posts_become_live_although_a_process_was_killed(running: Running, name: str) -> None:
    running.read("/feed/reader")
    os.kill(running.pids()[name], signal.SIGKILL)
    changes = [running.publish("ada", f"{name} {number}") for number in range(POSTS)]
    running.until_live(*changes)
    assert f"{name} {POSTS - 1}" in running.read("/feed/reader").text
