"""Fixtures that several test modules share, and the options ``--long`` and ``--data``."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from edgebake.valkey import EmbeddedValkey
from tests.emptied import empty

TESTS = Path(__file__).parent
FOLDERS = ("simulation", "faults", "e2e", "integration", "unit")
"""All folders of tests, that with the longest ones first."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--long`` and ``--data``."""
    parser.addoption("--long", action="store_true", help="run the tests that take minutes too")
    parser.addoption("--data", type=Path, help="folder of the whole data set's two source files, for a long test")


def pytest_configure(config: pytest.Config) -> None:
    """Let Hypothesis try the same examples in each run, so that a red run can be repeated; others with ``--long``."""
    settings.register_profile("same", derandomize=True, deadline=None)
    settings.register_profile("long", max_examples=1000, deadline=None, print_blob=True)
    settings.load_profile("long" if config.getoption("--long") else "same")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that no process is left alone with it; skip the longest, unless asked for."""
    items.sort(key=lambda item: FOLDERS.index(item.path.relative_to(TESTS).parts[0]))
    if not config.getoption("--long"):
        for item in items:
            if item.get_closest_marker("long"):
                item.add_marker(pytest.mark.skip(reason="takes minutes; runs with --long"))


@pytest.fixture(scope="session")
def valkey_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedValkey]:
    """A real Valkey for the whole run, configured as the embedded one is."""
    server = EmbeddedValkey(tmp_path_factory.mktemp("valkey"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def valkey(valkey_server: EmbeddedValkey) -> str:
    """The URL of a Valkey that holds nothing but its first epoch."""
    empty(valkey_server.url)
    return valkey_server.url


@pytest.fixture
def real_data(request: pytest.FixtureRequest) -> Path:
    """The folder of the whole data set (edgebake/demo/SOURCES.md)."""
    folder: Path | None = request.config.getoption("--data")
    if folder is None:
        pytest.skip("needs --data FOLDER, which has slashdot0902_directed.tsv.gz and hn_frontpage_stories.csv.gz")
    return folder


@pytest.fixture
def record_url(tmp_path: Path) -> str:
    """The URL of a system of record that does not exist yet."""
    return f"sqlite+aiosqlite:///{tmp_path}/edgebake.db"
