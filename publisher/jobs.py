"""Jobs: a full recalculation that somebody asks for, and how far a job is."""

import hashlib
from collections.abc import Sequence
from typing import Annotated, Literal
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag
from starlette.responses import Response

from feeds.command import Id
from feeds.jobs import Job
from feeds.model import UserState
from publisher.answers import JobAnswer
from publisher.endpoint import Call, Endpoint
from publisher.problem import FieldError, Problem
from publisher.writes import idempotency_key, shown

RECOMPUTE = "recompute"
"""The kind of job that a worker takes for a recalculation."""
MAX_USERS = 10_000
"""Users that one request names; ``edgebake recompute --users`` reads more from a file."""


def _kind_of(users: object) -> str:
    return "ids" if isinstance(users, Sequence) and not isinstance(users, str) else "word"


class Recompute(BaseModel):
    """Rank the timelines of users anew."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    users: Annotated[
        Annotated[Literal["active", "all"], Tag("word")]
        | Annotated[tuple[Id, ...], Field(min_length=1, max_length=MAX_USERS), Tag("ids")],
        Discriminator(_kind_of),
    ] = "active"


async def start_recompute(call: Call) -> Response:
    """Queue a recalculation."""
    users = call.document(Recompute).users
    if not isinstance(users, str):
        await _demand(call, users)
    params = {"users": users if isinstance(users, str) else list(users)}
    key = idempotency_key(call)
    name = None if key is None else f"{RECOMPUTE}-{hashlib.sha256(key.key.encode()).hexdigest()[:28]}"
    job = await call.backend.jobs.create(RECOMPUTE, params, name=name)
    if key is not None and job.params != params:
        reason = "it named another job; take a new one"
        raise Problem(409, f"Idempotency-Key: {reason}", [FieldError("Idempotency-Key", key.key, reason)])
    return _accepted(job)


async def read_job(call: Call) -> Response:
    """Show how far a job is."""
    return shown(JobAnswer.of(_known(call, await call.backend.jobs.get(call.ids["job"]))))


async def cancel_job(call: Call) -> Response:
    """Tell a job to end. What it has done stays."""
    return _accepted(_known(call, await call.backend.jobs.cancel(call.ids["job"])))


async def _demand(call: Call, users: Sequence[str]) -> None:
    """Raise Problem 422 unless all of the users are there."""
    found = await call.backend.record.users(users)
    errors = []
    for at, user in enumerate(users):
        if user not in found:
            errors.append(FieldError(f"users[{at}]", user, "there is no such user"))
        elif found[user].state is UserState.DELETED:
            errors.append(FieldError(f"users[{at}]", user, "this user was deleted"))
    if errors:
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        raise Problem(422, f"{errors[0].field}: {errors[0].reason}{more}", errors)


def _known(call: Call, job: Job | None) -> Job:
    if job is not None:
        return job
    reason = "does not exist, or is over for a week"
    raise Problem(404, f"job: {call.ids['job']!r} {reason}", [FieldError("job", call.ids["job"], reason)])


def _accepted(job: Job) -> Response:
    return shown(JobAnswer.of(job), 202, {"Location": f"/api/jobs/{quote(job.id, safe='')}"})


ENDPOINTS = (
    Endpoint("POST", "/api/recompute", "Rank timelines anew", start_recompute, JobAnswer, Recompute, True, 202),
    Endpoint("GET", "/api/jobs/{job}", "Read how far a job is", read_job, JobAnswer),
    Endpoint("DELETE", "/api/jobs/{job}", "Cancel a job", cancel_job, JobAnswer, status=202),
)
