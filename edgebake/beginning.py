"""What `up` does to the system of record before anything is served: tables, template version, demo data, front page."""

import asyncio
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


@dataclass(frozen=True, slots=True)
class Beginning:
    """What was found or made."""

    users: tuple[str, ...]
    template_version: str


async def begin(settings: Settings, front_page: Path, *, demo: bool) -> Beginning:
    """Bring the tables up to date, import the demo into an empty record, and write the front page."""
    from baker.render import Renderer
    from templates import FOLDER

    async with opened_record(settings) as record:
        if demo and not await record.some_users(1):
            await import_demo(record)
        users = await record.some_users(SHOWN_USERS)
        named = await record.users(users)
        renderer = Renderer(FOLDER, public_url=settings.public, image_hosts=frozenset(settings.image_hosts))
        site = await record.site()
        listed = [(user, named[user].name) for user in users]
        page = renderer.home(listed, language=site.language, site_title=site.title)
        await asyncio.to_thread(front_page.write_bytes, page)
        await make_current(record, renderer.version)
    return Beginning(tuple(users), renderer.version)


async def import_demo(record: "Record") -> None:
    """Import the slice of real data that the package carries."""
    from publisher.importer import import_file

    for kind, name in DEMO_FILES:
        await import_file(record, kind, DEMO / name, format="csv", chunk=DEMO_CHUNK)


async def make_current(record: "Record", version: str) -> None:
    """Name these templates as the current ones in the site."""
    from feeds.command import PutSite

    site = await record.site()
    if site.template_version != version:
        fields = {"title": site.title, "language": site.language, "home_page_url": site.home_page_url}
        await record.apply([PutSite.model_validate(fields | {"template_version": version})])
