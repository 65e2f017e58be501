"""An in-process Redis with Lua, which runs the shipped scripts unchanged; its time is the simulated clock.

``fakeredis`` was measured first: reading the pending set of 64 shards, which the drain loop does at each step, took it
21 ms for empty ones (it makes a Lua interpreter for each call), where 5,000 schedules in 150 s on two cores leave some
60 ms for a whole schedule. Here the same trip takes about half a millisecond. ``test_redis_contract.py`` holds this one
against a real Valkey. Lua is 5.1, as in Redis: LuaJIT is twice as fast, but orders a table's keys by a random seed.
"""

import hashlib
import struct
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import lupa.lua51 as lupa  # type: ignore[import-untyped]  # has no types
import orjson

from tests.simulation import streams, zsets
from tests.simulation.store import COMMANDS, OK, Refusal, Status, Store, Words

__all__ = ["Refusal", "Server", "Status", "streams", "zsets"]

LUA = b"""
local call, decode, encode, unpacked, packed, LIST, STATUS = ...
local function reply(kind, ...)
  if kind == LIST then return {...} end
  if kind == STATUS then return {ok = ...} end
  return kind
end
local function nested(kind, ...)
  local value = reply(kind, ...)
  if type(value) == "table" then
    for i = 1, #value do if type(value[i]) == "userdata" then value[i] = nested(call(value[i])) end end
  end
  return value
end
redis = {call = function(...) return nested(call(...)) end}
redis.error_reply = function(text) return {err = text} end
redis.status_reply = function(text) return {ok = text} end
redis.sha1hex = nil
cjson = {decode = decode, encode = encode}
struct = {unpack = unpacked, pack = packed}
local floor = math.floor
local function signed(n) n = n % 4294967296 if n >= 2147483648 then n = n - 4294967296 end return n end
local function bitwise(f)
  return function(a, b)
    a, b = a % 4294967296, b % 4294967296
    local r, one = 0, 1
    for _ = 1, 32 do
      if f(a % 2, b % 2) then r = r + one end
      a, b, one = floor(a / 2), floor(b / 2), one * 2
    end
    return signed(r)
  end
end
bit = {
  band = bitwise(function(a, b) return a + b == 2 end),
  bor = bitwise(function(a, b) return a + b > 0 end),
  bxor = bitwise(function(a, b) return a ~= b end),
  bnot = function(a) return signed(-1 - a) end,
  lshift = function(a, n) return signed((a % 4294967296) * 2 ^ n) end,
  rshift = function(a, n) return signed(floor((a % 4294967296) / 2 ^ n)) end,
}
local function out(value)
  if type(value) ~= "table" then return value end
  if value.err then return STATUS, value.err, true end
  if value.ok then return STATUS, value.ok end
  local n = 0
  while value[n + 1] ~= nil do n = n + 1 end
  return LIST, unpack(value, 1, n)
end
local function run(script, n, ...)
  local all, keys, argv = {...}, {}, {}
  for i = 1, n do keys[i] = all[i] end
  for i = n + 1, #all do argv[i - n] = all[i] end
  KEYS, ARGV = keys, argv
  return out(script())
end
return run, out, loadstring
"""

LIST = b"\x00list"
STATUS = b"\x00status"

SUBCOMMANDS = (b"XGROUP", b"XINFO", b"SCRIPT", b"CLIENT", b"CONFIG")


class Interpreter:
    """Lua, made once for all servers of a process: scripts keep nothing in it. ``do`` does what a script asks for."""

    def __init__(self) -> None:
        self.do: Callable[[bytes, Words], Any] = _nowhere
        self.compiled: dict[bytes, Any] = {}
        self.lua = lupa.LuaRuntime(
            encoding=None, unpack_returned_tuples=True, register_eval=False, register_builtins=False
        )
        given = (self._call, self._decode, _encode, _unpack, _pack, LIST, STATUS)
        self.run, self.out, self._load_text = self.lua.execute(LUA, *given)

    def load(self, digest: bytes, text: bytes) -> Any:
        """Return the function of a script. Raises Refusal."""
        if digest not in self.compiled:
            loaded = self._load_text(text)
            if isinstance(loaded, tuple):
                raise Refusal(f"ERR Error compiling script: {loaded[1].decode()}")
            self.compiled[digest] = loaded
        return self.compiled[digest]

    def _call(self, name: Any, *words: Any) -> Any:
        """Do what a script asks, or go on with a reply within a reply."""
        if type(name) is list:
            return _to_lua(name)
        found = self.do(name, [word if type(word) is bytes else _word(word) for word in words])
        return found if type(found) is bytes or type(found) is int else _to_lua(found)

    def _decode(self, text: bytes) -> Any:
        return self._table(orjson.loads(text))

    def _table(self, value: Any) -> Any:
        if isinstance(value, list):
            return self.lua.table_from([self._table(one) for one in value])
        if isinstance(value, dict):
            return self.lua.table_from({name.encode(): self._table(one) for name, one in value.items()})
        return value.encode() if isinstance(value, str) else value


