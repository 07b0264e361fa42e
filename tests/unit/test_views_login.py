"""The pages of the login: every act and role has words, and whatever somebody is called stays text."""

from __future__ import annotations

from typing import get_args

import pytest

from kohort.model.access import ROLES, SIGHT, Act
from kohort.views import login
from kohort.views.pages import Shell

HOSTILE = "<img src=x onerror=alert(1)>"
SHELL = Shell("Shop", person=HOSTILE, rights=frozenset({"GET /", "GET /audit-log"}), word="w")


def test_every_act_and_every_role_has_words() -> None:
    assert login.ACTS.keys() == set(get_args(Act))
    assert login.ROLES.keys() == login.MAY.keys() == SIGHT.keys() == set(ROLES)


def test_names_stay_text_everywhere() -> None:
    line = login.Line(1, 1_790_000_000_000_000, HOSTILE, "looked_at_customer", HOSTILE, HOSTILE)
    pages = [
        login.login("w", name=HOSTILE, onward=HOSTILE, problem=HOSTILE),
        login.login("w", provider=HOSTILE, leave=HOSTILE),
        login.set_up("w", asks_word=True, name=HOSTILE, problem=HOSTILE),
        login.account(SHELL, "viewer", 2, problem=HOSTILE, done=HOSTILE),
        login.audit_log(SHELL, [line], zone="Europe/Berlin", following=1),
        login.not_here(HOSTILE),
    ]
    for page in pages:
        assert "<img src=x" not in page
        assert "&lt;img src=x" in page


def test_the_log_tells_the_local_time_and_an_unknown_act_as_it_is() -> None:
    line = login.Line(7, 1_790_000_000_000_000, "Ann", "danced", "", "")
    page = login.audit_log(SHELL, [line], zone="Europe/Berlin", following=None)
    assert "21 Sep 2026, 16:13:20" in page
    assert "danced" in page
    assert "That is everything." in page
    assert "Nothing yet." in login.audit_log(SHELL, [], zone="UTC", following=None)


def hrefs(shell: Shell) -> list[str]:
    return [place.href for _, places in shell.places for place in places]


def test_the_menu_shows_what_may_be_asked_for() -> None:
    assert hrefs(SHELL) == ["/", "/audit-log"]
    assert [place.href for place in SHELL.tabs] == ["/", "/audit-log"]
    assert SHELL.more == ()
    everything = Shell("Shop", has_customers=True, has_lifecycle=True)
    at_hand, behind = ([place.href for place in places] for places in (everything.tabs, everything.more))
    assert at_hand == ["/", "/segments", "/customers", "/live"], "a phone has room for five, and More is one of them"
    assert sorted(at_hand + behind) == sorted(hrefs(everything))
    assert 'href="/audit-log"' in login.account(SHELL, "privacy-officer", 1)
    assert SHELL.may("/audit-log")
    assert not SHELL.may("/audit-log", "POST")
    assert "/audit-log" not in hrefs(Shell("Shop")), "without a login there is nobody in it"


@pytest.mark.parametrize(
    ("shell", "told"),
    [
        (Shell("Shop"), False),
        (Shell("Shop", no_login=True), True),
        (Shell("Demo", is_demo=True, no_login=True), False),
    ],
)
def test_pages_say_that_there_is_no_login_but_for_the_demo(shell: Shell, told: bool) -> None:
    from kohort.views.pages import problem

    assert ("No login yet:" in problem(shell, "a", "b")) == told
