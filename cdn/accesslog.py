"""CloudFront's standard access log, version 1: its fields, and a line of it (Developer Guide, standard-logs-reference).

Who reads such logs goes by ``#Fields`` and not by the order here: other years had other fields.
"""

import re
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

VERSION = "#Version: 1.0"
FIELDS = (
    "date", "time", "x-edge-location", "sc-bytes", "c-ip", "cs-method", "cs(Host)", "cs-uri-stem", "sc-status",
    "cs(Referer)", "cs(User-Agent)", "cs-uri-query", "cs(Cookie)", "x-edge-result-type", "x-edge-request-id",
    "x-host-header", "cs-protocol", "cs-bytes", "time-taken", "x-forwarded-for", "ssl-protocol", "ssl-cipher",
    "x-edge-response-result-type", "cs-protocol-version", "fle-status", "fle-encrypted-fields", "c-port",
    "time-to-first-byte", "x-edge-detailed-result-type", "sc-content-type", "sc-content-len", "sc-range-start",
    "sc-range-end",
)  # fmt: skip
"""The names of the 33 fields, in order, as they have been since December 2019."""
HEAD = f"{VERSION}\n#Fields: {' '.join(FIELDS)}\n"
NOTHING = "-"


class ResultType(StrEnum):
    """``x-edge-result-type`` and ``x-edge-response-result-type``: how an answer came about."""

    HIT = "Hit"
    REFRESH_HIT = "RefreshHit"
    MISS = "Miss"
    LIMIT_EXCEEDED = "LimitExceeded"
    CAPACITY_EXCEEDED = "CapacityExceeded"
    ERROR = "Error"
    REDIRECT = "Redirect"
    GENERATED = "FunctionGeneratedResponse"


class DetailedType(StrEnum):
    """``x-edge-detailed-result-type`` where it says more than the result type: where a hit was, or what went wrong."""

    ORIGIN_SHIELD_HIT = "OriginShieldHit"
    ABORTED_ORIGIN = "AbortedOrigin"
    CLIENT_COMM_ERROR = "ClientCommError"
    ERROR = "Error"
    INVALID_REQUEST = "InvalidRequest"
    INVALID_REQUEST_BLOCKED = "InvalidRequestBlocked"
    INVALID_REQUEST_METHOD = "InvalidRequestMethod"
    ORIGIN_COMM_ERROR = "OriginCommError"
    ORIGIN_CONNECT_ERROR = "OriginConnectError"
    ORIGIN_DNS_ERROR = "OriginDnsError"
    ORIGIN_ERROR = "OriginError"
    ORIGIN_READ_ERROR = "OriginReadError"


class Record(NamedTuple):
    """A request that was answered. Texts are as they came, a byte a character (Latin-1); "" is a hyphen in the log.

    ``at`` is Unix time, of the answer's end. ``sc_bytes`` and ``cs_bytes`` count headers too. ``result`` is of the end,
    ``response_result`` of the moment before the answer was sent. ``length``: of the header Content-Length, if there.
    """

    at: float
    location: str
    sc_bytes: int
    ip: str
    port: int
    method: str
    host: str
    path: str
    status: int
    result: str
    response_result: str
    detailed: str
    request_id: str
    host_header: str
    cs_bytes: int
    taken_s: float
    first_byte_s: float
    protocol: str = "http"
    protocol_version: str = "HTTP/1.1"
    referer: str = ""
    user_agent: str = ""
    query: str = ""
    cookie: str = ""
    forwarded_for: str = ""
    content_type: str = ""
    length: int | None = None
    range_start: int | None = None
    range_end: int | None = None


_unsafe = re.compile(r"""[^!$&()*+,\-./0-9:;=?@A-Z_a-z]+""")
"""ASCII 0 to 32, 127 and what follows, and the sixteen that the guide's table lists."""


def line(record: Record) -> str:
    """Return a record as a line of the log."""
    date, time = _moment(int(record.at))
    return (
        f"{date}\t{time}\t{_text(record.location)}\t{record.sc_bytes}\t{_text(record.ip)}\t{_text(record.method)}\t"
        f"{_text(record.host)}\t{_text(record.path)}\t{record.status:03}\t{_text(record.referer)}\t"
        f"{_text(record.user_agent)}\t{_text(record.query)}\t{_text(record.cookie)}\t{record.result}\t"
        f"{_text(record.request_id)}\t{_text(record.host_header)}\t{record.protocol}\t{record.cs_bytes}\t"
        f"{record.taken_s:.3f}\t{_text(record.forwarded_for)}\t-\t-\t{record.response_result}\t"
        f"{record.protocol_version}\t-\t-\t{record.port}\t{record.first_byte_s:.3f}\t{record.detailed}\t"
        f"{_text(record.content_type)}\t{_number(record.length)}\t{_number(record.range_start)}\t"
        f"{_number(record.range_end)}\n"
    )


@lru_cache(maxsize=16_384)
def _text(value: str) -> str:
    """Return a value without blanks and unsafe characters, each percent-encoded; a percent sign is one of them."""
    if not value:
        return NOTHING
    return _unsafe.sub(_escaped, value)


def _escaped(found: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in found[0].encode("latin-1", "replace"))


def _number(value: int | None) -> str:
    return NOTHING if value is None else str(value)


@lru_cache(maxsize=256)
def _moment(second: int) -> tuple[str, str]:
    moment = datetime.fromtimestamp(second, UTC)
    return f"{moment:%Y-%m-%d}", f"{moment:%H:%M:%S}"
