"""The Redis keys of feeds. All keys of a shard share its hash tag; a post's shard is its own id's.

=================================  ======  ====================================================================
key                                type    what
=================================  ======  ====================================================================
``{ss}:user:<user>``               string  copy of profile and settings
``{ss}:sources:<user>``            string  copy of what the user's feed draws from (``packing``)
``{ss}:post:<post>``               string  copy of a post
``{00}:site``                      string  copy of the site
``{00}:ranking``                   string  copy of the ranking epoch
``{00}:pulled``                    string  copy of the numbers of the sources that are pulled, or about to be or not
``{ss}:copies``                    string  generation: a copy of an older one counts as dropped; the same in all shards
``feeds:generation``               string  the newest generation
``{ss}:floor``                     string  rises with each drop: what was read under a lower one is not written any more
``{ss}:posts:<chunk>``             hash    the catalogue: post number → entry (``packing``), 128 numbers a chunk
``{ss}:base:<bucket>``             hash    user → timeline (``packing``), for active users and nobody else
``{ss}:fresh:<user>``              list    what was pushed since the base's snapshot (``packing``)
``{ss}:taste:<bucket>``            hash    user → taste (``packing``)
``{ss}:seen``                      hash    user → numbers of the posts on first pages since the last recalculation
``{ss}:active``                    zset    user → milliseconds of their last activity
``feeds:log``                      string  the fan-out log's newest number
``feeds:kept``                      string  milliseconds up to which the relay knows that Redis has everything
``feeds:guests``                   zset    users who are not active and have been baked → milliseconds until when that
                                           may be at an edge
``feeds:activations:<hour>``       string  how many users bakes made active in this hour
``feeds:cutoff``                   string  milliseconds: whose last activity was before is not active any more
``feeds:rising``                   hash    source that is pulled, or about to be → milliseconds since when bakes know it
``{ss}:latest:<source>``           zset    post number → milliseconds, newest posts of a source, and ``!`` → the mark;
                                           for an hour
``{ss}:explore:<source>``          string  numbers of the best of the newest posts with a tag, or (0) of all
``{ss}:build:latest:<source>``     string  the token of the rebuild that is under way
``{ss}:followers:<source>``        string  who draws from a source and is active, by shard (``followers``); for a day
``{ss}:joined:<source>``           set     who does since that was built; for as long
``feeds:lists``                    string  generation of follower lists: an older one is built again
``feeds:changes``                  stream  the change log's copy, numbered by the relay
``feeds:affected``                 stream  what fan-out reports
``change:<id>``                    hash    how far a change has come
``feeds:waiting``                  zset    changes that are readable and not live → milliseconds
``job:<id>``                       hash    a recalculation or a purge: what it is, its state, how far it is
``feeds:jobs``                     list    jobs that are not over
``feeds:reacted``                  string  milliseconds up to which recalculations know who reacted to what
``feeds:recomputed``               string  milliseconds of the last recalculation that the schedule began
``{items}:<account>:<month>``        hash    items that the account is billed for: first, taps, since; and the limit
``{items}:<batch>``                string  the batch is counted; for a day
``feeds:refusing``                 string  why the API takes no more writes this month (``refusing``)
``epoch``                           string  ``number …``: the epoch of Redis (``cdn/epoch.py``, which writes it)
``feeds:tries``                    hash    ``<stream>:<entry>`` → how often it was handled in vain (``tries``)
``lease:relay`` and others         string  which process does what only one may do
=================================  ======  ====================================================================

``ss`` is the shard of the user or post; of a source number or a chunk its lowest six bits; ``bucket`` is
``ids.bucket_of`` of the user, two hexadecimal digits.
"""

from functools import cache, lru_cache

from feeds.ids import SHARDS, bucket_of, shard_of

CHANGES = "feeds:changes"
AFFECTED = "feeds:affected"
WAITING = "feeds:waiting"
RELAY_LEASE = "lease:relay"
LISTENER_LEASE = "lease:listener"
PURGE_LEASE = "lease:purge"
SITE = "{00}:site"
RANKING = "{00}:ranking"
PULLED = "{00}:pulled"
GENERATION = "feeds:generation"
LOG = "feeds:log"
EPOCH = "epoch"
KEPT = "feeds:kept"
GUESTS = "feeds:guests"
LISTS = "feeds:lists"
CUTOFF = "feeds:cutoff"
RISING = "feeds:rising"
JOBS = "feeds:jobs"
REACTED = "feeds:reacted"
RECOMPUTED = "feeds:recomputed"
REFUSING = "feeds:refusing"
TRIES = "feeds:tries"

