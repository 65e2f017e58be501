"""Changes: many commands at once, invalidations that somebody asks for, and how far a change is."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from feeds.command import Command, Invalidate
from feeds.progress import Progress
from publisher.answers import ChangeAnswer, ParkedAnswer, Reached, Written, WrittenBatch, moment
from publisher.endpoint import Call, Endpoint
from publisher.problem import FieldError, Problem
from publisher.writes import apply, shown, write, written

MAX_COMMANDS = 1000


class Batch(BaseModel):
    """Commands that are kept together or not at all."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    commands: Annotated[tuple[Command, ...], Field(min_length=1, max_length=MAX_COMMANDS)]


async def write_batch(call: Call) -> Response:
    """Do all commands or none."""
    commands = call.document(Batch).commands
    outcomes = await apply(call, commands)
    results = tuple(map(written, commands, outcomes))
    notes = dict.fromkeys(note for result in results for note in result.notes)
    return shown(WrittenBatch(results=results, notes=tuple(notes)), 202)


async def read_change(call: Call) -> Response:
    """Show how far a change is."""
    name = call.ids["change"]
    progress = await call.backend.progress(name)
    if progress is None:
        reason = "does not exist, or has been live for a week"
        raise Problem(404, f"change: {name!r} {reason}", [FieldError("change", name, reason)])
    return shown(change_answer(progress))


def change_answer(progress: Progress) -> ChangeAnswer:
    """Return how far a change is as the API shows it."""
    accepted_ms = progress.at["accepted"]
    reached = {state: Reached(at=moment(ms), ms=ms - accepted_ms) for state, ms in progress.at.items()}
    return ChangeAnswer(
        id=progress.change,
        kind=progress.kind,
        subject=progress.subject,
        state=progress.state,
        accepted=reached["accepted"],
        readable=reached.get("readable"),
        sent=reached.get("sent"),
        live=reached.get("live"),
        shards_left=progress.shards_left,
        parked=_parked(progress),
    )


def _parked(progress: Progress) -> ParkedAnswer | None:
    if (row := progress.parked) is None:
        return None
    return ParkedAnswer(at=moment(row.parked_ms), ms=row.parked_ms - row.accepted_ms, tries=row.tries, error=row.error)


ENDPOINTS = (
    Endpoint("POST", "/api/changes", "Do up to 1,000 commands at once", write_batch, WrittenBatch, Batch, status=202),
    Endpoint("GET", "/api/changes/{change}", "Read how far a change is", read_change, ChangeAnswer),
    Endpoint("POST", "/api/invalidations", "Forget what is cached", write, Written, Invalidate, status=202),
)
