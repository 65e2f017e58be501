"""What may be said of faults, and what is told where it may not."""

import pytest

from cdn.local.faults import NO_FAULT, ApiFault, Fault, OriginFault, read

PLACES = frozenset(("FRA56-P1", "regional"))


def test_what_is_not_said_stays_as_it_is() -> None:
    slow = read({"origin_delay_s": 2}, NO_FAULT, PLACES)
    both = read({"api": "silent", "withheld": ["regional"]}, slow, PLACES)
    assert both == Fault(ApiFault.SILENT, origin_delay_s=2.0, withheld=frozenset(("regional",)))
    assert read({"api": "none", "origin": "refusing"}, both, PLACES).origin is OriginFault.REFUSING


def test_what_is_told_can_be_read_again() -> None:
    fault = Fault(ApiFault.QUOTA, 1.5, OriginFault.SILENT, 0.25, PLACES)
    assert read(fault.told(), NO_FAULT, PLACES) == fault


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ([], "an object of names and values, not list"),
        ({"weather": "bad"}, "'weather' is none of the faults of the local edge: api, api_delay_s, origin"),
        ({"api": "asleep"}, "api is 'asleep': it must be one of none, throttled, quota, unavailable, denied, silent"),
        ({"origin_delay_s": -1}, "origin_delay_s is -1: it must be 0 to 3600 seconds"),
        ({"api_delay_s": True}, "api_delay_s is True"),
        ({"withheld": ["NRT12-P1"]}, "it must be a list of places, of FRA56-P1, regional"),
        ({"withheld": "regional"}, "it must be a list of places"),
        ({"withheld": [[]]}, "it must be a list of places"),
    ],
)
def test_what_would_do_is_told(told: object, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read(told, NO_FAULT, PLACES)
