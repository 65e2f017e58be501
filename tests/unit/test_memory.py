"""The baker's memory: the last artifacts, up to a number of bytes."""

from baker.artifact import Artifact
from baker.freshness import Freshness
from baker.memory import Memory
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


def test_an_artifact_that_took_anothers_place_is_not_forgotten_with_it() -> None:
    memory = Memory(3 * ONE)
    old, new = artifact("ada"), artifact("ada")
    memory.put(old)
    memory.put(new)
    memory.forget(old)
    assert memory.get(new.target) is new
    memory.forget(new)
    memory.forget(new)
    assert memory.get(new.target) is None


def test_what_is_forgotten_makes_room() -> None:
    memory = Memory(2 * ONE)
    for number in range(50):
        each = artifact(f"user-{number}")
        memory.put(each)
        memory.forget(each)
    two = [artifact("ada"), artifact("bob")]
    for each in two:
        memory.put(each)
    assert all(memory.get(each.target) is each for each in two)
