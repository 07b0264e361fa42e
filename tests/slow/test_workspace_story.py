"""A small shop's first weeks with Kohort, told through the public verbs only."""

from __future__ import annotations

import csv
import random
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow.compute as pc
import pytest

import kohort
from kohort.errors import NotEnough, NotFound, NoWorkspace, WrongUsage

pytestmark = pytest.mark.slow

HEADER = ["order number", "customer number", "date", "product", "quantity", "unit price"]


def write_orders(path: Path, *, customers: range, months: int = 18, seed: int = 1) -> int:
    """Orders of regulars (monthly, big), occasionals (rare, small) and one-timers; returns the number of lines."""
    chance = random.Random(seed)
    start = datetime(2023, 1, 16, 9, 30)  # noqa: DTZ001 - the file holds local times
    lines = []
    for customer in customers:
        kind = customer % 3
        visits = {0: months, 1: 3, 2: 1}[kind]
        for visit in range(visits):
            days = visit * 30 if kind == 0 else chance.randrange(months * 28)
            when = start + timedelta(days=days + chance.randrange(3), minutes=chance.randrange(400))
            for product in range(1 + chance.randrange(3)):
                price = {0: 40, 1: 12, 2: 9}[kind] * (0.8 + 0.4 * chance.random())
                stamp = when.strftime("%Y-%m-%d %H:%M")
                order = f"{customer}-{visit}"
                lines.append([order, f"K{customer}", stamp, f"P{product}", 1 + chance.randrange(4), f"{price:.2f}"])
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([HEADER, *lines])
    return len(lines)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    folder = tmp_path_factory.mktemp("story")
    lines = write_orders(folder / "orders.csv", customers=range(1_200))
    with kohort.create(folder / "shop", name="Corner shop", currency="EUR") as ws:
        ws.ingest(folder / "orders.csv")
        ws.discover(seed=3).adopt("Main")
    return folder, lines


@pytest.fixture
def ws(shop: tuple[Path, int]) -> kohort.Workspace:
    return kohort.open(shop[0] / "shop")


def test_a_folder_without_a_workspace_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(NoWorkspace) as caught:
        kohort.open(tmp_path)
    assert "kohort init" in caught.value.hint


def test_a_workspace_is_made_once(ws: kohort.Workspace) -> None:
    with pytest.raises(WrongUsage):
        kohort.create(ws.root)


def test_an_empty_workspace_says_that_there_is_no_data(tmp_path: Path) -> None:
    with kohort.create(tmp_path / "new") as empty, pytest.raises(NotEnough):
        empty.discover()


def test_reading_the_same_file_again_changes_nothing(shop: tuple[Path, int]) -> None:
    folder, lines = shop
    with kohort.open(folder / "shop") as again:
        before = again.store.log.snapshot().version
        report = again.ingest(folder / "orders.csv")
        assert (report.read, report.stored, report.duplicate, report.rejected) == (lines, 0, lines, 0)
        assert again.store.log.snapshot().version == before


def test_the_features_are_one_row_per_customer_under_the_companys_own_numbers(ws: kohort.Workspace) -> None:
    table = ws.features()
    assert sorted(table.ids.to_pylist()) == sorted(f"K{c}" for c in range(1_200))
    assert table.currency == "EUR"


def test_features_at_an_earlier_moment_know_nothing_of_what_came_later(ws: kohort.Workspace) -> None:
    early, late = ws.features("2023-03-01"), ws.features()
    assert 0 < len(early) < len(late)
    assert pc.max(early.data["orders"]).as_py() <= 2


def test_everybody_is_in_one_adopted_segment(ws: kohort.Workspace) -> None:
    members = ws.members("Main")
    assert members.column_names == ["customer_id", "segment", "since", "confidence", "reason"]
    ids = members["customer_id"].to_pylist()
    assert len(set(ids)) == len(ids) == 1_200
    found = ws.segmentation("Main")
    assert found is not None
    assert set(members["segment"].to_pylist()) == {s.name for s in found.segments}


def test_regulars_and_one_timers_do_not_share_a_segment(ws: kohort.Workspace) -> None:
    members = ws.members("Main")
    of = dict(zip(members["customer_id"].to_pylist(), members["segment"].to_pylist(), strict=True))
    regulars = [of[f"K{c}"] for c in range(0, 1_200, 3)]
    once = [of[f"K{c}"] for c in range(2, 1_200, 3)]
    mostly = max(set(regulars), key=regulars.count)
    assert regulars.count(mostly) > 0.9 * len(regulars)
    assert once.count(mostly) < 0.05 * len(once)


def test_members_of_one_segment_by_its_name(ws: kohort.Workspace) -> None:
    found = ws.segmentation("Main")
    assert found is not None
    first = found.segments[0]
    assert ws.members(first.name).num_rows == first.size


def test_an_unknown_name_offers_the_nearest(ws: kohort.Workspace) -> None:
    with pytest.raises(NotFound) as caught:
        ws.members("Mian")
    assert "Main" in caught.value.hint


def test_pages_of_members_add_up_to_the_segment(ws: kohort.Workspace) -> None:
    found = ws.segmentation()
    assert found is not None
    segment, cursor, seen = found.segments[0], 0, []
    while cursor is not None:
        page = ws.members_page(segment.id, cursor=cursor, limit=100)
        seen += [row["customer_id"] for row in page["rows"]]
        cursor = page["next"]
    assert len(seen) == len(set(seen)) == segment.size


def test_shares_of_revenue_add_up_to_one(ws: kohort.Workspace) -> None:
    found = ws.segmentation()
    assert found is not None
    assert sum(s.revenue_share or 0 for s in found.segments) == pytest.approx(1, abs=0.02)


def test_a_name_of_your_own_stays(ws: kohort.Workspace) -> None:
    found = ws.segmentation("Main")
    assert found is not None
    ws.rename("Main", found.segments[-1].id, "Passers-by")
    assert "Passers-by" in {s.name for s in kohort.open(ws.root).segmentation("Main").segments}


def test_the_same_segments_on_later_data_say_who_moved(shop: tuple[Path, int]) -> None:
    folder, _ = shop
    write_orders(folder / "more.csv", customers=range(1_200, 1_260), seed=2)
    with kohort.open(folder / "shop") as later:
        before = {s.id: s.name for s in later.segmentation("Main").segments}
        later.ingest(folder / "more.csv")
        movement = later.run("Main")
        assert movement.entered == 60
        assert {s.id: s.name for s in later.segmentation("Main").segments} == before


def test_nothing_analytical_holds_a_customer_number(ws: kohort.Workspace) -> None:
    for file in sorted(ws.root.rglob("*")):
        if file.is_file() and "events" not in file.parts:
            assert b"K1199" not in file.read_bytes(), file.name
    snapshot = ws.store.log.snapshot()
    import pyarrow.parquet as pq

    texts = set()
    for file in (f for files in snapshot.files.values() for f in files):
        table = pq.read_table(file)
        texts |= {v for c in table.column_names if str(table[c].type) == "string" for v in table[c].to_pylist()}
    if snapshot.hot is not None:
        texts |= {v for c in ("event_id", "product") for v in snapshot.hot[c].to_pylist()}
    assert not {t for t in texts if t is not None and t.startswith("K") and t[1:].isdigit()}
