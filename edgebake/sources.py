"""Where settings come from, and what is wrong with them.

Sources, each over the one before: the defaults, the file ``.env``, ``EDGEBAKE_*`` variables, flags. A secret may
come from the file that ``EDGEBAKE_<NAME>_FILE`` names.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from math import isfinite
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from edgebake.secret import Secret, SecretUrl
from edgebake.settings import Check, Settings

PREFIX = "EDGEBAKE_"
DAY_MS = 86_400_000


class SettingsError(Exception):
    """Settings are wrong; one line each says which, and why."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table: what a setting is called, holds and means."""

    name: str
    kind: Any
    default: Any
    help: str
    check: Check | None

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return PREFIX + self.name.upper()

    @property
    def is_secret(self) -> bool:
        """Whether it may come from a file, and hides in print."""
        return isinstance(self.default, Secret)

    @property
    def words(self) -> str:
        """What it holds, for people."""
        if get_origin(self.kind) is Literal:
            return " or ".join(get_args(self.kind))
        return _WORDS[self.kind]


_WORDS: dict[Any, str] = {
    int: "whole number",
    float: "number",
    int | None: "whole number or auto",
    float | None: "number or auto",
    bool: "true or false",
    str: "text",
    Path: "path",
    Secret: "secret",
    SecretUrl: "URL",
    tuple[str, ...]: "names with commas between",
}
_BOOLEANS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


def _rows() -> tuple[Row, ...]:
    kinds = get_type_hints(Settings)
    return tuple(
        Row(f.name, kinds[f.name], f.default, f.metadata["help"], f.metadata["check"]) for f in fields(Settings)
    )


TABLE = _rows()
BY_VARIABLE = {row.variable: row for row in TABLE}


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings, and where each that is not a default came from."""

    settings: Settings
    sources: Mapping[str, str]


def load(flags: Mapping[str, object], environ: Mapping[str, str], dotenv: Mapping[str, str | None]) -> Loaded:
    """Return the settings of all sources. Raises SettingsError with every problem, not only the first."""
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    problems: list[str] = []
    given = {"flag": _as_texts(flags), "environment": environ, ".env": dotenv}
    for row in TABLE:
        try:
            if (found := _find(row, given)) is not None:
                text, sources[row.name] = found
                values[row.name] = parse(row, text)
        except SettingsError as error:
            problems += error.problems
        except ValueError as error:
            problems.append(_problem(row, text, str(error)))
    settings = Settings(**values)
    problems += _together(settings)
    if problems:
        raise SettingsError(problems)
    return Loaded(settings, sources)


def from_here(flags: Mapping[str, object]) -> Loaded:
    """Return the settings of this process: its environment, and the ``.env`` of the folder that it runs in."""
    dotenv: Mapping[str, str | None] = {}
    if Path(".env").is_file():
        from dotenv import dotenv_values

        dotenv = dotenv_values(".env")
    return load(flags, os.environ, dotenv)


def parse(row: Row, text: str) -> Any:
    """Return the value that a text stands for. Raises ValueError with the reason where it stands for none."""
    value = _convert(row.kind, text)
    if row.check is not None and (reason := row.check(value)) is not None:
        raise ValueError(reason)
    return value


def _convert(kind: Any, text: str) -> Any:
    if get_origin(kind) is Literal:
        if text not in get_args(kind):
            raise ValueError(f"it must be {' or '.join(get_args(kind))}.")
        return text
    if kind in (int | None, float | None):
        return None if text == "auto" else _number(get_args(kind)[0], text)
    if kind in (int, float):
        return _number(kind, text)
    if kind is bool:
        if text.lower() not in _BOOLEANS:
            raise ValueError("it must be true or false.")
        return _BOOLEANS[text.lower()]
    if kind == tuple[str, ...]:
        return tuple(part.strip().lower() for part in text.split(",") if part.strip())
    return kind(text)


def _number(kind: type[int] | type[float], text: str) -> float:
    try:
        if isfinite(number := kind(text)):
            return number
    except (ValueError, OverflowError):  # whole numbers have no end, and the question whether they do has one
        pass
    raise ValueError(f"it must be a {'whole ' if kind is int else ''}number.")


def _as_texts(flags: Mapping[str, object]) -> dict[str, str]:
    return {PREFIX + name.upper(): _text(value) for name, value in flags.items() if value is not None}


def _find(row: Row, given: Mapping[str, Mapping[str, str | None]]) -> tuple[str, str] | None:
    """Return a setting's text and its source, of the first source that has it."""
    found = ((_text_of(row, texts), source) for source, texts in given.items())
    return next(((text, source) for text, source in found if text is not None), None)


