"""A viewer: reads feeds through the edge as any client does, without a word that would make it pass its cache."""

from collections.abc import Callable

import httpx

from cdn.errors import EdgeMisconfigured
from feeds.progress import now_ms
from invalidator.audit import Answer
from invalidator.shown import Page, read

COUNT = "Edgebake-Count"
LATE = "Edgebake-Late"
MISSING_S = 5
"""Seconds for which an edge keeps that a feed is not there."""


class Viewer:
    """Reads first pages as JSON. ``life_s``: how long an edge may serve one, stale while it refreshes it included.

    ``clock`` tells the audit's time, in Unix milliseconds.
    """

    def __init__(self, http: httpx.AsyncClient, url: str, life_s: int, clock: Callable[[], int] = now_ms) -> None:
        self._http = http
        self._url = url.rstrip("/")
        self._life_s = life_s
        self.now_ms = clock

    async def read(self, user: str) -> Answer:
        """Return what the edge answers for a user's feed. Raises EdgeMisconfigured where it keeps the count back."""
        asked_ms = self.now_ms()
        try:
            got = await self._http.get(f"{self._url}/feed/{user}/feed.json")
            page = read(got.status_code, got.content)
        except (httpx.HTTPError, ValueError):
            return Answer(asked_ms, Page(0))
        if COUNT not in got.headers:
            return self._without(got, asked_ms, page)
        _, _, count = got.headers[COUNT].partition(":")
        age = got.headers.get("Age", "0")
        if not (count.isdecimal() and age.isdecimal()):
            return Answer(asked_ms, page)  # some proxy's words: they say nothing
        life_s = self._life_s if got.status_code == 200 else MISSING_S
        return Answer(asked_ms, page, int(count), LATE in got.headers, asked_ms + 1000 * (life_s - int(age)))

    def _without(self, got: httpx.Response, asked_ms: int, page: Page) -> Answer:
        if got.status_code == 200:
            raise EdgeMisconfigured(
                f"{self._url} answers without the header {COUNT}, so nothing can be compared: let the edge's response "
                "headers policy pass it on, or set EDGEBAKE_PUBLIC_URL to where feeds are read."
            )
        return Answer(asked_ms, page)
