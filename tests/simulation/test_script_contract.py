"""Every shipped script does in the in-process Redis what it does in a real Valkey, whatever it is given.

Sequences of a family of scripts, over keys that they share; then all that is kept is compared too. The scripts ask a
key for the time, where the shipped ones ask TIME: so both servers have one clock, which steps as drawn.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import ConnectionPool

from cdn import keys as cdn_keys
from cdn import scripts as cdn
from edgebake.valkey import GO_ON
from feeds import scripts as feeds
from tests.simulation.test_redis_contract import Pair, clocked

BEGAN_MS = 1_700_000_000_000

Step = tuple[Any, ...]
"""A command; or a script's name, its keys and its arguments."""


class Kept(NamedTuple):
    """An argument: what a hash keeps when its turn comes, or else something that it never keeps."""

    key: str
    field: str


class Script(NamedTuple):
    """What a script is given: a strategy for its keys, and one for its arguments."""

    text: str
    keys: st.SearchStrategy[Sequence[str]]
    arguments: st.SearchStrategy[Sequence[Any]]


def _some(*words: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from(words)


def _all(*parts: Any) -> st.SearchStrategy[Sequence[Any]]:
    """Draw a list: strategies for one word, lists of words, or words as they are."""
    drawn = st.tuples(*[part if isinstance(part, st.SearchStrategy) else st.just(part) for part in parts])
    return drawn.map(lambda words: [one for word in words for one in (word if isinstance(word, list) else [word])])


def _json(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[bytes]:
    return strategy.map(orjson.dumps)


def _lists(*parts: Any, most: int = 3) -> st.SearchStrategy[list[Any]]:
    """Draw some rows, one after the other."""
    return st.lists(_all(*parts), min_size=1, max_size=most).map(lambda rows: [word for row in rows for word in row])


def _rows(*parts: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    """Draw some rows of words that may be lists themselves, or none."""
    return st.lists(st.tuples(*parts), max_size=3).map(lambda rows: [word for row in rows for word in row])


USERS, TAGS = ("ada", "bob", "cyd"), ("g", "s-03", "u-ada", "u-bob", "p-p1", "p-p2", "a-ada", "t-1", "o")
USER, TAG = _some(*USERS), _some(*TAGS)
SOURCES = _some("*", "", "1", "1,2", "2,3")
FENCE, PENDING = cdn_keys.fence(3), cdn_keys.pending(3, "main")
OTHER = cdn_keys.pending(3, "other")
COUNT = _some(0, 1, 2, 3, 5, 2**32)
SINCE = _some(-1, 0, 1, 2, 4, 2**32)
MS = _some(0, 1400, 6400, 70_000, 330_000)

ANSWERS = st.tuples(
    st.lists(st.tuples(MS, st.lists(TAG, min_size=1, max_size=4)), max_size=2).map(
        lambda rows: [w for r in rows for w in r]
    ),
    _lists(USER, MS, SOURCES),
)
FLAGGED = st.lists(st.tuples(_some(0, 1, 2, 3, 8), st.lists(TAG, min_size=1, max_size=4)), max_size=3)
READERS = st.lists(
    st.tuples(st.lists(_some("1", "2", "3"), min_size=1, max_size=2), _some("ada", "ada\nbob")), max_size=2
)
NEED = st.tuples(
    st.lists(TAG.map(lambda tag: f"!{tag}"), max_size=2),
    FLAGGED.map(lambda rows: [word for row in rows for word in row]),
    READERS.map(lambda rows: [word for row in rows for word in row]),
)
CLAIMS = st.lists(TAG, min_size=1, max_size=3).map(lambda tags: [w for t in tags for w in (t, Kept(PENDING[1], t))])

LIVING = orjson.dumps([[6400, list(TAGS)], ["ada", 6400, "1,2", "bob", 6400, "*"]])

LEDGER: Mapping[str, Script] = {
    "tail": Script(cdn.TEXTS[cdn.TAIL], st.just(FENCE[:3]), _all(SINCE)),
    "pass": Script(cdn.TEXTS[cdn.PASS], st.just(FENCE[:5]), _all(SINCE, _json(ANSWERS), 11, _some(0, 1))),
    "record": Script(
        cdn.TEXTS[cdn.RECORD], st.just((*FENCE, *PENDING[:3], *OTHER[:3])), _all(_some(3, 20_000), 1400, _json(NEED))
    ),
    "raise": Script(
        cdn.TEXTS[cdn.RAISE],
        st.just((FENCE[0], FENCE[2], FENCE[5], *PENDING[:3])),
        _all(COUNT, _some(0, 7000), _some(0, 1)),
    ),
    "pending": Script(cdn.TEXTS[cdn.PENDING], st.just((FENCE[0], *PENDING)), _all(_some(0, 50))),
    "claim": Script(cdn.TEXTS[cdn.CLAIM], st.just(PENDING[:4]), _all(_some("", "b1", "b2"), CLAIMS)),
    "fly": Script(cdn.TEXTS[cdn.FLY], st.just(PENDING[3:5]), _all(_some("b1", "b2"))),
    "trim": Script(cdn.TEXTS[cdn.TRIM], st.just(FENCE[4:5]), _all(0, 100)),
}

IDS, TOKEN = _some("run-1 repl-1", "run-2 repl-1"), _some("run-1 repl-1 aa", "run-2 repl-1 bb")
EPOCH: Mapping[str, Script] = {
    "making": Script(cdn.TEXTS[cdn.MAKING], st.just(("epoch:making", "epoch")), _all(IDS, _some("aa", "bb"), COUNT)),
    "made": Script(cdn.TEXTS[cdn.MADE], st.just(("epoch", "epoch:making")), _all(COUNT, IDS, TOKEN)),
    "go on": Script(GO_ON, st.just(("epoch",)), _all(IDS, IDS)),
    "spend": Script(cdn.TEXTS[cdn.SPEND], st.just(("calls",)), _all(_some(0, 200, 2000))),
    "report": Script(cdn.TEXTS[cdn.REPORT], st.just(("load",)), _all(_some("b1", "b2"), 1000, 3000, "1 2 3 4")),
}

VERSION, FLOOR = _some(1, 2, 3), _some(0, 1, 2)
COPIES, CHUNK = ("{00}:user:ada", "{00}:user:bob"), "{00}:chunk:0"


def _entry(row: tuple[int, int, int, int]) -> bytes:
    version, generation, ms, tags = row
    head = struct.pack("<BIIIqIII", 1, version, generation, 7, ms, 0, 0, 0)
    return head + bytes([tags]) + struct.pack(f"<{tags}I", *range(tags)) + b"p1"


ENTRIES = _lists(_some(1, 2, 3), st.tuples(VERSION, FLOOR, _some(5, 50), _some(0, 2)).map(_entry))
FIRST: Mapping[str, Script] = {
    "put": Script(
        feeds.TEXTS[feeds.PUT],
        _some(*COPIES).map(lambda copy: (copy, "{00}:generation", "{00}:floor")),
        _all(VERSION, FLOOR, FLOOR, _some("L", "D"), _some("d1", "d2"), _some("", "body", b"\x00\xff")),
    ),
    "entry": Script(
        feeds.TEXTS[feeds.ENTRY], st.just((CHUNK, "{00}:generation", "{00}:floor")), _all(FLOOR, FLOOR, ENTRIES)
    ),
    "expire": Script(feeds.TEXTS[feeds.EXPIRE], st.just((CHUNK, "{00}:floor")), _all(_some(4, 10, 60))),
    "floor": Script(feeds.TEXTS[feeds.FLOOR], st.just(("{00}:floor", *COPIES)), st.just([])),
    "floor of a chunk": Script(feeds.TEXTS[feeds.FLOOR], st.just(("{00}:floor", CHUNK)), _lists(_some(1, 2, 3))),
    "raise a number": Script(feeds.TEXTS[feeds.RAISE], st.just(("{00}:generation",)), _all(FLOOR)),
    "guest": Script(feeds.TEXTS[feeds.GUEST], st.just(("guests",)), _all(_some(0, 5000), _lists(USER))),
    "items": Script(
        feeds.TEXTS[feeds.ITEMS],
        _some("x", "y").map(lambda batch: ("{items}:m", f"{{items}}:{batch}")),
        _all(_some(0, 1, 3), _some(0, 2), _some(0, 4), _some(0, 1), _some(0, 9), _some(10, 20)),
    ),
    "relay": Script(
        feeds.TEXTS[feeds.RELAY],
        _some("change:c1", "change:c2").map(lambda change: (change, "waiting", "changes", "epoch")),
        _all(_some(1, 2), _some("c1", "c2"), BEGAN_MS, "kind", "{}"),
    ),
    "progress": Script(
        feeds.TEXTS[feeds.PROGRESS],
        _some("change:c1", "change:c2").map(lambda change: (change, "waiting", "epoch")),
        _all(_some("x", "y"), _some(0, 1), _some("", 1, 2), _some("", 5, 2**32 + 5), _some("[]", "[[0,5],[1,7]]")),
    ),
    "live": Script(
        feeds.TEXTS[feeds.LIVE],
        _some("change:c1", "change:c2").map(lambda change: (change, "waiting")),
        _all(_some("", 1, 2), BEGAN_MS, 60, _some("c1", "c2")),
    ),
}

LOG, CLOSED = _some(1, 2, 3, 4), "D9007199254740991 0\n"
BASES, FRESH = ("{00}:base:1d", "{00}:base:c5"), ("{00}:fresh:ada", "{00}:fresh:bob")
BASE = _some(*BASES)
TIMELINE = _some("N1 -inf\n", "N2 5\nxx", "R3 inf\n", CLOSED)
PUSHED = LOG.map(lambda number: number * 2**32 + 7)
TIMELINES: Mapping[str, Script] = {
    "create": Script(feeds.TEXTS[feeds.CREATE], BASE.map(lambda base: (base, "active")), _all(USER, CLOSED)),
    "open": Script(feeds.TEXTS[feeds.CREATE], BASE.map(lambda base: (base, "active")), _all(USER, CLOSED, LOG)),
    "drop": Script(
        feeds.TEXTS[feeds.DROP], BASE.map(lambda base: (base,)), _all(LOG, CLOSED, st.lists(USER, max_size=2))
    ),
    "install": Script(feeds.TEXTS[feeds.INSTALL], BASE.map(lambda base: (base,)), _all(LOG, _lists(USER, TIMELINE))),
    "forget fresh": Script(feeds.TEXTS[feeds.FORGET_FRESH], BASE.map(lambda base: (base,)), _all(LOG, _lists(USER))),
    "push": Script(
        feeds.TEXTS[feeds.PUSH],
        st.just(("{00}:active",)),
        _all(PUSHED, LOG, _some(1, 2, 9), _some("ada", "ada\nbob", "cyd\nada"), CLOSED),
    ),
    "states": Script(feeds.TEXTS[feeds.STATES], st.just(BASES), st.just([])),
    "orphans": Script(feeds.TEXTS[feeds.ORPHANS], BASE.map(lambda base: (base, "active")), _all(0, 100)),
    "retire": Script(
        feeds.TEXTS[feeds.RETIRE],
        st.just(("{00}:active", "{00}:floor")),
        _all(_some(BEGAN_MS - 1, BEGAN_MS + 9000), _lists(USER, _some("1d", "c5"))),
    ),
    "touch": Script(
        feeds.TEXTS[feeds.TOUCH],
        BASE.map(lambda base: ("{00}:active", base)),
        _all(USER, st.lists(_some(BEGAN_MS - 5000, BEGAN_MS + 10**6), max_size=1)),
    ),
    "taste": Script(
        feeds.TEXTS[feeds.TASTE],
        st.just(("{00}:taste:1d", "{00}:seen")),
        _all(USER, _some("", "t1"), _some("-", "", "abcd"), _some("t1", "t2")),
    ),
    "seen": Script(
        feeds.TEXTS[feeds.SEEN], st.just(("{00}:seen",)), _lists(USER, _some("abcd", "abcdefgh", "x" * 252))
    ),
    "read": Script(
        feeds.TEXTS[feeds.READ],
        st.just(("{00}:generation", "{00}:user:ada", "{00}:sources:ada", *BASES[:1], *FRESH[:1], "{00}:taste:1d")),
        st.just(["ada"]),
    ),
    "read an author": Script(feeds.TEXTS[feeds.READ], st.just(("{00}:generation", "{00}:user:ada")), st.just([""])),
}

FOLLOWERS, LATEST = ("followers", "joined"), ("latest", "build")
SECONDS, POST = _some(60, 600), _some("1", "2", "3")
AT = _some("-inf", "1", "5", "9", "1.7e12")
SIZE = _some(0, 10, 1000)
LISTS: Mapping[str, Script] = {
    "begin a list": Script(feeds.TEXTS[feeds.LIST_BEGIN], st.just(FOLLOWERS), _all(_some("x", "y"))),
    "install a list": Script(
        feeds.TEXTS[feeds.LIST_INSTALL],
        st.just(FOLLOWERS),
        _all(_some("x", "y"), _some("\nada\n", "\nada\nbob\n"), SECONDS),
    ),
    "enter": Script(feeds.TEXTS[feeds.LIST_ENTER], st.just((*FOLLOWERS, "more", "more joined")), _all(USER, SIZE)),
    "forget a list": Script(feeds.TEXTS[feeds.LIST_FORGET], st.just(FOLLOWERS), _all(SIZE)),
    "list": Script(feeds.TEXTS[feeds.LIST], st.just(FOLLOWERS), st.just([])),
    "begin the latest": Script(feeds.TEXTS[feeds.LATEST_BEGIN], st.just(LATEST), _all(_some("x", "y"))),
    "install the latest": Script(
        feeds.TEXTS[feeds.LATEST_INSTALL],
        st.just(LATEST),
        _all(_some("x", "y"), AT, _some(1, 3), SECONDS, _lists(AT.filter(lambda at: at != "-inf"), POST)),
    ),
    "push the latest": Script(
        feeds.TEXTS[feeds.LATEST_PUSH], st.just(LATEST[:1]), _all(POST, _some(1, 4, 8, 1_700_000_000_123), _some(1, 3))
    ),
}

FAMILIES = {"ledger": LEDGER, "epoch": EPOCH, "copies": FIRST, "timelines": TIMELINES, "lists": LISTS}

PRELUDES: Mapping[str, Sequence[Step]] = {
    "ledger": [("SET", FENCE[0], 0)],
    "epoch": [],
    "copies": [("SET", "epoch", "1 run repl")],
    "timelines": [
        *(("HSET", BASES[0], user, base) for user, base in zip(USERS, ("N1 -inf\n", "R3 inf\n", CLOSED), strict=True)),
        *(("RPUSH", fresh, 2**32 + 1, 3 * 2**32 + 2) for fresh in FRESH),
    ],
    "lists": [("SET", "followers", "Bx"), ("SET", "build", "x"), ("ZADD", "latest", "+inf", "!")],
}
"""What is there when a sequence begins: else few of them would come to anything."""

COMMANDS: Mapping[str, Sequence[Step]] = {
    "ledger": [("SET", FENCE[0], 7), ("SADD", "{03}:recent:425000000", "p-p1")],
    "epoch": [("SET", "epoch", "1 run-1 repl-1"), ("SET", "epoch", "3 run-2 repl-1")],
    "copies": [("SET", "epoch", "1 run repl"), ("SET", "epoch", "2 run repl"), ("HSET", "change:c1", "epoch", 1)],
    "timelines": [("ZADD", key, BEGAN_MS, user) for key in ("active", "{00}:active") for user in USERS],
    "lists": [("DEL", "followers"), ("SET", "more", "\nbob\n")],
}


class Scripts:
    """Both servers, with the scripts that ask for the time where both find the same."""

    def __init__(self, pair: Pair) -> None:
        self._pair = pair
        self._ms = BEGAN_MS
        self._digests: dict[str, Any] = {}
        for script in [script for family in FAMILIES.values() for script in family.values()]:
            self._digests[script.text] = pair.ask("SCRIPT", "LOAD", clocked(script.text))

    def begin(self) -> None:
        """Forget everything."""
        self._pair.empty()
        self._ms = BEGAN_MS
        self.pass_time(0)

    def pass_time(self, ms: int) -> None:
        """Set the clock of both."""
        self._ms += ms
        self._pair.ask("SET", "clock", self._ms * 1000 + 7)

    def run(self, text: str, keys: Sequence[str], arguments: Sequence[Any]) -> None:
        """Run a script in both."""
        words = [self._kept(word) if isinstance(word, Kept) else word for word in arguments]
        self._same("EVALSHA", self._digests[text], len(keys), *keys, *words)

    def compare(self) -> None:
        """Compare all that both keep."""
        names = self._pair.real("KEYS", "*")
        assert sorted(names) == sorted(self._pair.ours("SCAN", 0, "MATCH", "*", "COUNT", 10_000)[1])
        for name in names:
            for read in (("GET",), ("HGETALL",), ("SMEMBERS",), ("LRANGE", 0, -1), ("ZRANGE", 0, -1, "WITHSCORES")):
                self._pair.ask(read[0], name, *read[1:])
            assert (self._pair.real("TTL", name) > 0) == (self._pair.ours("TTL", name) > 0), name

    def _kept(self, kept: Kept) -> bytes:
        found: bytes = self._pair.ask("HGET", kept.key, kept.field) or b"0 0 0"
        return found

    def _same(self, *words: Any) -> None:
        real, ours = self._pair.real(*words), self._pair.ours(*words)
        assert _sorted(ours) == _sorted(real), words


def _sorted(reply: Any) -> Any:
    """Return a reply without the order of what a set gave, and the words of errors."""
    if isinstance(reply, Exception):
        return type(reply).__name__, str(reply).split(maxsplit=1)[0]
    if isinstance(reply, list):
        return sorted(map(repr, map(_sorted, reply)))
    return reply


@pytest.fixture
def scripts(valkey: str) -> Iterator[Scripts]:
    pool = ConnectionPool.from_url(valkey, protocol=2)
    connection: Any = pool.make_connection()
    yield Scripts(Pair(connection))
    connection.disconnect()
    pool.disconnect()


@pytest.mark.parametrize("family", FAMILIES)
def test_scripts_do_as_in_valkey(scripts: Scripts, family: str) -> None:
    known, commands = FAMILIES[family], COMMANDS[family]
    called = st.sampled_from(sorted(known)).flatmap(
        lambda name: st.tuples(st.just(known[name].text), known[name].keys, known[name].arguments)
    )
    step = st.one_of(called, called, called, st.sampled_from(commands), st.integers(-3000, 70_000))

    many = 2 * settings().max_examples

    @settings(max_examples=many, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.lists(step, min_size=1, max_size=15))
    def does(steps: Sequence[Any]) -> None:
        scripts.begin()
        for command in PRELUDES[family]:
            scripts._same(*command)
        if family == "ledger":
            scripts.run(cdn.TEXTS[cdn.PASS], FENCE[:5], (0, LIVING, 11, 0))
        for each in steps:
            if isinstance(each, int):
                scripts.pass_time(each)
            elif each in commands:
                scripts._same(*each)
            else:
                scripts.run(*each)
        scripts.compare()

    does()


def test_urgent_tags_come_first_where_not_all_are_asked_for(scripts: Scripts) -> None:
    """Which urgent tags is chance, so not with generated arguments."""
    scripts.begin()
    scripts._same("SET", FENCE[0], 0)
    need = orjson.dumps([[], [2, ["u-ada"], 0, ["p-p1", "p-p2", "a-ada"]], []])
    answers = orjson.dumps([[6400, ["p-p1", "p-p2", "a-ada"]], ["ada", 6400, "*"]])
    scripts.run(cdn.TEXTS[cdn.PASS], FENCE[:5], (0, answers, 11, 0))
    scripts.run(cdn.TEXTS[cdn.RECORD], (*FENCE, *PENDING[:3]), (20_000, 1400, need))
    for most in (1, 2, 3):
        scripts.run(cdn.TEXTS[cdn.PENDING], (FENCE[0], *PENDING), (most,))


def test_every_shipped_script_is_here() -> None:
    here = {script.text for family in FAMILIES.values() for script in family.values()}
    assert here == {*cdn.TEXTS.values(), *feeds.TEXTS.values(), GO_ON}
