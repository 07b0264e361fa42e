"""Unmodified server-side clients of Segment and RudderStack deliver everything, once, and know when to stop."""

from collections import Counter

import pytest

from kohort.web.tracking import Limits

pytestmark = [pytest.mark.clients]

CALLS = ["identify", "track", "page", "screen", "group", "alias"]
CLIENTS = [
    ("segment_python", "segment-analytics-python==2.3.4"),
    ("segment_python", "segment-analytics-python==2.4.0"),
    ("rudder_python", "rudder-sdk-python==2.1.4"),
    ("rudder_python", "rudder-sdk-python==2.1.9"),
    ("segment_node", "@segment/analytics-node@3.1.0"),
    ("rudder_node", "@rudderstack/rudder-sdk-node@3.0.13"),
]
every_client = pytest.mark.parametrize("which", CLIENTS, ids=[p.rpartition("/")[2] for _, p in CLIENTS])


def number(event) -> int:
    """Which round an event belongs to: its user says so, whatever else the client does with it."""
    return int(event["userId"].removeprefix("u"))


def delivered(inbox, rounds: int) -> None:
    """Every event of every round is there exactly once, each under an id of its own."""
    events = inbox.events
    assert Counter((number(e), e["type"]) for e in events) == Counter({(n, c): 1 for n in range(rounds) for c in CALLS})
    ids = [e["messageId"] for e in events]
    assert all(isinstance(i, str) and 0 < len(i) < 100 for i in ids)
    assert len(set(ids)) == len(ids)


def batches(which) -> int:
    """How many requests a few calls make: RudderStack's client for Node sends the very first event by itself."""
    return 2 if which[0] == "rudder_node" else 1


@every_client
def test_every_call_arrives_as_it_was_made(site, client, which):
    shop = site()
    assert client(which, shop, rounds=3) == []
    delivered(shop.inbox, 3)
    by_call = {e["type"]: e for e in shop.inbox.events if number(e) == 2}
    traits = by_call["identify"].get("traits") or by_call["identify"]["context"]["traits"]
    assert (traits["n"], traits["name"]) == (2, "Zoë 🦊 \u2028 北京")
    assert by_call["track"]["event"] == "Ürün görüldü"
    assert by_call["track"]["properties"] == {"n": 2, "price": 12.5, "colours": ["rot", "grün"]}
    assert by_call["page"]["name"] == "Stühle"
    assert by_call["screen"]["name"] == "Корзина"
    assert by_call["group"]["groupId"] == "g2"
    assert by_call["alias"]["previousId"] == "before-2"
    assert {meta["source"] for _, meta in shop.inbox.frames} == {"shop"}
    assert {meta["path"] for _, meta in shop.inbox.frames} == {"batch"}
    assert shop.statuses.keys() == {200}


@every_client
def test_many_large_events_arrive_once_each(site, client, which):
    shop = site()
    assert client(which, shop, rounds=200, pad="ä🦊" * 1_000) == []
    delivered(shop.inbox, 200)
    assert shop.statuses.keys() == {200}


@pytest.mark.parametrize(("which", "gzip"), [(CLIENTS[0], "1"), (CLIENTS[1], "1"), (CLIENTS[3], "0")])
def test_packed_or_not_makes_no_difference(site, client, which, gzip):
    shop = site()
    assert client(which, shop, rounds=30, GZIP=gzip) == []
    delivered(shop.inbox, 30)


@every_client
def test_a_key_that_is_not_known_is_refused_once(site, client, which):
    shop = site()
    wrong = shop.key[:-1] + ("A" if shop.key[-1] != "A" else "B")
    errors = client(which, shop, key=wrong, seconds=30)
    assert shop.statuses == {401: batches(which)}
    assert shop.inbox.frames == []
    assert errors or which[0] == "rudder_node"


@every_client
def test_a_batch_that_is_too_large_is_refused_once(site, client, which):
    shop = site(Limits(batch_bytes=500))
    client(which, shop, pad="x" * 2_000, seconds=30)
    assert shop.statuses == {413: batches(which)}


@every_client
@pytest.mark.parametrize(("trouble", "status"), [("full", 429), ("busy", 503)])
def test_what_is_sent_away_for_a_moment_comes_again(site, client, which, trouble, status):
    shop = site()
    setattr(shop.inbox, trouble, 2)
    assert client(which, shop, rounds=2) == []
    delivered(shop.inbox, 2)
    assert shop.statuses[status] == 2


@every_client
def test_what_comes_again_after_it_was_stored_has_the_same_ids(site, client, which):
    shop = site()
    shop.inbox.late = 1
    assert client(which, shop, rounds=2) == []
    sent = [tuple(e["messageId"] for e in body["batch"]) for body, _ in shop.inbox.frames]
    assert sorted(Counter(sent).values()) == [1] * (batches(which) - 1) + [2]
    assert sent.count(sent[0]) == 2
    assert len({i for ids in sent for i in ids}) == 2 * len(CALLS)
