"""The users that a write names must be there."""

from feeds.errors import Gone, NotFound
from feeds.model import User, UserState
from feeds.queries import find_users
from feeds.writes.unit import Unit


async def live_user(unit: Unit, user: str, field: str) -> User:
    """Return a live user, or raise NotFound or Gone, naming ``field``."""
    found = (await find_users(unit.conn, [user])).get(user)
    if found is None:
        raise NotFound(field, user, "there is no such user")
    if found.state is UserState.DELETED:
        raise Gone(field, user, "this user was deleted")
    return found
