"""One contract: whatever a real Valkey replies, the in-process Redis replies too, and keeps the same."""

import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import ConnectionPool
from redis.exceptions import ResponseError

from cdn import scripts as cdn_scripts
from feeds import scripts as feeds_scripts
from tests.simulation.redis import Server
from tests.simulation.schedule import Schedule
from tests.simulation.wire import answer

Command = tuple[bytes | int | float | str, ...]

NONE, COUNT = st.just(0), st.just("COUNT")
KEYS = st.sampled_from([b"{00}:a", b"{00}:b", b"{00}:c"])
NAMES = st.sampled_from([b"x", b"y", b"z", b"1", b"!", b"\xff\x00"])
VALUES = st.one_of(NAMES, st.integers(-3, 12).map(lambda n: b"%d" % n), st.binary(max_size=80))
SCORES = st.sampled_from([b"-inf", b"+inf", b"inf", b"0", b"1", b"2.5", b"-3", b"9007199254740991", b"1e3"])
BOUNDS = st.one_of(SCORES, SCORES.map(lambda score: b"(" + score))
INDICES = st.integers(-4, 4)
PAIRS = st.lists(st.tuples(NAMES, VALUES), min_size=1, max_size=3).map(
    lambda pairs: [w for pair in pairs for w in pair]
)
SCORED = st.lists(st.tuples(SCORES, NAMES), min_size=1, max_size=3).map(
    lambda pairs: [w for pair in pairs for w in pair]
)
SOME = st.lists(NAMES, min_size=1, max_size=3)


def _command(name: str, *parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Command]:
    def flat(words: Sequence[Any]) -> Command:
        return (name, *(one for word in words for one in (word if isinstance(word, list | tuple) else [word])))

    return st.tuples(*parts).map(flat)


def _one(*words: Sequence[object]) -> st.SearchStrategy[Any]:
    return st.sampled_from([list(word) for word in words])


STRINGS = [
    _command("SET", KEYS, VALUES, _one((), ("NX",), ("XX",), ("EX", 60), ("NX", "PX", 60_000))),
    _command("MSET", KEYS, VALUES),
    _command("GET", KEYS),
    _command("MGET", st.lists(KEYS, min_size=1, max_size=3)),
    _command("GETRANGE", KEYS, INDICES.filter(lambda n: n >= 0), INDICES),
    _command("STRLEN", KEYS),
    _command("INCR", KEYS),
    _command("DEL", KEYS),
    _command("UNLINK", KEYS),
    _command("EXISTS", KEYS),
    _command("EXPIRE", KEYS, st.sampled_from([0, 50, 100]), _one((), ("NX",))),
    _command("TTL", KEYS),
]
HASHES = [
    _command("HSET", KEYS, PAIRS),
    _command("HSETNX", KEYS, NAMES, VALUES),
    _command("HINCRBY", KEYS, NAMES, INDICES),
    _command("HGET", KEYS, NAMES),
    _command("HMGET", KEYS, SOME),
    _command("HDEL", KEYS, SOME),
    _command("HEXISTS", KEYS, NAMES),
    _command("HLEN", KEYS),
    _command("HGETALL", KEYS),
    _command("HKEYS", KEYS),
    _command("HSCAN", KEYS, st.just(0), st.just("COUNT"), st.just(100)),
]
OTHERS = [
    _command("SADD", KEYS, SOME),
    _command("SREM", KEYS, SOME),
    _command("SMEMBERS", KEYS),
    _command("SISMEMBER", KEYS, NAMES),
    _command("SCARD", KEYS),
    _command("RPUSH", KEYS, SOME),
    _command("LPUSH", KEYS, SOME),
    _command("LTRIM", KEYS, INDICES, INDICES),
    _command("LRANGE", KEYS, INDICES, INDICES),
    _command("LLEN", KEYS),
    _command("LREM", KEYS, st.just(0), NAMES),
    _command(
        "SCAN", st.just(0), st.just("MATCH"), st.sampled_from(["{*}:a", "{00}:*", "b"]), st.just("COUNT"), st.just(1000)
    ),
]
SORTED = [
    _command("ZADD", KEYS, _one((), ("NX",), ("GT",), ("LT",), ("XX",), ("GT", "CH")), SCORED),
    _command("ZREM", KEYS, SOME),
    _command("ZSCORE", KEYS, NAMES),
    _command("ZMSCORE", KEYS, SOME),
    _command("ZCARD", KEYS),
    _command("ZCOUNT", KEYS, BOUNDS, BOUNDS),
    _command("ZRANGE", KEYS, INDICES, INDICES, _one((), ("WITHSCORES",), ("REV",), ("REV", "WITHSCORES"))),
    _command("ZRANGEBYSCORE", KEYS, BOUNDS, BOUNDS, _one((), ("WITHSCORES",), ("LIMIT", 0, 1), ("LIMIT", 1, 2))),
    _command("ZREMRANGEBYSCORE", KEYS, BOUNDS, BOUNDS),
    _command("ZREMRANGEBYRANK", KEYS, INDICES, INDICES),
]
FIRST = st.sampled_from([b"0-0", b"2-0"])
STREAM, GROUP, CONSUMER = st.just(b"s"), st.sampled_from([b"g", b"h"]), st.sampled_from([b"c", b"d"])
IDS = st.sampled_from([b"0-1", b"1-0", b"1-1", b"2-0", b"3-5", b"9-9"])
STREAMS = [
    _command("XADD", STREAM, IDS, PAIRS),
    _command("XADD", STREAM, IDS, PAIRS),
    _command("XLEN", STREAM),
    _command("XRANGE", STREAM, st.one_of(IDS, st.just(b"-")), st.one_of(IDS, st.just(b"+"))),
    _command("XTRIM", STREAM, st.just("MINID"), IDS),
    _command("XGROUP", st.just("CREATE"), STREAM, GROUP, st.sampled_from([b"0", b"$"]), _one((), ("MKSTREAM",))),
    _command(
        "XREADGROUP", st.just("GROUP"), GROUP, CONSUMER, st.just("COUNT"), st.integers(1, 3), st.just("STREAMS"),
        STREAM, st.just(b">")
    ),
    _command("XACK", STREAM, GROUP, st.lists(IDS, min_size=1, max_size=2)),
    _command("XCLAIM", STREAM, GROUP, CONSUMER, NONE, st.lists(IDS, min_size=1, max_size=2), _one((), ("JUSTID",))),
    _command("XAUTOCLAIM", STREAM, GROUP, CONSUMER, NONE, FIRST, COUNT, st.just(9)),
    _command("XPENDING", STREAM, GROUP),
]  # fmt: skip

