"""Changes: many commands at once, invalidations that somebody asks for, and how far a change is."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from feeds.command import Command, Invalidate
from feeds.outbox import ChangeRow
from publisher.answers import ChangeAnswer, Reached, State, Written, WrittenBatch, moment
from publisher.endpoint import Call, Endpoint, Progress
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
    row = await call.backend.record.change(name)
    if row is None:
        reason = "does not exist, or has been live for a week"
        raise Problem(404, f"change: {name!r} {reason}", [FieldError("change", name, reason)])
    return shown(change_answer(row, await call.backend.progress(name)))


def change_answer(row: ChangeRow, progress: Progress | None) -> ChangeAnswer:
    """Return what the outbox and the workers know of a change."""
    readable_ms = progress.readable_ms if progress else None
    sent_ms = progress.sent_ms if progress else None
    live_ms = progress.live_ms if progress else None
    reached: dict[State, int | None] = {
        "live": row.live_ms if live_ms is None else live_ms,
        "sent": sent_ms,
        "readable": readable_ms,
        "accepted": row.accepted_ms,
    }
    return ChangeAnswer(
        id=row.id,
        kind=row.kind,
        subject=row.subject,
        state=next(state for state, at_ms in reached.items() if at_ms is not None),
        accepted=Reached(at=moment(row.accepted_ms), ms=0),
        readable=_reached(row, readable_ms),
        sent=_reached(row, sent_ms),
        live=_reached(row, reached["live"]),
    )


def _reached(row: ChangeRow, unix_ms: int | None) -> Reached | None:
    return None if unix_ms is None else Reached(at=moment(unix_ms), ms=unix_ms - row.accepted_ms)


ENDPOINTS = (
    Endpoint("POST", "/api/changes", "Do up to 1,000 commands at once", write_batch, WrittenBatch, Batch, status=202),
    Endpoint("GET", "/api/changes/{change}", "Read how far a change is", read_change, ChangeAnswer),
    Endpoint("POST", "/api/invalidations", "Forget what is cached", write, Written, Invalidate, status=202),
)
