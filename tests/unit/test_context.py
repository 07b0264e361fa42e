"""Series about the world: nothing is known before it was published, areas lead where a table says, and it is a feature."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

import kohort
from kohort.cli.app import app
from kohort.definitions.workspace_file import parse, write
from kohort.errors import BadInput, KohortError, RefusedDefinition
from kohort.ingest.context import read_areas, read_series, wilson
from kohort.model.clock import iso, parse_instant

DOCS = (Path(__file__).parents[2] / "docs" / "context.md").read_text(encoding="utf-8")
SERIES = """
context:
  weather:
    file: weather.csv
    time: day
    area: station
    published: published
    customer_area: t_city
    areas: areas.csv
    features: {rain_7d: {sum: rain_mm, within: 7 days}, warmth: {last: degrees, within: 3 days}}
  economy:
    file: rates.csv
    time: month
    delay: 30 days
    features: {inflation: {last: rate, within: 90 days}}
"""
WEATHER = """day,station,published,rain_mm,degrees
2024-03-01,06260,2024-03-02,2.5,8
2024-03-02,06260,2024-03-03,1.5,
2024-03-02,06260,2024-03-05,3.5,9.25
2024-03-02,06380,2024-03-03,0,11
soon,06260,2024-03-03,1,1
2024-03-03,06260,,1,1
"""
AREAS = "said,area,right\nUtrecht,06260,yes\nDe Bilt,06260,no\nMaastricht,06380,yes\nOss,,\n"
RATES = "month;rate\n2024-01-01;2.5\n2024-02-01;2,9\n2024-03-01;3.1\n"
PEOPLE = "customer_id,city\n1,utrecht\n2,Maastricht\n3,Atlantis\n4,\n"
ORDERS = "order,customer,date,product,quantity,price\n" + "".join(
    f"{n},{n},2024-02-01,mug,1,2.50\n" for n in (1, 2, 3, 4)
)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    root = tmp_path / "shop"
    with kohort.create(root, name="Toys") as ws:
        for name, text in (("people.csv", PEOPLE), ("orders.csv", ORDERS)):
            (tmp_path / name).write_text(text)
        ws.ingest(tmp_path / "people.csv", kind="customers")
        ws.ingest(tmp_path / "orders.csv", kind="orders")
    for name, text in (("weather.csv", WEATHER), ("areas.csv", AREAS), ("rates.csv", RATES.replace(",", "."))):
        (root / name).write_text(text)
    config = root / "kohort.yaml"
    config.write_text(config.read_text() + SERIES)
    return root


def values(shop: Path, as_of: str) -> dict[str, tuple[object, ...]]:
    with kohort.open(shop) as ws:
        rows = ws.features(as_of=as_of).to_arrow().to_pylist()
    return {r["customer_id"]: (r["rain_7d"], r["warmth"], r["inflation"]) for r in rows}


@pytest.mark.parametrize(
    ("as_of", "utrecht", "maastricht"),
    [
        ("2024-03-01T12:00:00Z", (None, None, 2.5), (None, None, 2.5)),  # nothing of it was published yet
        ("2024-03-02T00:00:00Z", (2.5, 8.0, 2.9), (None, None, 2.9)),
        ("2024-03-03T00:00:00Z", (4.0, 8.0, 2.9), (0.0, 11.0, 2.9)),
        (
            "2024-03-05T00:00:00Z",
            (6.0, None, 2.9),
            (0.0, None, 2.9),
        ),  # a correction; and warmth of two days ago is 3 days off
        ("2024-03-09T00:00:00Z", (None, None, 2.9), (None, None, 2.9)),
        ("2024-04-05T00:00:00Z", (None, None, 3.1), (None, None, 3.1)),
    ],
)
def test_a_moment_knows_what_was_published_by_then(shop: Path, as_of: str, utrecht, maastricht) -> None:
    found = values(shop, as_of)
    assert found["1"] == utrecht
    assert found["2"] == maastricht
    assert found["3"][:2] == found["4"][:2] == (None, None)


def test_the_list_says_how_well_it_fits(shop: Path) -> None:
    told = CliRunner().invoke(app, ["context", "-w", str(shop), "--json"])
    assert told.exit_code == 0, told.output
    weather, economy = json.loads(told.stdout)["series"]
    assert (weather["read"], weather["used"], weather["left_out"]) == (6, 4, {"bad_time": 1, "missing_time": 1})
    assert weather["customers"] == {"with_area": 3, "led": 2, "in_series": 2}
    assert weather["area_errors"]["value"] == pytest.approx(1 / 3)
    assert (economy["first"], economy["delay_days"], economy["customers"]) == ("2024-01-01T00:00:00Z", 30.0, None)
    people = CliRunner().invoke(app, ["context", "-w", str(shop)])
    assert "4 of 6 rows used; left out: 1 bad time, 1 missing time." in people.stdout


def test_features_of_series_say_what_they_are(shop: Path) -> None:
    with kohort.open(shop) as ws:
        infos = {f.name: f for f in ws.features(as_of="2024-03-03").features}
        assert infos["rain_7d"].definition == "sum of rain_mm of weather within 7 days, as known at the moment"
        assert not [name for name in infos if name.startswith("_")]
        plain = ws.pseudonymous_features("2024-03-03", context=False)
        assert "rain_7d" not in [f.name for f in plain.features]


def test_a_series_that_is_missing_or_leads_out_is_told(shop: Path) -> None:
    (shop / "weather.csv").unlink()
    with kohort.open(shop) as ws, pytest.raises(KohortError, match=r"weather\.csv"):
        ws.features(as_of="2024-03-03")
    (shop / "weather.csv").symlink_to("/etc/hostname")
    with kohort.open(shop) as ws, pytest.raises(KohortError, match="leads out"):
        ws.features(as_of="2024-03-03")


def test_a_table_of_areas_needs_its_columns(shop: Path) -> None:
    (shop / "areas.csv").write_text("city,station\nUtrecht,06260\n")
    series = parse("name: T\n" + SERIES).context[0]
    with pytest.raises(BadInput, match="what leads where"):
        read_areas(series, shop)


def test_the_last_of_two_equal_publications_counts(shop: Path) -> None:
    (shop / "weather.csv").write_text("day,station,published,rain_mm,degrees\n" + "2024-03-01,a,2024-03-02,1,1\n" * 2)
    (shop / "weather.csv").open("a").write("2024-03-01,a,2024-03-02,5,1\n")
    table = read_series(parse("name: T\n" + SERIES).context[0], shop, zone="UTC").observations.to_pylist()
    assert [(row["rain_mm"], iso(row["ts"])) for row in table] == [(5_000_000, "2024-03-01T00:00:00Z")]
    assert parse_instant("2024-03-02T00:00:00Z") == table[0]["known"]


def test_wilson_is_wilson() -> None:
    # Newcombe (1998), table I: 81 of 263.
    found = wilson(81, 263)
    assert (round(found["low"], 4), round(found["high"], 4)) == (0.2553, 0.3662)


def test_what_is_read_is_written_back() -> None:
    config = parse("name: Toys\n" + SERIES)
    assert parse(write(config)) == config


@pytest.mark.parametrize("example", re.findall(r"```yaml\n(.*?)```", DOCS, re.DOTALL))
def test_examples_of_the_docs_are_definitions(example: str) -> None:
    assert parse("name: Toys\n" + example).context


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("{time: d, delay: 1 day, features: {a: {last: x, within: 1 day}}}", "needs a file"),
        ("{file: w.csv, time: d, features: {a: {last: x, within: 1 day}}}", "when an observation became known"),
        ("{file: /etc/w.csv, time: d, delay: 1 day, features: {a: {last: x, within: 1 day}}}", "workspace's folder"),
        ("{file: ../w.csv, time: d, delay: 1 day, features: {a: {last: x, within: 1 day}}}", "workspace's folder"),
        ("{file: w.csv, time: d, delay: 1 day, area: s, features: {a: {last: x, within: 1 day}}}", "belong together"),
        ("{file: w.csv, time: d, delay: 1 day}", "needs features"),
        ("{file: w.csv, time: d, delay: 1 day, features: {a: {median: x, within: 1 day}}}", "is one of last"),
        ("{file: w.csv, time: d, delay: 1 day, features: {a: {last: x}}}", "how far back"),
        (
            "{file: w.csv, time: d, delay: 1 month, features: {a: {last: x, within: 1 day}}}",
            "not always the same length",
        ),
        ("{file: w.csv, time: d, delay: 1 day, features: {A b: {last: x, within: 1 day}}}", "not a name of a feature"),
    ],
)
def test_mistakes_are_told(body: str, said: str) -> None:
    with pytest.raises(RefusedDefinition, match=re.escape(said)):
        parse(f"name: Toys\ncontext: {{weather: {body}}}")
