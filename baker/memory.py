"""The baker's memory: the artifacts that it baked last, by what they are for, up to a number of bytes.

A hit passes the fence like everything else that leaves, so memory may hold what is old: it is baked again then.
"""

import time
from collections import OrderedDict
from collections.abc import Callable

from baker.artifact import Artifact
from baker.paths import Target

MAX_AGE_S = 600
"""Seconds that an artifact is kept at most: whoever fans out to a user no more still watches over what was baked for
them, and has to know for how long."""


class Memory:
    """Artifacts by target, the least recently used forgotten first. ``clock`` returns seconds."""

    def __init__(self, max_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._max_bytes = max_bytes
        self._clock = clock
        self._bytes = 0
        self._kept: OrderedDict[Target, tuple[Artifact, int, float]] = OrderedDict()

    def get(self, target: Target) -> Artifact | None:
        """Return what was baked for a target, or None."""
        if (found := self._kept.get(target)) is None:
            return None
        if self._clock() - found[2] > min(MAX_AGE_S, found[0].keep_s):
            self._drop(target)
            return None
        self._kept.move_to_end(target)
        return found[0]

    def put(self, artifact: Artifact) -> None:
        """Keep an artifact in place of the one before it."""
        self._drop(artifact.target)
        size = artifact.size
        self._kept[artifact.target] = (artifact, size, self._clock())
        self._bytes += size
        while self._bytes > self._max_bytes:
            _, (_, dropped, _) = self._kept.popitem(last=False)
            self._bytes -= dropped

    def forget(self, artifact: Artifact) -> None:
        """Drop an artifact, unless another took its place meanwhile."""
        if self.get(artifact.target) is artifact:
            self._drop(artifact.target)

    def _drop(self, target: Target) -> None:
        if found := self._kept.pop(target, None):
            self._bytes -= found[1]
