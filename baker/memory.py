"""The baker's memory: the artifacts that it baked last, by what they are for, up to a number of bytes.

A hit passes the fence like everything else that leaves. What did not pass is *outdated*: it is baked again, and the old
one stays until then, or until room is wanted, to leave marked late where there is no room to bake.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from baker.artifact import Artifact
from baker.paths import Target

MAX_AGE_S = 600
"""Seconds that an artifact is kept at most: whoever fans out to a user no more still watches over what was baked for
them, and has to know for how long."""


@dataclass(slots=True)
class _Kept:
    artifact: Artifact
    size: int
    since: float
    outdated: bool = False


class Memory:
    """Artifacts by target, the least recently used forgotten first. ``clock`` returns seconds."""

    def __init__(self, max_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._max_bytes = max_bytes
        self._clock = clock
        self._bytes = 0
        self._kept: OrderedDict[Target, _Kept] = OrderedDict()

    def get(self, target: Target) -> Artifact | None:
        """Return what was baked for a target and is not known to be outdated, or None."""
        kept = self._young(target)
        if kept is None or kept.outdated or self._clock() - kept.since > kept.artifact.keep_s:
            return None
        self._kept.move_to_end(target)
        return kept.artifact

    def last(self, target: Target) -> Artifact | None:
        """Return what was baked last for a target, outdated or not, or None."""
        kept = self._young(target)
        return None if kept is None else kept.artifact

    def put(self, artifact: Artifact) -> None:
        """Keep an artifact in place of the one before it."""
        self._drop(artifact.target)
        kept = self._kept[artifact.target] = _Kept(artifact, artifact.size, self._clock())
        self._bytes += kept.size
        while self._bytes > self._max_bytes:
            _, dropped = self._kept.popitem(last=False)
            self._bytes -= dropped.size

    def outdate(self, artifact: Artifact) -> None:
        """Note that an artifact is outdated, unless another took its place meanwhile."""
        kept = self._kept.get(artifact.target)
        if kept is not None and kept.artifact is artifact:
            kept.outdated = True

    def _young(self, target: Target) -> _Kept | None:
        kept = self._kept.get(target)
        if kept is not None and self._clock() - kept.since > MAX_AGE_S:
            self._drop(target)
            return None
        return kept

    def _drop(self, target: Target) -> None:
        if kept := self._kept.pop(target, None):
            self._bytes -= kept.size
