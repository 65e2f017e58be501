"""What `up` does to the system of record before anything is served: tables, template version, demo data, front page."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgebake.settings import Settings
from edgebake.wiring import opened_record

if TYPE_CHECKING:
    from feeds.record import Record
    from publisher.rows import Kind

DEMO = Path(__file__).parent / "demo"
DEMO_FILES: "tuple[tuple[Kind, str], ...]" = (
    ("users", "users.csv"),
    ("follows", "follows.csv.gz"),
    ("posts", "posts.csv.gz"),
)
DEMO_CHUNK = 20_000
"""Rows a change: the largest file of the demo is four changes, and so few lines on the screen."""
SHOWN_USERS = 5
SETTLE_S = 15.0
LOOK_S = 0.05


@dataclass(frozen=True, slots=True)
class Beginning:
    """What was found or made."""

    users: tuple[str, ...]
    template_version: str
    changes: tuple[str, ...]
    """What was written: an import, a site."""


async def begin(settings: Settings, front_page: Path, *, demo: bool) -> Beginning:
    """Bring the tables up to date, import the demo into an empty record, and write the front page."""
    from baker.render import Renderer
    from templates import FOLDER

    async with opened_record(settings) as record:
        changes = [] if not demo or await record.some_users(1) else await import_demo(record)
        users = await record.some_users(SHOWN_USERS)
        named = await record.users(users)
        renderer = Renderer(FOLDER, public_url=settings.public, image_hosts=frozenset(settings.image_hosts))
        site = await record.site()
        listed = [(user, named[user].name) for user in users]
        page = renderer.home(listed, language=site.language, site_title=site.title)
        await asyncio.to_thread(front_page.write_bytes, page)
        changes += await make_current(record, renderer.version)
    return Beginning(tuple(users), renderer.version, tuple(changes))


async def settled(settings: Settings, changes: Iterable[str]) -> None:
    """Wait until changes are live, or for SETTLE_S: what is read from then on is not dropped by them."""
    deadline = asyncio.get_running_loop().time() + SETTLE_S
    async with opened_record(settings, migrate=False) as record:
        for change in changes:
            while (row := await record.change(change)) is not None and row.live_ms is None:
                if asyncio.get_running_loop().time() > deadline:
                    return
                await asyncio.sleep(LOOK_S)


async def import_demo(record: "Record") -> list[str]:
    """Import the slice of real data that the package carries; return the changes."""
    from publisher.importer import import_file

    reports = [
        await import_file(record, kind, DEMO / name, format="csv", chunk=DEMO_CHUNK) for kind, name in DEMO_FILES
    ]
    return [change for report in reports for change in report.changes]


async def make_current(record: "Record", version: str) -> list[str]:
    """Name these templates as the current ones in the site; return the change, if that is one."""
    from feeds.command import PutSite

    site = await record.site()
    if site.template_version == version:
        return []
    fields = {"title": site.title, "language": site.language, "home_page_url": site.home_page_url}
    outcomes = await record.apply([PutSite.model_validate(fields | {"template_version": version})])
    return [outcome.change for outcome in outcomes if outcome.change]
