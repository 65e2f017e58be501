"""The table: each change to the cache tags it drops.

| change | dropped with each part | dropped with the part that completes the others |
| --- | --- | --- |
| post published | ``u-`` of its followers | ``p-`` of it, ``a-`` of its author |
| post edited | ``u-`` of followers, where its place in feeds may have changed | ``p-``; ``a-`` where it moved |
| post withdrawn | | ``p-`` of it |
| user created, settings changed | | ``u-`` |
| profile changed | ``p-`` of the author's posts, under the guard of ``a-`` | ``u-``, ``a-`` |
| user deleted | the same | ``u-``, ``a-`` |
| follows changed | | ``u-`` of each |
| site changed | | ``g`` |
| imported | ``u-``, ``p-``, ``a-`` as reported | |
| invalidated | ``p-`` of the user's posts | ``u-``, ``a-``; or ``g`` |

A guard is recorded in the fence alone: a bake that showed the author's old name must not pass while the posts' tags
are still being looked for in the ledger, part by part. What a user's invalidation made bakers read again (posts that
their feed shows, by others) is guarded too: bakers keep posts for as long as the fence knows them unchanged.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import assert_never

from cdn import tags
from cdn.ledger import ALL_SHARDS, Tags
from feeds.affected import Affected
from feeds.change import (
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
from feeds.ids import shard_of


def shared_tags(affected: Affected) -> Iterator[str]:
    """Yield what the part that completes a change drops besides its own."""
    change = affected.change
    match change:
        case PostPublished():
            yield from (tags.post_tag(change.post), tags.author_tag(change.author))
        case PostEdited():
            yield tags.post_tag(change.post)
            if change.moved:
                yield tags.author_tag(change.author)
        case PostWithdrawn():
            yield tags.post_tag(change.post)
        case UserCreated() | SettingsChanged():
            yield tags.user_tag(change.user)
        case ProfileChanged() | UserDeleted():
            yield from (tags.user_tag(change.user), tags.author_tag(change.user))
        case FollowsChanged():
            yield from map(tags.user_tag, change.users)
        case SiteChanged():
            yield tags.GLOBAL
        case Imported():
            return
        case Invalidated():
            yield from _forgotten(change.user)
        case _:
            assert_never(change)


def dropped_tags(affected: Affected) -> Iterator[str]:
    """Yield every tag that a part drops."""
    yield from map(tags.user_tag, affected.users)
    yield from map(tags.post_tag, affected.posts)
    if isinstance(affected.change, Imported):
        yield from map(tags.author_tag, affected.authors)
    if affected.shared:
        yield from shared_tags(affected)


def guard_tags(affected: Affected) -> Iterator[str]:
    """Yield the tags that a part records in the fence alone."""
    yield from map(tags.post_tag, affected.guarded)
    if (affected.posts or affected.guarded) and not isinstance(affected.change, Imported):
        yield from map(tags.author_tag, affected.authors)


def shards_of(tag: str) -> Iterable[int]:
    """Return the shards in which answers with this tag may be: a user's own for ``u-``, else all."""
    return (shard_of(tag[2:]),) if tag.startswith("u-") else ALL_SHARDS


def by_shard(parts: Iterable[Affected]) -> dict[int, Tags]:
    """Return what each shard has to record for these parts."""
    found: dict[int, Tags] = defaultdict(Tags)
    for part in parts:
        for tag in dropped_tags(part):
            for shard in shards_of(tag):
                found[shard].dropped.add(tag)
        for tag in guard_tags(part):
            for shard in shards_of(tag):
                found[shard].guards.add(tag)
    return found


def merged(needs: Iterable[Mapping[int, Tags]]) -> dict[int, Tags]:
    """Return what each shard has to record for all of these."""
    found: dict[int, Tags] = defaultdict(Tags)
    for need in needs:
        for shard, tags_of_shard in need.items():
            found[shard].dropped |= tags_of_shard.dropped
            found[shard].guards |= tags_of_shard.guards
    return found


def _forgotten(user: str | None) -> Iterable[str]:
    return (tags.GLOBAL,) if user is None else (tags.user_tag(user), tags.author_tag(user))
