"""The site: what every page shows of it."""

from starlette.responses import Response

from feeds.command import PutSite
from publisher.answers import SiteAnswer, Written
from publisher.endpoint import Call, Endpoint
from publisher.writes import shown, write


async def read_site(call: Call) -> Response:
    """Show the site."""
    return shown(SiteAnswer.of(await call.backend.record.site()))


ENDPOINTS = (
    Endpoint("GET", "/api/site", "Read the site", read_site, SiteAnswer),
    Endpoint("PUT", "/api/site", "Replace the site", write, Written, PutSite, status=202),
)
