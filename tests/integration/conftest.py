"""The fixtures of the contract suite: every behaviour of the system of record on every database."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path

import pytest

from feeds.record import Record
from tests.integration.baking import Baker, config, open_bakers
from tests.integration.connections import connected
from tests.integration.ground import Ground
from tests.integration.house import House, open_house
from tests.integration.postgresql import Cluster, programs
from tests.integration.records import Clock
from tests.integration.varnish import MISSING, Server, World, before_an_origin, is_installed, varnishd

_numbers = count(1)


async def _make_tables(url: str) -> None:
    await (await Record.open(url)).close()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Cluster]:
    """A PostgreSQL for the whole run, with a database ``ready`` that has the tables."""
    folder = programs()
    if folder is None:
        pytest.skip("PostgreSQL is not installed: the contract suite ran on SQLite alone")
    cluster = Cluster(folder)
    cluster.start()
    asyncio.run(_make_tables(cluster.create("ready")))
    yield cluster
    cluster.stop()


@pytest.fixture(scope="session")
def sqlite_ready(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file that has the tables."""
    path = tmp_path_factory.mktemp("sqlite") / "ready.db"
    asyncio.run(_make_tables(f"sqlite:///{path}"))
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def any_record_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a system of record that holds nothing but its tables, on each database in turn."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_ready"), tmp_path / "record.db")
        yield f"sqlite:///{tmp_path}/record.db"
        return
    cluster: Cluster = request.getfixturevalue("postgresql")
    name = f"test_{next(_numbers)}"
    yield cluster.create(name, template="ready")
    cluster.drop(name)


@pytest.fixture
def clock() -> Clock:
    """A clock that a test sets."""
    return Clock()


@pytest.fixture
async def record(any_record_url: str, clock: Clock) -> AsyncIterator[Record]:
    """An open system of record that holds nothing, on each database in turn."""
    opened = await Record.open(any_record_url)
    opened.clock = clock
    yield opened
    await opened.close()


@pytest.fixture
async def ground(valkey: str) -> AsyncIterator[Ground]:
    """Fence, ledger and pending set, over a Redis that holds nothing; time is as a test sets it."""
    async with connected(valkey) as redis:
        yield Ground(redis)


@pytest.fixture
async def house(valkey: str, sqlite_ready: Path, tmp_path: Path) -> AsyncIterator[House]:
    """Every part of the loop but the baker, over a Redis and a SQLite file that hold nothing."""
    shutil.copy(sqlite_ready, tmp_path / "house.db")
    async with open_house(valkey, tmp_path / "house.db") as opened:
        yield opened


@pytest.fixture
async def baker(house: House) -> AsyncIterator[Baker]:
    """The feeds port over a house, as it is set by default."""
    async with open_bakers(house, config()) as (opened,):
        yield opened


@pytest.fixture(scope="session")
def varnish_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A Varnish with our VCL for the whole run."""
    if not is_installed():
        pytest.skip(MISSING)
    with varnishd(tmp_path_factory.mktemp("varnish")) as server:
        yield server


@pytest.fixture
async def varnish(varnish_server: Server) -> AsyncIterator[World]:
    """That Varnish, before an origin of the test's own."""
    async with before_an_origin(varnish_server) as world:
        yield world
