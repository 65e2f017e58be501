"""Faults under load: nothing that was accepted is lost, nothing at the edge is stale, and the time that it took.

One `edgebake up`, whose Redis is a service of two, and whose edge fails on demand. ``-s`` prints the times.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from edgebake.valkey import free_port
from tests.e2e.running import Running, up
from tests.faults.api import EdgeApi
from tests.faults.crowd import Crowd
from tests.service import Service

CHILDREN = ("feeds", "api", "relay", "fanout", "invalidator", "recompute", "edge")
BEFORE_S = 0.5
"""Seconds of load before a fault, and as many after it."""


@dataclass
class Site:
    """What runs, and the means to break it."""

    running: Running
    service: Service
    edge: EdgeApi
    crowd: Crowd
    load_s: float

    def survives(self, what: str, fault: Callable[[], None]) -> None:
        """Let a fault happen under load, and compare when all is live again."""
        with self.crowd.busy():
            time.sleep(self.load_s)
            fault()
            took = self.crowd.recovered()
            time.sleep(self.load_s)
        rest = self.crowd.recovered()
        self.crowd.check()
        print(f"\n{what}: {took:.1f} s until what was accepted was live, {rest:.1f} s for the rest; ", end="")
        print(f"{len(self.crowd.changes)} changes and {self.crowd.reads} reads so far", end="")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Site]:
    """An `edgebake up` that can be broken in every way."""
    folder = tmp_path_factory.mktemp("faults")
    service, port = Service(folder), free_port()
    edge = EdgeApi(port)
    ports = {f"{name}_PORT": "0" for name in ("EDGE", "FEEDS", "API", "OPS")}
    settings = {"REDIS_URL": service.url, "EDGE_API_PORT": str(port)}
    try:
        with up(folder / "data", ports=(), others=None, **ports, **settings) as running:
            crowd = Crowd(running, seed=1)
            crowd.settle()
            yield Site(running, service, edge, crowd, 20 if request.config.getoption("--long") else BEFORE_S)
    finally:
        edge.close()
        service.close()


def test_every_process_is_killed_in_turn(site: Site) -> None:
    def kill_all() -> None:
        for name in CHILDREN:
            os.kill(site.running.pids()[name], signal.SIGKILL)
            time.sleep(site.load_s)

    site.survives("every process killed", kill_all)


def test_redis_is_killed_and_comes_back_without_its_last_writes(site: Site) -> None:
    def crash() -> None:
        file, kept = site.service.written()
        time.sleep(site.load_s)
        site.service.kill()
        os.truncate(file, kept)
        site.service.serving.start()

    site.survives("Redis killed, without its last writes", crash)


def test_redis_is_flushed(site: Site) -> None:
    site.survives("Redis flushed", site.service.flush)


def test_redis_fails_over_to_a_replica_that_lags(site: Site) -> None:
    def fail_over() -> None:
        site.service.replicate()
        site.service.lag()
        time.sleep(site.load_s)
        site.service.kill()
        site.service.promote()

    site.survives("Redis failed over to a replica that lags", fail_over)


@pytest.mark.parametrize(
    "fault",
    [
        "quota",
        pytest.param("throttled", marks=pytest.mark.long),
        pytest.param("unavailable", marks=pytest.mark.long),
        "silent",
    ],
)
def test_the_edges_api_refuses(site: Site, fault: str) -> None:
    def refuse() -> None:
        before = site.edge.refused
        site.edge.fail(api=fault)
        while site.edge.refused == before:
            time.sleep(0.01)
        time.sleep(site.load_s)
        site.edge.mend()

    site.survives(f"the edge's API was {fault}", refuse)


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"origin": "silent"}, id="origin-silent"),
        pytest.param({"origin": "refusing"}, id="origin-refusing", marks=pytest.mark.long),
        pytest.param({"withheld": ["LOCAL1-C1"]}, id="withheld", marks=pytest.mark.long),
    ],
)
def test_the_edge_is_cut_off(site: Site, fault: dict[str, str | list[str]]) -> None:
    def cut_off() -> None:
        site.edge.fail(**fault)
        time.sleep(site.load_s)
        site.edge.mend()

    site.survives(f"the edge had {fault}", cut_off)
