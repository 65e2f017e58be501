"""A bake: from a target to an artifact. This page is the main flow of reading.

note the count → user, follows, timeline → the posts that a page shows → their fragments, joined
"""

from collections.abc import Iterable
from dataclasses import dataclass

import orjson

from baker.artifact import Artifact
from baker.card import Page
from baker.fragments import Fragments
from baker.freshness import UNKNOWN_S, Freshness
from baker.metrics import READ_THROUGH
from baker.paths import Target
from baker.reads import FIRST_PAGE, WHOLE, Ask, First, Reads
from baker.render import Renderer, content_type, missing_content_type
from baker.selection import Selected, Selector, Viewer
from baker.shelf import Shelf
from cdn import tags
from feeds import copies, keys
from feeds.model import OrderKey, Post, PostState, Site, User, UserState
from feeds.timeline import Timelines
from feeds.truth import Truth

PAGE = 25


@dataclass(frozen=True, slots=True)
class Limits:
    """What a deployment allows: pages of a list, and whether users see their own posts in their feeds."""

    max_pages: int = 40
    own_posts: bool = True


class Bakery:
    """Bakes artifacts."""

    def __init__(
        self,
        reads: Reads,
        truth: Truth,
        timelines: Timelines,
        renderer: Renderer,
        *,
        fragments: Fragments,
        shelf: Shelf,
        freshness: Freshness,
        limits: Limits,
    ) -> None:
        self._reads = reads
        self._truth = truth
        self._renderer = renderer
        self._freshness = freshness
        self._limits = limits
        self._fragments = fragments
        self._selector = Selector(reads, truth, timelines, fragments, shelf, own_posts=limits.own_posts)
        self._sites: dict[bytes, Site] = {}

    async def bake(self, target: Target) -> Artifact:
        """Bake what a target asks for. Raises RecordUnavailable, or what redis-py raises."""
        if target.kind == "post":
            return await self._post(target)
        return await self._list(target)

    async def _list(self, target: Target) -> Artifact:
        which: keys.List = "feed" if target.kind == "feed" else "author"
        entries = WHOLE if target.after else FIRST_PAGE
        first = await self._reads.first.ask(Ask(target.subject, which, entries, target.after))
        site = await self._site(first)
        user = await self._user(target.subject, first)
        if user is None or user.state is UserState.DELETED:
            return self._missing(target, first, site, 404 if user is None else 410)
        if target.kind == "feed" and user.settings.feed_visibility == "private":
            return self._missing(target, first, site, 404)
        viewer = await self._viewer(which, user, first)
        timeline = await self._selector.timeline(viewer, first, entries)
        place, depth, most = None, 0, self._limits.max_pages * viewer.size
        if target.after:
            if (place := await self._place(target.after, first)) is None:
                return self._missing(target, first, site, 404)
            depth = await self._selector.depth(viewer, timeline, place, most)
            if depth >= most:
                return self._missing(target, first, site, 404)
        selected = await self._selector.select(viewer, target.format, timeline, place)
        older = selected.next is not None and depth + selected.passed < most
        return self._compose(target, first, site, user, selected, older=older)

    def _compose(
        self, target: Target, first: First, site: Site, user: User, selected: Selected, *, older: bool
    ) -> Artifact:
        rows = selected.rows
        page = Page(
            kind=target.kind,
            user=user.id,
            user_name=user.name,
            about=user.about,
            language=user.settings.language,
            site_title=site.title,
            home_page_url=site.home_page_url,
            path=target.page,
            next_path=f"/{target.kind}/{user.id}/after/{rows[-1].post}" if older else None,
            first=target.after is None,
            updated_ms=max((row.edited_ms for row in rows), default=0),
            private=user.settings.feed_visibility == "private",
        )
        parts = self._renderer.page(target.format, page, [row.part for row in rows])
        shown = [row.tag for row in rows]
        watched = [selected.next.tag] if selected.next else []
        carried = _own_tags(target, *shown, *watched, *_place_tags(target))
        return Artifact(
            target=target,
            status=200,
            content_type=content_type(target.format),
            parts=parts,
            tags=carried,
            depends={*carried, *[row.author_tag for row in rows]},
            freshness=self._freshness,
            noted=first.noted,
            posts=len(rows),
            foreign=self._is_foreign(site),
        )

    async def _post(self, target: Target) -> Artifact:
        first = await self._reads.first.ask(Ask(target.subject, None, 0, target.subject))
        site = await self._site(first)
        post = await self._post_value(target.subject, first)
        if post is None or not copies.is_live(post):
            deleted = post is not None and copies.read_post(copies.body_of(post)).state is PostState.DELETED
            return self._missing(target, first, site, 410 if deleted else 404)
        shown = copies.read_post(copies.body_of(post))
        author = await self._author_value(shown, first)
        if author is None or not copies.is_live(author):
            return self._missing(target, first, site, 404)
        return self._compose_post(target, first, site, post, author)

    def _compose_post(self, target: Target, first: First, site: Site, post: bytes, author: bytes) -> Artifact:
        shown, by = copies.read_post(copies.body_of(post)), copies.read_user(copies.body_of(author))
        row = self._fragments.get("html", site.language, post, author, full=True)
        page = Page(
            kind="post",
            user=by.id,
            user_name=by.name,
            about=by.about,
            language=site.language,
            site_title=site.title,
            home_page_url=site.home_page_url,
            path=target.page,
            next_path=None,
            first=True,
            updated_ms=shown.edited_ms,
            private=False,
            title=shown.title,
        )
        carried = _own_tags(target, tags.author_tag(by.id))
        return Artifact(
            target=target,
            status=200,
            content_type=content_type("html"),
            parts=self._renderer.page("html", page, [row.part]),
            tags=carried,
            depends=set(carried),
            freshness=self._freshness,
            noted=first.noted,
            posts=1,
            foreign=self._is_foreign(site),
        )

    def _missing(self, target: Target, first: First, site: Site, status: int) -> Artifact:
        carried = _own_tags(target, *_place_tags(target))
        return Artifact(
            target=target,
            status=status,
            content_type=missing_content_type(target.format),
            parts=self._renderer.missing(status, target.format, site.language, site.title),
            tags=carried,
            depends=set(carried),
            freshness=self._freshness.briefly(UNKNOWN_S),
            noted=first.noted,
            foreign=self._is_foreign(site),
        )

    async def _viewer(self, which: keys.List, user: User, first: First) -> Viewer:
        if which == "author":
            own = frozenset((user.id,))
            return Viewer(which, user.id, own, frozenset(), frozenset(), PAGE, user.settings.language)
        follows = await self._follows(user.id, first)
        return Viewer(
            which,
            user.id,
            follows | {user.id} if self._limits.own_posts else follows,
            frozenset(user.settings.muted_authors),
            frozenset(user.settings.muted_tags),
            user.settings.page_size,
            user.settings.language,
        )

    async def _user(self, user: str, first: First) -> User | None:
        value = first.user
        if not copies.counts(value, first.generation):
            value = (await self._selector.read_through([], [user], first.generation))[keys.user(user)]
        return None if value is None else copies.read_user(copies.body_of(value))

    async def _follows(self, user: str, first: First) -> frozenset[str]:
        if first.follows is not None and copies.counts(first.follows, first.generation):
            return copies.read_follows(copies.body_of(first.follows))
        READ_THROUGH.labels("follows").inc()
        return frozenset((await self._truth.follows(user)).authors)

    async def _post_value(self, post: str, first: First) -> bytes | None:
        if copies.counts(first.post, first.generation):
            return first.post
        return (await self._selector.read_through([post], [], first.generation))[keys.post(post)]

    async def _author_value(self, post: Post, first: First) -> bytes | None:
        key = keys.user(post.author)
        value = (await self._reads.copies.ask([key]))[key]
        if copies.counts(value, first.generation):
            return value
        return (await self._selector.read_through([], [post.author], first.generation))[key]

    async def _place(self, post: str, first: First) -> OrderKey | None:
        """Return the place of a post, deleted or not, or None where there never was one."""
        value = await self._post_value(post, first)
        if value is None:
            return None
        fields = orjson.loads(copies.body_of(value))
        return OrderKey(fields["published_ms"], post)

    async def _site(self, first: First) -> Site:
        value = first.site
        if value is None or not copies.counts(value, first.generation):
            return await self._truth.site()
        if value not in self._sites:
            self._sites = {value: copies.read_site(copies.body_of(value))}
        return self._sites[value]

    def _is_foreign(self, site: Site) -> bool:
        return bool(site.template_version) and site.template_version != self._renderer.version


def _place_tags(target: Target) -> list[str]:
    """Return the tag of the post that gives an older page its place: moved, it moves the page."""
    return [tags.post_tag(target.after)] if target.after else []


def _own_tags(target: Target, *more: str) -> list[str]:
    """Return the tags of everything at a target's path, and what else it carries."""
    if target.kind == "post":
        own: Iterable[str] = (tags.post_tag(target.subject),)
    elif target.kind == "author":
        own = (tags.user_tag(target.subject), tags.author_tag(target.subject))
    else:
        own = (tags.user_tag(target.subject),)
    return list(dict.fromkeys((tags.GLOBAL, tags.shard_tag(target.shard), *own, *more)))
