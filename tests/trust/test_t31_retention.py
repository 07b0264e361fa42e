"""T31: on a clock of three years, over leap days and changes of the hour, nothing is kept too long and nothing goes too early;
what goes is gone from the disk and does not come back."""

from __future__ import annotations

import json
from calendar import monthrange
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from click.testing import CliRunner

import kohort
from kohort.cli.app import app
from kohort.definitions.retention import Retention
from kohort.definitions.windows import Span
from kohort.model.clock import DAY_US
from kohort.model.event import Event
from kohort.store import create_store
from kohort.store.store import Store
from kohort.testing.worlds import event_table
from kohort.trust.retention import Clocks

ZONE = "Europe/Amsterdam"
COLUMNS = {"t_newsletter": "flag", "t_country": "text"}
CONSENT = {"marketing": "t_newsletter"}
HOUR = 3_600_000_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with create_store(tmp_path / "ws", buckets=3) as opened:
        opened.log.declare(COLUMNS)  # type: ignore[arg-type]
        yield opened


def us(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(ZONE)).timestamp() * 1e6)


def event(n: int, kind: str, ts: int, **values: Any) -> Event:
    return Event(f"e{n}", 1 + n % 5, kind, ts, {"local_day": 0, "local_hour": 0, **values})


def append(store: Store, *events: Event) -> None:
    store.log.append(event_table(events, COLUMNS, 3), batch=1)


def kept(store: Store) -> dict[str, tuple[str, int]]:
    shot = store.log.snapshot()
    tables = [] if shot.hot is None else [shot.hot]
    tables += [pa.parquet.read_table(f, partitioning=None) for files in shot.files.values() for f in files]
    return {
        r["event_id"]: (r["event"], r["ts"]) for t in tables for r in t.select(["event_id", "event", "ts"]).to_pylist()
    }


def clocks(store: Store, now: int, **periods: Any) -> Clocks:
    return Clocks(store, Retention(**periods), now, ZONE, CONSENT)


def limit(now: int, months: int) -> int:
    """The same wall time so many months ago, by hand: the last day of a month that has no such day."""
    local = datetime.fromtimestamp(now / 1e6, UTC).astimezone(ZoneInfo(ZONE)).replace(tzinfo=None)
    whole = local.year * 12 + local.month - 1 - months
    year, month = divmod(whole, 12)
    last = monthrange(year, month + 1)[1]
    return us(local.replace(year=year, month=month + 1, day=min(local.day, last)).isoformat())


def test_over_three_years_nothing_is_kept_too_long_and_nothing_goes_too_early(store: Store) -> None:
    rng, start, end = Random(31), us("2023-01-15T12:00"), us("2026-03-31T12:00")
    every: dict[str, tuple[str, int]] = {}
    days = [
        us(day)
        for day in ("2024-02-29T00:30", "2024-03-31T03:30", "2025-03-30T12:00", "2025-10-26T02:30", "2026-03-29T12:00")
    ]
    days += [rng.randrange(start, end) for _ in range(6)]
    months = {"page": 2, "order_line": 24, "*": 13}
    spans = tuple((name, Span(n, "month")) for name, n in months.items())
    n = 0
    for now in sorted(days):
        jump = rng.choice((-HOUR, 0, HOUR))  # the clock is set
        some = []
        for kind in ("page", "order_line", "search"):
            exact = limit(now + jump, months.get(kind, 13))
            for ts in (exact, exact + 1, exact + HOUR, now - rng.randrange(900 * DAY_US), now):
                some.append(event(n, kind, ts))
                n += 1
        append(store, *some)
        every |= {e.event_id: (e.event, e.ts) for e in some}
        told = clocks(store, now + jump, events=spans).apply()
        wanted = {key: (kind, ts) for key, (kind, ts) in every.items() if ts > limit(now + jump, months.get(kind, 13))}
        assert kept(store) == wanted, datetime.fromtimestamp(now / 1e6, UTC)
        assert told["events"] == len(every) - len(wanted)
        assert clocks(store, now + jump, events=spans).apply()["request"] is None
        every = wanted
    assert store.verify() == []


