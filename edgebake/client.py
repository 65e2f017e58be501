"""A client of the write API, for the command line: says what became of a write, and waits until it is live."""

import json
import sys
import time
from types import TracebackType
from typing import Any, Self

import httpx

from edgebake.errors import ApiAway, CommandError
from edgebake.settings import Settings

TIMEOUT_S = 15.0
WAIT_S = 120.0
LOOK_S = 0.02
LONGEST_LOOK_S = 0.5
SHARDS_A_LINE = 8
"""A line says how many shards are left each time that so many more were reached."""


class Client:
    """Talks to the API that the settings name."""

    def __init__(self, settings: Settings, transport: httpx.BaseTransport | None = None) -> None:
        """``transport``: in place of the network."""
        self._url = settings.api_url
        token = {"Authorization": f"Bearer {settings.api_token.reveal()}"}
        # Not through the machine's proxy: the API's port is on this host or in a private network.
        self._http = httpx.Client(
            base_url=self._url, headers=token, timeout=TIMEOUT_S, trust_env=False, transport=transport
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._http.close()

    def write(
        self, method: str, path: str, body: dict[str, object] | None, *, wait: bool, as_json: bool
    ) -> dict[str, Any]:
        """Write, and print what became of it. Raises CommandError with the API's reason."""
        written = self.ask(method, path, body)
        change = written["change"]
        if not as_json:
            print(f"{written['status']}: {written['subject']}" + (f", change {change}" if change else ""))
        if wait and change:
            written["progress"] = self.until_live(change, _Teller(quiet=as_json))
        if as_json:
            json.dump(written, sys.stdout)
            print()
        return written

    def until_live(self, change: str, teller: "_Teller | None" = None) -> dict[str, Any]:
        """Wait for a change and return its progress. Raises CommandError where it comes no further for WAIT_S.

        An API that is away meanwhile is asked again: the change is written, and goes on without it.
        """
        look, deadline = LOOK_S, time.monotonic() + WAIT_S
        teller = teller or _Teller(quiet=True)
        while not teller.is_over(progress := self._ask_until(deadline, f"/api/changes/{change}")):
            if (parked := progress.get("parked")) is not None:
                raise CommandError(
                    f"change {change} is parked after {parked['tries']} tries, and is not live: {parked['error']}. "
                    f"When what is wrong is mended: edgebake park retry {change}"
                )
            if teller.moved:
                deadline = time.monotonic() + WAIT_S
            if time.monotonic() > deadline:
                raise CommandError(
                    f"change {change} is {progress['state']} for {WAIT_S:g} s, and not live: it is not lost; see the "
                    "log of the relay, fan-out and invalidator."
                )
            time.sleep(look)
            look = min(LONGEST_LOOK_S, look * 1.5)
        return progress

    def ask(self, method: str, path: str, body: dict[str, object] | None) -> dict[str, Any]:
        """Ask the API and return its answer. Raises CommandError with the API's reason, ApiAway where that may pass."""
        try:
            answer = self._http.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise ApiAway(f"the API at {self._url} does not answer: {error}", LONGEST_LOOK_S) from error
        found = _document(answer)
        if answer.is_error:
            told = f"the API refused it ({answer.status_code}): {_reason(found) or answer.reason_phrase}"
            after = answer.headers.get("Retry-After", "")
            raise ApiAway(told, float(after)) if after.isdecimal() else CommandError(told)
        return found

    def _ask_until(self, deadline: float, path: str) -> dict[str, Any]:
        """Read something, and again where the API is away, until a moment of the monotonic clock."""
        while True:
            try:
                return self.ask("GET", path, None)
            except ApiAway as away:
                if time.monotonic() + away.after_s > deadline:
                    raise
                time.sleep(away.after_s)


class _Teller:
    """Tells of a change's progress as it comes: ``sent`` is what most wait for, ``live`` follows its second tap."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._told: set[str] = set()
        self._last: tuple[str, int | None] = ("", None)
        self._left = -1
        self.moved = False

    def is_over(self, progress: dict[str, Any]) -> bool:
        """Look at a change's progress; tell whether it is live."""
        left = progress.get("shards_left")
        now = (progress["state"], left)
        self.moved, self._last = now != self._last, now
        if left is not None and left // SHARDS_A_LINE != self._left:
            self._left = left // SHARDS_A_LINE
            self._say(f"rolling: {left} shards left")
        for state in ("sent", "live"):
            if progress[state]:
                self._say(f"{state} after {progress[state]['ms']} ms")
        return bool(progress["state"] == "live")

    def _say(self, line: str) -> None:
        if not self._quiet and line not in self._told:
            print(line, flush=True)
        self._told.add(line)


def _reason(problem: dict[str, Any]) -> str:
    """Return a problem's reason (RFC 9457), with each value that it is about."""
    errors = [f"{error['field']} is {error['value']!r}: {error['reason']}" for error in problem.get("errors", ())]
    return "; ".join(errors) or str(problem.get("detail", ""))


def _document(answer: httpx.Response) -> dict[str, Any]:
    try:
        found = answer.json()
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {}
