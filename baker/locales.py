"""Localisations: what a page says in each language, and how it writes dates and numbers."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import orjson
from markupsafe import Markup, escape

from baker.moment import utc

DEFAULT = "en"


@dataclass(frozen=True)
class Locale:
    """One language. ``texts`` may lack keys of the default's; those are said in the default."""

    language: str
    texts: Mapping[str, str]
    months: tuple[str, ...]
    singular: frozenset[int]  # the counts that take the singular: 1, in French 0 too

    def say(self, key: str, **values: object) -> Markup:
        """Return the text of ``key`` as HTML, its ``{names}`` filled with ``values``, which are escaped."""
        return escape(self.texts[key]).format(**values)

    def plain(self, key: str, **values: str) -> str:
        """Return the text of ``key`` as plain text."""
        return self.texts[key].format(**values)

    def date(self, ms: int) -> str:
        """Return the day of a time, in UTC."""
        day = utc(ms)
        return self.texts["date"].format(day=day.day, month=self.months[day.month - 1], year=day.year)

    def count(self, key: str, number: int) -> Markup:
        """Return a number of things in words: ``1,204 likes``."""
        form = "one" if number in self.singular else "many"
        return self.say(f"{key}_{form}", n=f"{number:,}".replace(",", self._thousands))

    @cached_property
    def _thousands(self) -> str:
        return self.texts["thousands"]


class Locales:
    """The languages of a folder of ``<language>.json``; any other falls back by its prefix, then to English."""

    def __init__(self, folder: Path) -> None:
        raw = {file.stem: orjson.loads(file.read_bytes()) for file in sorted(folder.glob("*.json"))}
        self._locales = {language: _locale(language, raw[DEFAULT] | own) for language, own in raw.items()}

    def __getitem__(self, language: str) -> Locale:
        subtags = language.lower().split("-")
        while subtags:
            if (found := self._locales.get("-".join(subtags))) is not None:
                return found
            subtags.pop()
        return self._locales[DEFAULT]


def _locale(language: str, raw: Mapping[str, object]) -> Locale:
    months, singular = raw["months"], raw["singular"]
    if not isinstance(months, list) or not isinstance(singular, list):
        raise TypeError(f"locale {language!r}: months and singular must be lists")
    texts = {key: value for key, value in raw.items() if isinstance(value, str)}
    return Locale(language, texts, tuple(months), frozenset(singular))
