"""CloudFront's REST-XML API, as much of it as invalidating takes: ``boto3.client("cloudfront", endpoint_url=…)``.

Signatures are not verified: listen on a loopback address.
"""

import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cdn.local import documents, policies
from cdn.local.config import LocalEdgeConfig
from cdn.local.invalidations import Invalidation, Invalidations
from cdn.local.refusals import BatchTooLarge, InvalidArgument, MissingBody, NoSuchDistribution, NoSuchResource, Refusal
from cdn.local.results import EVENTS

VERSION = "/2020-05-31"
ETAG = {"ETag": "E0LOCAL"}
MAX_BODY = 16 * 1024 * 1024
PAGE = 100
MOST_DIGITS = 9
"""Of a page's size; Python refuses to read thousands of them."""

Endpoint = Callable[[Request], Awaitable[Response]]


def create_api(config: LocalEdgeConfig, invalidations: Invalidations) -> Starlette:
    """Return the ASGI application of the API."""
    api = _Api(config, invalidations)
    one = VERSION + "/distribution/{distribution}"
    routes = [
        Route(one, api.get_distribution, methods=["GET"]),
        Route(one + "/config", api.get_distribution_config, methods=["GET"]),
        Route(one + "/invalidation", api.create_invalidation, methods=["POST"]),
        Route(one + "/invalidation", api.list_invalidations, methods=["GET"]),
        Route(one + "/invalidation/{invalidation}", api.get_invalidation, methods=["GET"]),
        *(Route(f"{VERSION}/{kind}/{{policy:path}}", api.policy_of(kind), methods=["GET"]) for kind in policies.KINDS),
    ]
    answered = {Refusal: _refused, 404: _no_such_call, 405: _no_such_call}
    return Starlette(routes=routes, exception_handlers=answered)


class _Api:
    def __init__(self, config: LocalEdgeConfig, invalidations: Invalidations) -> None:
        self._config = config
        self._invalidations = invalidations
        self._started = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    async def create_invalidation(self, request: Request) -> Response:
        self._check_distribution(request)
        batch = documents.read_batch(await _body(request))
        taken = self._invalidations.create(batch.reference, batch.items)
        EVENTS.info("invalidation", extra={"fields": {"items": len(taken.items), "batch": taken.reference}})
        location = f"{str(request.url).rstrip('/')}/{taken.id}"
        return _xml(self._document(taken), 201, {"Location": location})

    async def get_invalidation(self, request: Request) -> Response:
        self._check_distribution(request)
        return _xml(self._document(self._invalidations.get(request.path_params["invalidation"])))

    async def list_invalidations(self, request: Request) -> Response:
        self._check_distribution(request)
        marker = request.query_params.get("Marker", "")
        size = _page_size(request.query_params.get("MaxItems", str(PAGE)))
        page = self._invalidations.page(marker, size)
        complete = [self._invalidations.is_complete(each) for each in page.invalidations]
        return _xml(documents.invalidations(page, complete, marker, size))

    async def get_distribution(self, request: Request) -> Response:
        self._check_distribution(request)
        running = len(self._invalidations.in_progress())
        return _xml(documents.distribution(self._config, self._started, running), headers=ETAG)

    async def get_distribution_config(self, request: Request) -> Response:
        self._check_distribution(request)
        return _xml(documents.distribution_config(self._config), headers=ETAG)

    def policy_of(self, kind: str) -> Endpoint:
        """Return what answers a call for a policy of a kind."""

        async def get_policy(request: Request) -> Response:
            found = policies.policy(self._config.distribution, kind, request.path_params["policy"])
            if found is None:
                raise NoSuchResource("No behaviour of the distribution names such a policy.")
            return _xml(documents.render(*found), headers=ETAG)

        return get_policy

    def _check_distribution(self, request: Request) -> None:
        if request.path_params["distribution"] != self._config.distribution.id:
            raise NoSuchDistribution

    def _document(self, of: Invalidation) -> bytes:
        return documents.invalidation(of, self._invalidations.is_complete(of))


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise BatchTooLarge
    if not body:
        raise MissingBody
    return bytes(body)


def _page_size(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > MOST_DIGITS or int(text) < 1:
        raise InvalidArgument(f"The parameter MaxItems is '{text}': it must be a whole number above 0.")
    return min(int(text), PAGE)


def _xml(document: bytes, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    request_id = {"x-amzn-RequestId": str(uuid.uuid4())}
    return Response(document, status, {**request_id, **(headers or {})}, media_type="text/xml")


async def _refused(request: Request, refusal: Exception) -> Response:
    told = refusal if isinstance(refusal, Refusal) else NoSuchResource()
    request_id = str(uuid.uuid4())
    document = documents.error(told, request_id)
    return Response(document, told.status, {"x-amzn-RequestId": request_id}, media_type="text/xml")


async def _no_such_call(request: Request, _: Exception) -> Response:
    return await _refused(request, NoSuchResource())
