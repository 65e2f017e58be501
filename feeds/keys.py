"""The Redis keys of feeds. All keys of a shard share its hash tag; a post's shard is its own id's.

=============================  ======  ========================================================================
key                            type    what
=============================  ======  ========================================================================
``{ss}:user:<user>``           string  copy of profile and settings
``{ss}:follows:<user>``        string  copy of whom the user follows
``{ss}:post:<post>``           string  copy of a post
``{00}:site``                  string  copy of the site
``{ss}:copies``                string  generation: a copy of an older one counts as dropped; the same in all shards
``feeds:generation``           string  the newest generation
``{ss}:feed:<user>``           zset    the user's timeline: ``post author`` → milliseconds, and ``!`` → the mark
``{ss}:author:<user>``         zset    the same of the author's own posts
``{ss}:build:<key>``           string  the token of the rebuild that is under way
``{ss}:applied:<day>``         hash    subject → newest version that fan-out wrote in this shard
``feeds:changes``              stream  the change log's copy, numbered by the relay
``feeds:affected``             stream  what fan-out reports
``change:<id>``                hash    how far a change has come
``feeds:waiting``              zset    changes that are readable and not live → milliseconds
``lease:relay``                  string  which process relays
``lease:listener``             string  which process listens on ``edgebake:invalidate``
=============================  ======  ========================================================================
"""

from functools import cache, lru_cache
from typing import Literal

from feeds.ids import SHARDS, shard_of

CHANGES = "feeds:changes"
AFFECTED = "feeds:affected"
WAITING = "feeds:waiting"
RELAY_LEASE = "lease:relay"
LISTENER_LEASE = "lease:listener"
SITE = "{00}:site"
GENERATION = "feeds:generation"

WAKE_RELAY = "edgebake:wake:relay"
WAKE_PROGRESS = "edgebake:wake:progress"
INVALIDATE = "edgebake:invalidate"
"""The channel on which anyone may ask to forget what is cached."""

List = Literal["feed", "author"]
"""Which timeline: of the feed of a user, or of an author's own posts."""

ALL_SHARDS = range(SHARDS)
_PREFIXES = tuple(f"{{{shard:02x}}}:" for shard in ALL_SHARDS)


@lru_cache(maxsize=100_000)
def user(user: str) -> str:
    """Return the key of the copy of a user's profile and settings."""
    return f"{_PREFIXES[shard_of(user)]}user:{user}"


def follows(user: str) -> str:
    """Return the key of the copy of a user's follows."""
    return f"{_PREFIXES[shard_of(user)]}follows:{user}"


@lru_cache(maxsize=100_000)
def post(post: str) -> str:
    """Return the key of the copy of a post."""
    return f"{_PREFIXES[shard_of(post)]}post:{post}"


def timeline(which: List, user: str) -> str:
    """Return the key of a timeline."""
    return f"{_PREFIXES[shard_of(user)]}{which}:{user}"


def build(which: List, user: str) -> str:
    """Return the key of the token of a timeline's rebuild."""
    return f"{_PREFIXES[shard_of(user)]}build:{which}:{user}"


@cache
def generation(shard: int) -> str:
    """Return the key of a shard's generation of copies."""
    return f"{_PREFIXES[shard]}copies"


def generation_of(copy: str) -> str:
    """Return the key of the generation that goes with a copy's key."""
    return copy[: copy.index("}") + 1] + ":copies"


def applied(shard: int) -> str:
    """Return the key of what fan-out wrote in a shard; scripts add the day, in days since 1970."""
    return f"{_PREFIXES[shard]}applied"


def change(change: str) -> str:
    """Return the key of a change's progress."""
    return f"change:{change}"
