"""The workspace of the pictures: the demo shop with everything in it that a page can show.

    python scripts/screens_shop.py folder         # some minutes; a folder that is there already is left as it is

Orders are those of the bundled shop. It knows nobody's name, so the people are invented, some of them written down twice:
names from two lists, addresses of example.com, telephone numbers that are kept for films.
"""

from __future__ import annotations

import csv
import random
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kohort.workspace.demo import CURRENCY, ZONE, bundled

if TYPE_CHECKING:
    from kohort.workspace.workspace import Workspace

USER, PASSWORD = "Ada", "plum kettle orbit sand"
CLEANING = """
cleaning:
  tests: {where: product like 'TEST%', because: Orders of our own testers}
"""
DEFINITIONS = """
retention: {events: 20 years}
consent: {marketing: t_newsletter}
segments:
  loyal:
    label: Loyal
    rule: did('order_line', at_least => 3, within => '12 months') and sum('order_line', within => '365 days').amount >= 500
    keep: did('order_line', within => '12 months')
    minimum_stay: 30 days
  big:
    label: Big customers
    rule: sum('order_line', within => '365 days').amount >= 5000
  value:
    label: Value
    tiers:
      gold: sum('order_line').amount >= 2000
      silver: sum('order_line').amount >= 500
      bronze: did('order_line')
  life:
    label: Lifecycle
    stages:
      new: {rule: "days_since_first('order_line') <= 30", then: [active, lost]}
      active: {rule: "did('order_line', within => '90 days')", minimum_stay: 7 days}
      sleeping: did('order_line', within => '1 year')
      lost: did('order_line')
  slipping: {label: Slipping, rule: "in_segment('value', 'gold') and never('order_line', within => '90 days')"}
  split: {label: Spring test, buckets: {test: 50, control: 50}, salt: spring}
"""
MONTHS = [f"2011-{month:02d}-01" for month in range(1, 13)] + ["2011-12-09"]
REQUESTS = [("access", "e-mail"), ("access", "letter"), ("objection", "account"), ("rectification", "phone")]
FIRST = [
    "Anna",
    "Ben",
    "Clara",
    "David",
    "Emma",
    "Finn",
    "Grace",
    "Hugh",
    "Iris",
    "Jack",
    "Kate",
    "Liam",
    "Maya",
    "Noah",
    "Olive",
    "Paul",
    "Rosa",
    "Sam",
    "Tess",
    "Will",
    "Vera",
    "Ian",
]
LAST = [
    "Archer",
    "Baker",
    "Carter",
    "Dyer",
    "Easton",
    "Fletcher",
    "Gardner",
    "Harper",
    "Ingram",
    "Jarvis",
    "Kemp",
    "Lister",
    "Mercer",
    "Norris",
    "Palmer",
    "Quill",
]
STREETS = ["Mill Lane", "Church Street", "Station Road", "High Street", "Park Avenue", "Orchard Close", "Castle Hill"]
TOWNS = [("Leeds", "LS1 4"), ("York", "YO1 7"), ("Bath", "BA1 2"), ("Exeter", "EX4 3"), ("Norwich", "NR2 1")]
HEAD = ("customer_id", "first_name", "last_name", "email", "street", "city", "postcode", "phone", "newsletter")


@dataclass(frozen=True)
class Shops:
    """Folders of workspaces, and a file that somebody could bring."""

    shop: Path
    empty: Path
    first: Path  # empty, too: where somebody has to log in and nobody can yet
    orders: Path


def prepared(folder: Path) -> Shops:
    """Made where they are not there yet."""
    import kohort

    shops = Shops(folder / "shop", folder / "empty", folder / "first", folder / "orders.csv")
    if not shops.orders.exists():  # the last one made
        fill(shops.shop, folder / "people.csv")
        for place in (shops.empty, shops.first):
            kohort.create(place, name="Tea and more", timezone=ZONE, currency=CURRENCY).close()
        write_orders(shops.orders)
    return shops


