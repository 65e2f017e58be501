"""Whose fault an error is."""

import pytest
from redis import exceptions

from feeds.blame import Fault, fault_of, told
from feeds.errors import RecordUnavailable


@pytest.mark.parametrize(
    "error",
    [
        RecordUnavailable("no database"),
        ConnectionRefusedError(),
        exceptions.ConnectionError("gone"),
        exceptions.BusyLoadingError("loading"),
        exceptions.ReadOnlyError("a replica"),
        exceptions.OutOfMemoryError("full"),
        exceptions.ClusterDownError("down"),
        exceptions.MovedError("1 127.0.0.1:1"),
        exceptions.NoScriptError("flushed"),
        exceptions.ResponseError("MISCONF errors writing to the disk"),
        exceptions.ResponseError("BUSY running a script"),
        exceptions.ResponseError("FORGOTTEN this shard has no count"),
        ExceptionGroup("two", [KeyError("x"), exceptions.ConnectionError("gone")]),
    ],
    ids=repr,
)
def test_the_worlds_faults_count_for_nothing(error: Exception) -> None:
    assert fault_of(error) is Fault.WORLD


@pytest.mark.parametrize(
    "error",
    [
        exceptions.ResponseError("WRONGTYPE Operation against a key holding the wrong kind of value"),
        exceptions.ResponseError("ERR Error running script"),
        KeyError("x"),
        MemoryError(),
        RecursionError(),
        ExceptionGroup("two", [TimeoutError(), KeyError("x")]),
        ExceptionGroup("one", [ExceptionGroup("in it", [ValueError("x")])]),
    ],
    ids=repr,
)
def test_what_fails_where_all_is_there_is_the_changes_own_fault(error: Exception) -> None:
    assert fault_of(error) is Fault.CHANGE


@pytest.mark.parametrize("error", [TimeoutError(), exceptions.TimeoutError("slow")], ids=repr)
def test_what_took_too_long_is_nobodys_fault_yet(error: Exception) -> None:
    assert fault_of(error) is Fault.UNCLEAR


def test_an_error_is_told_in_one_line_of_500_characters() -> None:
    assert told(ValueError("it is odd")) == "ValueError: it is odd"
    assert len(told(ValueError("x" * 1000))) == 500
