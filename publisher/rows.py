"""Rows: from the values of a record, as people spell them, to the command that they make."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, Literal, TypeVar

from pydantic import ValidationError

from feeds.command import CreatePost, Follow, FollowTag, PutUser
from feeds.errors import FeedsError, InvalidId
from feeds.ids import map_id
from publisher.problem import of_validation, shortened

Kind = Literal["users", "posts", "follows", "tag-follows"]
Row = TypeVar("Row", PutUser, CreatePost, Follow, FollowTag)

_is_count = re.compile(r"[0-9]{1,16}").fullmatch
_is_unix = re.compile(r"[0-9]{1,12}(\.[0-9]{1,9})?").fullmatch


class ImportRefused(FeedsError):
    """A file cannot be imported at all, as its header shows."""


@dataclass(frozen=True, slots=True)
class Shape(Generic[Row]):
    """What the rows of one kind are: their command, how its fields may be called, which of them a row must have."""

    command: type[Row]
    names: Mapping[str, str]  # also the fields' own
    required: tuple[str, ...]
    ids: tuple[str, ...]


def _names(fields: Iterable[str], **aliases: str) -> dict[str, str]:
    return {**{field: field for field in fields}, **{a: field for field, all_ in aliases.items() for a in all_.split()}}


USERS = Shape(
    PutUser,
    _names(
        ("user", "name", "about", "version"),
        user="id user_id username login",
        name="display_name",
        about="description bio",
    ),
    required=("user", "name"),
    ids=("user",),
)
POSTS = Shape(
    CreatePost,
    _names(
        set(CreatePost.model_fields) - {"kind"},
        post="id post_id",
        author="user user_id author_id",
        url="link",
        content="body",
        published="published_at created_at date",
        likes="points score",
    ),
    required=("post", "author"),  # an import without ids could not be repeated
    ids=("post", "author"),
)
FOLLOWS = Shape(
    Follow,
    _names(("user", "author", "version"), user="follower follower_id user_id", author="followee followed author_id"),
    required=("user", "author"),
    ids=("user", "author"),
)
TAG_FOLLOWS = Shape(
    FollowTag,
    _names(("user", "tag", "version"), user="follower follower_id user_id", tag="topic hashtag"),
    required=("user", "tag"),
    ids=("user",),
)


class Reader(Generic[Row]):
    """Makes commands of one shape. ``map_ids`` maps ids outside the grammar into it."""

    def __init__(self, shape: Shape[Row], *, map_ids: bool) -> None:
        self._names = shape.names
        self._required = frozenset(shape.required)
        self._ids = shape.ids
        self._mapped = shape.ids if map_ids else ()
        # What model_validate calls, without its check of arguments: an import has a million rows.
        self._validate: Callable[[dict[str, Any]], Row] = shape.command.__pydantic_validator__.validate_python
        self._fields: list[str] = []
        self._converted: list[str] = []

    def take_header(self, header: Sequence[str]) -> None:
        """Note what the columns are. Raises ImportRefused where one is unknown, there twice, or missing."""
        for name in header:
            field = self._names.get(name)
            if field is None:
                known = ", ".join(sorted(self._names))
                raise ImportRefused(f"column {shortened(name)!r} is not one of {known}: rename or remove it")
            if field in self._fields:
                raise ImportRefused(f"column {name!r} is the {field} again: remove one of them")
            self._fields.append(field)
        for field in sorted(self._required.difference(self._fields)):
            raise ImportRefused(f"there is no column {field!r}, which every row needs")
        self._converted = [field for field in self._fields if field in _CONVERTERS]

    def of_cells(self, cells: Sequence[str]) -> Row:
        """Return the command that cells under the header make. Raises ValueError with the reason if none."""
        if len(cells) != len(self._fields):
            raise ValueError(f"has {len(cells)} columns where the header has {len(self._fields)}")
        # An empty cell is one that was left out.
        return self._made({name: cell for name, cell in zip(self._fields, cells, strict=True) if cell}, self._converted)

    def of_object(self, values: Mapping[str, object]) -> Row:
        """Return the command that a JSON object makes; null is left out. Raises ValueError with the reason if none."""
        fields: dict[str, Any] = {}
        for name, value in values.items():
            field = self._names.get(name)
            if field is None:
                raise ValueError(f"{shortened(name)!r} is a field that this does not take")
            if field in fields:
                raise ValueError(f"{field} is there twice")
            if value is not None:
                fields[field] = value
        return self._made(fields, [field for field in fields if field in _CONVERTERS])

    def _made(self, fields: dict[str, Any], converted: Iterable[str]) -> Row:
        for field in converted:
            if field in fields:
                fields[field] = _CONVERTERS[field](field, fields[field])
        for field in self._mapped:
            if isinstance(value := fields.get(field), str):
                fields[field] = _mapped(field, value)
        if not fields.keys() >= self._required:
            raise ValueError(f"{min(self._required - fields.keys())} is missing")
        try:
            return self._validate(fields)
        except ValidationError as failure:
            raise ValueError(self._reason(failure)) from None

    def _reason(self, failure: ValidationError) -> str:
        error = of_validation(failure).errors[0]
        is_id = error.field in self._ids and error.reason.startswith(("must match", "is reserved"))
        hint = " (--map-ids maps any id into it)" if is_id and not self._mapped else ""
        return f"{error.field} is {shortened(error.value)!r}: {error.reason}{hint}"


def _mapped(field: str, value: str) -> str:
    try:
        return map_id(value)
    except InvalidId as error:
        raise ValueError(f"{field}: {error}") from None


def _count(field: str, value: object) -> object:
    if not isinstance(value, str):
        return value
    if not _is_count(value):
        raise ValueError(f"{field} is {shortened(value)!r}: must be a whole number from 0")
    return int(value)


def _moment(field: str, value: object) -> object:
    """Return Unix seconds as a time; text that RFC 3339 spells is left to the command's own rule."""
    if isinstance(value, bool) or (isinstance(value, str) and not _is_unix(value)):
        return value
    try:
        return datetime.fromtimestamp(float(value), UTC)  # type: ignore[arg-type]  # what float refuses is caught
    except (TypeError, ValueError, OverflowError, OSError):
        raise ValueError(f"{field} is {shortened(value)!r}: must be RFC 3339 or Unix seconds") from None


def _tags(field: str, value: object) -> object:
    return [tag for tag in value.split(";") if tag.strip()] if isinstance(value, str) else value


def _flag(field: str, value: object) -> object:
    if not isinstance(value, str):
        return value
    if value.lower() not in ("true", "false", "1", "0"):
        raise ValueError(f"{field} is {shortened(value)!r}: must be true or false")
    return value.lower() in ("true", "1")


_CONVERTERS: Mapping[str, Callable[[str, object], object]] = {
    "likes": _count,
    "comments": _count,
    "views": _count,
    "version": _count,
    "published": _moment,
    "tags": _tags,
    "draft": _flag,
}
