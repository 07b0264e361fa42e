"""The pages about predictions: begun as a job, told with intervals, followed by who is likely, and kept from those who may not see."""

from __future__ import annotations

import asyncio
import random
import re
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import pytest

import kohort
from kohort.errors import NotEnough
from kohort.predict.why import pushes
from kohort.web.api.description import describe
from kohort.web.app import create
from kohort.web.jobs import Jobs
from kohort.workspace.predict_models import KIND
from kohort.workspace.predict_notes import note
from kohort.workspace.workspace import Workspace

PASSWORD = "plum kettle orbit sand"
RULES = "segments:\n  loyal: {label: Loyal ones, rule: \"did('order_line', at_least => 6, within => '365 days')\"}\n"
Ask = Callable[..., httpx.Response]


def orders(customers: int, seed: int) -> str:
    """Two kinds of customers: some order every month for ever, the others stop after some weeks."""
    rng = random.Random(seed)
    lines = ["order,customer,date,product,quantity,price"]
    for number in range(customers):
        loyal, day = rng.random() < 0.6, rng.randint(0, 250)
        ends = rng.randint(600, 720) if loyal else day + rng.randint(20, 400)
        while day < ends:
            lines.append(f"o{len(lines)},K{number},{date(2023, 1, 1) + timedelta(day)},mug,{rng.randint(1, 4)},2.50")
            day += rng.randint(10, 90)
    return "\n".join(lines) + "\n"


def asks(ws: Workspace, token: str = "", key: str = "") -> Ask:
    """Requests to the pages of a workspace, by somebody with a session, or a program with a key."""
    app = create(ws)
    headers = {"Cookie": f"__Host-kohort={token}"} if token else {"Authorization": f"Bearer {key}"} if key else {}

    def ask(path: str, fields: dict[str, str] | None = None) -> httpx.Response:
        async def sent() -> httpx.Response:
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="https://kohort", headers=headers) as client:
                return await (client.get(path) if fields is None else client.post(path, data=fields))

        return asyncio.run(sent())

    return ask


def form(ask: Ask, page: str, action: str, **fields: str) -> httpx.Response:
    """Sends a form as the page offers it."""
    word = re.search(r'name="word" value="(\w+)"', ask(page).text)
    assert word is not None, "no form is offered"
    return ask(action, {"word": word[1], **fields})


def seen(text: str) -> str:
    """What a person reads on a page."""
    body = re.sub(r"<(script|style)\b.*?</\1>", "", text[text.index("<main") :], flags=re.DOTALL)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", body)))


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop of which nothing was predicted yet; its segment was run at past moments, from the oldest on."""
    folder = tmp_path_factory.mktemp("predictions")
    (folder / "orders.csv").write_text(orders(320, 1))
    with kohort.create(folder / "ws", name="Mugs", currency="GBP") as ws:
        ws.ingest(folder / "orders.csv")
        with (ws.root / "kohort.yaml").open("a") as file:
            file.write(RULES)
        for moment in ("2023-10-01", "2024-02-01", "2024-06-01", None):
            ws.segments.run(as_of=moment)
    return folder / "ws"


@pytest.fixture(scope="module")
def shop(empty: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same shop after a person has pressed the button: the job is a process of its own."""
    root = Path(shutil.copytree(empty, tmp_path_factory.mktemp("trained") / "ws"))
    with kohort.open(root) as ws:
        ask = asks(ws)
        assert "Not trained yet" in seen(ask("/predictions").text)
        answer = form(ask, "/predictions/churn_90d", "/predictions/churn_90d", do="train", part="")
        assert (answer.status_code, answer.headers["location"]) == (303, "/predictions/churn_90d")
        assert "You can leave this page" in seen(ask("/predictions/churn_90d").text)
        jobs = Jobs(ws)
        while jobs.all()[-1].running:  # where its process is gone it is told as stopped
            time.sleep(0.2)
        (job,) = jobs.all()
        assert (job.state, job.result and job.result["code"]) == ("done", "ok"), job
        ws.predict.keep("churn_90d")
    return root


@pytest.fixture(scope="module")
def ws(shop: Path) -> Iterator[Workspace]:
    """For those who only read."""
    with kohort.open(shop) as found:
        yield found


@pytest.fixture(scope="module")
def ask(ws: Workspace) -> Ask:
    return asks(ws)


@pytest.fixture
def own(shop: Path, tmp_path: Path) -> Iterator[Workspace]:
    """For those who change something."""
    with kohort.open(shutil.copytree(shop, tmp_path / "ws")) as found:
        yield found


