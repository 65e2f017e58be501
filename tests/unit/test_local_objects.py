"""The objects: tags as CloudFront keeps them, dropping by item, bounded memory."""

import pytest

from cdn.local.decision import Life
from cdn.local.objects import Key, Object, Objects, tags_of

LIFE = Life(0.0, 1.0, 1.0, 1.0)


def make(
    path: str, tags: str = "", *, encoding: str = "", body: bytes = b"", piece: str = "", etag: str = ""
) -> Object:
    key = Key(path, encoding, piece=piece)
    return Object(200, "", etag.encode() or None, LIFE, key, body, (), (), tags_of(tags))


def holding(*objects: Object) -> Objects:
    held = Objects(1_000_000)
    for each in objects:
        held.put(each)
    return held


def paths(objects: Objects) -> list[str]:
    return [each.key.path for each in objects]


def test_tags_are_lower_case_and_the_51st_is_dropped_without_a_word() -> None:
    tags = tags_of(" G, U-Ada ,, " + ",".join(f"p-{n}" for n in range(60)))
    assert len(tags) == 50
    assert {"g", "u-ada", "p-47"} <= tags
    assert "p-48" not in tags


def test_what_is_no_tag_is_not_kept() -> None:
    assert tags_of("a b,ok," + "x" * 257 + ",caf\u00e9") == {"ok"}


def test_a_tag_drops_every_object_and_variant_that_carries_it_whatever_its_case() -> None:
    objects = holding(make("/feed/a", "u-a"), make("/feed/a", "u-a", encoding="gzip"), make("/feed/b", "u-b"))
    assert objects.drop("#U-A") == 2
    assert paths(objects) == ["/feed/b"]


def test_a_path_drops_its_variants_and_nothing_else() -> None:
    objects = holding(make("/feed/a"), make("/feed/a", encoding="gzip"), make("/feed/ab"), make("/feed/A"))
    assert objects.drop("/feed/a") == 2
    assert paths(objects) == ["/feed/ab", "/feed/A"]


def test_a_wildcard_drops_what_begins_with_it() -> None:
    objects = holding(make("/feed/a"), make("/feed/a/feed.json"), make("/feed/b"))
    assert objects.drop("/feed/a*") == 2
    assert objects.drop("/*") == 1


def test_what_is_larger_than_the_cache_takes_the_place_of_nothing_but_what_it_replaces() -> None:
    objects = holding(make("/feed/a"), make("/feed/b"))
    objects.put(make("/feed/b", body=b"x" * 1_000_000))
    assert paths(objects) == ["/feed/a"]


@pytest.mark.parametrize("item", ["/feed/~a", "/feed/%7Ea", "/feed/~*"])
def test_a_tilde_never_works(item: str) -> None:
    objects = holding(make("/feed/~a"), make("/feed/%7Ea"))
    assert objects.drop(item) == 0


def test_a_new_object_takes_the_tags_of_the_old_one_along() -> None:
    objects = holding(make("/feed/a", "old"), make("/feed/a", "new"))
    assert objects.drop("#old") == 0
    assert objects.drop("#new") == 1
    assert objects.bytes == 0


def test_the_least_recently_used_make_room() -> None:
    objects = Objects(3 * make("/feed/a", body=b"x" * 1_000).size)
    for name in "abc":
        objects.put(make(f"/feed/{name}", body=b"x" * 1_000))
    objects.get(Key("/feed/a"))
    objects.put(make("/feed/d", body=b"x" * 1_000))
    assert paths(objects) == ["/feed/c", "/feed/a", "/feed/d"]


def test_an_object_larger_than_the_cache_is_not_kept() -> None:
    objects = Objects(10_000)
    objects.put(make("/feed/a", body=b"x" * 20_000))
    assert (len(objects), objects.bytes) == (0, 0)


@pytest.mark.parametrize(
    ("etag", "kept"),
    [('"1"', ["/feed/a", "/feed/a"]), ('"2"', ["/feed/a"]), ("", ["/feed/a"])],
    ids=["same", "other", "unknown"],
)
def test_parts_of_two_versions_never_meet(etag: str, kept: list[str]) -> None:
    objects = holding(make("/feed/a", piece="bytes=0-1", etag='"1"'), make("/feed/a", piece="bytes=2-3", etag=etag))
    assert paths(objects) == kept


def test_a_part_goes_with_its_path() -> None:
    objects = holding(make("/feed/a", piece="bytes=0-1"), make("/feed/a", piece="HEAD"))
    assert objects.drop("/feed/a") == 1, "the parts of an unknown version did not meet"
    assert len(objects) == 0
