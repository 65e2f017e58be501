"""The driver of Varnish: what it asks each host, and what it makes of answers. Varnish itself: tests/integration."""

from collections.abc import AsyncIterator

import httpx
import pytest
import respx

from cdn.edge import Batch, Receipt
from cdn.errors import EdgeBusy, EdgeDenied, EdgeMisconfigured
from cdn.varnish import HEADER_BYTES, MAX_ITEMS, VarnishEdge, headers

ONE, OTHER = "http://one.test:6081", "http://other.test:6081"
TOLD = {
    "Edgebake-Vcl": "1",
    "Edgebake-Tag-Header": "cache-tag",
    "Edgebake-Origin-Timeout": "2s",
    "Edgebake-Max-Ttl": "3600s",
    "Edgebake-Dropped": "0",
}
TAKEN = httpx.Response(200, headers=TOLD)


@pytest.fixture
async def edge() -> AsyncIterator[VarnishEdge]:
    """The driver of two hosts."""
    made = VarnishEdge("main", [ONE, OTHER], "s3cret")
    yield made
    await made.close()


def told(**headers: str) -> httpx.Response:
    """Return an answer of our VCL with other headers than ours."""
    return httpx.Response(200, headers=TOLD | {f"Edgebake-{name.replace('_', '-')}": v for name, v in headers.items()})


def refused(status: int, reason: str) -> httpx.Response:
    return httpx.Response(status, extensions={"reason_phrase": reason.encode()})


@respx.mock
async def test_every_host_is_told_every_tag_and_the_secret(edge: VarnishEdge) -> None:
    hosts = [respx.request("PURGE", url).mock(TAKEN) for url in (ONE, OTHER)]
    receipt = await edge.invalidate(Batch("b1", ("g", "u-ada")))
    assert receipt == Receipt("b1", complete=True)
    assert await edge.is_complete("b1")
    asked = [call.request for host in hosts for call in host.calls]
    assert [(r.headers["edgebake-tags"], r.headers["edgebake-secret"]) for r in asked] == [("g,u-ada", "s3cret")] * 2


@respx.mock
async def test_the_largest_batch_of_the_longest_tags_goes_out_in_several_requests(edge: VarnishEdge) -> None:
    one = respx.request("PURGE", ONE).mock(TAKEN)
    respx.request("PURGE", OTHER).mock(TAKEN)
    tags = tuple(f"u-{number:064}" for number in range(MAX_ITEMS))
    await edge.invalidate(Batch("b1", tags))
    lines = [call.request.headers["edgebake-tags"] for call in one.calls]
    assert ",".join(lines).split(",") == list(tags)
    assert len(lines) == 10
    assert max(map(len, lines)) <= HEADER_BYTES


@pytest.mark.parametrize(("tags", "lines"), [((), [""]), (("g",), ["g"]), (("a", "b"), ["a,b"])])
def test_tags_become_a_header_at_least(tags: tuple[str, ...], lines: list[str]) -> None:
    assert list(headers(tags)) == lines


@respx.mock
@pytest.mark.parametrize(
    "failure",
    [httpx.ConnectError("refused"), httpx.ReadTimeout("late"), httpx.RemoteProtocolError("cut off"), refused(503, "x")],
)
async def test_a_host_that_does_not_answer_is_named_and_the_other_one_was_told(
    edge: VarnishEdge, failure: Exception | httpx.Response
) -> None:
    respx.request("PURGE", ONE).mock(side_effect=[failure])
    other = respx.request("PURGE", OTHER).mock(TAKEN)
    with pytest.raises(EdgeBusy, match=rf"Varnish at {ONE} .*batch b1 \(1 items\).*may be tried again") as raised:
        await edge.invalidate(Batch("b1", ("g",)))
    assert OTHER not in str(raised.value)
    assert other.call_count == 1


@respx.mock
async def test_two_hosts_that_fail_are_both_named_and_one_that_refuses_wants_a_person(edge: VarnishEdge) -> None:
    respx.request("PURGE", ONE).mock(side_effect=httpx.ConnectError("refused"))
    respx.request("PURGE", OTHER).mock(return_value=refused(403, "secret"))
    with pytest.raises(EdgeDenied, match=f"{ONE}.*{OTHER}"):
        await edge.invalidate(Batch("b1", ("g",)))


@respx.mock
@pytest.mark.parametrize(
    ("answer", "remedy"),
    [
        (refused(403, "address"), "add this host's address to the acl edgebake_workers"),
        (refused(403, "secret"), "EDGEBAKE_VARNISH_SECRET and the secret in site.vcl the same value"),
        (refused(405, "Method Not Allowed"), "load deploy/varnish/edgebake.vcl there"),
        (httpx.Response(200), "load deploy/varnish/edgebake.vcl there"),
        (told(Vcl="2"), "load deploy/varnish/edgebake.vcl there"),
    ],
)
async def test_a_refusal_says_what_to_do_and_nobodys_200_counts_but_our_vcls(
    edge: VarnishEdge, answer: httpx.Response, remedy: str
) -> None:
    respx.request("PURGE", ONE).mock(return_value=answer)
    respx.request("PURGE", OTHER).mock(TAKEN)
    with pytest.raises(EdgeDenied, match=remedy):
        await edge.invalidate(Batch("b1", ("g",)))
    with pytest.raises(EdgeMisconfigured, match=remedy):
        await edge.check()


@respx.mock
@pytest.mark.parametrize(
    ("answer", "remedy"),
    [
        (told(Tag_Header="Surrogate-Key"), "set EDGEBAKE_TAG_HEADER to 'Surrogate-Key'"),
        (told(Origin_Timeout="5s"), "origin_timeout '5s'.*EDGEBAKE_ORIGIN_TIMEOUT has as '2': set it to '2s'"),
        (told(Origin_Timeout=""), "origin_timeout ''"),
        (told(Max_Ttl="600"), "max_ttl '600'"),  # which Varnish takes for its default: no unit, no duration
        (told(Max_Ttl="1e+03s"), "max_ttl '1e"),
        (told(Max_Ttl="86400s"), "max_ttl '86400s'.*EDGEBAKE_MAX_TTL has as '3600'"),
    ],
)
async def test_a_vcl_that_is_set_otherwise_than_edgebake_is_found(
    edge: VarnishEdge, answer: httpx.Response, remedy: str
) -> None:
    respx.request("PURGE", ONE).mock(TAKEN)
    respx.request("PURGE", OTHER).mock(return_value=answer)
    with pytest.raises(EdgeMisconfigured, match=remedy):
        await edge.check()


@respx.mock
async def test_a_vcl_that_is_stricter_than_the_settings_will_do(edge: VarnishEdge) -> None:
    respx.request("PURGE", ONE).mock(TAKEN)
    respx.request("PURGE", OTHER).mock(return_value=told(Origin_Timeout="0.5s", Max_Ttl="60s"))
    await edge.check()


@respx.mock
async def test_a_check_of_a_host_that_is_down_is_busy_so_that_it_is_asked_again(edge: VarnishEdge) -> None:
    respx.request("PURGE", ONE).mock(side_effect=httpx.ConnectError("refused"))
    respx.request("PURGE", OTHER).mock(TAKEN)
    with pytest.raises(EdgeBusy, match=ONE):
        await edge.check()


async def test_no_proxy_of_this_machine_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    edge = VarnishEdge("main", [ONE], "s3cret")
    with respx.mock:
        respx.request("PURGE", ONE).mock(TAKEN)
        await edge.check()
    await edge.close()