def _nowhere(name: bytes, words: Words) -> Any:
    raise AssertionError("no script runs")


@cache
def interpreter() -> Interpreter:
    """Return the interpreter of this process."""
    return Interpreter()


class Server:
    """A Redis. ``clock`` returns microseconds since 1970."""

    def __init__(self, clock: Callable[[], int], *, name: str = "0" * 40) -> None:
        self.store = Store(clock)
        self.run_id = self.replication_id = name
        self._scripts: dict[bytes, Any] = {}
        self._lua = interpreter()
        self._own: Mapping[bytes, Callable[[Words], Any]] = {
            b"EVALSHA": self._evalsha,
            b"EVAL": self._eval,
            b"SCRIPT": self._script,
            b"INFO": self._info,
        }

    def renew(self, name: str, *, forget_scripts: bool = True) -> None:
        """Be a server that started anew, or another that took over: under other ids."""
        self.run_id = self.replication_id = name
        if forget_scripts:
            self._scripts.clear()

    def execute(self, words: Words) -> Any:
        """Do one command; return its reply. Raises Refusal."""
        name = words[0].upper()
        if (own := self._own.get(name)) is not None:
            return own(words[1:])
        return self.do(name, words[1:])

    def do(self, name: bytes, words: Words) -> Any:
        """Do one command that scripts may ask for too; return its reply. Raises Refusal."""
        if (known := COMMANDS.get(name) or COMMANDS.get(name.upper())) is None:
            raise Refusal(f"ERR unknown command '{name.decode()}'")
        return known(self.store, words)

    def _evalsha(self, words: Words) -> Any:
        if (script := self._scripts.get(words[0])) is None:
            raise Refusal("NOSCRIPT No matching script.")
        self._lua.do = self.do
        return self._reply(self._lua.run(script, int(words[1]), *words[2:]))

    def _eval(self, words: Words) -> Any:
        return self._evalsha((self.load(words[0]), *words[1:]))

    def _script(self, words: Words) -> Any:
        match words[0].upper():
            case b"LOAD":
                return self.load(words[1])
            case b"FLUSH":
                self._scripts.clear()
                return OK
            case b"EXISTS":
                return [1 if digest in self._scripts else 0 for digest in words[1:]]
            case other:
                raise Refusal(f"ERR not simulated: SCRIPT {other.decode()}")

    def load(self, text: bytes) -> bytes:
        """Load a script; return its digest. Raises Refusal."""
        digest = hashlib.sha1(text, usedforsecurity=False).hexdigest().encode()
        self._scripts[digest] = self._lua.load(digest, text)
        return digest

    def _info(self, words: Words) -> Any:
        lines = (f"run_id:{self.run_id}", f"master_replid:{self.replication_id}", "role:master", "redis_version:8.0.0")
        return "\r\n".join(("# Server", *lines, "")).encode()

    def _reply(self, found: Any) -> Any:
        """Return what a script returned as Redis replies it."""
        if type(found) is tuple:
            return self._status(found) if found[0] == STATUS else [self._reply(value) for value in found[1:]]
        if found is None or found is False:
            return None
        if isinstance(found, bool | float):
            return int(found)
        if isinstance(found, bytes | int):
            return [] if found == LIST else found
        return self._reply(self._lua.out(found))

    def _status(self, found: Sequence[Any]) -> Any:
        if len(found) > 2:
            raise Refusal(found[1].decode())
        return Status(found[1])


def _word(word: Any) -> bytes:
    """Spell what a script gives to a command: numbers as Redis spells them."""
    if isinstance(word, bool) or not isinstance(word, int | float):
        raise Refusal(f"ERR Lua redis lib command arguments must be strings or integers, not {word!r}")
    return b"%d" % word if word == int(word) else repr(word).encode()


def _to_lua(reply: Any) -> Any:
    if reply is None:
        return False
    if type(reply) is list:
        return (LIST, *[False if one is None else one for one in reply])
    return (STATUS, bytes(reply)) if type(reply) is Status else reply


def _encode(value: Any) -> bytes:
    return orjson.dumps(_plain(value))


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, float) and value == int(value):
        return int(value)
    if lupa.lua_type(value) == "table":
        keys = list(value.keys())
        if keys == list(range(1, len(keys) + 1)) and keys:
            return [_plain(one) for one in value.values()]
        return {_plain(key): _plain(one) for key, one in value.items()}
    return value


def _format(wanted: bytes) -> str:
    """Return the format of Lua's struct library as Python has it: those that the scripts use."""
    return wanted.decode().replace("I4", "I").replace("i8", "q").replace("i4", "i").replace("I8", "Q")


def _unpack(wanted: bytes, packed: bytes, at: float = 1) -> Sequence[Any]:
    layout = struct.Struct(_format(wanted))
    start = int(at) - 1
    return (*layout.unpack_from(packed, start), start + layout.size + 1)


def _pack(wanted: bytes, *values: Any) -> bytes:
    return struct.pack(_format(wanted), *[int(value) for value in values])
