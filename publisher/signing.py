"""How cookies for private feeds are made, as the API is given it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Signing:
    """How cookies are made.

    ``sign`` returns names and values for a resource and the Unix time in seconds until which they open it.
    ``public_url`` is where readers find the edge; ``seconds`` is a cookie's life where nobody asks for
    another.
    """

    sign: Callable[[str, int], Mapping[str, str]]
    public_url: str
    seconds: int
