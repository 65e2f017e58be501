"""Stream-Framework as the benches drive it: from PyPI, in its own environment, on a real Valkey."""

import socket
from pathlib import Path

import pytest

from bench.streamframework.client import Kind, stream_framework
from edgebake.valkey import EmbeddedValkey

USERS = ["ada", "bob", "cy"]


@pytest.mark.long  # the first time it installs from PyPI
@pytest.mark.parametrize("kind", ["shipped", "mended"])
def test_every_follower_has_a_post_once_and_reads_it(valkey_server: EmbeddedValkey, kind: Kind) -> None:
    with socket.create_connection(("127.0.0.1", valkey_server.port)) as client:
        client.sendall(b"FLUSHALL\r\nQUIT\r\n")
        client.recv(100)
    with stream_framework(Path(valkey_server.socket), kind, 100) as driver:
        driver.ask("followers", lists={7: USERS})
        driver.ask("insert", posts=[(7, at, 1_700_000_000_000 + at) for at in range(1, 31)])
        driver.ask("fill", user="filled", posts=[(7, at, 1_700_000_000_000 + at) for at in range(1, 31)], users=USERS)
        done = driver.ask("publish", posts=[(7, 31, 1_700_000_000_031)])
        assert [driver.ask("feed", user=user)["posts"] for user in USERS] == [list(range(31, 0, -1))] * 3
        read = driver.ask("read", pages=[("ada", 0, 25), ("ada", 25, 50)])
    assert (len(done["delays"]), len(done["members"]), read["counts"]) == (1, 1, [25, 6])