UNORDERED = {"HGETALL", "HKEYS", "SMEMBERS", "SCAN", "HSCAN"}


TEXTS = {**feeds_scripts.TEXTS, **cdn_scripts.TEXTS}
NOW = """(function()
  local now = tonumber(redis.call("GET", "clock"))
  return {string.format("%.0f", math.floor(now / 1000000)), string.format("%.0f", now % 1000000)}
end)()"""


def clocked(text: str) -> str:
    """Return a script that asks a key for the time: so two servers have one clock. It is in microseconds since 1970."""
    return text.replace('redis.call("TIME")', NOW)


class Pair:
    """A real Valkey and the in-process Redis, asked the same."""

    def __init__(self, connection: Any) -> None:
        self._real = connection
        self._ours = Server(self.clock)

    @staticmethod
    def clock() -> int:
        """Return the real time, in microseconds."""
        return time.time_ns() // 1000

    def empty(self) -> None:
        """Forget everything."""
        self.ask("FLUSHALL")

    def ask(self, *words: bytes | int | float | str) -> Any:
        """Ask both; return what both reply."""
        real, ours = self.real(*words), self.ours(*words)
        assert _plain(words[0], ours) == _plain(words[0], real), words
        return real

    def real(self, *words: bytes | int | float | str) -> Any:
        """Ask Valkey."""
        self._real.send_command(*words)
        try:
            return self._real.read_response()
        except ResponseError as error:
            return error

    def ours(self, *words: bytes | int | float | str) -> Any:
        """Ask the in-process one."""
        return answer(self._ours, [word if isinstance(word, bytes) else str(word).encode() for word in words])


def _plain(name: object, reply: Any) -> Any:
    """Return a reply without what is not said: the order of sets, the words of errors, how old a group is."""
    if isinstance(reply, ResponseError):
        return type(reply).__name__
    if name == "XAUTOCLAIM" and isinstance(reply, list):
        return reply[:2]
    if name in ("HGETALL", "HSCAN") and isinstance(reply, list):
        words = reply if name == "HGETALL" else reply[1]
        return sorted(zip(words[::2], words[1::2], strict=True))
    if name in UNORDERED and isinstance(reply, list):
        return sorted(reply[1] if name == "SCAN" else reply)
    return reply


@pytest.fixture
def pair(valkey: str) -> Iterator[Pair]:
    pool = ConnectionPool.from_url(valkey, protocol=2)
    connection: Any = pool.make_connection()
    yield Pair(connection)
    connection.disconnect()
    pool.disconnect()


many = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def _same(pair: Pair, commands: list[Command]) -> None:
    pair.empty()
    for words in commands:
        pair.ask(*words)


@many
@given(st.lists(st.one_of(STRINGS), max_size=20))
def test_strings_are_as_valkey_has_them(pair: Pair, commands: list[Command]) -> None:
    _same(pair, commands)


@many
@given(st.lists(st.one_of(HASHES), max_size=20))
def test_hashes_are_as_valkey_has_them(pair: Pair, commands: list[Command]) -> None:
    _same(pair, commands)


