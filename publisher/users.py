"""Users: their profile, settings, follows and activity."""

from pydantic import BaseModel, ConfigDict
from starlette.responses import Response

from feeds.command import (
    Block,
    DeleteUser,
    Follow,
    FollowTag,
    Id,
    PutSettings,
    PutUser,
    RenameUser,
    Unblock,
    Unfollow,
    UnfollowTag,
)
from feeds.model import User, UserState
from publisher.answers import FollowsAnswer, SettingsAnswer, UserAnswer, Written
from publisher.endpoint import Call, Endpoint
from publisher.problem import FieldError, Problem
from publisher.writes import shown, write


class Active(BaseModel):
    """A user was seen."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    user: Id


async def living(call: Call) -> User:
    name = call.ids["user"]
    user = await call.backend.record.user(name)
    if user is None:
        raise Problem(404, f"user: there is no user {name!r}", [FieldError("user", name, "does not exist")])
    if user.state is UserState.DELETED:
        raise Problem(410, f"user: {name!r} was deleted", [FieldError("user", name, "was deleted")])
    return user


async def read_user(call: Call) -> Response:
    """Show a user."""
    return shown(UserAnswer.of(await living(call)))


async def read_settings(call: Call) -> Response:
    """Show a user's settings."""
    return shown(SettingsAnswer.of(await living(call)))


async def read_follows(call: Call) -> Response:
    """Show whom and what a user follows."""
    user = await living(call)
    follows = await call.backend.record.follows(user.id)
    return shown(FollowsAnswer(user=user.id, authors=follows.authors, tags=follows.tags, version=follows.version))


async def note_activity(call: Call) -> Response:
    """Note that a user is active. Each open page may say so: nothing is written more than once an hour."""
    active = call.document(Active)
    if not await call.backend.activity(active.user):
        await living(call)  # says whether they were never there or are gone
    return Response(status_code=204)


_USER = "/api/users/{user}"

ENDPOINTS = (
    Endpoint("GET", _USER, "Read a user", read_user, UserAnswer),
    Endpoint("PUT", _USER, "Create a user, or replace their profile", write, Written, PutUser, status=202),
    Endpoint("PATCH", _USER, "Rename a user", write, Written, RenameUser, status=202),
    Endpoint("DELETE", _USER, "Erase a user", write, Written, DeleteUser, True, 202),
    Endpoint("GET", _USER + "/settings", "Read a user's settings", read_settings, SettingsAnswer),
    Endpoint("PUT", _USER + "/settings", "Replace a user's settings", write, Written, PutSettings, status=202),
    Endpoint("GET", _USER + "/follows", "Read whom and what a user follows", read_follows, FollowsAnswer),
    Endpoint("PUT", _USER + "/follows/{author}", "Follow an author", write, Written, Follow, True, 202),
    Endpoint("DELETE", _USER + "/follows/{author}", "Unfollow an author", write, Written, Unfollow, True, 202),
    Endpoint("PUT", _USER + "/tags/{tag}", "Follow a tag", write, Written, FollowTag, True, 202),
    Endpoint("DELETE", _USER + "/tags/{tag}", "Unfollow a tag", write, Written, UnfollowTag, True, 202),
    Endpoint("PUT", _USER + "/activity", "Say that a user is active", note_activity, None, Active, True, 204),
    Endpoint("PUT", _USER + "/blocks/{blocked}", "Block a user", write, Written, Block, True, 202),
    Endpoint("DELETE", _USER + "/blocks/{blocked}", "Unblock a user", write, Written, Unblock, True, 202),
)
