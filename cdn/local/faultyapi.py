"""CloudFront's API with its faults, and the way to set them beside it."""

import asyncio
import json
import uuid
from collections.abc import Sequence
from ipaddress import ip_address

from cdn.local import documents
from cdn.local.asgi import App, Receive, Scope, Send, respond
from cdn.local.faults import NO_FAULT, ApiFault, Fault, Faults, read
from cdn.local.places import Place
from cdn.local.refusals import AccessDenied, Refusal, ServiceUnavailable, Throttling, TooManyInvalidationsInProgress

PATH = "/faults"
MAX_BODY = 65_536
REFUSALS: dict[ApiFault, type[Refusal]] = {
    ApiFault.THROTTLED: Throttling,
    ApiFault.QUOTA: TooManyInvalidationsInProgress,
    ApiFault.UNAVAILABLE: ServiceUnavailable,
    ApiFault.DENIED: AccessDenied,
    ApiFault.SILENT: ServiceUnavailable,
}


class FaultyApi:
    """An ASGI application before another one: answers as the fault has it, and where there is none lets it answer."""

    def __init__(self, api: App, faults: Faults, places: Sequence[Place]) -> None:
        self._api = api
        self._faults = faults
        self._places = {place.name: place for place in places}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == PATH:
            await self._answer(scope, receive, send)
        elif scope["type"] == "http":
            await self._pass(scope, receive, send)
        else:
            await self._api(scope, receive, send)

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        fault = self._faults.now
        await asyncio.sleep(fault.api_delay_s)
        if fault.api is ApiFault.NONE:
            await self._api(scope, receive, send)
            return
        self._faults.refused += 1
        if fault.api is ApiFault.SILENT and await self._is_left(receive):
            return
        await _refuse(send, REFUSALS[fault.api]())

    async def _is_left(self, receive: Receive) -> bool:
        """Say nothing for as long as the fault lasts, and tell whether the caller left before its end."""
        over, left = asyncio.create_task(self._faults.change()), asyncio.create_task(_disconnected(receive))
        done, waiting = await asyncio.wait((over, left), return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
        return left in done

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not _is_local(scope):
            await _tell(send, 403, {"error": "faults are set from this machine only"})
            return
        try:
            await self._change(scope["method"], receive)
        except ValueError as error:
            await _tell(send, 400, {"error": str(error)})
            return
        await _tell(send, 200, {**self._faults.now.told(), "refused": self._faults.refused})

    async def _change(self, method: str, receive: Receive) -> None:
        if method == "PUT":
            told = json.loads(await _body(receive))
            self._set(read(told, self._faults.now, frozenset(self._places)))
        elif method == "DELETE":
            self._set(NO_FAULT)
        elif method != "GET":
            raise ValueError(f"{PATH} takes GET, PUT and DELETE, not {method}")

    def _set(self, fault: Fault) -> None:
        self._faults.set(fault)
        for name, place in self._places.items():
            place.withheld = name in fault.withheld


async def _refuse(send: Send, refusal: Refusal) -> None:
    request = str(uuid.uuid4())
    headers = [(b"content-type", b"text/xml"), (b"x-amzn-requestid", request.encode())]
    body = documents.error(refusal, request)
    await respond(send, refusal.status, [*headers, (b"content-length", b"%d" % len(body))], body)


async def _tell(send: Send, status: int, told: object) -> None:
    body = json.dumps(told).encode() + b"\n"
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await respond(send, status, headers, body)


async def _body(receive: Receive) -> bytes:
    body = b""
    while len(body) <= MAX_BODY:
        message = await receive()
        body += bytes(message.get("body", b""))
        if not message.get("more_body"):
            return body
    raise ValueError(f"a body of more than {MAX_BODY} bytes tells no faults")


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _is_local(scope: Scope) -> bool:
    try:
        return ip_address((scope.get("client") or ("", 0))[0]).is_loopback
    except ValueError:
        return False
