"""Fan-out: a change becomes readable, then what it affects is reported, then the change is acknowledged.

In this order, so that a worker that dies anywhere loses nothing. A worker re-reads the truth and never trusts the
change for more than *which* resource it is about: changes come twice, late and out of order.
"""

import logging
import secrets
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from itertools import islice
from typing import assert_never

from redis.asyncio import Redis

from feeds import keys, scripts
from feeds.affected import Affected, entry
from feeds.change import (
    Change,
    FollowsChanged,
    Imported,
    Invalidated,
    PostEdited,
    PostPublished,
    PostWithdrawn,
    ProfileChanged,
    SettingsChanged,
    SiteChanged,
    UserCreated,
    UserDeleted,
)
from feeds.model import Post, PostState
from feeds.record import Record
from feeds.timeline import Timelines
from feeds.truth import Truth

CHUNK = 5000
"""Users that one part concerns; the fan-out of a part is one script call a shard of about 80 users."""

POSTS = 200
"""Posts that one part concerns: each is looked for in the ledger of all shards."""

log = logging.getLogger(__name__)


class Parts:
    """Reports the parts of one change, one after the other; the last says how many there were."""

    def __init__(self, redis: Redis, change_id: str, change: Change) -> None:
        self._redis = redis
        self._change_id = change_id
        self._change = change
        self._attempt = secrets.token_hex(4)
        self._sent = 0

    async def report(
        self,
        *,
        users: Iterable[str] = (),
        posts: Iterable[str] = (),
        authors: Iterable[str] = (),
        guarded: Iterable[str] = (),
        last: bool = False,
    ) -> None:
        """Report the next part; its data is readable now. The ``last`` one carries what all parts share."""
        part = Affected(
            self._change_id,
            self._change,
            self._attempt,
            self._sent,
            self._sent + 1 if last else None,
            tuple(users),
            tuple(posts),
            tuple(authors),
            tuple(guarded),
            shared=last,
        )
        self._sent += 1
        await scripts.execute(self._redis, [entry(part)])


