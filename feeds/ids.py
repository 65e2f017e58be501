"""Ids: their grammar, the mapping of any other id into it, and the shard of an id.

CloudFront's cache tags ignore case and its paths cannot hold ``~``, so an id is lower case and plain.
"""

import base64
import re
import secrets
import zlib

from feeds.errors import InvalidId

PATTERN = r"^[a-z0-9][a-z0-9_-]{0,63}$"
SHARDS = 64
BUCKETS = 256
"""Buckets of a shard. What Redis keeps of users is packed: at a million users a bucket has about 61."""
RESERVED = frozenset({"explore"})
"""Ids that no user may have: `/feed/explore` is everybody's."""
MAPPED_PREFIX = "x-"
MAPPED_BYTES = 38
"""An id of up to this many bytes maps into the grammar: 38 bytes are 61 base32 digits, and 64 fit."""

_is_id = re.compile(PATTERN.removesuffix("$") + r"\Z").match


def is_id(text: str) -> bool:
    """Tell whether ``text`` is an id: ``[a-z0-9][a-z0-9_-]{0,63}``."""
    return _is_id(text) is not None


def shard_of(key: str) -> int:
    """Return the shard, 0 to 63, that owns an id: the one partition of the system."""
    return zlib.crc32(key.encode()) & (SHARDS - 1)


def bucket_of(key: str) -> int:
    """Return the bucket, 0 to 255, of an id inside its shard."""
    return zlib.crc32(key.encode()) >> 6 & (BUCKETS - 1)


def map_id(text: str) -> str:
    """Map any id of 1 to 38 bytes of UTF-8 into the grammar; an id that fits stays as it is.

    The others become ``x-`` and their base32 (RFC 4648 §6) in lower case without padding. ``x-`` is
    reserved, so an id of that shape is mapped too and two ids never meet; so are RESERVED ids.

    Raises InvalidId where the text is empty or too long.
    """
    if _is_own(text):
        return text
    raw = text.encode()
    if not 1 <= len(raw) <= MAPPED_BYTES:
        raise InvalidId(f"id {text!r} has {len(raw)} bytes: an id outside {PATTERN} must have 1 to {MAPPED_BYTES}")
    return MAPPED_PREFIX + base64.b32encode(raw).decode().rstrip("=").lower()


def unmap_id(mapped: str) -> str | None:
    """Return the text that ``map_id`` made an id of, or None where it makes this id of none."""
    if not mapped.startswith(MAPPED_PREFIX):
        return mapped if _is_own(mapped) else None
    digits = mapped.removeprefix(MAPPED_PREFIX).upper()
    try:
        text = base64.b32decode(digits + "=" * (-len(digits) % 8)).decode()
        return text if map_id(text) == mapped else None
    except (ValueError, InvalidId):
        return None


def _is_own(text: str) -> bool:
    return is_id(text) and not text.startswith(MAPPED_PREFIX) and text not in RESERVED


def fresh_id(prefix: str, now_ms: int) -> str:
    """Return a new id that sorts by time and cannot be guessed: the prefix, ``-`` and 28 hexadecimal digits."""
    return f"{prefix}-{now_ms:012x}{secrets.token_hex(8)}"
