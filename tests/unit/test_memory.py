"""The baker's memory: the last artifacts, up to a number of bytes."""

from baker.artifact import Artifact
from baker.freshness import Freshness
from baker.memory import MAX_AGE_S, Memory
from baker.paths import Target
from baker.splice import part


def artifact(user: str, body: bytes = b"") -> Artifact:
    """Return an artifact of ONE bytes and twice its body's."""
    target = Target("feed", user, "html", None)
    return Artifact(target, 200, "text/html", [part(body)], ["g"], {"g"}, Freshness(), 0)


ONE = artifact("ada").size


def test_what_was_put_last_is_kept() -> None:
    memory = Memory(10 * ONE)
    first, second = artifact("ada"), artifact("ada")
    memory.put(first)
    memory.put(second)
    assert memory.get(second.target) is second
    assert memory.get(artifact("eve").target) is None


def test_what_is_to_be_kept_for_a_short_time_is_forgotten_after_it() -> None:
    now = [1000.0]
    memory = Memory(10 * ONE, lambda: now[0])
    short, long = artifact("explore"), artifact("ada")
    short.keep_s = 60
    memory.put(short)
    memory.put(long)
    now[0] += 60
    assert memory.get(short.target) is short
    now[0] += 1
    assert [memory.get(each.target) for each in (short, long)] == [None, long]


def test_the_least_recently_used_goes_first() -> None:
    memory = Memory(3 * ONE)
    kept = [artifact(user) for user in ("ada", "bob", "cay")]
    for each in kept:
        memory.put(each)
    memory.get(kept[0].target)
    memory.put(artifact("dan"))
    assert [memory.get(each.target) is each for each in kept] == [True, False, True]


def test_any_number_of_artifacts_takes_no_more_than_its_bytes() -> None:
    memory = Memory(10 * ONE)
    many = [artifact(f"user-{number}") for number in range(1000)]
    for each in many:
        memory.put(each)
        memory.put(each)
    assert [each for each in many if memory.get(each.target)] == many[-10:]


def test_what_is_larger_than_the_memory_is_not_kept_and_breaks_nothing() -> None:
    memory = Memory(3 * ONE)
    memory.put(artifact("ada", bytes(range(256)) * 60))
    assert memory.get(artifact("ada").target) is None
    small = artifact("bob")
    memory.put(small)
    assert memory.get(small.target) is small


def test_what_is_outdated_is_no_hit_and_still_the_last() -> None:
    memory = Memory(3 * ONE)
    old = artifact("ada")
    memory.put(old)
    assert memory.last(old.target) is old
    memory.outdate(old)
    assert memory.get(old.target) is None
    assert memory.last(old.target) is old
    new = artifact("ada")
    memory.put(new)
    assert (memory.get(old.target), memory.last(old.target)) == (new, new)


def test_an_artifact_that_took_anothers_place_is_not_outdated_with_it() -> None:
    memory = Memory(3 * ONE)
    old, new = artifact("ada"), artifact("ada")
    memory.put(old)
    memory.put(new)
    memory.outdate(old)
    assert memory.get(new.target) is new


def test_what_is_outdated_is_within_the_bytes_and_gone_after_its_age() -> None:
    now = [1000.0]
    memory = Memory(10 * ONE, lambda: now[0])
    many = [artifact(f"user-{number}") for number in range(1000)]
    for each in many:
        memory.put(each)
        memory.outdate(each)
    assert [each for each in many if memory.last(each.target)] == many[-10:]
    now[0] += MAX_AGE_S + 1
    assert not any(memory.last(each.target) for each in many)
    for each in many[:10]:
        memory.put(each)
    assert all(memory.get(each.target) for each in many[:10])


def test_discovery_that_is_kept_no_longer_is_still_the_last() -> None:
    now = [1000.0]
    memory = Memory(3 * ONE, lambda: now[0])
    short = artifact("explore")
    short.keep_s = 60
    memory.put(short)
    now[0] += 61
    assert (memory.get(short.target), memory.last(short.target)) == (None, short)