def test_the_page_tells_how_good_it_is_with_intervals_and_in_plain_words(ws: Workspace, ask: Ask) -> None:
    text = ask("/predictions/churn_90d").text
    read = seen(text)
    report = ws.predict.report("churn_90d")
    auc = report["metrics"]["roc_auc"]
    assert f"It puts {100 * auc['value']:.0f} of 100 pairs in the right order, likely between" in read
    for words in (
        "May go quiet within 90 days",
        "precision",
        "recall",
        "F1",
        "PR-AUC",
        "log loss",
        "Brier",
        "calibration error",
    ):
        assert words in read
    for words in (
        "The same chance for everybody",
        "Only: Days since last order",
        "Who is found first",
        "Show as table",
        "By time",
    ):
        assert words in read
    assert {s["segment"] for s in report["segments"]} == {"loyal"}
    assert "Loyal ones" in read
    assert not re.search(r"\b(score|scores|churn|AI)\b", read, re.IGNORECASE), read
    assert not re.search(r"<[^>]+ (style|on\w+)=", text), "the policy of the pages forbids that"


def test_the_list_tells_how_each_stands(own: Workspace) -> None:
    ws, ask = own, asks(own)
    read = seen(ask("/predictions").text)
    assert "Works" in read
    assert "Not checked yet" in read
    assert re.search(r"Of \d+ customers, as of .* Rules count on them until", read)
    version = ws.predict.standing_of("churn_90d")["version"]
    ago = int(ws.as_of()) - 40 * 86_400_000_000
    kept = ws.store.state.get("predict.churn_90d.scores")
    ws.store.state.set("predict.churn_90d.scores", {**kept, "as_of": ago, "version": version})
    assert "Chances too old" in seen(ask("/predictions").text)


@pytest.mark.parametrize(("code", "words"), [("no_signal", "No signal"), ("too_few", "Not enough data")])
def test_where_nothing_can_be_told_the_page_says_so(empty: Path, tmp_path: Path, code: str, words: str) -> None:
    with kohort.open(shutil.copytree(empty, tmp_path / "ws")) as ws:
        note(ws, "churn_90d", "training", {"code": code, "reason": "There are 3.", "warnings": []})
        ask = asks(ws)
        for page in ("/predictions", "/predictions/churn_90d"):
            assert words in seen(ask(page).text)
        assert "in the right order, likely" not in ask("/predictions/churn_90d").text
        with pytest.raises(NotEnough):
            ws.predict.likely("churn_90d")