@many
@given(st.lists(st.one_of(SORTED), max_size=20))
def test_sorted_sets_are_as_valkey_has_them(pair: Pair, commands: list[Command]) -> None:
    _same(pair, commands)


@many
@given(st.lists(st.one_of(STREAMS), max_size=25))
def test_streams_are_as_valkey_has_them(pair: Pair, commands: list[Command]) -> None:
    _same(pair, commands)


@many
@given(st.lists(st.one_of([*STRINGS, *HASHES, *SORTED, *OTHERS]), max_size=25))
def test_kinds_are_told_apart_as_valkey_does(pair: Pair, commands: list[Command]) -> None:
    _same(pair, commands)


@pytest.mark.parametrize(
    "text",
    [
        "return {1, 2.7, 'a', false, 3}",
        "return {1, nil, 3}",
        "return {}",
        "return true",
        "return false",
        "return redis.call('SET', 'k', 'v')",
        "return redis.status_reply('FINE')",
        "return redis.error_reply('GONE for good')",
        "return {redis.call('GET', 'none'), redis.call('HMGET', 'none', 'a', 'b'), redis.call('TIME')[3]}",
        "return redis.call('HSCAN', 'none', '0')",
        "return tostring(2^40) .. ' ' .. 1e15 .. ' ' .. 2^53 .. ' ' .. 0.1",
        "redis.call('MSET', 'k', 2^40, 'l', 0.1) return redis.call('MGET', 'k', 'l')",
        "return {bit.bxor(-1, 5), bit.rshift(-1, 28), bit.lshift(1, 31), bit.bnot(0), bit.bor(1, 6)}",
        "return {bit.band(0xEDB88320, -1), bit.band(0xEDB88320, -bit.band(3, 1))}",
        "return {struct.unpack('<BI4I4', struct.pack('<BI4I4', 1, 2, 4000000000))}",
        "return cjson.encode({1, 2, 'x'}) .. cjson.encode({a = 1}) .. cjson.decode('[1,[\"b\"],{\"c\":2.5}]')[3].c",
        "return #cjson.decode('[]') + #cjson.decode('[[1],[2]]')[1]",
        "return string.format('%.0f %d', 2^45, 12)",
        "return redis.call('ZADD', 'k', 'x', 'y')",
        "return redis.call('NOSUCH')",
        "return ARGV[1] .. #KEYS .. KEYS[1] .. #ARGV",
    ],
)
def test_lua_is_as_valkey_has_it(pair: Pair, text: str) -> None:
    pair.empty()
    pair.ask("EVAL", text, 1, "key", "first", b"\xff\x00")


@pytest.mark.parametrize("text", [*feeds_scripts.TEXTS.values(), *cdn_scripts.TEXTS.values()])
def test_a_shipped_script_has_the_same_digest(pair: Pair, text: str) -> None:
    pair.ask("SCRIPT", "LOAD", text)


WRITES = 3


def _first(*, is_moment: bool) -> Schedule:
    """Return the first schedule that is a moment, or a day, in which somebody writes often enough."""
    schedules = map(Schedule, range(1000))
    return next(each for each in schedules if each.scene.is_moment is is_moment and len(each.scene.writes) >= WRITES)


@pytest.mark.parametrize("is_moment", [True, False], ids=["moment", "day"])
def test_what_a_schedule_asks_is_answered_alike(pair: Pair, is_moment: bool) -> None:
    """Every script that runs in a schedule, with the arguments that the product gave it, at their times."""
    schedule = _first(is_moment=is_moment)
    asked: list[tuple[int, Sequence[bytes]]] = []
    for network in (schedule.house.fast, schedule.house.slow):
        network.heard = lambda who, words, reply: asked.append((schedule.house.clock_us(), words))
    schedule.run()
    pair.empty()
    digests = {digest.encode(): pair.ask("SCRIPT", "LOAD", clocked(text)) for digest, text in TEXTS.items()}
    for now_us, words in asked:
        if words[0].startswith((b"X", b"INFO", b"SCRIPT", b"TIME")):
            continue  # streams have a contract of their own, and the others say which server it is
        pair.ask("SET", "clock", now_us)
        given = [digests.get(word, word) for word in words[:2]]
        real, ours = pair.real(*given, *words[2:]), pair.ours(*given, *words[2:])
        name = words[0].decode()
        assert _told(words, _plain(name, ours)) == _told(words, _plain(name, real)), words
    assert len({words[1] for _, words in asked if words[0] == b"EVALSHA"} & digests.keys()) > 10


def _told(words: Sequence[bytes], reply: Any) -> Any:
    """Return what two servers must agree on: not which urgent tags SRANDMEMBER draws, where not all are asked for."""
    if words[1:2] == [cdn_scripts.PENDING.encode()] and isinstance(reply, list) and reply[4] > int(words[-1]):
        return [*reply[:6], len(reply)]
    return type(reply).__name__ if isinstance(reply, ResponseError) else reply
