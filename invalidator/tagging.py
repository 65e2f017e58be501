"""The table: each change to the cache tags it drops.

| change | dropped with each part | dropped with the part that completes the others |
| --- | --- | --- |
| post published | ``u-`` of its readers | ``p-``, ``a-`` of its author, ``t-`` of its pulled tags; ``o``, see below |
| post edited | ``u-`` of readers, where its place in feeds may have changed | ``p-``; where it moved the others too |
| post withdrawn | | ``p-`` of it |
| user created, settings changed | | ``u-`` |
| profile changed | ``p-`` of the author's posts, under the guard of ``a-`` | ``u-``, ``a-`` |
| user deleted | the same | ``u-``, ``a-`` |
| follows changed | | ``u-`` of each |
| post scored | nothing: ``p-`` as a guard | |
| source crossed | | nothing: both sides of the line show the same |
| reranked | | ``s-`` of the shards, ``u-`` of the users |
| site changed | | ``g`` |
| imported | ``u-``, ``p-``, ``a-`` as reported | |
| invalidated | ``p-`` of the user's posts | ``u-``, ``a-``; or ``g`` |

The readers of a source that is pulled are not named: their feeds carry its ``a-`` or ``t-``, or, where not all sources
found room, ``o``.

A guard is recorded in the fence alone: a bake that showed the author's old name must not pass while the posts' tags
are still being looked for in the ledger, part by part. What a user's invalidation made bakers read again (posts that
their feed shows, by others) is guarded too: bakers keep posts for as long as the fence knows them unchanged. So is a
post whose counts and score are new: rank is soft, it shows at the next bake.
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
    PostScored,
    PostWithdrawn,
    ProfileChanged,
    Reranked,
    SettingsChanged,
    SiteChanged,
    SourceCrossed,
    UserCreated,
    UserDeleted,
)
from feeds.ids import shard_of

USER = tags.user_tag("")


def shared_tags(affected: Affected) -> Iterator[str]:
    """Yield what the part that completes a change drops besides its own."""
    change = affected.change
    match change:
        case PostPublished():
            yield tags.post_tag(change.post)
            yield from _gained(affected, change.author)
        case PostEdited():
            yield tags.post_tag(change.post)
            if change.moved:
                yield from _gained(affected, change.author)
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
        case Reranked():
            yield from map(tags.shard_tag, change.shards)
            yield from map(tags.user_tag, change.users)
        case Imported() | PostScored() | SourceCrossed():
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
    """Return the shards in which answers with this tag may be: one for ``u-`` and ``s-``, else all."""
    if tag.startswith("s-"):
        return (int(tag[2:], 16),)
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
        for section in part.sections:
            found[shard_of(section.partition("\n")[0])].dropped.update(section_tags(section))
    return found


def section_tags(section: str) -> list[str]:
    """Return the tags of users of one shard who are joined by newlines: at one go, for there may be thousands."""
    return (USER + section.replace("\n", f"\n{USER}")).split("\n")


def merged(needs: Iterable[Mapping[int, Tags]]) -> dict[int, Tags]:
    """Return what each shard has to record for all of these."""
    found: dict[int, Tags] = defaultdict(Tags)
    for need in needs:
        for shard, tags_of_shard in need.items():
            found[shard].dropped |= tags_of_shard.dropped
            found[shard].guards |= tags_of_shard.guards
    return found


def _gained(affected: Affected, author: str) -> Iterator[str]:
    """Yield what feeds carry that draw from the sources of a post that these gained, regained or moved."""
    yield tags.author_tag(author)
    yield from map(tags.topic_tag, affected.topics)
    if affected.overflow:
        yield tags.OVERFLOW


def _forgotten(user: str | None) -> Iterable[str]:
    return (tags.GLOBAL,) if user is None else (tags.user_tag(user), tags.author_tag(user))
