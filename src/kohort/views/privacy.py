"""The privacy centre as HTML text: what customers ask about their data, what it is used for, and for how long it is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from kohort.locale import find, gettext, ngettext
from kohort.model.cases import CASE_KINDS, WAYS, outcomes
from kohort.model.source import IDENTITY_KINDS
from kohort.views import own_words as say
from kohort.views import privacy_words as words_of
from kohort.views.findings import listing
from kohort.views.formats import formats
from kohort.views.pages import Shell, page
from kohort.views.working import Work

HERE = "privacy"
NO_DATE = "1970-01-01T00:00:00Z"
"""When statements of tables without dates are said to have been made: before everything else."""
RECENT = 10
"""Settled requests on the first page."""

Asked = Mapping[str, Any]
"""A request, as `ws.privacy.cases` tells."""


def centre(
    shell: Shell,
    cases: Sequence[Asked],
    *,
    purposes: Sequence[Mapping[str, Any]],
    forbidding: Mapping[str, int],
    kept_for: Mapping[str, Any],
    last: Mapping[str, Any] | None,
    today: date,
    zone: str,
    problem: str = "",
    typed: Mapping[str, str] | None = None,
) -> str:
    """The first page.

    Args:
        cases: All requests, in the order to show them.
        purposes, forbidding: As `ws.privacy.records` tells.
        kept_for: `retention:` of kohort.yaml.
        last: The latest time that something was deleted because it was too old.
        problem: Why a request could not be written down, with what was typed.
    """
    rows = [_row(case, today, zone) for case in cases]
    waiting = [row for row in rows if row["open"]]
    return page(
        "privacy.html",
        shell,
        HERE,
        waiting=waiting,
        settled=[row for row in rows if not row["open"]],
        recent=RECENT,
        urgent=waiting[0] if waiting else None,
        purposes=[_purpose(one) for one in purposes],
        forbidding=forbidding,
        kept_for=words_of.kept_for(kept_for),
        hold=kept_for.get("hold", ""),
        last=last and {**last, "on": say.day(last["at"], zone)},
        kinds=[(kind, find(words_of.ASKED[kind])) for kind in CASE_KINDS],
        ways=[(way, find(words_of.CAME[way])) for way in WAYS],
        today=today.isoformat(),
        problem=problem,
        typed={name: (typed or {}).get(name, "") for name in ("kind", "number", "way", "received")},
    )


def request(
    shell: Shell,
    case: Asked,
    *,
    said: Mapping[str, Any] | None,
    work: Work | None,
    unfinished: bool,
    today: date,
    zone: str,
    problem: str = "",
    done: str = "",
) -> str:
    """One request: what is asked, what can be done about it, and what she said before.

    Args:
        said: What she said about each purpose and limit, as `ws.privacy.consent` tells; None once she was erased.
        work: Erasing her, where that goes on or went wrong.
        unfinished: An erasure was interrupted, perhaps hers.
        problem: Why something was not done.
        done: What was done.
    """
    limits = {one["limit"]: one["holds"] for one in said["limits"]} if said else {}
    return page(
        "privacy_request.html",
        shell,
        HERE,
        case=_row(case, today, zone),
        purposes=[{**one, "statements": _statements(one, "agreed", zone)} for one in said["consent"]] if said else [],
        limits=limits,
        told=_told(said, zone) if said else [],
        erased=said is None,
        work=work,
        unfinished=unfinished,
        kinds=IDENTITY_KINDS,
        outcomes=[(one, find(words_of.BECAME[one])) for one in outcomes(case["kind"], there=said is not None)],
        will_go=[(find(what), find(becomes)) for what, becomes in words_of.WILL_GO],
        today=today.isoformat(),
        problem=problem,
        done=done,
    )


def receipt(shell: Shell, told: Mapping[str, Any], zone: str) -> str:
    """What was done about a request of persons; it names nobody.

    Args:
        told: As `ws.privacy.records.receipt` tells.
    """
    kind = told["request"].rpartition("-")[0]
    stores = told.get("stores", {})
    went = [(text, stores[name]) for name, text in words_of.WENT.items() if stores.get(name)]
    went += [(text, told[name]) for name, text in words_of.COUNTED.items() if told.get(name)]
    return page(
        "privacy_receipt.html",
        shell,
        HERE,
        told=told,
        title=find(words_of.RECEIPTS.get(kind, kind)),
        asked_on=say.day(told["asked_at"], zone),
        finished=told["step"] == "done",
        went=[(_capital(find(text)), n) for text, n in went],
        recipients=told.get("recipients", ()),
        remaining=[one["text"] for one in told.get("remaining", ())],
        retrain=told.get("retrain", ()),
        lifted=told.get("holds") is False,
    )


def records(shell: Shell, told: Mapping[str, Any]) -> str:
    """Records of processing.

    Args:
        told: As `ws.privacy.records.register` tells.
    """
    kinds = [
        (find(text), [one for one in told["data"] if one["kind"] == kind])
        for kind, text in words_of.KINDS_OF_DATA.items()
    ]
    return page(
        "privacy_records.html",
        shell,
        HERE,
        told=told,
        data=[(text, rows) for text, rows in kinds if rows],
        kept_for=words_of.kept_for(told["kept_for"]),
    )


def retention(
    shell: Shell,
    now: Mapping[str, Any],
    soon: Mapping[str, Any],
    *,
    last: Mapping[str, Any] | None,
    work: Work | None,
    zone: str,
    problem: str = "",
) -> str:
    """What is too old to be kept, and what will be in a month.

    Args:
        now, soon: As `ws.privacy.expiring` tells, of today and of a month from now.
        last: The latest time that something was deleted.
        work: Deleting it, where that goes on or ended just now.
    """
    kinds = [one["data"] for one in now["clocks"]]
    clocks = [
        {
            "what": words_of.clock(one, alone=kinds.count(one["data"]) == 1),
            "keep": one["keep"],
            "until": say.day(one["until"], zone),
            "due": one["due"],
            "soon": max(0, later["due"] - one["due"]),
        }
        for one, later in zip(now["clocks"], soon["clocks"], strict=True)
    ]
    return page(
        "privacy_retention.html",
        shell,
        HERE,
        clocks=clocks,
        due=_due(now["clocks"]),
        hold=now["hold"],
        work=work,
        last=last and {**last, "on": say.day(last["at"], zone)},
        problem=problem,
    )


def _due(clocks: Sequence[Mapping[str, Any]]) -> str:
    """How much is too old, of each kind: "98 events and 1 person are too old to be kept"; empty where nothing is."""
    counts = {data: sum(one["due"] for one in clocks if one["data"] == data) for data in words_of.NOUNS}
    told = [ngettext(*words_of.NOUNS[data], n, n=formats().number(n)) for data, n in counts.items() if n]
    if not told:
        return ""
    what = listing(told)
    return ngettext(
        "%(what)s is too old to be kept", "%(what)s are too old to be kept", sum(counts.values()), what=what
    )


def _capital(text: str) -> str:
    """With a capital first; the others stay as they are, which German needs."""
    return f"{text[:1].upper()}{text[1:]}"


def _row(case: Asked, today: date, zone: str) -> dict[str, Any]:
    left, tone = words_of.deadline(say.local_day(case["due"], zone), today)
    return {
        **case,
        "open": case["done"] is None,
        "title": find(words_of.ASKED[case["kind"]]),
        "came": find(words_of.CAME[case["way"]]),
        "received_on": say.day(case["received"], zone),
        "due_on": say.day(case["due"], zone),
        "left": left,
        "tone": tone,
        "done_on": say.day(case["done"], zone),
        "became": find(words_of.BECAME.get(case["outcome"] or "", "")),
        "who": gettext("Customer %(number)s", number=case["customer"])
        if case["customer"]
        else gettext("Somebody who was erased"),
    }


def _purpose(one: Mapping[str, Any]) -> dict[str, Any]:
    everybody = one["agreed"] + one["refused"] + one["never_asked"]
    share = one["agreed"] / everybody if everybody else None
    return {**one, "share": share, "used_by": [*one["segments"], *one["triggers"]]}


def _statements(one: Mapping[str, Any], key: str, zone: str) -> list[dict[str, Any]]:
    def on(at: str) -> str:
        return gettext("no date") if at == NO_DATE else say.day(at, zone)

    return [{**s, "yes": s[key], "on": on(s["at"])} for s in reversed(one["statements"])]


def _told(said: Mapping[str, Any], zone: str) -> list[dict[str, Any]]:
    """Everything she said, the latest first of each."""
    words = {"objection": gettext("No profiling"), "restriction": gettext("No use at all")}
    return [
        *({"what": one["purpose"], **s} for one in said["consent"] for s in _statements(one, "agreed", zone)),
        *({"what": words[one["limit"]], **s} for one in said["limits"] for s in _statements(one, "holds", zone)),
    ]
