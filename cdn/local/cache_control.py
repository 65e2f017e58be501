"""Reads Cache-Control (RFC 9111 §5.2)."""

from collections.abc import Mapping

UNCACHEABLE = frozenset(("no-store", "private", "no-cache"))


def parse(value: str) -> dict[str, str]:
    """Return the directives, names in lower case, values unquoted; one without a value has ""."""
    directives: dict[str, str] = {}
    for part in value.split(","):
        name, _, argument = part.partition("=")
        if name := name.strip().lower():
            directives.setdefault(name, argument.strip().strip('"'))
    return directives


def seconds(directives: Mapping[str, str], name: str) -> float | None:
    """Return a directive's seconds, None where it is missing; malformed is 0, the careful reading."""
    argument = directives.get(name)
    if argument is None:
        return None
    return float(argument) if argument.isascii() and argument.isdigit() else 0.0
