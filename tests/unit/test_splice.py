"""Splicing: parts that were deflated alone join into one gzip member."""

import gzip
import zlib

from hypothesis import given
from hypothesis import strategies as st

from baker.splice import Part, etag, join, join_gzip, part, stored

_plain = st.one_of(st.binary(max_size=300), st.binary(max_size=40).map(lambda piece: piece * 50))
_parts = st.lists(st.builds(lambda plain, make: make(plain), _plain, st.sampled_from([part, stored])), max_size=8)


@given(_parts)
def test_spliced_gzip_unpacks_to_the_joined_body(parts: list[Part]) -> None:
    assert gzip.decompress(join_gzip(parts)) == join(parts)


@given(_parts)
def test_a_strict_reader_finds_one_member_and_nothing_after_it(parts: list[Part]) -> None:
    reader = zlib.decompressobj(31)
    assert reader.decompress(join_gzip(parts)) == join(parts)
    assert reader.eof
    assert reader.unused_data == b""


def test_a_stored_part_may_be_longer_than_a_stored_block() -> None:
    plain = bytes(range(256)) * 600
    assert gzip.decompress(join_gzip([stored(plain), part(b"end")])) == plain + b"end"


def test_a_body_that_the_caller_has_is_not_joined_again() -> None:
    parts = [part(b"one"), part(b"two")]
    assert join_gzip(parts, b"onetwo") == join_gzip(parts)


@given(_parts)
def test_the_same_artifact_has_the_same_etag_however_its_parts_were_packed(parts: list[Part]) -> None:
    repacked = [part(piece.plain, level=9) for piece in parts]
    assert etag(parts, "g,u-ada", "gzip") == etag(repacked, "g,u-ada", "gzip")


@given(_parts, _parts)
def test_other_parts_have_another_etag(one: list[Part], other: list[Part]) -> None:
    same = [piece.plain for piece in one] == [piece.plain for piece in other]
    assert (etag(one, "g", "gzip") == etag(other, "g", "gzip")) is same


def test_text_that_moves_over_a_boundary_changes_the_etag() -> None:
    assert etag([part(b"ab"), part(b"c")], "g", "gzip") != etag([part(b"a"), part(b"bc")], "g", "gzip")


def test_tags_and_encoding_change_the_etag() -> None:
    parts = [part(b"body")]
    tags = {etag(parts, tags, encoding) for tags in ("g", "g,u-ada", "") for encoding in ("gzip", "identity", "")}
    assert len(tags) == 9


def test_an_etag_is_strong_and_quoted() -> None:
    tag = etag([], "", "")
    assert tag.startswith('"')
    assert tag.endswith('"')
    assert tag[1:-1].isalnum()
