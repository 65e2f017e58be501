"""A Redis service of two Valkeys, which can crash, forget and fail over as one in production does."""

import os
import signal
import time
from pathlib import Path

from redis import Redis

from edgebake.valkey import EmbeddedValkey


class Service:
    """Two Valkeys, of which one serves at the address that everybody knows; the other one replicates it."""

    def __init__(self, folder: Path) -> None:
        self.serving, self.other = EmbeddedValkey(folder / "a"), EmbeddedValkey(folder / "b")
        self.address = folder / "service.sock"
        self.serving.start()
        self.other.start()
        self._lead_to(self.serving)

    @property
    def url(self) -> str:
        """Where the serving one is found, whichever that is."""
        return f"unix://{self.address}"

    def close(self) -> None:
        """End both."""
        self.serving.stop()
        self.other.stop()

    def replicate(self, seconds: float = 20) -> None:
        """Begin to replicate, and return once the replica is there."""
        deadline = time.monotonic() + seconds
        with Redis.from_url(self.other.url) as replica:
            replica.replicaof("127.0.0.1", self.serving.port)
            while replica.info("replication")["master_link_status"] != "up":
                assert time.monotonic() < deadline, "the replica does not get there"
                time.sleep(0.01)

    def lag(self) -> None:
        """Let the replica hear nothing any more."""
        with Redis.from_url(self.other.url) as replica:
            replica.replicaof("127.0.0.1", 1)

    def promote(self) -> None:
        """Let the replica serve, with what it has."""
        with Redis.from_url(self.other.url) as replica:
            replica.replicaof("NO", "ONE")
        self.serving, self.other = self.other, self.serving
        self._lead_to(self.serving)

    def demote(self) -> None:
        """Let the one that served replicate its successor; connections to it stay."""
        with Redis.from_url(self.other.url) as replica:
            replica.replicaof("127.0.0.1", self.serving.port)

    def written(self) -> tuple[Path, int]:
        """Return the append-only file, and how long it is."""
        newest = max((self.serving.folder / "appendonlydir").glob("*.incr.aof"))
        return newest, newest.stat().st_size

    def kill(self) -> None:
        """End the one that serves as a crash does."""
        assert self.serving.process is not None
        os.kill(self.serving.process.pid, signal.SIGKILL)
        self.serving.process.wait()

    def flush(self) -> None:
        """Let the one that serves forget everything."""
        with Redis.from_url(self.serving.url) as client:
            client.flushall()

    def _lead_to(self, server: EmbeddedValkey) -> None:
        self.address.unlink(missing_ok=True)
        self.address.symlink_to(server.socket)
