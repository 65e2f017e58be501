"""The embedded Valkey: what it keeps, and what becomes of it when whoever started it is killed."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from cdn.keys import EPOCH
from edgebake.lock import FileLock, Held
from edgebake.valkey import EmbeddedValkey, ValkeyError, find_server, is_new_enough, socket_path

STARTS_AND_WAITS = """
import sys
from pathlib import Path
from edgebake.lock import FileLock
from edgebake.valkey import EmbeddedValkey

folder = Path(sys.argv[1])
lock = FileLock(folder / "lock")
lock.take()
server = EmbeddedValkey(folder / "valkey")
server.start(pass_fds=[lock.fd])
print(server.process.pid, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedValkey]:
    """An embedded Valkey that is not started yet."""
    server = EmbeddedValkey(tmp_path / "data", "a-password")
    yield server
    server.stop()


def connect(server: EmbeddedValkey) -> Redis:
    """Return a client of a server."""
    return Redis.from_url(server.tcp_url, decode_responses=True)


def test_it_answers_on_its_socket_and_on_a_loopback_port(server: EmbeddedValkey) -> None:
    server.start()
    for url in (server.url, server.tcp_url):
        with Redis.from_url(url) as client:
            assert client.ping()


def test_it_evicts_nothing_and_keeps_what_it_is_told(server: EmbeddedValkey) -> None:
    server.start()
    with connect(server) as client:
        settings = client.config_get("*")
    wanted = {"appendonly": "yes", "appendfsync": "everysec", "maxmemory-policy": "noeviction"}
    assert wanted.items() <= settings.items()


def run_of(client: Redis) -> str:
    """Return which run of which replication a server is, as the epoch's key has them."""
    told = client.info()
    return f"{told['run_id']} {told['master_replid']}"


def epoch_of(server: EmbeddedValkey) -> tuple[str, str]:
    """Return the epoch's key, and which run the server is."""
    with connect(server) as client:
        return str(client.get(EPOCH)), run_of(client)


def test_a_server_that_was_stopped_in_order_goes_on_in_its_epoch(server: EmbeddedValkey) -> None:
    server.start()
    with connect(server) as client:
        client.set(EPOCH, f"7 {run_of(client)}")
    for _ in range(2):
        server.stop()
        server.start()
        epoch, run = epoch_of(server)
        assert epoch == f"7 {run}"


def test_a_server_that_crashed_after_it_was_stopped_in_order_once_is_in_no_epoch_of_its_own(
    server: EmbeddedValkey,
) -> None:
    server.start()
    with connect(server) as client:
        client.set(EPOCH, f"7 {run_of(client)}")
    server.stop()
    server.start()
    assert server.process is not None
    server.process.kill()
    server.process.wait()
    server.stop()
    server.start()
    epoch, run = epoch_of(server)
    assert not epoch.endswith(run)


def test_a_full_timeline_with_the_longest_ids_is_one_listpack(server: EmbeddedValkey) -> None:
    server.start()
    with connect(server) as client:
        client.zadd("timeline", {f"{n:0>64}\x1f{n:0>64}": n for n in range(128)})
        assert client.object("ENCODING", "timeline") == "listpack"


def test_a_restart_keeps_the_data(server: EmbeddedValkey) -> None:
    server.start()
    with connect(server) as client:
        client.set("kept", "yes")
    server.stop()
    server.start()
    with connect(server) as client:
        assert client.get("kept") == "yes"


def test_a_folder_with_a_long_path_gets_its_socket_elsewhere(tmp_path: Path) -> None:
    server = EmbeddedValkey(tmp_path / ("long" * 30))
    server.start()
    try:
        assert not server.socket.is_relative_to(tmp_path)
        assert server.socket == socket_path(server.folder)
    finally:
        server.stop()


def test_a_server_left_by_a_killed_parent_ends_and_its_data_is_kept(tmp_path: Path) -> None:
    command = [sys.executable, "-c", STARTS_AND_WAITS, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert int(parent.stdout.readline()) > 0
        server = EmbeddedValkey(tmp_path / "valkey")
        with Redis.from_url(server.url) as client:
            client.set("kept", "yes")
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    server.stop_leftover()
    FileLock(tmp_path / "lock").wait(10)  # the server inherited it, so nobody serves the folder any more
    server.start()
    try:
        with connect(server) as client:
            assert client.get("kept") == "yes"
    finally:
        server.stop()


def test_a_leftover_is_found_by_its_folder_and_stopped(server: EmbeddedValkey) -> None:
    server.start()
    process, server.process = server.process, None
    assert process is not None
    assert EmbeddedValkey(server.folder, "a-password").stop_leftover()
    assert process.wait(10) == 0


def test_a_folder_without_a_server_has_no_leftover(server: EmbeddedValkey) -> None:
    assert not server.stop_leftover()


def test_a_server_that_cannot_start_says_why(server: EmbeddedValkey) -> None:
    (server.folder / "appendonlydir").write_text("in the way")
    with pytest.raises(ValkeyError, match="did not start; its log ends with"):
        server.start()


def test_a_second_holder_of_a_lock_is_told_the_first(tmp_path: Path) -> None:
    first, second = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    first.take()
    with pytest.raises(Held, match=f"held by process {os.getpid()}"):
        second.take()
    first.release()
    second.take()
    second.release()


@pytest.mark.parametrize(
    ("version", "enough"),
    [
        ("Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0", True),
        ("Redis server v=6.2.14 sha=00000000:0", False),
        ("Valkey server v=8.1.1 sha=00000000:0", True),
        ("Valkey server v=7.2.5 sha=00000000:0", False),  # Redis 7.2 by another name, which nobody here tested
        ("", False),
    ],
)
def test_a_server_that_is_too_old_is_not_used(version: str, enough: bool) -> None:
    assert is_new_enough(version) is enough


def test_a_server_is_found() -> None:
    assert find_server().is_file()
