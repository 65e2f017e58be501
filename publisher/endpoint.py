"""Endpoints: one row of the API's table each, and what carries a request from its path to its answer."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from pydantic import BaseModel
from redis.exceptions import RedisError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from feeds import trace
from feeds.errors import FeedsError
from feeds.ids import is_id
from feeds.jobs import Jobs
from feeds.progress import Progress
from feeds.record import Record
from feeds.refusing import Refusing
from feeds.visits import Noted, Visit
from publisher import bodies
from publisher.bodies import Document
from publisher.problem import Problem, demand_utf8, of_feeds, of_id, of_redis
from publisher.signing import Signing


@dataclass(frozen=True, slots=True)
class Backend:
    """What the endpoints work with.

    ``activity`` notes that a user is active, False where there is none; ``visits`` when many were. ``refuse`` says why
    no more writes are taken, but for those that must not wait; None where they are. ``signing``: None where no cookies
    can be made.
    """

    record: Record
    progress: Callable[[str], Awaitable[Progress | None]]
    activity: Callable[[str], Awaitable[bool]]
    visits: Callable[[Sequence[Visit]], Awaitable[Noted]]
    jobs: Jobs
    refuse: Callable[[], Awaitable[Refusing | None]] | None
    max_body: int
    signing: Signing | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """One request at an endpoint. ``ids`` are the names in its path, each within the grammar but for tags."""

    backend: Backend
    endpoint: "Endpoint"
    request: Request
    ids: Mapping[str, str]
    body: bytes

    def document(self, model: type[Document]) -> Document:
        """Return the body and the names in the path as ``model``. Raises Problem 400, 415 or 422."""
        if not self.body and self.endpoint.body_optional:
            return bodies.validated(model, {}, self.ids)
        bodies.check_type(self.request)
        return bodies.validated(model, bodies.parse(self.body), self.ids)


TAG_NAME = "tag"
"""The name in a path that is no id: it may hold slashes."""

Handler = Callable[[Call], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A row of the table: what answers a method at a path, and the types that go in and out, None for no body."""

    method: str
    path: str
    summary: str
    handler: Handler
    answer: type[BaseModel] | None
    body: type[BaseModel] | None = None
    body_optional: bool = False
    status: int = 200
    public: bool = False

    @property
    def key(self) -> str:
        """How people and the documentation name it: ``PUT /api/site``."""
        return f"{self.method} {self.path}"


class Resource:
    """The ASGI application at one path: its methods, and every refusal as a problem."""

    def __init__(self, backend: Backend, endpoints: Sequence[Endpoint]) -> None:
        self._backend = backend
        self._path = endpoints[0].path
        self._methods = {endpoint.method: endpoint for endpoint in endpoints}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        request = Request(scope, receive)
        began = trace.began()
        trace.CALLER.set(request.headers.get("traceparent", "") if began else "")
        try:
            response = await self._answer(request)
        except Problem as problem:
            response = problem.response()
        except ClientDisconnect:
            return  # nobody is there to read an answer, and nothing was kept
        trace.step(f"{request.method} {self._path}", "", began, path=request.url.path, status=response.status_code)
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        endpoint = self._endpoint(request)
        ids: dict[str, str] = request.path_params
        for name, value in ids.items():
            if name == TAG_NAME:  # its rule is its command's, but for bytes that were no UTF-8
                demand_utf8(name, value)
            elif not is_id(value):
                raise of_id(name, value)
        body = await bodies.read(request, self._backend.max_body)
        try:
            return await endpoint.handler(Call(self._backend, endpoint, request, ids, body))
        except FeedsError as failure:
            raise of_feeds(failure, path=ids, batch=endpoint.path == "/api/changes") from failure
        except (RedisError, TimeoutError) as failure:
            raise of_redis(failure) from failure

    def _endpoint(self, request: Request) -> Endpoint:
        # The router's regular expressions let a newline pass at the end of a path.
        if not request.scope["path"].endswith(self._path.format(**request.path_params)):
            raise Problem(404, "there is nothing at this path: /api lists what there is")
        method = "GET" if request.method == "HEAD" else request.method
        if method not in self._methods:
            allowed = ", ".join(sorted(self._methods))
            raise Problem(405, f"{self._path} takes {allowed}", headers={"Allow": allowed})
        return self._methods[method]
