"""Writes to the site, and requests to forget what is cached."""

from dataclasses import asdict, replace

from sqlalchemy import select

from feeds.change import Invalidated, SiteChanged
from feeds.command import Invalidate, PutSite
from feeds.model import Site
from feeds.queries import find_site
from feeds.schema import outbox, site
from feeds.writes.outcome import Outcome
from feeds.writes.unit import Unit

SUBJECT = "site"


async def put_site(unit: Unit, command: PutSite) -> Outcome:
    """Replace what every page shows of the site."""
    before = await find_site(unit.conn)
    template = before.template_version if command.template_version is None else command.template_version
    after = Site(command.title, command.language, command.home_page_url, template, before.version)
    if after == before and before.version:
        return Outcome("unchanged", None, SUBJECT, before.version)
    only_templates = before.version > 0 and replace(before, template_version=template) == after
    after = replace(after, version=before.version + 1)
    await unit.put(site, [{"id": SUBJECT, **asdict(after)}])
    return Outcome("accepted", unit.note(SiteChanged(rolling=only_templates)), SUBJECT, after.version)


async def invalidate(unit: Unit, command: Invalidate) -> Outcome:
    """Ask to forget what is cached. An id that is in the outbox already does nothing."""
    subject = command.user or "global"
    if command.id is not None and await unit.conn.scalar(select(outbox.c.row).where(outbox.c.id == command.id)):
        return Outcome("unchanged", command.id, subject, 0)
    return Outcome("accepted", unit.note(Invalidated(command.user, command.rolling), command.id), subject, 0)
