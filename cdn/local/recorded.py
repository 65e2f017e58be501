"""What the access log says of a request that was answered (Developer Guide, standard-logs-reference)."""

from typing import NamedTuple

from cdn.accesslog import DetailedType, Record
from cdn.local.flights import Landing
from cdn.local.objects import Headers
from cdn.local.request import Request, path_of
from cdn.local.results import Result, told
from cdn.local.topology import SHIELD
from cdn.local.viewer import value_of

ORIGIN = "origin"
LINE = len("GET  HTTP/1.1\r\n\r\n")
"""Bytes of a request besides its path and headers, about."""


class Sent(NamedTuple):
    """A request and what was sent for it. Times are seconds since it came."""

    request: Request
    landing: Landing
    status: int
    headers: Headers
    length: int
    first_byte_s: float
    taken_s: float


def record_of(sent: Sent, at: float, location: str, host: str) -> Record:
    """Return the record of a request. ``at``: Unix time. ``host``: the distribution's domain. No cookies."""
    request, scope = sent.request, sent.request.scope
    ip, port = scope.get("client") or ("", 0)
    result = seen(sent.landing, sent.status).value
    length = value_of(sent.headers, b"content-length")
    start, end = _range(sent.headers)
    return Record(
        at=at,
        location=location,
        sc_bytes=_head_size(sent.headers) + sent.length,
        ip=ip,
        port=port,
        method=scope["method"],
        host=host,
        path=path_of(scope),
        status=sent.status,
        result=result,
        response_result=result,
        detailed=detailed(sent.landing, sent.status),
        request_id=request.id,
        host_header=_header(request, b"host"),
        cs_bytes=LINE + len(scope["raw_path"]) + len(scope["query_string"]) + _head_size(scope["headers"]),
        taken_s=sent.taken_s,
        first_byte_s=sent.first_byte_s,
        protocol=scope.get("scheme", "http"),
        protocol_version=f"HTTP/{scope.get('http_version', '1.1')}",
        referer=_header(request, b"referer"),
        user_agent=_header(request, b"user-agent"),
        query=scope["query_string"].decode("latin-1"),
        forwarded_for=_header(request, b"x-forwarded-for"),
        content_type=(value_of(sent.headers, b"content-type") or b"").decode("latin-1"),
        length=int(length) if length is not None and length.isdigit() else None,
        range_start=start,
        range_end=end,
    )


def seen(landing: Landing, status: int) -> Result:
    """Return what a viewer is told: of every error that it is one, and of what another cache had that it was a hit."""
    is_elsewhere = landing.result is Result.MISS and landing.reply.found != ORIGIN
    return told(Result.HIT if is_elsewhere else landing.result, status)


def detailed(landing: Landing, status: int) -> str:
    """Return ``x-edge-detailed-result-type``. Only of the shield's hits the guide says that they are named there."""
    result = seen(landing, status)
    if result is Result.ERROR:
        return DetailedType.ERROR if landing.failed is None else landing.failed.word
    if landing.result is Result.MISS and landing.reply.found == SHIELD:
        return DetailedType.ORIGIN_SHIELD_HIT
    return str(result.value)


def _header(request: Request, name: bytes) -> str:
    return request.headers.get(name, b"").decode("latin-1")


def _head_size(headers: Headers) -> int:
    return sum(len(name) + len(value) + 4 for name, value in headers)


def _range(headers: Headers) -> tuple[int | None, int | None]:
    """Return the ends that Content-Range tells, as in ``bytes 0-99/1234``."""
    told = (value_of(headers, b"content-range") or b"").decode("latin-1")
    start, _, end = told.removeprefix("bytes ").partition("/")[0].partition("-")
    return (int(start), int(end)) if start.isdigit() and end.isdigit() else (None, None)
