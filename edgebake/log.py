"""Log lines: one JSON object a line on stderr, for `up` to read and for whatever collects the logs of containers."""

import json
import logging
import sys
from datetime import UTC, datetime
from types import TracebackType

EVENTS = "edgebake.events"
"""The logger of what a person likes to watch: bakes, hits, publishes, invalidations."""


class JsonLines(logging.Formatter):
    """Writes a record as JSON. An event is its name and its fields; anything else is a message."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
        }
        if record.name == EVENTS:
            line |= {"event": record.getMessage(), **getattr(record, "fields", {})}
        else:
            line |= {"logger": record.name, "message": record.getMessage()}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def set_up(*, events: bool) -> None:
    """Log to stderr from here on; ``events`` says whether every bake and hit is worth a line."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger(EVENTS).setLevel(logging.INFO if events else logging.CRITICAL)
    sys.excepthook = _on_mistake
    for chatty in ("botocore", "httpx", "alembic", "asyncio", "uvicorn.error"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def _on_mistake(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    """Log what ends the process, traceback included, as one line like the others."""
    logging.getLogger("edgebake").critical("ended by %r", error, exc_info=(kind, error, traceback))
