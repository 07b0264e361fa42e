"""A name that was never seen is legal and is reported, wherever in a definition it stands."""

from kohort.definitions.defaults import DataProfile
from kohort.definitions.features import parse_features
from kohort.definitions.observed import never_observed

PROFILE = DataProfile(9, {"page": 5, "order_line": 4}, present={"p_seen": 3, "p_unseen": 0})


def test_unseen_names_are_found_everywhere() -> None:
    text = """
a: {count: events, event: [page, pgae], where: "p_seen = 1 and p_unseen = 2"}
b: {sum: p_unseen, event: page}
c: {ratio: [a, {count: events, event: gone}]}
d: {sequence: {first: page, then: {event: lost, where: "p_never is null"}, within: 1 day}}
e: {share: "p_seen = 1", event: order_line}
"""
    found = {d.name: never_observed(d, PROFILE) for d in parse_features(text)}
    assert found == {
        "a": ("p_unseen", "pgae"),
        "b": ("p_unseen",),
        "c": ("gone", "p_unseen", "pgae"),
        "d": ("lost", "p_never"),
        "e": (),
    }
