"""Jobs: long work that some worker does, and that anyone may watch and cancel.

A job is a hash; a list names those that are not over. Whoever works on one holds its lease. A worker that is killed
loses the lease, and the next one goes on with the parts that are not done yet. Two workers on one job do double work
and no harm, so the lease need not be safer than that.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

import orjson
from redis.asyncio import Redis
from redis.asyncio.lock import Lock

from feeds import keys, scripts
from feeds.ids import fresh_id
from feeds.progress import now_ms
from feeds.stream import came, hold, let_go

State = Literal["queued", "running", "stopped", "done", "failed", "cancelled"]
"""``stopped``: by whoever ran it at a terminal; it waits to be resumed. The last three are final."""

OVER = ("stopped", "done", "failed", "cancelled")
LEASE_S = 6.0
BEAT_S = 1.0
"""Seconds between two renewals of a lease, and two looks at whether the job was cancelled."""
KEEP_S = 7 * 86_400
"""Seconds for which a job that is over can be asked after."""
_PART = b"part:"
_NOTE = b"note:"
_SUM = b"sum:"


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it stands. ``done`` of ``total`` parts are done, ``total`` 0 where that is not known yet.

    ``parts`` are those that are done; ``notes`` what the job keeps for whoever resumes it; ``result`` what came of it.
    """

    id: str
    kind: str
    state: State
    params: Mapping[str, Any]
    total: int
    created_ms: int
    started_ms: int | None
    finished_ms: int | None
    result: Mapping[str, int]
    error: str
    cancelling: bool
    parts: frozenset[int]
    notes: Mapping[str, str]

    @property
    def done(self) -> int:
        """Return how many parts are done."""
        return len(self.parts)


class Held:
    """A job whose lease is ours. ``stop`` is set once it is to end: it was cancelled, or the lease was lost."""

    def __init__(self, job: Job, lease: Lock) -> None:
        self.job = job
        self.stop = asyncio.Event()
        self.cancelled = False
        self.lease = lease


