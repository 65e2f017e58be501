"""One `edgebake up --demo` for all tests that leave it as they found it."""

from collections.abc import Iterator

import pytest

from tests.e2e.running import Running, up


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The demo, running."""
    with up(tmp_path_factory.mktemp("demo") / "data", "--demo") as running:
        yield running
