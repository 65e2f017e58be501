"""The Redis keys of the fence, the ledger and the pending set. All keys of a shard share its hash tag.

=======================  ======  ==============================================================================
key                      type    what
=======================  ======  ==============================================================================
``{ss}:fence:count``     string  the shard's counter; rises with each record
``{ss}:fence:log``       zset    cache tag → the newest count it was recorded under
``{ss}:fence:floor``     string  the newest count that was trimmed out of the log; older notes cannot be checked
``{ss}:ledger:span``     string  ``latest n n …``: the latest of ``recent``, and the buckets of the ledger that exist
``{ss}:ledger:<n>``      set     tags of answers that may be at the edge until second ``64 n + 63`` at the latest
``{ss}:recent:<n>``      set     tags of answers that left in seconds ``4 n`` to ``4 n + 3``, ``*``: any; expires
``{ss}:living``          hash    user → ``<until s> <registered ms> <carried>``: all living answers under their path
``{ss}:unsure``          string  the second until which the ledger may lack answers that an edge holds
``{ss}:unsent:<edge>``   zset    pending: cache tag → the oldest count it waits for
``{ss}:newest:<edge>``   hash    pending: cache tag → ``<newest count merged> <ms of that> <flags>``
``{ss}:urgent:<edge>``   set     pending: those flagged urgent
``{ss}:claimed:<edge>``  zset    batch → oldest count of its tags in this shard; minted, not accepted
``{ss}:flying:<edge>``   zset    batch → the same; accepted, not complete
``batches:<edge>``       hash    batch → what is stored of it before the first call
``trail:<edge>``         list    the last batches that left that hash, the newest first: for people and the audit
``global:<edge>``        string  milliseconds: when ``g`` was last minted
``rolls``                hash    change → how far its rolling invalidation is (``invalidator.rolling``)
``epoch``                string  ``number run replication``: the epoch, and which Redis it was made under
``epoch:making``         string  ``run replication digits``: the token of an epoch that is being made
``origin:load``          hash    baker → its report: ``at until baking wait shed capacity``
=======================  ======  ==============================================================================
"""

from functools import cache

SHARDS = 64
EPOCH = "epoch"
MAKING = "epoch:making"
ORIGIN_LOAD = "origin:load"
ROLLS = "rolls"
ROLLS_LEASE = "lease:rolls"


@cache
def count(shard: int) -> str:
    """Return the key of a shard's counter."""
    return f"{{{shard:02x}}}:fence:count"


@cache
def fence(shard: int) -> tuple[str, str, str, str, str, str]:
    """Return the keys of a shard's fence and ledger, in the order that the scripts take them.

    Count, log, floor; span, living, unsure.
    """
    prefix = f"{{{shard:02x}}}"
    return (
        count(shard),
        f"{prefix}:fence:log",
        f"{prefix}:fence:floor",
        f"{prefix}:ledger:span",
        f"{prefix}:living",
        unsure(shard),
    )


@cache
def unsure(shard: int) -> str:
    """Return the key that says until when a shard's ledger may lack answers that an edge holds."""
    return f"{{{shard:02x}}}:unsure"


@cache
def pending(shard: int, edge: str) -> tuple[str, str, str, str, str]:
    """Return the keys of a shard's pending set of one edge: unsent, newest, urgent; claimed, flying."""
    prefix = f"{{{shard:02x}}}"
    return tuple(f"{prefix}:{name}:{edge}" for name in ("unsent", "newest", "urgent", "claimed", "flying"))  # type: ignore[return-value]  # five names


def batches(edge: str) -> str:
    """Return the key of an edge's stored batches."""
    return f"batches:{edge}"


def trail(edge: str) -> str:
    """Return the key of an edge's last batches that are over."""
    return f"trail:{edge}"


def last_global(edge: str) -> str:
    """Return the key of the moment when an edge was last told to drop everything."""
    return f"global:{edge}"


def lease(edge: str) -> str:
    """Return the key of the lease on an edge's drain loop."""
    return f"lease:drain:{edge}"


def last_call(account: str) -> str:
    """Return the key of the call budget that all edges of one AWS account share."""
    return f"calls:{account}"
