"""A bake: from a target to an artifact. This page is the main flow of reading.

note the count → user, sources, timeline → what is proposed, in order → the posts that a page shows → their fragments,
joined
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from math import inf
from typing import assert_never

import orjson

from baker import order
from baker.artifact import Artifact
from baker.card import Page
from baker.drawn import NOTHING, Depends, Drawn, filled
from baker.fragments import Fragments
from baker.freshness import UNKNOWN_S, Freshness
from baker.lists import Lists
from baker.paths import EXPLORE, Target
from baker.proposals import Proposals, Wish
from baker.reads import Ask, First, Reads
from baker.render import Renderer, content_type, missing_content_type
from baker.resources import Resources
from baker.rows import Look, Rows
from baker.selection import Place, Selected, Selector, Span
from baker.table import Table
from cdn import tags
from feeds import copies, keys
from feeds.discovery import Discovery
from feeds.ids import unmap_id
from feeds.model import OrderKey, Post, PostState, Settings, Site, User, UserState
from feeds.packing import read_taste
from feeds.ranking import Order, Weights

PAGE = 25


@dataclass(frozen=True, slots=True)
class Limits:
    """What a deployment decides: pages of a list, whether users see their own posts in their feeds, and ranking.

    ``order`` is that of users who chose none; ``explore_ttl`` the seconds for which an edge keeps discovery.
    """

    max_pages: int = 40
    own_posts: bool = True
    order: Order = "newest"
    weights: Weights = field(default_factory=Weights)
    explore_ttl: int = 60


@dataclass(frozen=True, slots=True)
class _Visit:
    """A list that is being baked: what was asked for, what the first trip brought, and whose list it is.

    ``drawn`` is what a feed draws from, ``pulled`` which of these sources are pulled.
    """

    target: Target
    first: First
    site: Site
    user: User
    drawn: Drawn = NOTHING
    pulled: Collection[int] = ()


class Bakery:
    """Bakes artifacts."""

    def __init__(
        self,
        reads: Reads,
        resources: Resources,
        rows: Rows,
        selector: Selector,
        *,
        proposals: Proposals,
        lists: Lists,
        discovery: Discovery,
        table: Table,
        renderer: Renderer,
        fragments: Fragments,
        freshness: Freshness,
        limits: Limits,
    ) -> None:
        self._reads = reads
        self._resources = resources
        self._rows = rows
        self._selector = selector
        self._proposals = proposals
        self._lists = lists
        self._discovery = discovery
        self._table = table
        self._renderer = renderer
        self._fragments = fragments
        self._freshness = freshness
        self._limits = limits

    async def bake(self, target: Target) -> Artifact:
        """Bake what a target asks for. Raises RecordUnavailable, or what redis-py raises."""
        match target.kind:
            case "post":
                return await self._post(target)
            case "author":
                return await self._author(target)
            case "feed":
                return await self._feed(target)
            case "explore":
                return await self._explore(target)
            case _:
                assert_never(target.kind)

    async def _feed(self, target: Target) -> Artifact:
        ask = Ask(target.subject, target.subject, True, target.after)
        first = await self._reads.first.ask(ask)
        if (pulled := self._resources.pulled(first)) is None:
            pulled = await self._resources.pulled_now()
            first = await self._reads.first.ask(ask)
        site = await self._resources.site(first)
        user = await self._resources.user(target.subject, first, keep=first.base is not None)
        if user is None or user.state is UserState.DELETED:
            return self._missing(target, first, site, 404 if user is None else 410)
        if (user.settings.feed_visibility == "private") is not target.private:  # it is answered under one of the two
            return self._missing(target, first, site, 404)
        active = await self._proposals.admit(user.id, first)
        drawn = await self._resources.drawn(user.id, first, keep=active)
        epoch = await self._resources.epoch(first)
        self._table.begin(epoch)
        chosen = user.settings.order
        wanted: Order = self._limits.order if chosen == "default" else chosen
        viewer = drawn.viewer(read_taste(first.taste), wanted)
        wish = Wish(drawn.sources, wanted, viewer.taste, epoch, pulled.keys())
        proposed = await self._proposals.of(first, wish, active=active)
        if merged := drawn.among(pulled):
            proposed = proposed.with_lists(await self._lists.get(merged))
        return await self._list(_Visit(target, first, site, user, drawn, merged.keys()), viewer, proposed)

    async def _author(self, target: Target) -> Artifact:
        first = await self._reads.first.ask(Ask(target.subject, target.subject, False, target.after))
        site = await self._resources.site(first)
        user = await self._resources.user(target.subject, first, keep=True)
        if user is None or user.state is UserState.DELETED:
            return self._missing(target, first, site, 404 if user is None else 410)
        (proposed,) = await self._lists.get({user.num: tags.author_tag(user.id)})
        return await self._list(_Visit(target, first, site, user), order.all_of(user.id, user.num), proposed)

    async def _explore(self, target: Target) -> Artifact:
        """Bake what readers like most: nobody's list, ranked for nobody, and short-lived instead of invalidated."""
        first = await self._reads.first.ask(Ask(target.subject, "", False, target.after))
        site = await self._resources.site(first)
        self._table.begin(await self._resources.epoch(first))
        tag = "" if target.subject == EXPLORE else unmap_id(target.subject)
        nums = None if tag is None else await self._discovery.read(tag)
        if nums is None:
            return self._briefly(self._missing(target, first, site, 404))
        everybody = User(EXPLORE, tag or "", "", UserState.LIVE, Settings(language=site.language), 0, 0, 0)
        visit = _Visit(target, first, site, everybody)
        return self._briefly(await self._list(visit, order.everything(), order.Proposed(nums, -inf)))

    def _briefly(self, artifact: Artifact) -> Artifact:
        """Return an artifact of discovery with the life that these have, at edges and here."""
        artifact.keep_s = self._limits.explore_ttl
        artifact.freshness = artifact.freshness.at_most(self._limits.explore_ttl)
        return artifact

    async def _list(self, visit: _Visit, viewer: order.Viewer, proposed: order.Proposed) -> Artifact:
        target, user = visit.target, visit.user
        size = user.settings.page_size if target.kind == "feed" else PAGE
        most = self._limits.max_pages * size
        place = None
        if target.after and (place := await self._place(target.after, visit.first)) is None:
            return self._missing(target, visit.first, visit.site, 404)
        look = Look(target.format, user.settings.language, user.id)
        selected = await self._selector.select(viewer, look, proposed, Span(size, place, most))
        if selected is None:
            return self._missing(target, visit.first, visit.site, 404)
        artifact = self._compose(visit, selected, most)
        if viewer.order == "ranked" and visit.first.base and not target.after and self._limits.weights.shown:
            artifact.shown = [row.num for row in selected.rows]
        return artifact

    def _compose(self, visit: _Visit, selected: Selected, most: int) -> Artifact:
        target, first, site, user = visit.target, visit.first, visit.site, visit.user
        rows, older = selected.rows, selected.next is not None and selected.depth < most
        page = Page(
            kind=target.kind,
            user=user.id,
            user_name=user.name,
            about=user.about,
            language=user.settings.language,
            site_title=site.title,
            home_page_url=site.home_page_url,
            path=target.page,
            next_path=target._replace(after=rows[-1].post).page if older else None,
            first=target.after is None,
            updated_ms=max((row.edited_ms for row in rows), default=0),
            private=user.settings.feed_visibility == "private",
        )
        parts = self._renderer.page(target.format, page, [row.part for row in rows])
        shown = [row.tag for row in rows]
        watched = [selected.next.tag] if selected.next else []
        own = _own_tags(target, *shown, *watched, *_place_tags(target))
        found = filled(own, visit.drawn, visit.pulled, selected.known)
        return Artifact(
            target=target,
            status=200,
            content_type=content_type(target.format),
            parts=parts,
            tags=found.tags,
            carried=found.carried,
            depends=Depends([*own, *[row.author_tag for row in rows]], visit.drawn),
            freshness=self._freshness,
            noted=first.noted,
            posts=len(rows),
            foreign=self._is_foreign(site),
        )

    async def _post(self, target: Target) -> Artifact:
        first = await self._reads.first.ask(Ask(target.subject, "", False, target.subject))
        site = await self._resources.site(first)
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

    async def _post_value(self, post: str, first: First) -> bytes | None:
        if copies.counts(first.post, first.generation):
            return first.post
        return (await self._rows.read_through([post], [], first.generation))[keys.post(post)]

    async def _author_value(self, post: Post, first: First) -> bytes | None:
        key = keys.user(post.author)
        value = (await self._reads.copies.ask([key]))[key]
        if copies.counts(value, first.generation):
            return value
        return (await self._rows.read_through([], [post.author], first.generation))[key]

    async def _place(self, post: str, first: First) -> Place | None:
        """Return the place of a post, deleted or not, or None where there never was one."""
        value = await self._post_value(post, first)
        if value is None:
            return None
        fields = orjson.loads(copies.body_of(value))
        return Place(OrderKey(fields["published_ms"], post), fields["num"])

    def _is_foreign(self, site: Site) -> bool:
        return bool(site.template_version) and site.template_version != self._renderer.version


def _place_tags(target: Target) -> list[str]:
    """Return the tag of the post that gives an older page its place: moved, it moves the page."""
    return [tags.post_tag(target.after)] if target.after else []


def _own_tags(target: Target, *more: str) -> list[str]:
    """Return the tags of everything at a target's path, and what else it carries."""
    if target.kind == "explore":
        own: Iterable[str] = ()
    elif target.kind == "post":
        own = (tags.post_tag(target.subject),)
    elif target.kind == "author":
        own = (tags.user_tag(target.subject), tags.author_tag(target.subject))
    else:
        own = (tags.user_tag(target.subject),)
    return list(dict.fromkeys((tags.GLOBAL, tags.shard_tag(target.shard), *own, *more)))
