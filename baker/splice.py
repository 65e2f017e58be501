"""Bake by splicing: an artifact is a join of parts, each deflated once (RFC 1951, RFC 1952).

A part's raw deflate ends byte-aligned (a full flush) and refers to nothing before it, so any parts joined are one
valid deflate stream; what gzip wants on top is a CRC-32 and a length over the plain bytes.
"""

import hashlib
import struct
import zlib
from collections.abc import Sequence
from typing import NamedTuple

_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"  # no flags, no time, no extra flags, system unknown
_FINAL_BLOCK = b"\x03\x00"  # an empty block, marked the last: fixed codes, end of block, padding
_STORED_MAX = 65_535
_DIGEST_BYTES = 8
_trailer = struct.Struct("<LL").pack
_stored_header = struct.Struct("<xHH").pack


class Part(NamedTuple):
    """A piece of an artifact, ready to be joined."""

    plain: bytes
    deflated: bytes  # raw deflate of `plain`, byte-aligned, without a final block
    digest: bytes  # 8 bytes of BLAKE2b over `plain`


def _digest(plain: bytes) -> bytes:
    return hashlib.blake2b(plain, digest_size=_DIGEST_BYTES).digest()


def part(plain: bytes, level: int = 6) -> Part:
    """Return ``plain`` as a part, compressed: for what is kept and joined often."""
    if not plain:
        return stored(plain)
    deflate = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)
    deflated = deflate.compress(plain) + deflate.flush(zlib.Z_FULL_FLUSH)
    return Part(plain, deflated, _digest(plain))


def stored(plain: bytes) -> Part:
    """Return ``plain`` as a part in stored blocks, which take no time: for small pieces used once."""
    blocks = [plain[start : start + _STORED_MAX] for start in range(0, len(plain), _STORED_MAX)]
    deflated = b"".join([_stored_header(len(block), len(block) ^ 0xFFFF) + block for block in blocks])
    return Part(plain, deflated, _digest(plain))


def join(parts: Sequence[Part]) -> bytes:
    """Return the artifact's body."""
    return b"".join([part.plain for part in parts])


def join_gzip(parts: Sequence[Part], body: bytes | None = None) -> bytes:
    """Return the artifact's body as one gzip member. ``body`` is the plain one, where the caller has it already."""
    if body is None:
        body = join(parts)
    deflated = [part.deflated for part in parts]
    return b"".join([_GZIP_HEADER, *deflated, _FINAL_BLOCK, _trailer(zlib.crc32(body), len(body) & 0xFFFFFFFF)])


def etag(parts: Sequence[Part], tags: str, encoding: str) -> str:
    """Return the artifact's strong ETag, quoted: it covers the body, the cache-tag header and the encoding.

    A 304 may leave an edge with the tags that it had, so tags that changed must change the ETag.
    """
    state = hashlib.blake2b(b"".join([part.digest for part in parts]), digest_size=12)
    # Digests have one length, so the count before the text says where they end; an encoding has no NUL.
    state.update(f"\0{len(parts)}\0{encoding}\0{tags}".encode())
    return f'"{state.hexdigest()}"'
