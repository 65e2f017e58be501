"""Traces: what each step of a change took, and each answer of the baker, told to whoever listens.

Rooms tell of finished steps in these plain values; what becomes of them is the roof's affair, and nothing does where
nobody listens. A change's id is all that a step needs to find its trace, so no context travels with the data: steps of
a change that is replayed, or handled by another version, find it too.
"""

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from time import time_ns

Value = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Step:
    """What was done, from when to when, in nanoseconds of Unix time.

    ``change``: the change whose trace it belongs to, "" for none. ``whole``: it is that trace's root, from accepted to
    live. ``caller``: a ``traceparent`` header (W3C Trace Context §3.2) of whoever asked for it, or "".
    """

    name: str
    change: str
    began_ns: int
    ended_ns: int
    attributes: Mapping[str, Value]
    error: str = ""
    whole: bool = False
    caller: str = ""


Listener = Callable[[Step], None]

CALLER: ContextVar[str] = ContextVar("caller", default="")
"""The ``traceparent`` of the request that is being answered."""

_listeners: list[Listener] = []


def listen(listener: Listener) -> Callable[[], None]:
    """Tell somebody of each step from now on; return what ends that."""
    _listeners.append(listener)
    return lambda: _listeners.remove(listener)


def is_on() -> bool:
    """Tell whether anybody listens: what a step's attributes cost is worth it only then."""
    return bool(_listeners)


def began() -> int:
    """Return the time at which a step begins, 0 where nobody will hear of it."""
    return time_ns() if _listeners else 0


def step(name: str, change: str, began_ns: int, *, error: str = "", **attributes: Value) -> None:
    """Tell of a step that began then and is done now."""
    if _listeners and began_ns:
        tell(Step(name, change, began_ns, time_ns(), attributes, error, caller=CALLER.get()))


def tell(done: Step) -> None:
    """Tell of a step."""
    for listener in _listeners:
        listener(done)
