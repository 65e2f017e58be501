"""Cache tags: how each is spelt, and how many fit.

A CloudFront tag is visible ASCII without a comma, at most 256 characters, and case-insensitive; an object keeps
at most 50 and the rest are dropped without a word (CloudFront Developer Guide, invalidation-by-tags).
"""

import hashlib
from collections.abc import Iterable

from cdn.errors import TooManyTags

MAX_TAGS = 50
GLOBAL = "g"
OVERFLOW = "o"


def shard_tag(shard: int) -> str:
    """Return the tag of all artifacts of one shard, 0 to 63."""
    return f"s-{shard:02x}"


def user_tag(user: str) -> str:
    """Return the tag of everything under a user's path."""
    return f"u-{user}"


def post_tag(post: str) -> str:
    """Return the tag of the artifacts that show a post."""
    return f"p-{post}"


def posts_of(tags: Iterable[str]) -> list[str]:
    """Return the posts that tags name, in their order: those shown come first, then those that would move them."""
    return [tag.removeprefix("p-") for tag in tags if tag.startswith("p-")]


def author_tag(author: str) -> str:
    """Return the tag of the artifacts that draw from an author."""
    return f"a-{author}"


def topic_tag(tag: str) -> str:
    """Return the tag of the artifacts that draw from a followed tag, which may hold any characters."""
    return "t-" + hashlib.blake2b(tag.encode(), digest_size=10).hexdigest()


def guard_of(tag: str) -> str:
    """Return the guard that is recorded in the fence with a tag where something was deleted or made private.

    No artifact carries it. What was baked before it must not leave again, not even marked late.
    """
    return f"!{tag}"


def header(tags: Iterable[str]) -> str:
    """Return the value of the cache-tag header. Raises TooManyTags over 50: CloudFront would drop the rest."""
    listed = list(dict.fromkeys(tags))
    if len(listed) > MAX_TAGS:
        raise TooManyTags(f"an artifact has {len(listed)} cache tags, CloudFront keeps {MAX_TAGS}: {listed[:3]} …")
    return ",".join(listed)
