"""What commands mean for the reference: the world of ``tests.reference`` after each, and which commands make sense."""

from collections import Counter
from collections.abc import Collection
from typing import assert_never

from feeds.command import (
    Block,
    CreatePost,
    DeletePost,
    DeleteUser,
    EditPost,
    Follow,
    FollowTag,
    PublishPost,
    PutSettings,
    PutUser,
    React,
    Reaction,
    Unblock,
    Unfollow,
    UnfollowTag,
    UnpublishPost,
)
from tests.reference import Formula, Reader, Source, World, Written, sources_of

Deed = (
    PutUser
    | DeleteUser
    | PutSettings
    | CreatePost
    | EditPost
    | PublishPost
    | UnpublishPost
    | DeletePost
    | Follow
    | Unfollow
    | FollowTag
    | UnfollowTag
    | Block
    | Unblock
    | React
)

COUNT_OF = {"like": "likes", "comment": "comments", "view": "views"}


class Intent:
    """The reference's world, moved on by commands."""

    def __init__(self, formula: Formula, *, cap: int, latest: int, default: str = "newest") -> None:
        self.default = default
        """The order of who chooses none."""
        self.world = World(formula=formula, cap=cap, latest=latest)
        self.deleted: set[str] = set()
        self.reactions: dict[tuple[str, str, str, str], bool] = {}
        """Each reaction that was ever there, and whether it counts."""

    @property
    def readers(self) -> dict[str, Reader]:
        """The users who are there."""
        return self.world.readers

    @property
    def posts(self) -> dict[str, Written]:
        """The posts that are there, live or not."""
        return {post: written for post, written in self.world.posts.items() if post not in self.deleted}

    def liked(self, user: str) -> dict[str, int]:
        """Return how often a user likes or comments what each author wrote and has not deleted."""
        counted = [key for key, counts in self.reactions.items() if counts and key[2] == user and key[1] != "view"]
        return dict(Counter(self.posts[post].author for post, *_ in counted if post in self.posts))

    def followers(self, source: Source) -> int:
        """Return how many users follow a source."""
        return sum(source.name in (r.tags if source.kind == "tag" else r.authors) for r in self.readers.values())

    def sources(self) -> set[Source]:
        """Return every source that a post has or somebody follows."""
        found = {source for post in self.world.posts.values() for source in sources_of(post)}
        followed = {Source("tag", tag) for reader in self.readers.values() for tag in reader.tags}
        return found | followed | {Source("author", user) for user in self.readers}

    def draws(self, user: str, post: Written, without: Collection[Source]) -> bool:
        """Tell whether a feed has a post by a source other than these."""
        reader = self.readers[user]
        drawn = {Source("author", name) for name in (*reader.authors, user)} | {Source("tag", t) for t in reader.tags}
        return not (drawn - set(without)).isdisjoint(sources_of(post))

    def may(self, deed: Deed) -> bool:
        """Tell whether a command makes sense, so that it is not refused."""
        match deed:
            case Follow():
                pair = (deed.user, deed.author)
                return deed.user != deed.author and not {pair, pair[::-1]} & self.world.blocks
            case Block() | Unblock():
                return deed.user != deed.blocked
            case PublishPost():
                return deed.post in self.posts and not self.world.posts[deed.post].live
            case UnpublishPost():
                return deed.post in self.posts and self.world.posts[deed.post].live
            case EditPost() | DeletePost() | React():
                return deed.post in self.posts
            case _:
                return True

    def take(self, deed: Deed) -> None:  # noqa: PLR0912  # one branch for each command
        """Move the world on."""
        world = self.world
        match deed:
            case PutUser():
                world.readers.setdefault(deed.user, Reader(order=self.default))
            case DeleteUser():
                self._erase(deed.user)
            case PutSettings():
                reader = world.readers[deed.user]
                reader.muted_authors, reader.muted_tags = set(deed.muted_authors), set(deed.muted_tags)
                reader.page_size = deed.page_size
                reader.order = self.default if deed.order == "default" else deed.order
            case CreatePost():
                self._create(deed)
            case EditPost():
                self._edit(deed)
            case PublishPost() | UnpublishPost():
                world.posts[deed.post].live = isinstance(deed, PublishPost)
            case DeletePost():
                world.posts[deed.post].live = False
                self.deleted.add(deed.post)
            case Follow():
                world.readers[deed.user].authors.add(deed.author)
            case Unfollow():
                world.readers[deed.user].authors.discard(deed.author)
            case FollowTag():
                world.readers[deed.user].tags.add(deed.tag)
            case UnfollowTag():
                world.readers[deed.user].tags.discard(deed.tag)
            case Block():
                world.block(deed.user, deed.blocked)
            case Unblock():
                world.blocks.discard((deed.user, deed.blocked))
            case React():
                for reaction in deed.reactions:
                    self._react(deed.post, reaction)
            case _:
                assert_never(deed)

    def _create(self, deed: CreatePost) -> None:
        assert deed.post is not None
        assert deed.published is not None
        published_ms = round(deed.published.timestamp() * 1000)
        tags = frozenset(deed.tags)
        counts = (deed.likes, deed.comments, deed.views)
        self.world.posts[deed.post] = Written(deed.post, deed.author, published_ms, tags, *counts, live=not deed.draft)

    def _edit(self, deed: EditPost) -> None:
        post = self.world.posts[deed.post]
        if "published" in deed.model_fields_set and deed.published is not None:
            post.published_ms = round(deed.published.timestamp() * 1000)
        if "tags" in deed.model_fields_set:
            post.tags = frozenset(deed.tags)
        for count in {"likes", "comments", "views"} & deed.model_fields_set:
            setattr(post, count, getattr(deed, count))

    def _react(self, post: str, reaction: Reaction) -> None:
        """Count a reaction once; one that was undone never counts again."""
        key = (post, reaction.kind, reaction.by or "", reaction.id or "")
        before = self.reactions.get(key)
        if reaction.undo:
            self.reactions[key] = False
            change = -1 if before else 0
        elif before is None:
            self.reactions[key] = True
            change = 1
        else:
            return
        written, count = self.world.posts[post], COUNT_OF[reaction.kind]
        setattr(written, count, max(0, getattr(written, count) + change))

    def _erase(self, user: str) -> None:
        del self.world.readers[user]
        for reader in self.world.readers.values():
            reader.authors.discard(user)
        self.world.blocks = {pair for pair in self.world.blocks if pair[0] != user}
        for post in self.world.posts.values():
            if post.author == user:
                post.live = False
                self.deleted.add(post.post)
