"""T18 as a model: whatever people say, by whatever way and in whatever order, nobody is where she did not agree to be."""

from __future__ import annotations

import random
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import kohort
from kohort.ingest.tracking import Normaliser, TrackingSettings
from kohort.model.arrival import Arrival
from kohort.model.clock import parse_instant

PEOPLE = ("ada", "ben", "cas", "dee")
BEGIN, HOUR = parse_instant("2026-02-01T00:00:00Z"), 3_600_000_000
SETTINGS = """
consent: {marketing: t_newsletter, calls: t_calls}
signals: {gpc: [marketing]}
segments:
  mail: {rule: did('order_line'), purpose: marketing}
  calls: {rule: did('order_line'), purpose: calls}
  buyers: did('order_line')
  plain: {rule: did('order_line'), profiling: false}
"""


@dataclass
class Model:
    """What everybody said last, and what follows from it: the law read out loud."""

    agreed: dict[str, set[str]] = field(default_factory=lambda: {"marketing": set(), "calls": set()})
    forbids: dict[str, set[str]] = field(default_factory=lambda: {"objection": set(), "restriction": set()})

    def members(self) -> dict[str, set[str]]:
        usable = set(PEOPLE) - self.forbids["restriction"]
        profiled = usable - self.forbids["objection"]
        return {
            "mail": profiled & self.agreed["marketing"],
            "calls": profiled & self.agreed["calls"],
            "buyers": profiled,
            "plain": usable,
        }


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace that no test changes."""
    folder = tmp_path_factory.mktemp("model")
    lines = [f"o-{who},{who},2026-01-05,tea,1,5" for who in PEOPLE]
    (folder / "orders.csv").write_text("\n".join(["order_id,customer_id,order_date,product,quantity,price", *lines]))
    with kohort.create(folder / "ws") as ws:
        ws.ingest(folder / "orders.csv", kind="orders")
        file = ws.root / "kohort.yaml"
        file.write_text(file.read_text() + SETTINGS)
    return folder / "ws"


def signal(ws: kohort.Workspace, who: str, at: int) -> None:
    """Her browser comes by with `Sec-GPC: 1`."""
    columns, settings = ws.store.log.columns(), TrackingSettings(signals=ws.config.objections)
    arrival = Arrival(
        {"type": "track", "event": "Seen", "userId": who, "messageId": f"m{at}"}, at, "web", "1:0", signals=("gpc",)
    )
    found = Normaliser(ws.store.vault, columns, "UTC", "EUR", settings).normalise([arrival])
    ws.store.log.declare(found.columns)
    ws.store.log.append(found.table, batch=ws.store.state.begin_batch("web", "tracking"))


def step(ws: kohort.Workspace, model: Model, rng: random.Random, at: int) -> str:
    """Somebody says something; what it was, for whoever reads of a failure."""
    who, purpose = rng.choice(PEOPLE), rng.choice(("marketing", "calls"))
    limit = rng.choice(("objection", "restriction"))
    what = rng.choice(("yes", "yes", "no", "signal", "forbid", "allow"))
    if what in ("yes", "no"):
        ws.privacy.record_consent(who, purpose, what == "yes", source="form", at=at)
        (model.agreed[purpose].add if what == "yes" else model.agreed[purpose].discard)(who)
        return f"{who} says {what} to {purpose}"
    if what == "signal":
        signal(ws, who, at)
        model.agreed["marketing"].discard(who)
        return f"the browser of {who} objects"
    if what == "forbid":
        ws.privacy.forbid(limit, [who], source="letter")  # type: ignore[arg-type]
        model.forbids[limit].add(who)
    else:
        ws.privacy.allow(limit, [who], source="letter")  # type: ignore[arg-type]
        model.forbids[limit].discard(who)
    return f"{who}: {what} {limit}"


def now(ws: kohort.Workspace) -> dict[str, set[str]]:
    return {name: set(ws.members(name).column("customer_id").to_pylist()) for name in Model().members()}


def follow(root: Path, seed: int, steps: int) -> None:
    rng, model, said = random.Random(seed), Model(), list[str]()
    with kohort.open(root) as ws:
        ws.segments.run(as_of=BEGIN)
        assert now(ws) == model.members()
        for n in range(1, steps + 1):
            at = BEGIN + n * HOUR
            said.append(step(ws, model, rng, at))
            for name, inside in now(ws).items():  # a limit holds before any run
                gone = model.forbids["restriction"] | (set() if name == "plain" else model.forbids["objection"])
                assert not inside & gone, (name, said)
            ws.segments.run(as_of=at)
            assert now(ws) == model.members(), said
            profiled = model.members()["buyers"]
            if profiled:
                assert set(ws.features(as_of=at).to_arrow().column("customer_id").to_pylist()) == profiled, said


@pytest.mark.parametrize("seed", range(1))
def test_nobody_is_where_she_did_not_agree_to_be(made: Path, tmp_path: Path, seed: int) -> None:
    follow(Path(shutil.copytree(made, tmp_path / "ws")), seed, 8)


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(1, 41))
def test_the_same_for_longer(made: Path, tmp_path: Path, seed: int) -> None:
    follow(Path(shutil.copytree(made, tmp_path / "ws")), seed, 50)
