"""A behaviour with a trusted key group at the local edge: closed, opened by cookies and URLs, and collapsing still."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from botocore.signers import CloudFrontSigner

from cdn.grant import Grant
from cdn.local.config import LocalEdgeConfig
from cdn.signing import Signer, public_key
from tests.integration.local_edge import Answer, World, local_edge
from tests.unit.test_signing import NOW, pem_of, public_pem_of, rsa_key

GROUPS = {"edgebake-readers": {"KRSA": public_key(public_pem_of(rsa_key()))}}
SIGNER = Signer("KRSA", pem_of(rsa_key()))
ENDS = int(NOW) + 60
MISSING = (
    b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>MissingKey</Code>'
    b"<Message>Missing Key-Pair-Id query parameter or cookie value</Message></Error>"
)


@asynccontextmanager
async def guarded() -> AsyncIterator[World]:
    """An edge whose /private/* is open to those with a signature, before an origin that has /private/ada."""
    async with local_edge(LocalEdgeConfig("", key_groups=GROUPS, wall_clock=lambda: NOW)) as world:
        world.origin.will("/private/ada", Answer(b"ada", headers={"cache-tag": "u-ada"}))
        yield world


def cookies(world: World, user: str) -> str:
    """Return a Cookie header that opens a user's private paths."""
    made = SIGNER.cookies(Grant(f"{world.proxy_url}/private/{user}*", ENDS))
    return "; ".join(f"{name}={value}" for name, value in made.items())


async def test_without_a_signature_a_private_path_is_403_at_the_edge_and_nothing_is_forwarded() -> None:
    async with guarded() as world:
        reply = await world.get("/private/ada")
        assert (reply.status, reply.body) == (403, MISSING)
        assert (reply.headers["content-type"], reply.x_cache) == ("text/xml", "Error")
        other = await world.get("/private/ada", Cookie=cookies(world, "bob"))
        assert b"<Code>AccessDenied</Code>" in other.body
        assert world.origin.requests == []


async def test_what_is_held_is_closed_too() -> None:
    async with guarded() as world:
        await world.get("/private/ada", Cookie=cookies(world, "ada"))
        assert (await world.get("/private/ada")).status == 403
        assert (await world.get("/private/ada", Cookie=cookies(world, "bob"))).status == 403
        assert (await world.get("/private/ada", Cookie=cookies(world, "ada"))).x_cache == "Hit"


async def test_a_host_with_a_path_in_it_opens_nobody_elses_feed() -> None:
    async with guarded() as world:
        host = world.proxy_url.removeprefix("http://")
        for told in (f"{host}/private/ada/x", f"{host}?", f"ada@{host}", f"{host}, {host}", f"{host}#"):
            reply = await world.get("/private/bob", Cookie=cookies(world, "ada"), Host=told)
            assert reply.status == 400, told
        assert world.origin.requests == []


async def test_a_signed_cookie_opens_its_paths_and_neither_it_nor_its_key_reaches_the_origin() -> None:
    async with guarded() as world:
        reply = await world.get("/private/ada", Cookie=f"a=b; {cookies(world, 'ada')}")
        assert (reply.status, reply.body, reply.x_cache) == (200, b"ada", "Miss")
        assert "cookie" not in world.origin.headers[0]


async def test_a_url_signed_by_botocore_opens_it_and_is_not_part_of_the_cache_key() -> None:
    async with guarded() as world:
        theirs = CloudFrontSigner("KRSA", SIGNER.sign)
        for seconds, x_cache in ((60, "Miss"), (61, "Hit")):
            ends = datetime.fromtimestamp(NOW + seconds, UTC)
            url = theirs.generate_presigned_url(f"{world.proxy_url}/private/ada", date_less_than=ends)
            reply = await world.get(url.removeprefix(world.proxy_url))
            assert (reply.status, reply.x_cache) == (200, x_cache)
        assert world.origin.requests == ["GET /private/ada"]


async def test_many_signed_first_reads_at_once_are_one_request_at_the_origin() -> None:
    async with guarded() as world:
        gate = asyncio.Event()
        world.origin.will("/private/ada", Answer(b"ada", gate=gate))
        signed = [cookies(world, f"ad{'?' * (n % 2)}") for n in range(100)]
        reads = [asyncio.create_task(world.get("/private/ada", Cookie=cookie)) for cookie in signed]
        await world.viewers.reaches(100)
        await world.origin.arrivals.reaches(1)
        gate.set()
        assert {reply.body for reply in await asyncio.gather(*reads)} == {b"ada"}
        assert world.origin.requests == ["GET /private/ada"]


async def test_a_path_without_its_signature_invalidates_what_signed_urls_fetched() -> None:
    async with guarded() as world:
        url = SIGNER.url(f"{world.proxy_url}/private/ada", Grant("*", ENDS)).removeprefix(world.proxy_url)
        await world.get(url)
        world.edge.invalidations.create("batch-1", ["/private/ada"])
        assert (await world.get(url)).x_cache == "Miss"


async def test_a_behaviour_whose_key_group_has_no_keys_is_closed_to_all() -> None:
    async with local_edge() as world:
        assert (await world.get("/private/ada", Cookie=cookies(world, "ada"))).status == 403
        assert world.origin.requests == []
