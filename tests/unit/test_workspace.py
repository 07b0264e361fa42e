"""What a workspace keeps: answers only as long as they hold, settings that several processes change, people by name."""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import kohort
from kohort.errors import NotEnough
from kohort.model.feature import FeatureInfo, FeatureTable
from kohort.model.membership import Placed
from kohort.model.segmentation import Segment, Segmentation, Structure
from kohort.model.source import SourceMapping
from kohort.segments import adopted as adopted_segmentation
from kohort.workspace.found import KIND, keep_people
from kohort.workspace.people import short_code

ORDERS = """order,customer,date,product,quantity,price
1,K1,2024-01-02,mug,2,1.50
2,K2,2024-01-03,pan,1,2.50
3,K1,2024-03-01,mug,-1,1.50
"""


@pytest.fixture
def ws(tmp_path: Path):
    (tmp_path / "orders.csv").write_text(ORDERS)
    with kohort.create(tmp_path / "shop", currency="GBP") as made:
        made.ingest(tmp_path / "orders.csv")
        yield made


def codes(ws: kohort.Workspace) -> set[str]:
    return {f.code for f in ws.health().findings}


def test_health_notices_a_file_that_added_nothing(ws, tmp_path):
    assert "already_known" not in codes(ws)
    ws.ingest(tmp_path / "orders.csv")
    assert "already_known" in codes(ws)


def test_an_answer_is_kept_as_long_as_data_and_settings_are_the_same(ws):
    ws.summary()
    kept = ws.store.state.get("kept.summary")
    ws.summary()
    assert ws.store.state.get("kept.summary") == kept
    file = ws.root / "kohort.yaml"
    file.write_text(f"# a note\n{file.read_text()}")
    ws.summary()
    assert ws.store.state.get("kept.summary") == kept, "a remark changes nothing"
    file.write_text(file.read_text().replace("currency: GBP", "currency: EUR  # since May"))
    assert ws.summary()["currency"] == "EUR"
    assert ws.store.state.get("kept.summary") != kept


def test_two_processes_change_the_settings_and_neither_change_is_lost(ws):
    with kohort.open(ws.root) as other:
        assert len(other.config.sources) == 1
        ws.pin_definitions(ws.definitions())
        other.confirm(SourceMapping("visits", "events", {"customer": "who", "time": "at"}))
        assert ws.config == other.config
        assert {s.name for s in ws.config.sources} == {"orders", "visits"}
        assert ws.config.features


def test_figures_need_no_data_frame_library(ws):
    ws.store.log.compact()
    look = "import sys, kohort; kohort.open(sys.argv[1]).summary(); print('pandas' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", look, ws.root], capture_output=True, text=True, check=True)
    assert told.stdout == "False\n"


def test_a_name_never_seen_is_said(ws):
    assert ws.features().notes == ()
    file = ws.root / "kohort.yaml"
    file.write_text(f"{file.read_text()}features:\n  visits: {{count: events, event: pgae}}\n  n: {{count: events}}\n")
    (note,) = ws.features().notes
    assert "visits" in note
    assert "pgae" in note


def test_a_customer_number_that_is_an_identifier_is_not_shown(ws, tmp_path):
    (tmp_path / "mail.csv").write_text(
        "order,email,date,product,quantity,price\n9,Ann@example.org,2024-01-05,mug,1,1.5\n"
    )
    ws.ingest(tmp_path / "mail.csv")
    ann = ws.store.vault.find("email", "ann@example.org")
    shown = ws.features().ids.to_pylist()
    assert set(shown) == {"K1", "K2", short_code(ann)}


def test_a_table_of_customers_without_dates_is_as_of_the_day_it_was_brought(tmp_path):
    rows = [f"C{i},2020-01-{1 + i % 28:02d},{i % 2 * 50 + i % 7}" for i in range(60)]
    (tmp_path / "people.csv").write_text("\n".join(["customer_id,joined,age", *rows]))
    before = time.time_ns() // 1_000
    with kohort.create(tmp_path / "people") as people:
        people.ingest(tmp_path / "people.csv", kind="customers")
        assert before <= people.as_of() <= time.time_ns() // 1_000
        assert min(people.features().data["joined"].to_pylist()) > 0
        found = people.discover(k=2).segmentation
    assert [s.trend for s in found.segments] == [(), ()]


def test_what_is_adopted_is_what_was_found_though_more_data_came_between(tmp_path):
    rows = [f"C{i},{i % 2 * 50 + i % 7}" for i in range(60)]
    (tmp_path / "people.csv").write_text("\n".join(["customer_id,age", *rows]))
    (tmp_path / "more.csv").write_text("customer_id,visits\n" + "".join(f"C{i},{i % 9}\n" for i in range(60)))
    with kohort.create(tmp_path / "shop") as shop:
        shop.ingest(tmp_path / "people.csv", kind="customers")
        shop.discover(k=2)
        version = shop.store.log.snapshot().version
        more = tmp_path / "more.csv"
        shop.ingest(more, mapping=shop.propose([more], kind="customers").mapping)
        assert [d.name for d in shop.definitions()] == ["age", "visits"]
        shop.adopt("Main")
        assert [d.name for d in shop.config.features] == ["age"]
        assert adopted_segmentation(shop.store, "Main").provenance["data_version"] == version
        assert shop.run("Main").moved == 0


@pytest.fixture
def adopted(ws):
    """A segmentation whose features are called like the columns of memberships."""
    names = ("segment", "since", "confidence", "customer")
    keys = ws.store.vault.customers(["K1", "K2"])
    table = FeatureTable(
        pa.array(keys),
        pa.table({name: [1.0, 2.0] for name in names}),
        tuple(FeatureInfo(name, name) for name in names),
        as_of=86_400_000_000,
    )
    group = Segment("s1", "All", "", 2, 1.0, None, None, None, None, None, ())
    found = Segmentation("x", "kmeans", 1, 2, Structure("spectrum", {}, ""), (), (group,), 0, (), name="Main")
    ws.store.state.save_segmentation(found, name="Main", adopted=True)
    rows = pa.table({"customer": keys, "segment": ["s1"] * 2, "confidence": [0.5, 0.9], "reason": [""] * 2})
    ws.store.members.publish([Placed("Main", 1, rows)], as_of=86_400_000_000, now=0)
    return table


def test_features_called_like_columns_of_ours_are_shown_beside_them(ws, adopted):
    with pytest.raises(NotEnough):
        ws.members_page("s1")
    keep_people(ws, "Main", adopted)
    first, second = ws.members_page("s1")["rows"]
    assert (first["customer_id"], first["since"], first["confidence"]) == ("K2", "1970-01-02T00:00:00Z", 0.9)
    assert first["features"] == dict.fromkeys(("segment", "since", "confidence", "customer"), 2.0)
    assert second["customer_id"] == "K1"
    assert ws.members_page("s1", cursor=1, limit=1)["next"] is None


def test_of_each_name_only_the_people_of_the_last_run_are_kept(ws, adopted):
    keep_people(ws, "Main", adopted)
    keep_people(ws, "Other", adopted)
    later = FeatureTable(adopted.ids, adopted.data, adopted.features, as_of=2 * 86_400_000_000)
    for table in (adopted, later, later):
        keep_people(ws, "Main", table)
    assert len(ws.store.artefacts.ids(KIND)) == 2
    assert np.array_equal(
        ws.store.artefacts.ids(KIND), sorted(ws.store.state.get(f"people.{n}") for n in ("Main", "Other"))
    )
