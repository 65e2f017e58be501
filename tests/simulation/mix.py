"""The mix: of which kind the schedule of a seed is. A seed keeps its kind, whatever else is drawn from it."""

from collections.abc import Callable, Mapping
from random import Random

from tests.simulation import directed, scenes
from tests.simulation.scenes import Scene

MIX: Mapping[str, tuple[float, Callable[[Random], Scene]]] = {
    "moment": (27, scenes.moment),
    "rich": (50, scenes.rich),
    "day": (3, scenes.day),
    "copies": (4, directed.copies),
    "horizon": (3, directed.horizon),
    "parts": (4, directed.parts),
    "merged": (4, directed.merged),
    "first reads": (3, directed.first_reads),
    "editions": (2, directed.editions),
}
"""Kinds of scenes: how many of a hundred, and what draws one."""


def kind_of(seed: int) -> str:
    """Return of which kind the schedule of a seed is."""
    shares = [share for share, _ in MIX.values()]
    return Random(f"kind of {seed}").choices(list(MIX), shares)[0]


def drawn(seed: int, random: Random) -> Scene:
    """Draw the scene of a seed."""
    return MIX[kind_of(seed)][1](random)
