"""What a person sees: a line for each event, and only what is loud enough of the rest."""

import pytest

from edgebake.console import Screen, row, told


def test_an_event_reads_as_what_it_is_about_then_its_fields_then_its_time() -> None:
    line = {"time": "…", "level": "info", "event": "bake", "path": "/feed/ada", "posts": 25, "ms": 3.25}
    assert told(line) == "/feed/ada  posts=25  3.25 ms"


def test_a_list_reads_as_its_members() -> None:
    assert told({"event": "invalidation", "items": 2, "first": ["#u-ada", "#p-1"]}) == "items=2  first=#u-ada,#p-1"


def test_markup_in_what_strangers_wrote_stays_text(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen(events=True, steps=True)
    screen.begin()
    screen.tell("relay", {"event": "publish", "subject": "post [bold]p-1[/bold] [/nope]"})
    assert "post [bold]p-1[/bold] [/nope]" in capsys.readouterr().err


def test_what_happens_before_the_banner_is_shown_after_it(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen(events=True, steps=True)
    screen.tell("relay", {"event": "publish", "subject": "site"})
    assert capsys.readouterr().err == ""
    screen.banner({"Stop": "Ctrl-C"})
    screen.begin()
    shown = capsys.readouterr().err
    assert shown.index("Ctrl-C") < shown.index("site")


def test_quiet_messages_of_children_are_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen(events=False, steps=False)
    screen.tell("relay", {"level": "info", "message": "nothing to see"})
    screen.tell("relay", {"event": "publish", "level": "info"})
    screen.step("starting")
    assert capsys.readouterr().err == ""


def test_a_warning_is_shown_with_who_said_it(capsys: pytest.CaptureFixture[str]) -> None:
    Screen(events=False, steps=False).tell("relay", {"level": "warning", "message": "slow"})
    assert "relay: slow" in capsys.readouterr().err


def test_a_line_begins_with_the_time() -> None:
    assert row("hit", "/feed/ada").plain[8:] == "  hit          /feed/ada"
