"""What a person sees of `up`: a banner, then one line for each thing that happens."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.text import Text

STYLES = {
    "bake": "yellow",
    "hit": "green",
    "miss": "cyan",
    "publish": "magenta",
    "invalidation": "blue",
    "live": "bold green",
    "warning": "yellow",
    "error": "bold red",
    "critical": "bold red",
    "step": "dim",
}
ECHOES = {("edge", "invalidation"), ("feeds", "answer")}
"""The local edge tells of each batch that it takes, and the invalidator has just told of it; the origin tells of each
answer, and the edge has a line for it too."""
LOUD = ("warning", "error", "critical")
_TAKEN = ("time", "level", "event", "logger", "message", "traceback", "path", "subject", "ms", "shown")


class Screen:
    """Prints lines on stderr. ``events`` says whether bakes, hits and the like are shown, ``steps`` what `up` does."""

    def __init__(self, *, events: bool, steps: bool) -> None:
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._events = events
        self._steps = steps
        self._early: list[Text] | None = []
        self.stopping = False
        """While everything stops, a process that misses another is not worth a line."""

    def step(self, message: str) -> None:
        """Say what `up` itself does."""
        if self._steps:
            self._console.print(row("step", message))

    def tell(self, name: str, line: Mapping[str, Any]) -> None:
        """Show a line of a child: an event, or a message that is loud enough."""
        if "event" in line:
            if self._events and (name, line["event"]) not in ECHOES:
                self._event(row(str(line["event"]), told(line)))
        elif line.get("level") in LOUD and not (self.stopping and line["level"] == "warning"):
            self._console.print(row(str(line["level"]), f"{name}: {line.get('message', '')}"))
            if "traceback" in line:
                self._console.print(Text(str(line["traceback"])))

    def _event(self, shown: Text) -> None:
        if self._early is not None:
            self._early.append(shown)
        else:
            self._console.print(shown)

    def banner(self, lines: Mapping[str, str]) -> None:
        """Print where to look, a line each."""
        width = max(map(len, lines))
        for title, value in lines.items():
            self._console.print(Text.assemble((f"  {title:<{width}}  ", "bold"), value))
        self._console.print()

    def begin(self) -> None:
        """Show the events that came while everything started, and each from here on."""
        early, self._early = self._early or [], None
        for shown in early:
            self._console.print(shown)


def row(kind: str, text: str) -> Text:
    """Return a line: the time, what kind it is, and the rest."""
    now = datetime.now().astimezone().strftime("%H:%M:%S")
    return Text.assemble((now, "dim"), "  ", (f"{kind:<13}", STYLES.get(kind, "")), text)


def told(line: Mapping[str, Any]) -> str:
    """Return an event for people: what it is about, how long it took, then the rest of its fields."""
    words = [str(line[name]) for name in ("path", "subject") if name in line]
    words += [f"{name}={_brief(value)}" for name, value in line.items() if name not in _TAKEN]
    if "ms" in line:
        words.append(f"{line['ms']:g} ms")
    return "  ".join(words)


def _brief(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
