"""Readers: signed cookies, with which a browser reads a private feed through the edge."""

from time import time
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from feeds.command import Id
from publisher.answers import Cookies, moment
from publisher.endpoint import Call, Endpoint
from publisher.problem import Problem
from publisher.users import living
from publisher.writes import shown

LONGEST_S = 86_400
"""A cookie cannot be taken back, so none is valid for longer than a day."""


class Reading(BaseModel):
    """For how long a reader gets in."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    user: Id
    seconds: Annotated[int, Field(ge=1, le=LONGEST_S)] | None = None


async def make_cookies(call: Call) -> Response:
    """Sign cookies that open a user's private feed, all of it and nothing else."""
    signing = call.backend.signing
    if signing is None:
        raise Problem(
            503, "no cookies can be signed here: set EDGEBAKE_KEY_PAIR_ID and EDGEBAKE_SIGNING_KEY where the API runs"
        )
    reading = call.document(Reading)
    user = await living(call)
    seconds = reading.seconds or signing.seconds
    path, until = f"/private/{user.id}/", int(time()) + seconds
    cookies = signing.sign(f"{signing.public_url}{path}*", until)
    https = signing.public_url.startswith("https:")
    return shown(
        Cookies(
            user=user.id,
            url=f"{signing.public_url}{path}",
            until=moment(until * 1000),
            cookies=dict(cookies),
            set_cookie=tuple(_header(name, value, path, seconds, https=https) for name, value in cookies.items()),
        )
    )


def _header(name: str, value: str, path: str, seconds: int, *, https: bool) -> str:
    """Return a value of ``Set-Cookie`` (RFC 6265 §4.1)."""
    return f"{name}={value}; Path={path}; Max-Age={seconds}; HttpOnly; SameSite=Lax{'; Secure' if https else ''}"


ENDPOINTS = (
    Endpoint("POST", "/api/users/{user}/cookies", "Open a user's private feed", make_cookies, Cookies, Reading, True),
)
