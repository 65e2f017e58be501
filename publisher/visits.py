"""Visits: who read their feed at the edge, as its logs tell, many at once."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from feeds.command import Id, Moment, milliseconds
from feeds.visits import MOST_SHOWN, Visit
from publisher.endpoint import Call, Endpoint
from publisher.writes import shown

MAX_VISITS = 1000


class VisitBody(BaseModel):
    """A user read their feed at a time; ``shown`` are the posts of the page, where they are known."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    user: Id
    at: Moment
    shown: Annotated[tuple[Id, ...], Field(max_length=MOST_SHOWN)] = ()


class VisitsBody(BaseModel):
    """Visits, in any order."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    visits: Annotated[tuple[VisitBody, ...], Field(min_length=1, max_length=MAX_VISITS)]


class VisitsAnswer(BaseModel):
    """What became of visits."""

    model_config = ConfigDict(frozen=True)

    noted: int = Field(description="Users whose last visit was noted.")
    old: int = Field(description="Users whose last visit is longer ago than EDGEBAKE_ACTIVE_DAYS: they are not active.")
    unknown: tuple[str, ...] = Field(description="Ids of no user, or of one who was deleted.")


async def note_visits(call: Call) -> Response:
    """Note visits. What was told before changes nothing."""
    body = call.document(VisitsBody)
    visits = [Visit(visit.user, milliseconds(visit.at), visit.shown) for visit in body.visits]
    noted = await call.backend.visits(visits)
    return shown(VisitsAnswer(noted=noted.noted, old=noted.old, unknown=noted.unknown))


ENDPOINTS = (
    Endpoint("POST", "/api/visits", "Say who read their feed, and when", note_visits, VisitsAnswer, VisitsBody),
)
