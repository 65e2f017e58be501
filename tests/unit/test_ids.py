"""Ids: the grammar, the mapping into it, shards, and ids made here."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feeds.errors import InvalidId
from feeds.ids import MAPPED_BYTES, RESERVED, SHARDS, fresh_id, is_id, map_id, shard_of, unmap_id


@pytest.mark.parametrize("text", ["a", "0", "hn-1", "a_b", "x-", "a" * 64, "9-_"])
def test_an_id_is_lower_case_and_plain(text: str) -> None:
    assert is_id(text)


@pytest.mark.parametrize(
    "text", ["", "A", "-a", "_a", "a" * 65, "a.b", "a~b", "a b", "a\n", "a\x00", "é", "a/b", "a,b", "٣"]
)
def test_anything_else_is_none(text: str) -> None:
    assert not is_id(text)


def test_an_id_that_fits_stays_as_it_is() -> None:
    assert map_id("hn-1") == "hn-1"


def test_another_becomes_its_base32_behind_the_reserved_prefix() -> None:
    assert map_id("Ada") == "x-ifsgc"
    assert map_id("x-ada") != "x-ada"


@pytest.mark.parametrize("text", sorted(RESERVED))
def test_a_reserved_id_is_mapped_though_it_would_fit(text: str) -> None:
    assert map_id(text).startswith("x-")
    assert (unmap_id(map_id(text)), unmap_id(text)) == (text, None)


@given(st.text(min_size=1).filter(lambda text: len(text.encode("utf-8", "surrogatepass")) <= MAPPED_BYTES))
def test_a_mapped_id_is_an_id_and_can_be_read_back(text: str) -> None:
    try:
        raw = text.encode()
    except UnicodeEncodeError:
        return
    mapped = map_id(text)
    assert is_id(mapped)
    if mapped != text:
        digits = mapped.removeprefix("x-").upper()
        assert base64.b32decode(digits + "=" * (-len(digits) % 8)) == raw


@given(st.lists(st.text(min_size=1, max_size=9), unique=True))
def test_two_ids_never_meet(texts: list[str]) -> None:
    fitting = [text for text in texts if text.isprintable()]
    assert len({map_id(text) for text in fitting}) == len(fitting)


@pytest.mark.parametrize("text", ["", "A" * 39, "é" * 20])
def test_an_id_that_cannot_be_mapped_is_refused(text: str) -> None:
    with pytest.raises(InvalidId, match="must have 1 to 38"):
        map_id(text)


def test_the_longest_id_that_can_be_mapped_fits() -> None:
    assert len(map_id("A" * MAPPED_BYTES)) == 63


def test_a_shard_is_the_same_in_every_process() -> None:
    assert (shard_of("ada"), shard_of("bob")) == (shard_of("ada"), shard_of("bob"))
    assert {shard_of(f"u{n}") for n in range(2000)} == set(range(SHARDS))


def test_ids_made_here_fit_the_grammar_and_sort_by_time() -> None:
    made = [fresh_id("c", ms) for ms in (0, 1, 1_700_000_000_000, 1_700_000_000_001, 253_402_300_799_000)]
    assert made == sorted(made)
    assert all(is_id(one) for one in made)
    assert fresh_id("c", 5) != fresh_id("c", 5)


@given(st.text(min_size=1, max_size=9))
def test_what_was_mapped_is_unmapped(text: str) -> None:
    try:
        mapped = map_id(text)
    except (InvalidId, UnicodeEncodeError):
        return
    assert unmap_id(mapped) == text


@pytest.mark.parametrize("text", ["x-", "x-0", "x-a", "x-ifsgcaaa", "A", "", "x-mrqw4"])
def test_what_no_mapping_made_is_not_unmapped(text: str) -> None:
    unmapped = unmap_id(text)
    assert unmapped is None or map_id(unmapped) == text