class Fanout:
    """Makes changes readable and reports whom they affect."""

    def __init__(
        self, redis: Redis, record: Record, timelines: Timelines, *, own_posts: bool = True, chunk: int = CHUNK
    ) -> None:
        self._redis = redis
        self._chunk = chunk
        self._record = record
        self._timelines = timelines
        self._own_posts = own_posts
        self._truth = Truth(redis, record)

    async def handle(self, change_id: str, change: Change) -> None:
        """Make a change readable and report all its parts. May be repeated."""
        parts = Parts(self._redis, change_id, change)
        match change:
            case PostPublished() | PostEdited() | PostWithdrawn():
                await self._post(change, parts)
            case UserCreated() | SettingsChanged():
                await self._truth.users([change.user])
                await self._timelines.drop({"feed": [change.user]})
            case ProfileChanged():
                await self._truth.users([change.user])
                await self._posts_of(change.user, parts)
            case UserDeleted():
                await self._erase(change, parts)
            case FollowsChanged():
                for user in change.users:
                    await self._truth.follows(user)
                await self._timelines.drop({"feed": change.users})
            case SiteChanged():
                await self._truth.site()
            case Imported():
                await self._import(change, parts)
            case Invalidated():
                await self._forget(change, parts)
            case _:
                assert_never(change)
        await parts.report(last=True)

    async def _post(self, change: PostPublished | PostEdited | PostWithdrawn, parts: Parts) -> None:
        """Write the post into timelines; begin again where somebody wrote a newer version meanwhile."""
        while True:
            post = (await self._truth.posts([change.post])).get(change.post)
            if post is None or (isinstance(change, PostEdited) and not change.moved):
                return  # never seen here, or every feed that shows it carries its own tag
            if await self._spread(post, parts):
                return

    async def _spread(self, post: Post, parts: Parts) -> bool:
        present = post.state is PostState.PUBLISHED
        own = [post.author] if self._own_posts else []
        if not await self._timelines.push(post, {"author": [post.author], "feed": own}, present=present):
            return False
        first = own
        async for followers in self._followers(post):
            if not await self._timelines.push(post, {"feed": followers}, present=present):
                return False
            if present:
                await parts.report(users=[*first, *followers])
                first = []
        if present and first:
            await parts.report(users=first)
        return True

    async def _followers(self, post: Post) -> AsyncIterator[Sequence[str]]:
        after = ""
        while chunk := await self._record.followers(post.author, tags=post.tags, after=after, limit=self._chunk):
            yield chunk
            after = chunk[-1]

    async def _posts_of(self, author: str, parts: Parts) -> None:
        async for ids in self._ids_of(author):
            await parts.report(posts=ids, authors=[author])

    async def _erase(self, change: UserDeleted, parts: Parts) -> None:
        await self._truth.users([change.user])
        await self._truth.follows(change.user)
        for ids in chunks(change.posts, POSTS):
            await self._truth.posts(ids)
            await parts.report(posts=ids, authors=[change.user])
        for followers in chunks(change.followers, self._chunk):
            await self._lower_follows(followers)
        await self._timelines.drop({"feed": [change.user], "author": [change.user]})

    async def _import(self, change: Imported, parts: Parts) -> None:
        """Drop what the chunk made old; it is read again when it is next needed."""
        for ids in chunks(change.users, self._chunk):
            await self._import_users(ids, parts)
        for ids in chunks(change.followers, self._chunk):
            await self._lower_follows(ids)
            await self._timelines.drop({"feed": ids})
            await parts.report(users=ids)
        for ids in chunks(change.posts, self._chunk):
            posts = await self._record.posts(ids)
            old = [post for post in posts.values() if post.version > 1]
            await self._truth.copies.drop((post.id, keys.post(post.id), post.version) for post in old)
            for shown in chunks([post.id for post in old], POSTS):
                await parts.report(posts=shown)
        await self._timelines.drop({"author": change.authors, "feed": change.authors if self._own_posts else ()})
        for users in chunks(await self._record.followers_of(change.authors), self._chunk):
            await self._timelines.drop({"feed": users})
            await parts.report(users=users)
        for authors in chunks(change.authors, POSTS):
            await parts.report(users=authors, authors=authors)

    async def _import_users(self, ids: Sequence[str], parts: Parts) -> None:
        """Drop the copies of users who were there before: what shows their old names is affected."""
        old = [user for user in (await self._record.users(ids)).values() if user.version > 1]
        await self._truth.copies.drop((user.id, keys.user(user.id), user.version) for user in old)
        await parts.report(users=ids)
        for authors in chunks([user.id for user in old], POSTS):
            await parts.report(authors=authors)
            shown = [post for author in authors async for ids in self._ids_of(author) for post in ids]
            for posts in chunks(shown, POSTS):
                await parts.report(posts=posts)

    async def _lower_follows(self, users: Sequence[str]) -> None:
        versions = await self._record.follows_versions(users)
        await self._truth.copies.drop((user, keys.follows(user), version) for user, version in versions.items())

    async def _forget(self, change: Invalidated, parts: Parts) -> None:
        """Drop every copy that somebody asks to forget, so that the truth is read again, versions equal or not."""
        if change.user is None:
            await self._truth.copies.drop_all()
            await self._timelines.drop_all()
            return
        user = change.user
        proposed = [*await self._timelines.entries("author", user), *await self._timelines.entries("feed", user)]
        own = [post async for ids in self._ids_of(user, hidden=True) for post in ids]
        shown = await self._record.candidates(user, before=None, limit=200, own=self._own_posts)
        await self._forget_copies(user, [*own, *(candidate.post for candidate in (*proposed, *shown))])
        await self._lower_follows([user])
        await self._timelines.drop({"feed": [user], "author": [user]})
        by_user = [candidate.post for candidate in proposed if candidate.author == user]
        for ids in chunks(dict.fromkeys([*own, *by_user]), POSTS):
            await parts.report(posts=ids, authors=[user])
        others = {candidate.post: candidate.author for candidate in (*proposed, *shown) if candidate.author != user}
        for ids in chunks(others, POSTS):
            await parts.report(guarded=ids, authors={others[post] for post in ids})

    async def _forget_copies(self, user: str, ids: Sequence[str]) -> None:
        """Drop the copies of a user, of posts and of their authors; of posts that are gone from the record too."""
        found = await self._record.posts(list(dict.fromkeys(ids)))
        posts = dict.fromkeys(ids, 0) | {post.id: post.version for post in found.values()}
        users = {user: 0} | dict.fromkeys((post.author for post in found.values()), 0)
        users |= {known.id: known.version for known in (await self._record.users(list(users))).values()}
        await self._truth.copies.drop((post, keys.post(post), version) for post, version in posts.items())
        await self._truth.copies.drop((known, keys.user(known), version) for known, version in users.items())

    async def _ids_of(self, author: str, *, hidden: bool = False) -> AsyncIterator[Sequence[str]]:
        after = ""
        while ids := await self._record.post_ids(author, after=after, limit=POSTS, hidden=hidden):
            yield ids
            after = ids[-1]


def chunks(ids: Iterable[str], size: int) -> Iterator[list[str]]:
    """Yield ids in lists of at most ``size``."""
    rest = iter(ids)
    while chunk := list(islice(rest, size)):
        yield chunk
