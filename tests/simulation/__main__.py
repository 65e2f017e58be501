"""Runs schedules: ``python -m tests.simulation SEED`` replays one, ``--first A --count N`` runs many.

In a process of its own, for two things are set before anything else is imported: Python's hash seed, or sets would have
another order each time, and the number of shards, 4 in place of 64: a record in each shard costs a sixteenth.
"""

import argparse
import json
import logging
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.simulation.house import Wrongs

SHARDS = 4


def main() -> None:
    """Run what the arguments say; exit with 1 where a schedule failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__.splitlines()[0])
    parser.add_argument("seed", type=int, nargs="?", help="replay this schedule, and print what happened")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--wrong", default="", help="with this wrong part in place of the real one (see wrongs.py)")
    parser.add_argument("--kind", default="", help="only seeds whose schedules are of this kind (see mix.py)")
    parser.add_argument("--seconds", type=float, default=0, help="end after so many seconds of CPU time")
    parser.add_argument("--until-found", action="store_true", help="end with the first schedule that fails")
    given = parser.parse_args()
    if os.environ.get("PYTHONHASHSEED") != "0":
        os.execve(  # noqa: S606  # the same command
            sys.executable,
            [sys.executable, "-m", "tests.simulation", *sys.argv[1:]],
            {**os.environ, "PYTHONHASHSEED": "0"},
        )
    import cdn.keys
    import feeds.ids

    cdn.keys.SHARDS = feeds.ids.SHARDS = SHARDS
    sys.exit(replay(given.seed, given.wrong) if given.seed is not None else many(given))


def replay(seed: int, wrong: str) -> int:
    """Run one schedule and print what happened in it."""
    from tests.simulation.schedule import Schedule
    from tests.simulation.wrongs import WRONGS

    schedule = Schedule(seed, WRONGS[wrong] if wrong else None, traced=True)

    class Say(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            schedule.say(f"    {schedule.loop.here().name}: {record.getMessage()[:300]}")

    logging.getLogger().handlers = [Say(logging.WARNING)]
    try:
        schedule.run()
    except Exception as error:
        print(*schedule.outcome.trace, f"{type(error).__name__}: {error}", sep="\n")
        return 1
    print(*schedule.outcome.trace, sep="\n")
    print({name: getattr(schedule.outcome, name) for name in schedule.outcome.__slots__ if name != "trace"})
    return 0


def many(given: argparse.Namespace) -> int:
    """Run many schedules; print a line of JSON for each that fails, and one for all."""
    import gc
    import itertools
    import time

    from tests.simulation.mix import kind_of
    from tests.simulation.schedule import Schedule
    from tests.simulation.wrongs import WRONGS

    logging.disable(logging.CRITICAL)
    failure(given.first)  # what all share is made by the first one
    gc.collect()
    gc.freeze()
    gc.disable()  # a schedule is one heap, thrown away at once
    wrongs = WRONGS[given.wrong] if given.wrong else None
    total = {"ran": 0, "failed": 0, "changes": 0, "items": 0, "judged": 0, "seconds": 0.0}
    seeds = (seed for seed in itertools.count(given.first) if given.kind in ("", kind_of(seed)))
    for seed in itertools.islice(seeds, given.count):
        if given.seconds and time.process_time() > given.seconds:
            break
        total["ran"] += 1
        if total["ran"] % 20 == 0:
            gc.collect()
        try:
            outcome = Schedule(seed, wrongs).run()
        except Exception as error:
            if wrongs and failure(seed) is not None:
                continue  # it fails with the real part too
            total["failed"] += 1
            again = failure(seed, wrongs) == (type(error).__name__, str(error))
            told = {"seed": seed, "error": type(error).__name__, "text": str(error), "again": again}
            print(json.dumps(told), flush=True)
            if given.until_found:
                break
        else:
            for name in ("changes", "items", "judged", "seconds"):
                total[name] += getattr(outcome, name)
    print(json.dumps({**total, "cpu_s": round(time.process_time(), 1)}), flush=True)
    return 1 if total["failed"] else 0


def failure(seed: int, wrongs: "Wrongs | None" = None) -> tuple[str, str] | None:
    """Return how a schedule fails; None where it passes."""
    from tests.simulation.schedule import Schedule

    try:
        Schedule(seed, wrongs).run()
    except Exception as error:
        return type(error).__name__, str(error)
    return None


if __name__ == "__main__":
    main()
