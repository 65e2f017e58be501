"""`edgebake up`: everything on one machine."""

import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from edgebake.commands.options import loaded
from edgebake.errors import FolderInUse
from edgebake.folder import DEMO_DIR, DataFolder
from edgebake.lock import FileLock, Held

PORTS = ("edge_port", "feeds_port", "api_port", "ops_port", "edge_api_port")
LEFTOVERS_S = 15.0


def up(
    ctx: typer.Context,
    demo: Annotated[bool, typer.Option("--demo", help="With data to look at, in ./edgebake-demo.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Empty the data folder first.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON once everything answers.")] = False,
    port: Annotated[
        int | None, typer.Option(help="The edge's port, and the next ones; 0 takes free ports.", show_default=False)
    ] = None,
    edge: Annotated[str | None, typer.Option(help="local, varnish or cloudfront.", show_default=False)] = None,
    edge_profile: Annotated[str | None, typer.Option(help="instant or cloudfront.", show_default=False)] = None,
    no_events: Annotated[bool, typer.Option("--no-events", help="Print no line for each bake, hit, publish.")] = False,
    data_dir: Annotated[Path | None, typer.Option(help="The data folder.", show_default=False)] = None,
) -> None:
    """Start everything on this machine: storage, workers, baker, write API and an edge. Ctrl-C stops it."""
    from edgebake.up import Up, Wishes

    ports = {} if port is None else {name: port + at if port else 0 for at, name in enumerate(PORTS)}
    found = loaded(
        ctx, edge=edge, edge_profile=edge_profile, data_dir=data_dir, events=False if no_events else None, **ports
    )
    settings = found.settings
    if demo and "data_dir" not in found.sources:
        settings = replace(settings, data_dir=DEMO_DIR)
    if "events" not in found.sources:
        settings = replace(settings, events=not as_json)
    folder = DataFolder(settings.data_dir)
    folder.make()
    with folder.used(), _free_of_leftovers(folder) as lock:
        if fresh:
            folder.empty()
        asyncio.run(Up(settings, Wishes(demo, as_json, _called()), folder, lock).run())


@contextmanager
def _free_of_leftovers(folder: DataFolder) -> Iterator[FileLock]:
    """Wait until whatever an `up` that was killed left behind is gone. Raises FolderInUse where it stays."""
    from edgebake.valkey import EmbeddedValkey

    lock = folder.lock_of_all()
    EmbeddedValkey(folder.path / "valkey", folder.secret("valkey-password")).stop_leftover()
    try:
        lock.wait(LEFTOVERS_S)
    except Held as held:
        pids = (folder.read_up() or {}).get("pids", {})
        listed = ", ".join(f"{name} {pid}" for name, pid in pids.items()) or "unknown"
        raise FolderInUse(
            f"processes of an `edgebake up` that was killed (process {held.note}) still use {folder.path}: "
            f"stop them: {listed}."
        ) from held
    try:
        yield lock
    finally:
        lock.release()


def _called() -> str:
    """Return how a person in this folder calls the command."""
    relative = os.path.relpath(sys.argv[0])
    return min(relative, sys.argv[0], key=len) if os.sep in sys.argv[0] else sys.argv[0]
