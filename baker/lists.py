"""The newest posts of sources: author pages show them, and the feeds of a pulled source's followers merge them.

Each process keeps one list a source, for all readers, for as long as the fence knows it unchanged.
"""

from collections.abc import Mapping, Sequence

from baker.guard import Guard
from baker.order import Proposed
from feeds.latest import Latest
from feeds.tick import Tick

MOST = 20_000
"""Sources whose lists a process keeps: then it begins again. Some 5 kB each."""


class Lists:
    """Lists by source number, each under the tag of its source."""

    def __init__(self, guard: Guard, latest: Latest) -> None:
        self._guard = guard
        self._latest = latest
        self._kept: dict[int, Proposed] = {}
        self._sources: dict[str, int] = {}
        self._reads: Tick[int, Proposed] = Tick(self._read)
        guard.watch(self)

    async def get(self, sources: Mapping[int, str]) -> Sequence[Proposed]:
        """Return the lists of these sources, given with their tags."""
        missing = [source for source in sources if source not in self._kept]
        if not missing:
            return [self._kept[source] for source in sources]
        issue = self._guard.issue()
        asked = {source: self._reads.ask(source) for source in missing}
        read = {source: await answer for source, answer in asked.items()}
        found = [read.get(source) or self._kept.get(source) or await self._reads.ask(source) for source in sources]
        if len(self._kept) + len(read) > MOST:
            self.clear()
        for source, proposed in read.items():
            if self._guard.holds(issue, (sources[source],)):
                self._kept[source] = proposed
                self._sources[sources[source]] = source
        return found

    def drop(self, tag: str) -> None:
        """Let go of the list that a tag guards."""
        if (source := self._sources.pop(tag, None)) is not None:
            self._kept.pop(source, None)

    def clear(self) -> None:
        """Let go of everything."""
        self._kept.clear()
        self._sources.clear()

    async def _read(self, sources: list[int]) -> list[Proposed]:
        read = await self._latest.read(list(dict.fromkeys(sources)))
        return [Proposed(*read[source]) for source in sources]
