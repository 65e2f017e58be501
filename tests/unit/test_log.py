"""Log lines: JSON, one object a line, events by their name and fields."""

import json
import logging
import sys

from edgebake.log import EVENTS, JsonLines


def formatted(record: logging.LogRecord) -> dict[str, object]:
    """Return the line as it is read back."""
    text = JsonLines().format(record)
    assert "\n" not in text
    line: dict[str, object] = json.loads(text)
    return line


def record(name: str, message: str, **extra: object) -> logging.LogRecord:
    """Return a log record."""
    return logging.getLogger(name).makeRecord(name, logging.INFO, __file__, 1, message, (), None, extra=extra)


def test_an_event_is_its_name_and_its_fields() -> None:
    line = formatted(record(EVENTS, "bake", fields={"path": "/feed/ada", "ms": 3.2}))
    assert line.pop("time")
    assert line == {"level": "info", "event": "bake", "path": "/feed/ada", "ms": 3.2}


def test_a_message_of_several_lines_stays_one_line() -> None:
    assert formatted(record("feeds.relay", "one\ntwo"))["message"] == "one\ntwo"


def test_a_traceback_is_in_the_line() -> None:
    try:
        raise ValueError("broken")
    except ValueError:
        made = record("feeds.relay", "failed")
        made.exc_info = sys.exc_info()
    assert "ValueError: broken" in str(formatted(made)["traceback"])