class Jobs:
    """The jobs in Redis."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def create(self, kind: str, params: Mapping[str, Any], *, name: str | None = None, here: bool = False) -> Job:
        """Queue a job, or, to be run ``here``, make it and queue it when it is held.

        One of this name that is there already is returned as it stands.
        """
        id_ = name or fresh_id(kind, now_ms())
        fields = {"kind": kind, "state": "queued", "params": orjson.dumps(params), "created": now_ms()}
        flat = [word for pair in fields.items() for word in pair]
        if not await self._redis.exists(keys.job(id_)):  # two who both find none queue the same; it is done once
            queue = [] if here else [("RPUSH", keys.JOBS, id_)]
            await scripts.execute(self._redis, [("MULTI",), ("HSET", keys.job(id_), *flat), *queue, ("EXEC",)])
        return await self._known(id_)

    async def get(self, job: str) -> Job | None:
        """Return a job, or None where it was never there or is over for more than a week."""
        (reply,) = await scripts.execute(self._redis, [("HGETALL", keys.job(job))])
        fields = scripts.fields(reply)
        return _read(job, fields) if b"kind" in fields else None  # what a Redis that forgot it was told since is no job

    async def cancel(self, job: str) -> Job | None:
        """Ask for a job's end: one that nobody works on is over at once. Returns it as it then stands."""
        found = await self.get(job)
        if found is None or found.state in OVER:
            return found
        await self._set(job, cancel=1)
        lease = self._lease(job)
        if await hold(lease):
            await self.finish(job, "cancelled")
            await let_go(lease)
        return await self.get(job)

    async def again(self, job: str) -> Job | None:
        """Let a job that was stopped, cancelled or failed go on where it was, with whoever holds it first."""
        found = await self.get(job)
        if found is not None and found.state in OVER and found.state != "done":
            await self._redis.persist(keys.job(job))
            await self._redis.hdel(keys.job(job), "cancel", "error", "finished", f"{_NOTE.decode()}tries")
            await self._set(job, state="queued")
        return await self.get(job)

    @contextlib.asynccontextmanager
    async def held(self, job: str) -> AsyncIterator[Held | None]:
        """Hold a job while working on it; None where somebody else does, or it is over or unknown."""
        lease = self._lease(job)
        found = await self.get(job) if await hold(lease) else None
        if found is None or found.state in OVER:
            await self._redis.lrem(keys.JOBS, 0, job) if found else None
            await let_go(lease)
            yield None
            return
        await self._set(job, state="running", started=found.started_ms or now_ms())
        # Whoever kills us leaves it in the list, for the next one to find.
        await scripts.execute(self._redis, [("LREM", keys.JOBS, 0, job), ("RPUSH", keys.JOBS, job)])
        held = Held(await self._known(job), lease)
        left = asyncio.Event()
        beating = asyncio.create_task(self._beat(held, left))
        try:
            yield held
        finally:
            left.set()
            await beating
            await let_go(lease)

    async def waiting(self, kinds: Collection[str]) -> list[str]:
        """Return the jobs of these kinds that are not over, the oldest first; some may be held."""
        names: list[bytes] = await cast(Any, self._redis.lrange(keys.JOBS, 0, -1))
        found = await scripts.execute(self._redis, [("HGET", keys.job(name.decode()), "kind") for name in names])
        return [name.decode() for name, kind in zip(names, found, strict=True) if kind and kind.decode() in kinds]

    async def note(self, job: str, **notes: object) -> None:
        """Keep something for whoever resumes the job."""
        await self._set(job, **{f"{_NOTE.decode()}{name}": str(value) for name, value in notes.items()})

    async def progress(self, job: str, *parts: int, total: int | None = None, **counted: int) -> None:
        """Note parts that are done, how many there are, and what came of these: the result has the sums."""
        fields: dict[str, object] = {f"{_PART.decode()}{part}": 1 for part in parts}
        await self._set(job, **fields, **({} if total is None else {"total": total}))
        adds = [("HINCRBY", keys.job(job), f"{_SUM.decode()}{name}", more) for name, more in counted.items()]
        await scripts.execute(self._redis, adds)

    async def finish(self, job: str, state: State, *, error: str = "") -> None:
        """End a job: ``done``, ``failed``, ``cancelled``, or ``stopped`` until somebody resumes it."""
        await self._set(job, state=state, finished=now_ms(), error=error)
        ending = [("LREM", keys.JOBS, 0, job), ("EXPIRE", keys.job(job), KEEP_S)]
        await scripts.execute(self._redis, ending)

    async def _known(self, job: str) -> Job:
        found = await self.get(job)
        if found is None:
            raise LookupError(f"job {job!r} is gone from Redis, which was emptied: start it again")
        return found

    async def _beat(self, held: Held, left: asyncio.Event) -> None:
        """Renew the lease until ``left`` is set; tell the job where it is to end."""
        while not await came(left, BEAT_S):
            (cancel,) = await scripts.execute(self._redis, [("HGET", keys.job(held.job.id), "cancel")])
            held.cancelled = held.cancelled or bool(cancel)
            if held.cancelled or not await hold(held.lease):
                held.stop.set()

    def _lease(self, job: str) -> Lock:
        return self._redis.lock(f"lease:{keys.job(job)}", timeout=LEASE_S, thread_local=False)

    async def _set(self, job: str, **fields: object) -> None:
        words = [word for pair in fields.items() for word in pair]
        if words:
            await scripts.execute(self._redis, [("HSET", keys.job(job), *words)])


def _read(job: str, fields: Mapping[bytes, bytes]) -> Job:
    state = fields[b"state"].decode()
    if state not in get_args(State):
        raise ValueError(f"job {job!r} has the state {state!r}, which this version does not know")
    return Job(
        id=job,
        kind=fields[b"kind"].decode(),
        state=cast(State, state),
        params=orjson.loads(fields[b"params"]),
        total=int(fields.get(b"total", 0)),
        created_ms=int(fields[b"created"]),
        started_ms=_ms(fields.get(b"started")),
        finished_ms=_ms(fields.get(b"finished")),
        result={name: int(value) for name, value in _named(fields, _SUM).items()},
        error=fields.get(b"error", b"").decode(),
        cancelling=b"cancel" in fields,
        parts=frozenset(int(name[len(_PART) :]) for name in fields if name.startswith(_PART)),
        notes=_named(fields, _NOTE),
    )


def _named(fields: Mapping[bytes, bytes], kind: bytes) -> dict[str, str]:
    """Return the fields whose names begin so, without that."""
    return {name[len(kind) :].decode(): value.decode() for name, value in fields.items() if name.startswith(kind)}


def _ms(value: bytes | None) -> int | None:
    return int(value) if value else None
