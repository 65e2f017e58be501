"""Writes: commands into the system of record, and what the caller is told of each."""

import hashlib
import re
from collections.abc import Sequence
from typing import assert_never
from urllib.parse import quote

from pydantic import BaseModel
from starlette.responses import Response

from feeds.command import (
    Block,
    Command,
    CreatePost,
    DeletePost,
    DeleteUser,
    EditPost,
    Follow,
    FollowTag,
    Invalidate,
    PublishPost,
    PutSettings,
    PutSite,
    PutUser,
    React,
    RenameUser,
    Unblock,
    Unfollow,
    UnfollowTag,
    UnpublishPost,
)
from feeds.record import IdempotencyKey, Outcome
from feeds.refusing import may_wait
from publisher.answers import Written
from publisher.endpoint import Call
from publisher.problem import FieldError, Problem, of_refusing

POSTS_STAY_PUBLIC = (
    "feed_visibility says who may read this user's feed; "
    "posts, and so /author and /post, stay public, whoever wrote them"
)
IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,128}").fullmatch


async def apply(call: Call, commands: Sequence[Command]) -> list[Outcome]:
    """Do all commands or none. The relay tells of each change, wherever it came from, so nothing is logged here."""
    refuse = call.backend.refuse
    if refuse is not None and may_wait(commands) and (refusing := await refuse()) is not None:
        raise of_refusing(refusing)
    return await call.backend.record.apply(commands, key=idempotency_key(call))


def idempotency_key(call: Call) -> IdempotencyKey | None:
    """Return the key under which a request is done once, or None. Raises Problem 422 where it is none."""
    key = call.request.headers.get("idempotency-key")
    if key is None or call.request.method != "POST":
        return None
    if not IDEMPOTENCY_KEY(key):
        reason = "must be 1 to 128 visible ASCII characters"
        raise Problem(422, f"Idempotency-Key: {reason}", [FieldError("Idempotency-Key", key, reason)])
    asked = f"{call.request.method} {call.request.scope['path']}\n".encode() + call.body
    return IdempotencyKey(key, hashlib.sha256(asked).hexdigest())


def written(command: Command, outcome: Outcome) -> Written:
    """Return what the caller is told of one command."""
    return Written(
        status=outcome.status,
        change=outcome.change,
        subject=subject(command, outcome),
        id=outcome.subject_id,
        version=outcome.version,
        notes=notes(command),
    )


def notes(command: Command) -> tuple[str, ...]:
    """Return what the sender of a command should know."""
    if isinstance(command, PutSettings) and "feed_visibility" in command.model_fields_set:
        return (POSTS_STAY_PUBLIC,)
    return ()


def subject(command: Command, outcome: Outcome) -> str:
    """Return what a command was about, in the words of its change."""
    match command:
        case PutUser() | RenameUser() | DeleteUser() | PutSettings():
            return f"user {command.user}"
        case CreatePost() | EditPost() | PublishPost() | UnpublishPost() | DeletePost() | React():
            return f"post {outcome.subject_id}"
        case Follow() | Unfollow() | FollowTag() | UnfollowTag():
            return f"follows of {command.user}"
        case Block() | Unblock():
            return f"follows of {command.user}, {command.blocked}"
        case PutSite():
            return "site"
        case Invalidate():
            return "everything" if command.user is None else f"user {command.user}"
        case _:
            assert_never(command)


def accepted(document: Written) -> Response:
    """Return the answer to one write: 202, and where to ask after its change."""
    headers = {} if document.change is None else {"Location": f"/api/changes/{quote(document.change, safe='')}"}
    return shown(document, 202, headers)


def shown(document: BaseModel, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return a document as an answer that no cache keeps."""
    kept = {"Cache-Control": "no-store", **(headers or {})}
    return Response(document.model_dump_json(), status, kept, "application/json")


async def write(call: Call) -> Response:
    """Do the one command that the endpoint's body and path make."""
    if call.endpoint.body is None:
        raise TypeError(f"{call.endpoint.key} has no command")
    command: Command = call.document(call.endpoint.body)  # type: ignore[assignment]  # the table has commands here
    (outcome,) = await apply(call, [command])
    return accepted(written(command, outcome))
