"""What runs on this machine, found by its up.json: the folder that the settings name, else the demo's."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from edgebake.errors import CommandError
from edgebake.folder import DEMO_DIR, DataFolder
from edgebake.secret import Secret, SecretUrl
from edgebake.settings import Settings
from edgebake.sources import Loaded


def found(loaded: Loaded) -> dict[str, Any] | None:
    """Return what up.json says, None where nothing runs."""
    return next((up for folder in _folders(loaded) if (up := folder.read_up()) is not None), None)


def _folders(loaded: Loaded) -> Iterator[DataFolder]:
    yield DataFolder(loaded.settings.data_dir)
    if "data_dir" not in loaded.sources:
        yield DataFolder(DEMO_DIR)


def with_api(loaded: Loaded) -> Settings:
    """Return the settings with the API's URL and token. Raises CommandError where neither is known."""
    settings, running = loaded.settings, found(loaded)
    if running is not None and not settings.api_url:
        settings = replace(settings, api_url=running["api"], api_token=settings.api_token or Secret(running["token"]))
    if not settings.api_url:
        raise CommandError(
            f"no `edgebake up` runs with {settings.data_dir}: start one, give --data-dir, or set EDGEBAKE_API_URL "
            "and EDGEBAKE_API_TOKEN."
        )
    if not settings.api_token:
        raise CommandError("EDGEBAKE_API_TOKEN is not set, and the API wants it: set it, or EDGEBAKE_API_TOKEN_FILE.")
    return settings


def with_record(loaded: Loaded) -> Settings:
    """Return the settings with the system of record that `up` uses, if one runs; else with our own, made if need be."""
    settings, running = loaded.settings, found(loaded)
    if "database_url" in loaded.sources:
        return settings
    if running is not None:
        return replace(settings, database_url=SecretUrl(running["database"]))
    DataFolder(settings.data_dir).make()
    return settings


def with_redis(loaded: Loaded) -> Settings:
    """Return the settings with the system of record and the Redis that `up` uses, if one runs; else with our own."""
    settings, running = with_record(loaded), found(loaded)
    if running is not None and not settings.redis_url:
        settings = replace(settings, redis_url=SecretUrl(running["redis"]))
    return with_edge(loaded, settings)


def with_edge(loaded: Loaded, settings: Settings) -> Settings:
    """Return settings with the edge that `up` uses, if one runs and no other is asked for."""
    running = found(loaded)
    if running is None or ("edge" in loaded.sources and settings.edge != running["edge_kind"]):
        return settings
    settings = replace(settings, edge=running["edge_kind"])
    if settings.edge == "local":
        return replace(settings, edge_api_url=settings.edge_api_url or running["edge_api"])
    if settings.edge == "varnish":
        secret = settings.varnish_secret or Secret(running["varnish_secret"])
        return replace(settings, varnish_urls=settings.varnish_urls or (running["edge"],), varnish_secret=secret)
    return settings