def fill(place: Path, people: Path) -> None:
    """From raw files to predictions, requests and opinions."""
    import kohort
    from kohort.workspace.demo import fill as read_in
    from kohort.workspace.workspace import DEMO_MARK

    with kohort.create(place, name="Online gift shop (demo)", timezone=ZONE, currency=CURRENCY) as ws:
        (place / DEMO_MARK).write_text("Made by scripts/screens_shop.py.\n", encoding="utf-8")
        with (place / "kohort.yaml").open("a", encoding="utf-8") as file:
            file.write(CLEANING)
        said("reading", read_in(ws).read)
        ws.discover().adopt("Main")
        write_people(people, numbers())
        ws.ingest(people)
        said("customers joined", ws.identity.run(region="GB", by=USER)["merged"])
        with (place / "kohort.yaml").open("a", encoding="utf-8") as file:
            file.write(DEFINITIONS)
    with kohort.open(place) as ws:
        names = [one.name for one in ws.config.segments]
        for day in MONTHS:
            ws.segments.run(names, as_of=day)
        said("segments run", len(MONTHS))
        ws.predict.train()
        ws.predict.keep()
        ws.predict.value.fit()
        ws.predict.value.keep()
        said("predictions", len(ws.predict.models()))
    with kohort.open(place) as ws:
        team(ws)


def team(ws: Workspace) -> None:
    """People who log in, what customers asked them, and what they say about a segment and some of its members."""
    for name, role in (("Ada", "administrator"), ("Mia", "marketer"), ("Pia", "privacy-officer")):
        ws.users.add(name, role, PASSWORD, by="Ada")
    for number, (kind, way) in zip(numbers()[40:], REQUESTS, strict=False):
        ws.privacy.cases.receive(kind, number, by=USER, way=way)
    ws.privacy.cases.settle(1, by=USER)
    for i, row in enumerate(ws.feedback.to_check("loyal", limit=14)):
        belongs = i % 4 != 3
        text = "" if belongs else "Buys for a school, once a year"
        ws.feedback.add("loyal", "agree" if belongs else "disagree", customer=row["customer_id"], text=text, by="Mia")
    ws.feedback.add("loyal", "comment", text="Three orders is few for wholesale.", by="Ada")
    ws.feedback.add("value", "disagree", part="gold", text="The border is too low.", by="Mia")


def numbers() -> list[str]:
    """Customer numbers of the second year."""
    import pyarrow.parquet as pq

    with bundled() as (_, second):
        column = pq.read_table(second, columns=["Customer ID"]).column(0)
    return sorted({str(number) for number in column.to_pylist() if number is not None})


def write_people(place: Path, known: list[str]) -> None:
    """1,500 invented people, and 120 of them a second time under another number, not quite the same."""
    rng, rows = random.Random(4), []
    for number, phone in zip(rng.sample(known, 1500), rng.sample(range(1000), 1000) + [-1] * 500, strict=True):
        first, last, (town, post) = rng.choice(FIRST), rng.choice(LAST), rng.choice(TOWNS)
        mail = f"{first}.{last}{rng.randint(1, 99)}@example.com".lower()
        street = f"{rng.randint(1, 120)} {rng.choice(STREETS)}"
        code = post + rng.choice("ABDEFG") + rng.choice("HJLN")
        told = f"+44 20 7946 0{phone:03d}" if phone >= 0 else ""
        rows.append([number, first, last, mail, street, town, code, told, rng.choice(["yes", "yes", "no"])])
    for i, one in enumerate(rng.sample(rows, 120)):
        again, how = [f"W{1000 + i}", *one[1:]], rng.randint(0, 3)
        again[3] = one[3] if how == 0 else one[3].replace(".com", ".org") if how == 1 else ""
        if how == 2:
            again[2] = one[2][:-2] + one[2][-1] + one[2][-2]
        if how == 3:
            again[7] = again[4] = ""
        rows.append(again)
    _write(place, HEAD, rows)


def write_orders(place: Path) -> None:
    """The first weeks of the bundled shop as a spreadsheet would save them."""
    import pyarrow.parquet as pq

    with bundled() as (first, _):
        table = pq.read_table(first)
    some = table.slice(0, 20_000).select(
        ["Invoice", "Customer ID", "InvoiceDate", "StockCode", "Description", "Quantity", "Price"]
    )
    _write(place, some.column_names, [list(row.values()) for row in some.to_pylist()])


def _write(place: Path, head: Any, rows: list[list[Any]]) -> None:
    with place.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(head)
        writer.writerows(rows)


def said(what: str, figure: Any) -> None:
    print(f"{what}: {figure}", flush=True)


if __name__ == "__main__":
    print(prepared(Path(sys.argv[1])))
