"""The marks that hosts leave beside a SQLite file, so that a second one is refused: SQLite's locks end at the host.

Each process touches a file of its own every few seconds. Ages are compared on the file system's clock, not ours.
"""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from edgebake.errors import ForeignHost

TOUCH_S = 5.0
GONE_AFTER_S = 20.0
"""A mark that nobody touched for so long was left by a process that was killed."""


def refuse_foreign(folder: Path, mine: Path, host: str) -> None:
    """Raise ForeignHost where a process of another host touched its mark lately."""
    now = mine.stat().st_mtime
    for mark in folder.glob("*@*"):
        _, _, other = mark.name.partition("@")
        try:
            if other != host and now - mark.stat().st_mtime < GONE_AFTER_S:
                raise ForeignHost(
                    f"the SQLite file beside {folder} is in use on host {other}, and two hosts cannot share one: "
                    "set EDGEBAKE_DATABASE_URL=postgresql://user:password@host/name on both."
                )
        except FileNotFoundError:
            continue


@asynccontextmanager
async def marked(database: Path, host: str = socket.gethostname()) -> AsyncIterator[None]:
    """Keep this process's mark beside a SQLite file. Raises ForeignHost."""
    folder = database.parent / f"{database.name}-hosts"
    folder.mkdir(parents=True, exist_ok=True)
    mine = folder / f"{os.getpid()}@{host}"
    mine.touch()
    try:
        refuse_foreign(folder, mine, host)
        keeper = asyncio.create_task(_keep(mine))
        try:
            yield
        finally:
            keeper.cancel()
    finally:
        mine.unlink(missing_ok=True)


async def _keep(mine: Path) -> None:
    while True:
        await asyncio.sleep(TOUCH_S)
        await asyncio.to_thread(mine.touch)
