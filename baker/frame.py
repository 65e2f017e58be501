"""Frames: a page rendered once with holes, then filled for each artifact.

A template decides by what many pages share (language, site, whether there is an older page). What differs from page
to page is a hole, and filling holes costs microseconds where rendering a template costs tens of them.
"""

from collections.abc import Iterator, Mapping

from baker.splice import Part, part, stored

_MARK = "\0"  # no text has it: `clean.text` takes it out
_WORTH_DEFLATING = 256
CARDS = "cards"


def hole(name: str) -> str:
    """Return what a template is given where a value is to be filled in later."""
    return f"{_MARK}{name}{_MARK}"


class Frame:
    """A rendered template with holes. Its long constant pieces are deflated once; the rest is stored as it is."""

    def __init__(self, rendered: str) -> None:
        before, _, after = rendered.partition(hole(CARDS))
        self._head = list(_pieces(before))
        self._tail = list(_pieces(after))

    def fill(self, values: Mapping[str, bytes], cards: list[Part]) -> list[Part]:
        """Return the page's parts: ``values`` are ready for the format, escaped."""
        return [*_filled(self._head, values), *cards, *_filled(self._tail, values)]


Gap = list[bytes | str]  # bytes as they are, or the name of a hole


def _pieces(rendered: str) -> Iterator[Part | Gap]:
    gap: Gap = []
    for index, text in enumerate(rendered.split(_MARK)):
        if index % 2:
            gap.append(text)
        elif len(text) < _WORTH_DEFLATING:
            gap.append(text.encode())
        else:
            if gap:
                yield gap
            yield part(text.encode(), level=9)
            gap = []
    if any(gap):
        yield gap


def _filled(pieces: list[Part | Gap], values: Mapping[str, bytes]) -> list[Part]:
    return [
        piece if isinstance(piece, Part) else stored(b"".join([values[x] if isinstance(x, str) else x for x in piece]))
        for piece in pieces
    ]