WAKE_RELAY = "edgebake:wake:relay"
WAKE_PROGRESS = "edgebake:wake:progress"
INVALIDATE = "edgebake:invalidate"
"""The channel on which anyone may ask to forget what is cached."""

CHUNK = 128
"""Post numbers in a chunk of the catalogue: up to there Redis keeps a hash of short values as a listpack."""

ALL_SHARDS = range(SHARDS)
_PREFIXES = tuple(f"{{{shard:02x}}}:" for shard in ALL_SHARDS)


@lru_cache(maxsize=100_000)
def user(user: str) -> str:
    """Return the key of the copy of a user's profile and settings."""
    return f"{_PREFIXES[shard_of(user)]}user:{user}"


def sources(user: str) -> str:
    """Return the key of the copy of a user's sources."""
    return f"{_PREFIXES[shard_of(user)]}sources:{user}"


@lru_cache(maxsize=100_000)
def post(post: str) -> str:
    """Return the key of the copy of a post."""
    return f"{_PREFIXES[shard_of(post)]}post:{post}"


def chunk_of(num: int) -> int:
    """Return the catalogue's chunk of a post number."""
    return num // CHUNK


@lru_cache(maxsize=20_000)
def chunk(number: int) -> str:
    """Return the key of a chunk of the catalogue."""
    return f"{_PREFIXES[number % SHARDS]}posts:{number}"


def base(user: str) -> str:
    """Return the key of the bucket with a user's timeline, whose field is the user."""
    return f"{_PREFIXES[shard_of(user)]}base:{bucket_of(user):02x}"


def base_of(shard: int, bucket: int) -> str:
    """Return the key of a bucket of timelines."""
    return f"{_PREFIXES[shard]}base:{bucket:02x}"


def fresh(user: str) -> str:
    """Return the key of what was pushed to a user since their timeline's snapshot."""
    return f"{_PREFIXES[shard_of(user)]}fresh:{user}"


def taste(user: str) -> str:
    """Return the key of the bucket with a user's taste, whose field is the user."""
    return f"{_PREFIXES[shard_of(user)]}taste:{bucket_of(user):02x}"


def taste_of(shard: int, bucket: int) -> str:
    """Return the key of a bucket of tastes."""
    return f"{_PREFIXES[shard]}taste:{bucket:02x}"


@cache
def seen(shard: int) -> str:
    """Return the key of what a shard's users were shown since the last recalculation."""
    return f"{_PREFIXES[shard]}seen"


@cache
def active(shard: int) -> str:
    """Return the key of a shard's active users."""
    return f"{_PREFIXES[shard]}active"


def activations(hour: int) -> str:
    """Return the key of how many users bakes made active in an hour since 1970."""
    return f"feeds:activations:{hour}"


def latest(source: int) -> str:
    """Return the key of a source's newest posts."""
    return f"{_PREFIXES[source % SHARDS]}latest:{source}"


def explore(source: int) -> str:
    """Return the key of the best posts with a tag (its source number), or (0) of all."""
    return f"{_PREFIXES[source % SHARDS]}explore:{source}"


def build(source: int) -> str:
    """Return the key of the token of the rebuild of a source's newest posts."""
    return f"{_PREFIXES[source % SHARDS]}build:latest:{source}"


def followers(source: int) -> str:
    """Return the key of the list of who draws from a source."""
    return f"{_PREFIXES[source % SHARDS]}followers:{source}"


def joined(source: int) -> str:
    """Return the key of who draws from a source since its list was built."""
    return f"{_PREFIXES[source % SHARDS]}joined:{source}"


@cache
def generation(shard: int) -> str:
    """Return the key of a shard's generation of copies."""
    return f"{_PREFIXES[shard]}copies"


@cache
def floor(shard: int) -> str:
    """Return the key of a shard's floor under copies and entries."""
    return f"{_PREFIXES[shard]}floor"


def shard_in(key: str) -> int:
    """Return the shard that a key of this table is in."""
    return int(key[1:3], 16)


def change(change: str) -> str:
    """Return the key of a change's progress."""
    return f"change:{change}"


def job(job: str) -> str:
    """Return the key of a job."""
    return f"job:{job}"


def items(account: str, month: str) -> str:
    """Return the key of the count of an AWS account's items in a month."""
    return f"{{items}}:{account}:{month}"


def counted(batch: str) -> str:
    """Return the key that says that a batch is counted."""
    return f"{{items}}:{batch}"
