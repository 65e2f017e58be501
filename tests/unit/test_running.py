"""What commands take from an `up` that runs: its Redis, its record, and its edge, whichever that is."""

from pathlib import Path
from typing import Any

import pytest

from edgebake.folder import DataFolder
from edgebake.running import with_redis
from edgebake.settings import Settings
from edgebake.sources import load

UP: dict[str, Any] = {
    "edge": "http://127.0.0.1:1",
    "edge_kind": "local",
    "edge_api": "http://127.0.0.1:2",
    "varnish_secret": "",
    "redis": "redis://127.0.0.1:3",
    "database": "sqlite:///x",
}
VARNISH = {name: value for name, value in UP.items() if name != "edge_api"} | {
    "edge_kind": "varnish",
    "varnish_secret": "s3cret",
}


def seen(folder: Path, up: dict[str, Any], **environ: str) -> Settings:
    """Return the settings of a command while an `up` runs."""
    DataFolder(folder).write_up(up)
    variables = {f"EDGEBAKE_{name}": value for name, value in environ.items()}
    return with_redis(load({"data_dir": folder}, variables, {}))


def test_a_command_talks_to_the_local_edge_that_runs(tmp_path: Path) -> None:
    settings = seen(tmp_path, UP)
    assert (settings.edge, settings.edge_api_url) == ("local", "http://127.0.0.1:2")
    assert settings.redis_url.reveal() == "redis://127.0.0.1:3"


@pytest.mark.parametrize("environ", [{}, {"EDGE": "varnish"}])
def test_a_command_talks_to_the_varnish_that_runs(tmp_path: Path, environ: dict[str, str]) -> None:
    settings = seen(tmp_path, VARNISH, **environ)
    assert (settings.edge, settings.account, settings.varnish_urls) == ("varnish", "varnish", ("http://127.0.0.1:1",))
    assert settings.varnish_secret.reveal() == "s3cret"


def test_an_edge_that_is_asked_for_is_not_exchanged(tmp_path: Path) -> None:
    settings = seen(tmp_path, UP, EDGE="cloudfront", DISTRIBUTION_ID="E2EXAMPLE1")
    assert (settings.edge, settings.edge_api_url) == ("cloudfront", "")