def _text_of(row: Row, texts: Mapping[str, str | None]) -> str | None:
    text = texts.get(row.variable)
    if not row.is_secret or not (file := texts.get(row.variable + "_FILE")):
        return text
    if text:
        raise SettingsError([f"{row.variable} and {row.variable}_FILE are both set: set one."])
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SettingsError([f"{row.variable}_FILE is '{file}': it cannot be read: {error.strerror}."]) from error


def _problem(row: Row, text: str, reason: str) -> str:
    return f"{row.variable} is {'(hidden)' if row.is_secret else repr(text)}: {reason}"


def _together(settings: Settings) -> list[str]:
    problems = [
        f"EDGEBAKE_{name.upper()} is '{ttl}': it must be at most EDGEBAKE_MAX_TTL ({settings.max_ttl}), "
        "which is what the cache policy cuts it down to."
        for name in ("feed_ttl", "explore_ttl")
        if (ttl := getattr(settings, name)) > settings.max_ttl
    ]
    if settings.active_days * DAY_MS <= settings.linger_ms:
        problems.append(
            f"EDGEBAKE_ACTIVE_DAYS is '{settings.active_days}': it must exceed the {settings.linger_ms // 1000} s for "
            "which a feed may be at an edge (EDGEBAKE_FEED_TTL and the stale windows, at most EDGEBAKE_MAX_TTL, for "
            "each of EDGEBAKE_TIERS) or in a baker's memory, or timelines go that are still looked at."
        )
    if settings.edge == "cloudfront" and not settings.distribution_id:
        problems.append("EDGEBAKE_DISTRIBUTION_ID is '': EDGEBAKE_EDGE=cloudfront needs it, such as 'E2EXAMPLE1'.")
    if bool(settings.signing_key) is not bool(settings.key_pair_id):
        missing = "KEY_PAIR_ID" if settings.signing_key else "SIGNING_KEY"
        problems.append(f"EDGEBAKE_{missing} is '': EDGEBAKE_SIGNING_KEY and EDGEBAKE_KEY_PAIR_ID need each other.")
    return problems + _shared_ports(settings)


def _shared_ports(settings: Settings) -> list[str]:
    problems = []
    ports = [row.name for row in TABLE if row.name.endswith("_port") and getattr(settings, row.name)]
    for at, name in enumerate(ports):
        if any(getattr(settings, name) == getattr(settings, earlier) for earlier in ports[:at]):
            problems.append(f"{PREFIX}{name.upper()} is '{getattr(settings, name)}': another port setting has it too.")
    return problems


def _text(value: object) -> str:
    """Return the text that ``parse`` reads back."""
    if value is None:
        return "auto"
    if isinstance(value, Secret):
        return value.reveal()
    if isinstance(value, tuple):
        return ",".join(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def to_environ(settings: Settings) -> dict[str, str]:
    """Return the variables under which another process loads the same settings."""
    return {row.variable: _text(getattr(settings, row.name)) for row in TABLE}


def shown(row: Row, value: object) -> str:
    """Return a value for people, secrets hidden."""
    return str(value) if isinstance(value, Secret) else _text(value)