def test_what_is_known_about_somebody_and_what_she_agreed_to_does_not_get_old(store: Store) -> None:
    long_ago, now = us("2020-01-01"), us("2026-01-01")
    append(
        store,
        event(0, "page", long_ago),
        event(1, "page", long_ago, t_country="NL"),
        event(2, "page", long_ago, t_newsletter=False),
        event(3, "identify", long_ago, t_country="NL"),
        event(4, "consent", long_ago, t_newsletter=True),
        event(5, "page", 0),
        event(6, "page", now - 1),
    )
    everything = (("*", Span(1, "year")),)
    assert [c["due"] for c in clocks(store, now, events=everything).due()["clocks"]] == [2]
    clocks(store, now, events=everything).apply()
    assert kept(store).keys() == {"e2", "e3", "e4", "e5", "e6"}
    clocks(store, now, events=(*everything, ("identify", Span(1, "year")))).apply()
    assert kept(store).keys() == {"e2", "e4", "e5", "e6"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with kohort.create(tmp_path / "ws") as ws:
        ws.ingest(orders(tmp_path), kind="orders")
    return tmp_path / "ws"


def orders(folder: Path) -> Path:
    lines = ["o1,ada,2019-05-01,liquorice-wheels,1,5", "o2,ada,2026-05-01,tea,1,5", "o3,ben,long ago,tea,1,5"]
    path = folder / "orders.csv"
    path.write_text("\n".join(["order_id,customer_id,order_date,product,quantity,price", *lines]))
    return path


def call(folder: Path, *arguments: str, code: int = 0) -> dict[str, Any]:
    told = CliRunner().invoke(app, ["privacy", "retention", *arguments, "-w", str(folder), "--json"])
    assert told.exit_code == code, told.output
    return json.loads(told.stdout)  # type: ignore[no-any-return]


def say(folder: Path, text: str) -> None:
    file = folder / "kohort.yaml"
    file.write_text(file.read_text().split("retention:")[0].rstrip() + f"\nretention: {text}\n")


def on_disk(folder: Path, text: str) -> int:
    with kohort.open(folder) as ws:
        return len(ws.privacy.scan([text]).hits)


def test_what_goes_is_shown_first_and_then_gone_from_the_disk_for_good(folder: Path, tmp_path: Path) -> None:
    assert call(folder)["clocks"] == []
    say(folder, "{events: 5 years, rejected_rows: 90 days}")
    events, rejected = call(folder)["clocks"]
    assert (events["data"], events["event"], events["keep"], events["due"]) == ("events", "*", "5 years", 1)
    assert (rejected["data"], rejected["due"]) == ("rejected_rows", 0)
    assert on_disk(folder, "liquorice-wheels") > 0
    shown = CliRunner().invoke(app, ["privacy", "retention", "-w", str(folder)]).stdout
    assert "kohort privacy retention --apply" in shown
    told = call(folder, "--apply")
    assert (told["request"], told["events"], told["rejected_rows"]) == ("retention-1", 1, 0)
    assert on_disk(folder, "liquorice-wheels") == 0
    with kohort.open(folder) as ws:
        ws.ingest(orders(tmp_path), kind="orders")
        assert ws.store.log.count() == 1
        assert ws.privacy.requests()[0]["events"] == 1
        assert ws.store.verify() == []
    assert call(folder, "--apply")["request"] is None


def test_rejected_rows_go_with_the_day_on_which_they_came(folder: Path) -> None:
    with kohort.open(folder) as ws:
        (began,) = {row["started_us"] for row in started(ws.store)}
        assert len(ws.store.state.rejected()) == 1
        month = Span(30, "day")
        for later, left in ((31 * DAY_US - 1, 1), (31 * DAY_US, 0)):
            Clocks(ws.store, Retention(rejected_rows=month), began + later, ZONE, {}).apply()
            assert len(ws.store.state.rejected()) == left


def started(store: Store) -> list[Any]:
    from kohort.store.state import batches

    with store._database.read() as con:
        return list(batches.all(con))


@pytest.mark.parametrize(
    ("text", "hint"),
    [("{}", "retention:"), ("{events: 1 day, hold: court case 12}", "court case 12")],
)
def test_nothing_is_deleted_without_a_period_or_while_it_is_held(folder: Path, text: str, hint: str) -> None:
    say(folder, text)
    told = call(folder, "--apply", code=2)
    assert told["error"]["code"] == "wrong_usage"
    assert hint in told["error"]["hint"]
    with kohort.open(folder) as ws:
        assert ws.store.log.count() == 2
