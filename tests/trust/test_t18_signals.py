"""T18: what a browser objects to by itself (`Sec-GPC`, `DNT`) ends what needs consent, is shown with its source, and is kept."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

import kohort
from kohort.definitions.workspace_file import parse, write
from kohort.errors import RefusedDefinition
from kohort.ingest.memory import MemoryVault
from kohort.ingest.tracking import Normalised, Normaliser, TrackingSettings, again, frame_arrivals
from kohort.live.service import Service
from kohort.model.arrival import Arrival
from kohort.workspace.live import service
from kohort.workspace.workspace import Workspace

NOW = 1_750_000_000_000_000
DAY = 86_400_000_000
ADS = {"gpc": ("t_ads",), "dnt": ("t_ads",)}


def normaliser(**signals: tuple[str, ...]) -> Normaliser:
    return Normaliser(MemoryVault(), {"t_ads": "flag"}, "UTC", "EUR", TrackingSettings(signals=signals or ADS))  # type: ignore[arg-type]


def arrived(n: int, *signals: str, at: int = NOW, **event: Any) -> Arrival:
    base = {"userId": "ana", "messageId": f"m{n}", "type": "track", "event": "Seen"}
    return Arrival({**base, **event}, at, "web", f"{n}:0", signals=signals)  # type: ignore[arg-type]


def statements(found: Normalised) -> list[tuple[str, bool, str]]:
    rows = found.table.to_pylist()
    assert found.received == int(found.head.sum()) + len(found.rejected)
    return [(r["event_id"], r["t_ads"], r["p_consent_by"]) for r in rows if r["event"] == "consent"]


def test_a_signal_is_a_statement_of_its_own_once_a_day() -> None:
    made = normaliser()
    found = made.normalise([arrived(1, "gpc"), arrived(2, "gpc"), arrived(3, "dnt")])
    assert statements(found) == [("m1~gpc~t_ads", False, "Sec-GPC")]
    assert made.normalise([arrived(4, "gpc")]).table.num_rows == 1
    later = made.normalise([arrived(5, "gpc", at=NOW + DAY)])
    assert statements(later) == [("m5~gpc~t_ads", False, "Sec-GPC")]
    assert normaliser().normalise([arrived(6)]).table.num_rows == 1


def test_what_she_says_herself_counts_for_its_event_and_the_signal_again_after_it() -> None:
    made = normaliser()
    yes = arrived(2, "gpc", type="identify", traits={"ads": True})
    found = made.normalise([arrived(1, "gpc"), yes, arrived(3, "gpc")])
    assert [name for name, _, _ in statements(found)] == ["m1~gpc~t_ads", "m3~gpc~t_ads"]


def test_an_event_can_say_it_in_its_context_and_only_what_means_yes_does() -> None:
    for value, count in ((True, 1), ("1", 1), (1, 1), (False, 0), ("0", 0), (None, 0), ({"a": 1}, 0), ([1], 0)):
        found = normaliser().normalise([arrived(1, context={"globalPrivacyControl": value})])
        assert found.table.num_rows == 1 + count, value
    found = normaliser().normalise([arrived(1, context={"doNotTrack": "1"})])
    assert statements(found) == [("m1~dnt~t_ads", False, "DNT")]


def test_nothing_is_said_of_machines_nor_of_signals_that_nobody_named() -> None:
    crawler = arrived(1, "gpc", context={"userAgent": "Googlebot/2.1 (+http://www.google.com/bot.html)"})
    assert normaliser().normalise([crawler]).table.num_rows == 1
    assert normaliser(dnt=("t_ads",)).normalise([arrived(1, "gpc")]).table.num_rows == 1


def test_a_dead_letter_keeps_the_signal_it_came_with() -> None:
    meta = {"received_us": NOW, "source": "web", "path": "batch", "signals": ["gpc", "odd"]}
    (arrival,) = frame_arrivals(b'{"batch": [{"type": "track", "userId": "ana"}]}', meta, 7)
    assert arrival.signals == ("gpc",)
    (letter,) = normaliser().normalise([arrival]).rejected
    assert again(letter).signals == ("gpc",)


def test_the_setting_reads_back_as_it_is_written_and_names_purposes() -> None:
    text = "name: Toys\nconsent: {ads: t_ads, mail: t_mail}\nsignals: {gpc: [ads, mail], dnt: ads}"
    config = parse(text)
    assert config.signals == {"gpc": ("ads", "mail"), "dnt": ("ads",)}
    assert config.objections == {"gpc": ("t_ads", "t_mail"), "dnt": ("t_ads",)}
    assert parse(write(config)) == config
    for wrong, key in (("{gpc: [sales]}", "signals.gpc"), ("{gcp: ads}", "signals.gcp"), ("[gpc]", "signals")):
        with pytest.raises(RefusedDefinition) as refused:
            parse(f"name: Toys\nconsent: {{ads: t_ads}}\nsignals: {wrong}")
        assert [mistake["key"] for mistake in refused.value.mistakes] == [key]


# -- in a workspace ----------------------------------------------------------------------------------------------------


class Site:
    """A workspace with a loop that the test ticks."""

    def __init__(self, root: Path) -> None:
        kohort.create(root, name="Toys").close()
        file = root / "kohort.yaml"
        file.write_text(
            file.read_text() + "\nconsent: {ads: t_ads}\nsignals: {gpc: [ads]}\n"
            "segments:\n  shown: {rule: did('Seen'), purpose: ads}\n"
        )
        self.ws = Workspace.open(root)
        self.live: Service = service(self.ws)
        self.n = 0

    def send(self, *signals: str, **event: Any) -> None:
        self.n += 1
        body = {"messageId": f"m{self.n}", "type": "track", "event": "Seen", "userId": "ana", **event}
        now = time.time_ns() // 1_000
        meta = {"received_us": now, "source": "shop", "path": "batch", "ip": "", "user_agent": "", "signals": signals}
        self.live.inbox.append(orjson.dumps({"batch": [body]}), meta).result(30)
        self.live.loop.tick()

    def inside(self) -> bool:
        return bool(self.ws.store.members.current("shown").num_rows)

    def close(self) -> None:
        self.live.loop.close()
        self.live.store.close()
        self.ws.close()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path / "ws")
    yield made
    made.close()


def test_with_the_tick_of_the_signal_she_is_out_and_it_is_shown_where_it_came_from(site: Site) -> None:
    site.send(type="identify", traits={"ads": True})
    site.send()
    assert site.inside()
    site.send("gpc")
    assert not site.inside()
    (told,) = site.ws.privacy.consent("ana")["consent"]
    assert not told["agreed"]
    statements = told["statements"]
    assert [s["agreed"] for s in statements] == [True, False]
    assert (statements[1]["source"], statements[1]["proof"]) == ("browser signal", "Sec-GPC: 1")
    assert "browser signal" in str(site.ws.privacy.export("ana")["consent"])
    site.send()
    assert not site.inside(), "an event without the signal takes nothing back"
    site.send(type="identify", traits={"ads": True})
    assert site.inside(), "she does, herself"
    assert site.ws.store.verify() == []
