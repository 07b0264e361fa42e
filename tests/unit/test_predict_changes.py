"""Behaviour change and response to a campaign: worlds whose chances are known, and what is said of what they do not tell."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import kohort
from kohort.cli.app import app
from kohort.definitions.features import parse_features
from kohort.definitions.predictions import parse_target, write_target
from kohort.definitions.workspace_file import parse, write
from kohort.errors import NotEnough, RefusedDefinition, WrongUsage
from kohort.predict.change import beside_before, changed
from kohort.predict.measures import Scored, roc_auc
from kohort.predict.response import waves

CUSTOMERS = 400
DAYS = 400
MAILS = range(230, 390, 30)
ANSWERS = (0.1, 0.55)
"""Chance of a visit in the days after a mail of those who do not read the news, and of those who do."""

PREDICTIONS = (
    parse_target("less", {"change": "buy", "by": "-50%", "horizon": "60 days", "at_least": 4}),
    parse_target("answers", {"response": "visit", "after": "email_sent", "horizon": "5 days"}),
)

FEATURES = """
complaints: {count: events, event: complaint, within: 90 days}
news: {count: events, event: news, within: 90 days}
mails: {count: events, event: email_sent}
bought: {count: events, event: buy, within: 30 days}
away: {recency: days}
"""
"""A few: with more, the tests take longer and say no more."""


def log(seed: int) -> str:
    """Everybody buys at her own pace, until two of three complain and hardly buy any more; half of all read the news every week."""
    rng = np.random.default_rng(seed)
    start = np.datetime64("2023-01-01T12:00:00")
    lines = ["customer,event,time,campaign,spent"]

    def add(who: int, event: str, day: float, campaign: str = "", spent: str = "") -> None:
        lines.append(f"K{who},{event},{start + np.timedelta64(int(day * 86_400), 's')}Z,{campaign},{spent}")

    for who in range(CUSTOMERS):
        drops = rng.uniform(60, 500) if rng.random() < 0.67 else 1e9
        day, pace = rng.uniform(0, 8), rng.choice([5.0, 9.0])
        while day < DAYS:
            add(who, "buy", day, spent=f"{rng.integers(1, 9)}.5")
            day += rng.exponential(pace) * (8 if day > drops else 1)
        if drops < DAYS:
            add(who, "complaint", max(0.0, drops - rng.uniform(0, 15)))
        if who % 2:
            for week in range(7, DAYS, 7):
                add(who, "news", week + rng.uniform(0, 6))
        for mail in MAILS:
            if rng.random() < 0.6:
                at = mail + rng.uniform(0, 0.4)
                add(who, "email_sent", at, "spring" if mail < 300 else "autumn")
                if rng.random() < ANSWERS[who % 2]:
                    add(who, "visit", at + rng.uniform(0.01, 4.99))
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def ws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[kohort.Workspace]:
    folder = tmp_path_factory.mktemp("changes")
    (folder / "events.csv").write_text(log(1))
    with kohort.create(folder / "shop") as made:
        made.ingest(folder / "events.csv", kind="events")
        made.change(lambda config: replace(config, predictions=PREDICTIONS, features=parse_features(FEATURES)))
        yield made


def call(ws: kohort.Workspace, *arguments: object) -> str:
    done = CliRunner().invoke(app, ["predict", *map(str, arguments), "-w", str(ws.root)])
    assert done.exit_code == 0, done.output
    return done.stdout


# Change ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("by", "after", "counts"),
    [(-50, 5.05, 1), (-50, 5.06, 0), (-50, 0.0, 1), (-100, 0.0, 1), (-100, 0.01, 0), (20, 12.12, 1), (20, 12.11, 0)],
)
def test_a_change_is_by_so_much_or_more(by: float, after: float, counts: int) -> None:
    assert changed(np.array([10.10]), np.array([after]), by).tolist() == [counts]


def test_of_nothing_there_is_no_share() -> None:
    assert np.isnan(changed(np.array([0.0, -3.0]), np.array([1.0, -9.0]), -50)).all()


def test_the_way_back_to_the_usual_is_all_that_how_much_there_was_tells() -> None:
    """Nobody changes: 4 to 16 purchases expected in either stretch. A model that says who had luck is told to be no better."""
    rng = np.random.default_rng(0)
    pace = rng.choice([4.0, 16.0], 6_000)
    before, after = rng.poisson(pace).astype(float), rng.poisson(pace).astype(float)
    asked = before >= 4
    before, y = before[asked], changed(before[asked], after[asked], -50)
    own = np.arange(len(y))
    share = np.array([y[before == b].mean() for b in before])
    same = beside_before(before, y, np.clip(share, 0.001, 0.999), own)
    assert same["change"]["better"]["value"] == pytest.approx(0, abs=0.01)
    assert same["change"]["base_rate"] == pytest.approx(y.mean())
    assert sum(b["rows"] for b in same["change"]["bands"]) == len(y)
    assert same["change"]["before_alone"]["roc_auc"]["value"] == pytest.approx(
        roc_auc(Scored(share, y).tally()), abs=0.03
    )
    noise = beside_before(before, y, np.full(len(y), y.mean()), own)
    assert noise["warnings"][0]["code"] == "no_better_than_before"
    knows = beside_before(before, y, np.where(y > 0, 0.7, 0.1), own)
    assert "warnings" not in knows
    assert knows["change"]["better"]["low"] > 0.1


@pytest.fixture(scope="module")
def fallen(ws: kohort.Workspace) -> dict[str, Any]:
    moments = [part for day in ("2023-05-01", "2023-07-01", "2023-09-01") for part in ("--as-of", day)]
    report: dict[str, Any] = json.loads(call(ws, "train", "less", *moments, "--json"))
    return report


def test_who_will_buy_much_less_is_told_beside_what_the_amount_before_tells(
    ws: kohort.Workspace, fallen: dict[str, Any]
) -> None:
    said = fallen
    assert said["eligible"]
    assert said["metrics"]["roc_auc"]["low"] > 0.6
    assert said["change"]["before_alone"]["roc_auc"]["high"] < said["metrics"]["roc_auc"]["low"]
    assert said["change"]["better"]["low"] > 0.05
    assert ws.predict.target("less").text == "number of buy falls by 50% or more in the next 60 days"
    scores = ws.predict.score("less")
    counts = ws.predict.dataset("less").table.data.column("before").to_pylist()
    assert min(counts) >= 4, "who had fewer is not asked about"
    assert 0 < scores.num_rows < CUSTOMERS
    customer = scores.sort_by([("probability", "descending")]).column("customer_id")[0].as_py()
    assert any("omplaint" in r["label"] for r in ws.predict.why("less", customer)["up"])
    assert "usual" in ws.predict.card("less")["limits"][0]
    assert "usual" in call(ws, "card", "less")


def test_amounts_are_compared_as_counts_are(ws: kohort.Workspace) -> None:
    body = {"change": "buy", "of": "p_spent", "by": "+30%", "horizon": "60 days"}
    data = ws.predict.dataset(body, as_of=["2023-06-01"])
    before = np.array(data.table.data.column("before").to_pylist())
    assert (before * 2 % 1 == 0).all()
    assert 0.05 < np.nanmean(data.y) < 0.6
    assert ws.predict.line("less")["by"] == -50


def test_a_later_moment_judges_it(ws: kohort.Workspace, fallen: dict[str, Any]) -> None:
    check = ws.predict.check("less")
    assert check["decay"]["periods"][0]["rows"] > 100
    assert ws.predict.signals("less")["signals"][0]["behaviour"] == "complaint"


# Response -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def said(ws: kohort.Workspace) -> str:
    return call(ws, "train", "answers")


def test_who_answers_is_told_with_the_chances_that_the_world_was_made_with(ws: kohort.Workspace, said: str) -> None:
    assert "not whom the sending moves" in " ".join(said.split())
    report = ws.predict.report("answers")
    assert report["response"]["waves"] == len(MAILS)
    assert report["response"]["sent"] == report["rows"]
    assert report["metrics"]["roc_auc"]["low"] > 0.7
    scores = ws.predict.score("answers").to_pylist()
    assert len(scores) == CUSTOMERS
    for reads, chance in enumerate(ANSWERS):
        mine = [s["probability"] for s in scores if int(s["customer_id"][1:]) % 2 == reads]
        assert np.mean(mine) == pytest.approx(chance, abs=0.07)
    assert "who answers" in ws.predict.card("answers")["limits"][0]


def test_each_sending_is_learned_from_as_customers_were_just_before(ws: kohort.Workspace) -> None:
    data = ws.predict.dataset("answers")
    sent, visits = [], {}
    for line in log(1).splitlines()[1:]:
        who, event, time, *_ = line.split(",")
        at = ws.as_of(time)
        if event == "email_sent":
            sent.append((at, who))
        elif event == "visit":
            visits.setdefault(who, []).append(at)
    assert len(data) == len(sent) == sum(data.asked.values())
    assert min(at for at, _ in sent) - 1 == min(data.asked)
    within = 5 * 86_400_000_000
    answered = sum(any(at < v <= at + within for v in visits.get(who, ())) for at, who in sent)
    assert data.y.sum() == answered
    before = data.table.data.column("mails").to_pylist()
    first = [b for b, m in zip(before, data.moments.tolist(), strict=True) if m == min(data.asked)]
    assert first
    assert not any(first), "the sending itself is not known before it"


def test_one_campaign_can_be_asked_about(ws: kohort.Workspace) -> None:
    after = {"event": "email_sent", "where": "p_campaign = 'autumn'"}
    data = ws.predict.dataset({"response": "visit", "after": after, "horizon": "5 days"})
    assert len(data.asked) == sum(mail >= 300 for mail in MAILS)
    with pytest.raises(NotEnough, match="nothing was sent"):
        ws.predict.dataset({"response": "visit", "after": "parcel_sent", "horizon": "5 days"})
    with pytest.raises(NotEnough, match="not known yet"):
        ws.predict.dataset({"response": "visit", "after": "email_sent", "horizon": "300 days"})
    with pytest.raises(NotEnough, match="Nobody who was known"):
        ws.predict.dataset("answers", as_of=["2023-01-20"])
    with pytest.raises(WrongUsage, match="different moments"):
        ws.predict.dataset("answers", as_of=[])


def test_sendings_of_a_day_are_one_wave() -> None:
    target = parse_target("t", {"response": "a", "after": "b", "horizon": "1 day"})
    hours = np.array([0, 5, 23, 25, 30, 80, 200]) * 3_600_000_000 + 10
    found = waves(hours, target, since=0, until=int(hours[-1]))
    assert found == [int(hours[n]) - 1 for n in (0, 3, 5)]
    assert waves(hours, target, since=0, until=int(hours[-1]), most=1) == [int(hours[5]) - 1]
    assert waves(hours, target, since=int(hours[3]), until=int(hours[-1])) == [int(hours[5]) - 1]


def test_rules_count_on_its_scores(ws: kohort.Workspace, said: str) -> None:
    kept = ws.predict.keep("answers")
    assert kept["new"] == CUSTOMERS
    made = ws.segments.preview(rule="answers.probability > 0.3").parts[0].size
    assert 0.3 * CUSTOMERS < made < 0.7 * CUSTOMERS


def test_nothing_is_due_before_more_was_sent(ws: kohort.Workspace, said: str) -> None:
    check = ws.predict.check("answers")
    assert check["decay"]["code"] == "not_yet"
    assert not check["retrain"]["due"]
    assert ws.predict.retrain("answers", anyway=True)["decision"] == "not_yet"
    ws.predict.train("answers", as_of=list(ws.predict.dataset("answers").asked)[:3])
    later = ws.predict.check("answers")
    assert later["decay"]["periods"][0]["rows"] > 100
    assert "sendings" in json.dumps(later["retrain"]["reasons"])
    assert ws.predict.retrain("answers", anyway=True)["decision"] in ("kept", "replaced")
    assert ws.predict.evaluate("answers")["as_of"] == max(later["decay"]["periods"], key=lambda p: p["as_of"])["as_of"]


def test_who_objects_is_neither_learned_from_nor_told(ws: kohort.Workspace, said: str) -> None:
    asked = [f"K{n}" for n in range(40)]
    last = {"less": [ws.as_of("2023-11-01")], "answers": list(ws.predict.dataset("answers").asked)[-1:]}
    before = {name: len(ws.predict.dataset(name, as_of=at)) for name, at in last.items()}
    ws.privacy.forbid("objection", asked, source="letter")
    try:
        assert all(len(ws.predict.dataset(name, as_of=at)) < before[name] for name, at in last.items())
        assert not set(ws.predict.score("answers").column("customer_id").to_pylist()) & set(asked)
    finally:
        ws.privacy.allow("objection", asked, source="letter")


# Writing it down ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (
            {"change": "order_line", "of": "amount", "by": "-50%", "horizon": "90 days"},
            "amount of order_line falls by 50% or more in the next 90 days",
        ),
        (
            {"change": ["a", "b"], "of": "day", "by": "+12.5%", "horizon": "2 weeks", "at_least": 5, "fresh": "7 days"},
            "different day of a or b rises by 12.5% or more in the next 2 weeks",
        ),
        (
            {"response": "order_line", "after": "email_sent", "horizon": "7 days"},
            "order_line within 7 days after email_sent",
        ),
        (
            {
                "response": "order_line",
                "after": {"event": ["mail", "push"], "where": "category = 'x'"},
                "horizon": "7 days",
                "where": "amount > 0",
                "active": "365 days",
                "label": "Buys then",
            },
            "Buys then",
        ),
    ],
)
def test_a_definition_is_written_as_it_was_read(body: dict[str, object], text: str) -> None:
    target = parse_target("t", body, {})
    assert write_target(target) == body
    assert target.text == text
    assert not target.several
    config = replace(parse("name: shop"), predictions=(target,))
    assert parse(write(config)).predictions == (target,)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"change": "order_line"}, "by how many per cent"),
        ({"change": "order_line", "by": 50}, "by how many per cent"),
        ({"change": "order_line", "by": "0%"}, "by how many per cent"),
        ({"change": "order_line", "by": "-150%"}, "by how many per cent"),
        ({"change": "order_line", "by": "-50%", "of": "category"}, "is not a number"),
        ({"change": "order_line", "by": "-50%", "of": "nonsense"}, "nonsense"),
        ({"change": "order_line", "by": "-50%", "of": 3}, "is a column"),
        ({"change": "order_line", "by": "-50%", "at_least": 0}, "whole number"),
        ({"change": "order_line", "by": "-50%", "at_least": True}, "whole number"),
        ({"change": "order_line", "by": "-50%", "active": "365 days"}, "not known here"),
        ({"change": "order_line", "by": "-50%", "horizon": "1 month"}, "same length"),
        ({"response": "order_line"}, "names what was sent"),
        ({"response": "order_line", "after": {"where": "amount > 0"}}, "names what was sent"),
        ({"response": "order_line", "after": {"event": "mail", "when": "now"}}, "not known here"),
        ({"response": "order_line", "after": {"event": "mail", "where": "p_"}}, "mistake"),
        ({"response": "order_line", "after": "order_line"}, "no answer to itself"),
        ({"response": "order_line", "after": 3}, "mistake"),
    ],
)
def test_what_is_wrong_with_a_definition_is_said(body: dict[str, object], says: str) -> None:
    with pytest.raises(RefusedDefinition, match=says):
        parse_target("t", body, {})
