"""Forgetting: dropping what is kept because somebody asks for it, so that the truth is read again, versions equal or
not: it was changed by hand."""

from feeds import keys
from feeds.activity import drawn
from feeds.change import Invalidated
from feeds.followers import Followers
from feeds.latest import Latest
from feeds.parts import POSTS, Parts, chunks, ids_of
from feeds.timeline import Timelines
from feeds.truth import Truth

SHOWN = 200
"""Posts that a user's feed shows on its first pages."""


class Forgetting:
    """Forgets what is kept of one user, or of all."""

    def __init__(
        self, truth: Truth, followers: Followers, latest: Latest, timelines: Timelines, *, own_posts: bool
    ) -> None:
        self._truth = truth
        self._followers = followers
        self._latest = latest
        self._timelines = timelines
        self._own_posts = own_posts

    async def forget(self, change: Invalidated, parts: Parts) -> None:
        """Drop every copy that somebody asks to forget."""
        if change.user is not None:
            await self._user(change.user, parts)
            return
        await self._truth.copies.drop_all()
        await self._followers.forget_all()
        await self._latest.drop_all()
        await self._timelines.drop_all()

    async def _user(self, user: str, parts: Parts) -> None:
        record = self._truth.record
        sources = await record.sources(user)
        proposed = await self._proposed(user, sources.num)
        own = [post async for ids in ids_of(record, user, hidden=True) for post in ids]
        shown = await record.proposals(user, before=None, limit=SHOWN, own=self._own_posts)
        authors = await self._copies(user, [*own, *proposed, *(entry.post for entry in shown)])
        await self._followers.forget([sources.num])
        await self._followers.enter({user: drawn(sources)})
        await self._latest.drop([sources.num])
        await self._timelines.drop([user])
        mine = dict.fromkeys([*own, *(post for post, author in authors.items() if author == user)])
        mine |= dict.fromkeys(post for post, num in proposed.items() if num == sources.num)
        for ids in chunks(mine, POSTS):
            await parts.report(posts=ids, authors=[user])
        others = {post: author for post, author in authors.items() if post not in mine}
        for ids in chunks(others, POSTS):
            await parts.report(guarded=ids, authors={others[post] for post in ids})

    async def _proposed(self, user: str, source: int) -> dict[str, int]:
        """Return the posts that Redis has in a user's timeline and list, gone from the record or not: id → author."""
        nums = await self._timelines.members(user)
        nums += (await self._latest.kept([source]))[source].nums
        return {entry.post: entry.author for entry in (await self._truth.catalogue.kept(nums)).values()}

    async def _copies(self, user: str, ids: list[str]) -> dict[str, str]:
        """Drop the copies of a user, of posts and of their authors; return these posts' authors."""
        found = await self._truth.record.posts(list(dict.fromkeys(ids)))
        authors = {post.id: post.author for post in found.values()}
        await self._truth.copies.drop(keys.post(post) for post in dict.fromkeys(ids))
        await self._truth.catalogue.drop([post.num for post in found.values()])
        names = [keys.user(name) for name in dict.fromkeys([user, *authors.values()])]
        await self._truth.copies.drop([*names, keys.sources(user)])
        return authors
