"""The ops port: health, readiness and metrics. The CDN cannot reach it."""

import asyncio

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from redis.asyncio import Redis
from redis.exceptions import RedisError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from feeds.errors import RecordUnavailable
from feeds.record import Record

PATIENCE_S = 2.0


def create_app(redis: Redis, record: Record, template_version: str) -> Starlette:
    """Return the application: ``/healthz`` touches nothing, ``/readyz`` what serving needs, ``/metrics``.

    ``template_version`` is "" for a process without templates.
    """

    async def healthz(_: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(_: Request) -> Response:
        checks = {"redis": await _redis(redis), "database": await _database(record, template_version)}
        ready = all(reason == "ok" for reason in checks.values())
        return JSONResponse(checks | {"templates": template_version}, status_code=200 if ready else 503)

    async def metrics(_: Request) -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return Starlette(routes=[Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", metrics)])


async def _redis(redis: Redis) -> str:
    try:
        await asyncio.wait_for(redis.ping(), PATIENCE_S)
    except (RedisError, OSError, TimeoutError) as error:
        return f"does not answer: {error!r}"
    return "ok"


async def _database(record: Record, template_version: str) -> str:
    try:
        site = await asyncio.wait_for(record.site(), PATIENCE_S)
    except (RecordUnavailable, OSError, TimeoutError) as error:
        return f"does not answer: {error!r}"
    if template_version and site.template_version not in ("", template_version):
        theirs = repr(site.template_version)
        return f"the site's templates are {theirs}, these are {template_version!r}: deploy these, or put the site"
    return "ok"
