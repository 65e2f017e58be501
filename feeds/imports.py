"""Imports: what a committed chunk made old is dropped; it is read again when it is next needed."""

from collections.abc import Sequence

from feeds import keys
from feeds.change import Imported
from feeds.latest import Latest
from feeds.parts import POSTS, USERS, Parts, chunks
from feeds.readers import Readers
from feeds.timeline import Timelines
from feeds.truth import Truth


class Imports:
    """Makes the chunks of imports readable."""

    def __init__(self, truth: Truth, readers: Readers, timelines: Timelines, latest: Latest) -> None:
        self._truth = truth
        self._readers = readers
        self._timelines = timelines
        self._latest = latest

    async def take(self, change: Imported, parts: Parts) -> None:
        """Take a chunk's users, follows and posts."""
        for ids in chunks(change.users, USERS):
            await self._users(ids, parts)
        for ids in chunks(change.followers, USERS):
            await self._readers.redraw(ids)
            await parts.report(users=ids)
        if change.posts:
            await self._posts(change, parts)

    async def _users(self, ids: Sequence[str], parts: Parts) -> None:
        """Drop the copies of users who were there before: what shows their old names is affected."""
        record = self._truth.record
        old = [user for user in (await record.users(ids)).values() if user.version > 1]
        await self._truth.copies.drop(keys.user(user.id) for user in old)
        await parts.report(users=ids)
        for authors in chunks([user.id for user in old], POSTS):
            await parts.report(authors=authors)
            for author in authors:
                await parts.report_posts_of(record, author)

    async def _posts(self, change: Imported, parts: Parts) -> None:
        """Drop the posts that were there before, and the timelines of all who draw from their sources."""
        record = self._truth.record
        for ids in chunks(change.posts, USERS):
            old = [post for post in (await record.posts(ids)).values() if post.version > 1]
            await self._truth.copies.drop(keys.post(post.id) for post in old)
            await self._truth.catalogue.drop([post.num for post in old])
            for shown in chunks([post.id for post in old], POSTS):
                await parts.report(posts=shown)
        sources = [user.num for user in (await record.users(change.authors)).values()] + list(change.tags)
        await self._latest.drop(sources)
        readers = await record.followers_of_sources(sources)
        for users in chunks(dict.fromkeys([*change.authors, *readers]), USERS):
            await self._timelines.drop(await self._readers.active(users))
            await parts.report(users=users)
        for authors in chunks(change.authors, POSTS):
            await parts.report(authors=authors)
