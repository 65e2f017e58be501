"""Faults on demand, seen by an unchanged boto3, by our driver and by viewers."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from cdn.cloudfront import MADE_UP, CloudFrontEdge
from cdn.distribution import Distribution, ours
from cdn.edge import Batch
from cdn.errors import EdgeBusy, EdgeDenied
from cdn.local.app import LocalEdge
from cdn.local.asgi import Message
from cdn.local.config import LocalEdgeConfig
from cdn.local.faults import ApiFault, Fault, OriginFault
from tests.integration.local_edge import Answer, World, local_edge

BATCH = Batch("batch-1", ("u-ada",))


async def faults(world: World, method: str, **told: object) -> tuple[int, Any]:
    """Ask for faults over HTTP, and return what is answered."""
    body = told if method == "PUT" else None
    async with world.session.request(method, f"{world.api_url}/faults", json=body) as answer:
        return answer.status, await answer.json()


def hurried(world: World, seconds: float) -> CloudFrontEdge:
    """Return a driver that does not wait for an answer."""
    return CloudFrontEdge(
        "hurried", "LOCALEDGE", endpoint_url=world.api_url, credentials=MADE_UP, read_timeout_s=seconds
    )


def quick(seconds: float) -> Distribution:
    """Return our distribution with a short time-out for answers."""
    made = ours(completion_timeout_s=seconds)
    return replace(made, origins=tuple(replace(origin, completion_timeout_s=seconds) for origin in made.origins))


@pytest.mark.parametrize(
    ("fault", "error", "code"),
    [
        ("throttled", EdgeBusy, "Throttling: Rate exceeded"),
        ("quota", EdgeBusy, "TooManyInvalidationsInProgress"),
        ("unavailable", EdgeBusy, "ServiceUnavailable"),
        ("denied", EdgeDenied, "AccessDenied"),
    ],
)
async def test_the_api_refuses_as_it_was_asked_to_and_takes_the_same_batch_after_it(
    fault: str, error: type[Exception], code: str
) -> None:
    async with local_edge() as world:
        edge = CloudFrontEdge.local("local", world.api_url)
        assert (await faults(world, "PUT", api=fault))[0] == 200
        with pytest.raises(error, match=code):
            await edge.invalidate(BATCH)
        status, told = await faults(world, "DELETE")
        assert (status, told["api"], told["refused"]) == (200, "none", 1)
        assert (await edge.invalidate(BATCH)).complete
        await edge.close()


async def test_a_silent_api_answers_nobody_until_the_fault_ends() -> None:
    async with local_edge() as world:
        world.edge.faults.set(Fault(api=ApiFault.SILENT))
        patient = CloudFrontEdge.local("local", world.api_url)
        hasty = hurried(world, 0.1)
        waiting = asyncio.create_task(patient.invalidate(BATCH))
        with pytest.raises(EdgeBusy, match="ReadTimeout"):
            await hasty.invalidate(BATCH)
        assert not waiting.done()
        assert world.edge.invalidations.in_progress() == []
        world.edge.faults.set(Fault())
        with pytest.raises(EdgeBusy, match="ServiceUnavailable"):
            await waiting
        await patient.close()
        await hasty.close()


async def test_a_slow_api_answers_late_and_as_it_would() -> None:
    async with local_edge() as world:
        await faults(world, "PUT", api_delay_s=0.2)
        hasty = hurried(world, 0.05)
        with pytest.raises(EdgeBusy, match="ReadTimeout"):
            await hasty.invalidate(BATCH)
        edge = CloudFrontEdge.local("local", world.api_url)
        assert (await edge.invalidate(BATCH)).complete
        await edge.close()
        await hasty.close()


@pytest.mark.parametrize(("fault", "status"), [(OriginFault.REFUSING, 502), (OriginFault.SILENT, 504)])
async def test_an_origin_out_of_reach_is_covered_by_what_is_held_and_told_of_where_nothing_is(
    fault: OriginFault, status: int
) -> None:
    async with local_edge(LocalEdgeConfig("", quick(0.05))) as world:
        world.origin.will("/feed/ada", Answer(b"ada"))
        await world.get("/feed/ada")
        world.clock.now += 100  # fresh 60 s, and served for 60 s more where the origin fails
        world.edge.faults.set(Fault(origin=fault))
        stale, missing = await world.get("/feed/ada"), await world.get("/feed/bob")
        assert (stale.status, stale.body) == (200, b"ada")
        assert (missing.status, missing.x_cache) == (status, "Error")
        assert world.origin.requests == ["GET /feed/ada"]
        world.edge.faults.set(Fault())
        world.clock.now += 100
        assert (await world.get("/feed/ada")).x_cache in ("Miss", "RefreshHit")


async def test_a_slow_origin_counts_in_the_time_out() -> None:
    async with local_edge(LocalEdgeConfig("", quick(1.0))) as world:
        world.origin.will("/feed/ada", Answer(b"ada"))
        await faults(world, "PUT", origin_delay_s=0.01)
        assert (await world.get("/feed/ada")).body == b"ada"
        await faults(world, "PUT", origin_delay_s=60)
        late = await world.get("/feed/bob")
        assert (late.status, b"as was asked for" in late.body) == (504, True)


async def test_what_cannot_be_is_refused_with_what_can() -> None:
    async with local_edge() as world:
        status, told = await faults(world, "PUT", api="asleep")
        assert (status, told["error"][:21]) == (400, "api is 'asleep': it m")
        async with world.session.put(f"{world.api_url}/faults", data=b"{") as answer:
            assert answer.status == 400
        async with world.session.post(f"{world.api_url}/faults") as answer:
            assert answer.status == 400
        assert (await faults(world, "GET"))[1]["api"] == "none"


async def test_faults_are_set_from_this_machine_only() -> None:
    edge, sent = LocalEdge(LocalEdgeConfig("http://127.0.0.1:1")), list[Message]()

    async def receive() -> Message:
        return {"type": "http.request", "body": b'{"api": "silent"}'}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "PUT", "path": "/faults", "client": ("192.0.2.7", 4_711)}
    await edge.api(scope, receive, send)
    assert sent[0]["status"] == 403
    assert edge.faults.now == Fault()
