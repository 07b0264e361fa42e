"""T1, for the whole server: killed at any moment under load, no confirmed event is lost and none is counted twice."""

from __future__ import annotations

import random
import statistics
import time

import pytest


def kill_again_and_again(fire, sender_of, kills: int, *, longest: float) -> list[float]:
    """Seconds from each start to memberships that are current again, with senders that never stop."""
    draw, recovered = random.Random(kills), []
    fire.send(*(sender_of(n, fire.key, single=n == 3) for n in range(4)))
    for attempt in range(kills):
        began = time.perf_counter()
        server = fire.start()
        # Also killed before it is ready: every fourth time at any moment of its start.
        if attempt % 4:
            while server.state()["as_of"] is None:
                time.sleep(0.01)
            recovered.append(time.perf_counter() - began)
            time.sleep(draw.uniform(0, longest))
        else:
            time.sleep(draw.uniform(0, 0.5))
        server.kill()
    server = fire.start()
    fire.finish()
    server.wait_until_current()
    server.end(15)
    return recovered


def told(record, fire, recovered: list[float], found: dict[str, int]) -> None:
    restarts = {"recovery_p50": round(statistics.median(recovered), 2), "recovery_max": round(max(recovered), 2)}
    for name, value in (found | restarts).items():
        record(name, value)
    print(found | restarts)


@pytest.mark.slow
def test_a_killed_server_loses_nothing_that_it_confirmed_and_counts_nothing_twice(fire, sender, record_property):
    recovered = kill_again_and_again(fire, sender, 10, longest=1.0)
    found = fire.check()
    told(record_property, fire, recovered, found)
    assert found["duplicate"], "nothing was ever sent twice: the kills hit nothing"
    assert found["confirmed"] > 500
    assert found["transitions"] > 100


@pytest.mark.nightly
def test_the_same_two_hundred_times(quick_fire, sender, record_property):
    recovered = kill_again_and_again(quick_fire, sender, 200, longest=0.8)
    found = quick_fire.check()
    told(record_property, quick_fire, recovered, found)
    assert found["duplicate"] > 20
    assert found["confirmed"] > 10_000
    assert found["transitions"] > 1_000
