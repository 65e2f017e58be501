"""The write API: the one page that says what answers where."""

from collections.abc import Awaitable, Callable, Sequence
from itertools import groupby

import orjson
from pydantic import BaseModel, ConfigDict
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from feeds.jobs import Jobs
from feeds.progress import Progress
from feeds.record import Record
from feeds.refusing import Refusing
from feeds.visits import Noted, Visit
from publisher import changes, jobs, openapi, posts, readers, site, users, visits
from publisher.answers import Links
from publisher.auth import BearerAuth
from publisher.bodies import MAX_BODY
from publisher.endpoint import TAG_NAME, Backend, Call, Endpoint, Resource
from publisher.problem import Problem
from publisher.signing import Signing
from publisher.writes import shown

OPENAPI = "/api/openapi.json"


class OpenApi(BaseModel):
    """An OpenAPI 3.1 document."""

    model_config = ConfigDict(extra="allow")

    openapi: str


async def read_index(call: Call) -> Response:
    """List what there is."""
    paths = dict.fromkeys(endpoint.path for endpoint in ENDPOINTS)
    return shown(Links(links={_link_name(path): path for path in paths}))


def _link_name(path: str) -> str:
    return " ".join(part.strip("{}") for part in path.split("/")[2:]) or "self"


async def read_openapi(call: Call) -> Response:
    """Give the OpenAPI document."""
    return Response(orjson.dumps(openapi.document(ENDPOINTS)), media_type="application/json")


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint("GET", "/api", "List what there is", read_index, Links),
    Endpoint("GET", OPENAPI, "Read this document", read_openapi, OpenApi, public=True),
    *users.ENDPOINTS,
    *readers.ENDPOINTS,
    *visits.ENDPOINTS,
    *posts.ENDPOINTS,
    *site.ENDPOINTS,
    *changes.ENDPOINTS,
    *jobs.ENDPOINTS,
)


def create_app(
    record: Record,
    *,
    token: str,
    progress: Callable[[str], Awaitable[Progress | None]],
    activity: Callable[[str], Awaitable[bool]],
    visits: Callable[[Sequence[Visit]], Awaitable[Noted]],
    jobs: Jobs,
    refuse: Callable[[], Awaitable[Refusing | None]] | None = None,
    max_body: int = MAX_BODY,
    signing: Signing | None = None,
) -> Starlette:
    """Return the write API over ``record``.

    ``progress`` says how far a change is, None where there is no such change. ``activity`` notes that a user is
    active, and returns False where there is no such user; ``visits`` notes when many were. ``refuse`` says why no more
    writes are taken, None where they are. ``signing`` makes cookies for private feeds. Raises ValueError for an empty
    token: it would let everybody in.
    """
    if not token:
        raise ValueError("the token is empty: set EDGEBAKE_API_TOKEN")
    backend = Backend(record, progress, activity, visits, jobs, refuse, max_body, signing)
    app = Starlette(
        routes=_routes(backend),
        middleware=[Middleware(BearerAuth, token=token, open_paths={OPENAPI})],
        exception_handlers={404: _not_found, 500: _failed},
    )
    app.router.redirect_slashes = False  # one spelling of each path
    return app


def _routes(backend: Backend) -> Sequence[Route]:
    by_path = sorted(ENDPOINTS, key=lambda endpoint: endpoint.path)
    grouped = groupby(by_path, key=lambda endpoint: endpoint.path)
    return [Route(_pattern(path), Resource(backend, list(endpoints))) for path, endpoints in grouped]


def _pattern(path: str) -> str:
    return path.replace(f"{{{TAG_NAME}}}", f"{{{TAG_NAME}:path}}")


async def _not_found(request: Request, error: Exception) -> Response:
    return Problem(404, "there is nothing at this path: /api lists what there is").response()


async def _failed(request: Request, error: Exception) -> Response:
    return Problem(500, "this is a mistake in Edgebake; its log says more").response()
