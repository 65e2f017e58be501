"""The way to the origin with its faults: longer, refused, or leading nowhere."""

import asyncio
from collections.abc import Mapping

from cdn.accesslog import DetailedType
from cdn.distribution import OriginSettings
from cdn.local.decision import Failed
from cdn.local.faults import Faults, OriginFault
from cdn.local.origin import Answer
from cdn.local.request import Request
from cdn.local.tier import Upstream


class FaultyOrigin:
    """An upstream before the origin. What it adds counts in the origin's time-outs."""

    def __init__(self, origin: Upstream, faults: Faults, settings: Mapping[str, OriginSettings]) -> None:
        self._origin = origin
        self._faults = faults
        self._settings = settings

    async def get(self, request: Request) -> Answer | Failed:
        """Ask the origin, unless nobody is to be reached."""
        fault = self._faults.now
        if fault.origin is OriginFault.REFUSING:
            return Failed(502, "the origin refuses connections, as was asked for", DetailedType.ORIGIN_CONNECT_ERROR)
        if fault.origin is OriginFault.NONE and not fault.origin_delay_s:
            return await self._origin.get(request)
        limit_s = self._limit_s(request)
        try:
            async with asyncio.timeout(limit_s):
                await self._obstacle(fault.origin, fault.origin_delay_s)
                return await self._origin.get(request)
        except TimeoutError:
            reason = f"nothing came from the origin within {limit_s:g} s, as was asked for"
            return Failed(504, reason, DetailedType.ORIGIN_COMM_ERROR)

    async def _obstacle(self, fault: OriginFault, delay_s: float) -> None:
        """Wait as the fault has it. What was lost on the way does not arrive when the fault ends."""
        if fault is OriginFault.SILENT:
            await asyncio.Event().wait()
        await asyncio.sleep(delay_s)

    def _limit_s(self, request: Request) -> float:
        settings = self._settings.get(request.route.behavior.origin)
        if settings is None:
            return OriginSettings("", "").read_timeout_s
        return settings.completion_timeout_s or settings.read_timeout_s