def test_a_past_that_is_too_short_is_remembered(tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text("order,customer,date,product,quantity,price\no1,K1,2024-01-01,mug,1,2.5\n")
    with kohort.create(tmp_path / "ws") as ws:
        ws.ingest(tmp_path / "orders.csv")
        with pytest.raises(NotEnough):
            ws.predict.train()
        assert ws.predict.overview()["predictions"][0]["state"] == "too_short"


def test_who_is_likely_follows_the_kept_probabilities_and_says_why(ws: Workspace, ask: Ask) -> None:
    some = ws.predict.likely("churn_90d", limit=10)
    said = {s["customer_id"]: s for s in ws.predict.score("churn_90d").to_pylist()}
    assert [r["probability"] for r in some["rows"]] == sorted((r["probability"] for r in some["rows"]), reverse=True)
    assert some["customers"] == len(said)
    for row in some["rows"][:3]:
        assert row["probability"] == pytest.approx(said[row["customer_id"]]["probability"], abs=1e-6)
        assert len(row["up"]) <= 3 >= len(row["down"])
        why = ws.predict.why("churn_90d", row["customer_id"])
        assert row["up"] == why["up"]
    rest = ws.predict.likely("churn_90d", cursor=some["next"], limit=10)
    assert not {r["code"] for r in rest["rows"]} & {r["code"] for r in some["rows"]}
    least = ws.predict.likely("churn_90d", limit=1, order="least")["rows"][0]
    assert least["probability"] == min(s["probability"] for s in said.values()) or least["probability"] < 0.5
    read = seen(ask("/predictions/churn_90d/customers").text)
    assert some["rows"][0]["customer_id"] in read
    assert "Raises it by" in read


def test_reasons_ask_the_model_once_and_say_the_same(ws: Workspace) -> None:
    model, asked = ws.predict.current("churn_90d")
    table, _ = ws.predict.table_now(model, asked, None)
    some = table.data.slice(0, 7)
    p, _ = pushes(model, some)
    assert p.shape == (7, 1 + len(model.encoder.features))
    assert p[:, 0] == pytest.approx(model.probability(some))


def test_a_customer_has_her_chances_on_her_page_and_nobody_who_objects(own: Workspace) -> None:
    ws = own
    row = ws.predict.likely("churn_90d", limit=1)["rows"][0]
    ask = asks(ws)
    read = seen(ask(f"/customers/{row['code']}").text)
    assert "What may come next" in read
    assert "May go quiet within 90 days" in read
    assert "Kohort score" not in read, "what we say of her is no event of hers"
    ws.privacy.forbid("objection", [row["customer_id"]], source="a letter")
    assert ws.predict.of_customer(row["code"])["predictions"] == []
    assert "What may come next" not in seen(ask(f"/customers/{row['code']}").text)
    assert row["code"] not in ask("/predictions/churn_90d/customers").text


def test_every_role_sees_what_it_may_and_every_look_is_written_down(own: Workspace) -> None:
    ws = own
    tokens = {}
    for role in ("administrator", "viewer", "marketer", "analyst"):
        ws.users.add(role, role, PASSWORD, by="test")
        tokens[role] = ws.store.sessions.begin(role)
    row = ws.predict.likely("churn_90d", limit=1)["rows"][0]
    people = "/predictions/churn_90d/customers"
    viewer, marketer, analyst = (asks(ws, tokens[role]) for role in ("viewer", "marketer", "analyst"))
    assert viewer(people).status_code == 403
    assert people not in viewer("/predictions/churn_90d").text
    assert '<form method="post" action="/predictions' not in marketer("/predictions/churn_90d").text
    assert row["customer_id"] in seen(marketer(people).text)
    assert (ws.audit_log.latest(1)[0].act, ws.audit_log.latest(1)[0].about) == ("looked_at_members", "churn_90d")
    theirs = analyst(people).text
    assert row["code"] in theirs
    assert not re.search(r"\bK\d+\b", theirs)
    assert analyst("/predictions/churn_90d", {"do": "tell"}).status_code == 400, "a form without our word"
    answer = form(analyst, "/predictions/churn_90d", "/predictions/churn_90d", do="check", part="")
    assert answer.status_code == 303
    assert ws.audit_log.latest(1)[0].act == "checked_prediction"
    for job in Jobs(ws).all():
        Jobs(ws).stop(job.id)


def test_an_earlier_version_can_be_returned_to(own: Workspace) -> None:
    ws = own
    model, _ = ws.predict.current("churn_90d")
    _, manifest = ws.predict.load(model.id)
    other = replace(model, about={**model.about, "definitions": model.about["definitions"], "mark": 1})
    ws.store.artefacts.save(KIND, other.id, {"model.kohort": other.to_bytes()}, manifest)
    ws.predict.make_current("churn_90d", other.id)
    ask = asks(ws)
    assert "Return to this version" in seen(ask("/predictions/churn_90d").text)
    form(ask, "/predictions/churn_90d", "/predictions/churn_90d", do="rollback", part="", version=model.id)
    assert ws.predict.standing_of("churn_90d")["version"] == model.id
    gone = form(ask, "/predictions/churn_90d", "/predictions/churn_90d", do="rollback", part="", version="f" * 24)
    assert gone.status_code == 404


def test_costs_have_to_be_numbers(ws: Workspace, ask: Ask) -> None:
    for missed in ("-1", "much", "0", "inf"):
        page = "/predictions/churn_90d"
        answer = form(ask, page, page, do="train", part="", missed=missed, alarm="1")
        assert answer.status_code == 400
    assert len(Jobs(ws).all()) == 1, "only that of the training"


def test_programs_read_the_same(ws: Workspace) -> None:
    ask = asks(ws, key=ws.keys.add("crm", "read"))
    (line,) = ask("/v1/predictions").json()["predictions"]
    assert (line["name"], line["state"]) == ("churn_90d", "ok")
    whole: dict[str, Any] = ask("/v1/predictions/churn_90d").json()
    assert whole["report"]["metrics"] == ws.predict.report("churn_90d")["metrics"]
    assert whole["card"]["limits"]
    row = ws.predict.likely("churn_90d", limit=1)["rows"][0]
    plain = ask(f"/v1/customers/{row['customer_id']}").json()
    assert "predictions" not in plain
    (told,) = ask(f"/v1/customers/{row['customer_id']}?predictions=true").json()["predictions"]
    assert (told["name"], told["probability"], told["up"]) == ("churn_90d", row["probability"], None)
    (told,) = ask(f"/v1/customers/{row['customer_id']}?reasons=true").json()["predictions"]
    assert told["up"] == row["up"]
    found = ask("/v1/predictions/churn_90d/customers?limit=1").json()
    assert (found["rows"], found["told"]) == ([row], ws.predict.likely("churn_90d", limit=1)["told"])
    assert (ws.audit_log.latest(1)[0].act, ws.audit_log.latest(1)[0].by) == ("looked_at_members", "the key crm")
    rest = ask(f"/v1/predictions/churn_90d/customers?limit=1&cursor={found['next']}").json()["rows"]
    assert rest == ws.predict.likely("churn_90d", cursor=1, limit=1)["rows"]
    document = describe(create(ws))
    for pattern, answer in (("", ask("/v1/predictions").json()), ("/{name}", whole), ("/{name}/customers", found)):
        (form,) = document["paths"][f"/v1/predictions{pattern}"]["get"]["responses"]["200"]["content"].values()
        fits = jsonschema_rs.validator_for({**form["schema"], "components": document["components"]})
        assert [error.message for error in fits.iter_errors(answer)] == [], pattern
    assert ask("/v1/predictions/nothing").status_code == 404
    assert asks(ws)("/v1/predictions").status_code == 401
    write = asks(ws, key=ws.keys.add("web", "ingest"))
    assert write("/v1/predictions").status_code == 403
