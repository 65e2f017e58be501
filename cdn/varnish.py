"""Varnish as an edge: each host is told over HTTP which tags to drop; deploy/varnish/edgebake.vcl answers.

A batch is one ``PURGE`` a host, or some where its tags fill more than a header. Every host has to answer each; the
same batch again drops what came back since, which harms nothing. Varnish drops at once, and so answers are receipts.
"""

import asyncio
import re
from collections.abc import Iterator, Sequence

import httpx

from cdn.edge import Batch, Receipt
from cdn.errors import EdgeBusy, EdgeDenied, EdgeMisconfigured, InvalidationRefused

MAX_ITEMS = 1_000
"""Items of a batch: some 20 kB of tags, dropped in milliseconds."""
HEADER_BYTES = 7_000
"""Of tags in one request: Varnish takes 8,192 bytes a header (``http_req_hdr_len``)."""
is_seconds = re.compile(r"[0-9]{1,9}(\.[0-9]{1,6})?s").fullmatch
TIMEOUT = httpx.Timeout(5.0, connect=2.0)

SECRET = "Edgebake-Secret"  # noqa: S105 - the name of a header
TAGS = "Edgebake-Tags"
VERSION = "Edgebake-Vcl"
OURS = "1"
"""The version of the VCL that this driver talks to."""

REMEDIES = {
    "address": "add this host's address to the acl edgebake_workers in site.vcl",
    "secret": "give EDGEBAKE_VARNISH_SECRET and the secret in site.vcl the same value",
}
FOREIGN = "load deploy/varnish/edgebake.vcl there, or name a Varnish that has it in EDGEBAKE_VARNISH_URLS"


class VarnishEdge:
    """Varnish hosts with our VCL, which all hold the same artifacts.

    ``origin_timeout_s`` and ``max_ttl_s`` are what the ledger counts with: a VCL that allows more is refused.
    """

    max_items = MAX_ITEMS

    def __init__(
        self,
        name: str,
        urls: Sequence[str],
        secret: str,
        *,
        tag_header: str = "Cache-Tag",
        origin_timeout_s: float = 2.0,
        max_ttl_s: float = 3600.0,
        timeout: httpx.Timeout = TIMEOUT,
    ) -> None:
        self.name = name
        self._urls = urls
        self._tag_header = tag_header
        self._origin_timeout_s = origin_timeout_s
        self._max_ttl_s = max_ttl_s
        # trust_env: a proxy of this machine's would be asked to purge, and might say yes
        self._http = httpx.AsyncClient(timeout=timeout, trust_env=False, headers={SECRET: secret})

    async def check(self) -> None:
        """Raise EdgeMisconfigured where a host has not our VCL, or one that is set otherwise than our settings."""
        try:
            answers = await self._all("its VCL", ())
        except EdgeDenied as error:
            raise EdgeMisconfigured(str(error)) from error
        for url, answer in zip(self._urls, answers, strict=True):
            self._compare(url, answer)

    async def invalidate(self, batch: Batch) -> Receipt:
        """Drop the tags at every host. Raises EdgeBusy where one does not answer, EdgeDenied where one refuses."""
        for tags in headers(batch.tags):
            await self._all(f"batch {batch.id} ({len(batch.tags)} items)", [(TAGS, tags)])
        return Receipt(batch.id, complete=True)

    async def is_complete(self, invalidation: str) -> bool:
        """Tell whether a batch is dropped: it was when Varnish answered."""
        return True

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _all(self, what: str, headers: Sequence[tuple[str, str]]) -> list[httpx.Response]:
        """Ask all hosts at once. Raises what they refuse it with: one error that names each of them."""
        asked = [self._ask(url, what, headers) for url in self._urls]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        refused = [answer for answer in answers if isinstance(answer, InvalidationRefused)]
        for answer in answers:
            if isinstance(answer, BaseException) and answer not in refused:
                raise answer
        if refused:
            kind = EdgeBusy if all(error.passes for error in refused) else EdgeDenied
            raise kind(" ".join(map(str, refused)))
        return [answer for answer in answers if isinstance(answer, httpx.Response)]

    async def _ask(self, url: str, what: str, headers: Sequence[tuple[str, str]]) -> httpx.Response:
        try:
            answer = await self._http.request("PURGE", url, headers=headers)
        except httpx.HTTPError as error:
            told = f"Varnish at {url} could not be asked for {what}: {type(error).__name__}: {error}."
            raise EdgeBusy(f"{told} The same may be tried again.") from error
        if answer.status_code >= 500:
            raise EdgeBusy(f"Varnish at {url} answered {_line(answer)} to {what}. The same may be tried again.")
        if answer.status_code == 200 and answer.headers.get(VERSION) == OURS:
            return answer
        remedy = REMEDIES.get(answer.reason_phrase, FOREIGN)
        raise EdgeDenied(f"Varnish at {url} answered {_line(answer)} to {what}. To do: {remedy}.")

    def _compare(self, url: str, answer: httpx.Response) -> None:
        theirs = answer.headers["Edgebake-Tag-Header"]
        if theirs.lower() != self._tag_header.lower():
            raise EdgeMisconfigured(
                f"Varnish at {url} takes cache tags from the header '{theirs}', and Edgebake sends them in "
                f"'{self._tag_header}': set EDGEBAKE_TAG_HEADER to '{theirs}', or edit edgebake.vcl."
            )
        for name, limit in (("origin_timeout", self._origin_timeout_s), ("max_ttl", self._max_ttl_s)):
            told = answer.headers[f"Edgebake-{name.replace('_', '-')}"]
            if (found := _seconds(told)) is None or found > limit:
                raise EdgeMisconfigured(
                    f"Varnish at {url} has {name} '{told}' in its site.vcl, which EDGEBAKE_{name.upper()} has as "
                    f"'{limit:g}': set it to '{limit:g}s' there, or it keeps what nobody reckons with any more."
                )


def headers(tags: Sequence[str]) -> Iterator[str]:
    """Yield the tags as values of headers, each of a length that Varnish takes; one at least."""
    line = ""
    for tag in tags:
        if line and len(line) + 1 + len(tag) > HEADER_BYTES:
            yield line
            line = ""
        line = f"{line},{tag}" if line else tag
    yield line


def _line(answer: httpx.Response) -> str:
    return f"{answer.status_code} '{answer.reason_phrase}'"


def _seconds(text: str) -> float | None:
    """Return the seconds of a VCL duration such as ``2s``, None where it is none: ``2`` alone is none to Varnish."""
    return float(text[:-1]) if is_seconds(text) else None
