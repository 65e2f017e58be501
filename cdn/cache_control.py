"""Reads Cache-Control (RFC 9111 §5.2)."""

import re
from collections.abc import Mapping
from functools import lru_cache

UNCACHEABLE = frozenset(("no-store", "private", "no-cache"))
DIRECTIVE = re.compile(r'[ \t]*([^\s,;="]+)(?:[ \t]*=[ \t]*("(?:[^"\\]|\\.)*"?|[^,]*))?[^,]*(?:,|$)')
"""A name, an argument that may be quoted and hold commas, and whatever else comes before the next comma."""


@lru_cache(maxsize=4_096)
def parse(value: str) -> Mapping[str, str]:
    """Return the directives, names in lower case, values unquoted; one without a value has ""."""
    directives: dict[str, str] = {}
    for name, argument in DIRECTIVE.findall(value):
        directives.setdefault(name.lower(), argument.strip().strip('"'))
    return directives


def seconds(directives: Mapping[str, str], name: str) -> float | None:
    """Return a directive's seconds, None where it is missing; malformed is 0, the careful reading."""
    argument = directives.get(name)
    if argument is None:
        return None
    return float(argument) if argument.isascii() and argument.isdigit() else 0.0
