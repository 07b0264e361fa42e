"""How much may wait follows from how quickly it is worked off."""

from kohort.live.room import LEAST_BYTES, SECONDS, UNKNOWN_BYTES, Room

MB = 1 << 20


class Work:
    """Requests of a megabyte come as often as there is room; what waits is worked off at a speed."""

    def __init__(self) -> None:
        self.now, self.waiting = 0.0, 0.0
        self.room = Room(64 * MB, lambda: self.now)

    def overload(self, seconds: float, *, speed: float) -> None:
        for _ in range(int(seconds * 100)):
            self.now += 0.01
            self.waiting = max(0.0, self.waiting - speed * 0.01)
            if self.room.left(int(self.waiting)):
                self.room.take(MB)
                self.waiting += MB


def test_so_much_is_taken_while_the_speed_is_not_known():
    work = Work()
    work.overload(0.5, speed=4 * MB)
    assert UNKNOWN_BYTES <= work.waiting < UNKNOWN_BYTES + MB


def test_what_waits_under_overload_is_worked_off_within_seconds():
    work = Work()
    work.overload(30, speed=4 * MB)
    assert 3 * MB * SECONDS < work.waiting < 5 * MB * SECONDS
    work.overload(60, speed=1 * MB)
    assert work.waiting < 1.3 * MB * SECONDS


def test_a_stretch_without_any_work_says_nothing_about_the_speed():
    work = Work()
    work.overload(30, speed=4 * MB)
    work.overload(30, speed=0)
    work.overload(20, speed=4 * MB)
    assert work.waiting > 3 * MB * SECONDS


def test_a_little_may_always_wait():
    work = Work()
    work.overload(60, speed=0.01 * MB)
    assert not work.room.left(64 * MB)
    assert work.room.left(LEAST_BYTES - 1)
