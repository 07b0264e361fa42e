"""The first steps: from nothing to groups, and how a file will be read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kohort.locale import find, gettext, mark, ngettext
from kohort.model.job import Job
from kohort.model.source import ROLES
from kohort.views import words
from kohort.views.formats import formats
from kohort.views.pages import Shell, page

POSSIBLE_FROM = 30  # customers; discovery refuses fewer
RELIABLE_FROM = 1_000  # customers; below it discovery itself calls its evidence insufficient

STEPS: Mapping[str, str] = {
    "data": mark("Data"),
    "check": mark("Check"),
    "read": mark("Read in"),
    "find": mark("Find groups"),
    "adopt": mark("Adopt"),
}
READING = frozenset({"ingest", "demo"})
"""Kinds of long work that bring data in."""

ROLE_LABELS: Mapping[str, str] = {
    "customer": mark("Customer number"),
    "time": mark("When it happened"),
    "order_id": mark("Order number"),
    "product": mark("Product code"),
    "product_name": mark("Product name"),
    "category": mark("Category"),
    "quantity": mark("Quantity"),
    "price": mark("Price of one"),
    "amount": mark("Total of the line"),
    "currency": mark("Currency"),
    "line_kind": mark("Kind of line"),
    "event_id": mark("Number of the event"),
    "event": mark("Name of the event"),
    "user_agent": mark("Browser"),
    "text": mark("What the customer wrote"),
}
KIND_LABELS = (
    ("", mark("Find out")),
    ("orders", mark("A line of an order")),
    ("events", mark("Something that happened")),
    ("customers", mark("A customer")),
)
_UNUSED = frozenset({"left out", ""})


@dataclass(frozen=True, slots=True)
class Reading:
    """How a brought file would be read, or what has to be answered first.

    Attributes:
        file: What it is called.
        columns: Of the file; empty where it could not be opened.
        kind: What a row was taken for; empty = not known.
        told: What somebody has answered already: field of the form → value.
        examples: See `kohort.ingest.Proposal`.
        notes: What was decided on the way.
        questions: What has to be answered.
        problem: Why it cannot be read at all.
        known: Name of the source whose files look like this one: it is read as that one is.
    """

    file: str
    columns: Sequence[str] = ()
    kind: str = ""
    told: Mapping[str, str] = field(default_factory=dict)
    examples: Sequence[Mapping[str, Any]] = ()
    notes: Sequence[str] = ()
    questions: Sequence[str] = ()
    problem: str = ""
    known: str = ""


def start(shell: Shell, here: str, *, customers: int, word: str = "", read: Job | None = None) -> str:
    """A workspace without groups: what to do next, in five steps.

    Args:
        shell: What surrounds the page.
        here: Id of the place in the menu.
        customers: How many are known; 0 = there is no data yet.
        word: What proves that the forms are ours; empty = there is no workspace to bring anything to.
        read: What was read in just now.
    """
    going = {one.job.kind for one in shell.work}
    reads, looks = bool(going & READING), "discover" in going
    few, hopeless = 0 < customers < RELIABLE_FROM and not reads, customers < POSSIBLE_FROM and not reads
    if reads:
        said: dict[str, Any] = {
            "title": gettext("No segments yet"),
            "heading": gettext("Your data is being read in"),
            "text": gettext("Figures on other pages grow until it is done. Then the groups in it can be found."),
        }
    elif not customers:
        said = {
            "title": gettext("Welcome"),
            "heading": gettext("See your customer groups in about ten minutes"),
            "text": gettext("Orders with a customer, a date and an amount are enough for a first result."),
        }
    elif few:
        rest = (
            gettext("Bring more orders first.") if hopeless else gettext("With fewer, read what we find as a sketch.")
        )
        n = formats().number(RELIABLE_FROM)
        enough = gettext("Groups become reliable from about %(n)s customers with an order.", n=n)
        so_far = formats().number(customers)
        said = {
            "title": gettext("Not enough data yet"),
            "heading": ngettext("%(n)s customer so far", "%(n)s customers so far", customers, n=so_far),
            "text": f"{enough} {rest}",
        }
    else:
        said = {
            "title": gettext("No segments yet"),
            "heading": gettext("Kohort is looking for groups")
            if looks
            else gettext("Your data is in. Now find the groups in it"),
            "text": gettext(
                "Kohort compares several ways of grouping your customers and tells you honestly which one holds."
            ),
        }
    return page(
        "start.html",
        shell,
        here,
        **said,
        art="group" if customers and not reads else "data",
        customers=customers,
        hopeless=hopeless,
        few=few,
        word=word,
        feeds=bool(word) and shell.may("/start/upload", "POST"),
        by_path=bool(word) and shell.may("/start/path", "POST"),
        finds=bool(word) and not hopeless and shell.may("/discover", "POST"),
        read=_counted(read),
        rules=bool(word) and shell.may("/build"),
        steps=steps("read" if reads else "find" if customers else "data"),
    )


def bring(shell: Shell, *, word: str, read: Job | None = None) -> str:
    """The page for more data, where there is some already.

    Args:
        read: What was read in just now.
    """
    values: dict[str, Any] = {"feeds": shell.may("/start/upload", "POST"), "by_path": shell.may("/start/path", "POST")}
    return page("bring.html", shell, "", word=word, read=_counted(read), **values)


def reading(shell: Shell, token: str, one: Reading, *, word: str) -> str:
    """How a file would be read, with examples to look at, before anything is stored.

    Args:
        token: What the file was brought under.
        word: What proves that the form is ours.
    """
    kind = one.kind or one.told.get("kind", "")
    roles = ROLES.get(kind, ROLES["orders"])  # type: ignore[call-overload]
    return page(
        "reading.html",
        shell,
        "",
        token=token,
        one=one,
        word=word,
        rows=[{**row, "said": use(str(row["use"])), "unused": row["use"] in _UNUSED} for row in one.examples],
        questions=[question.partition(" Set `")[0] for question in one.questions],
        kinds=[(kind, find(label)) for kind, label in KIND_LABELS],
        kind=kind,
        roles=[(role, find(ROLE_LABELS[role]) if role in ROLE_LABELS else words.label_of(role)) for role in roles],
        ready=not one.questions and not one.problem,
        steps=steps("check"),
    )


def use(text: str) -> str:
    """What a column is used for, in words.

    Example:
        >>> use("customer"), use("left out"), use("property (text)"), use("email (sealed)")
        ('Customer number', 'Not used', 'Property (text)', 'Email (sealed)')
    """
    if text in _UNUSED:
        return gettext("Not used")
    if text in ROLE_LABELS:
        return find(ROLE_LABELS[text])
    what, _, sort = text.removesuffix(")").rpartition(" (")
    named = f"{what[:1].upper()}{what[1:]}"
    match what, sort:
        case "property", _:
            return gettext("Property (%(type)s)", type=sort)
        case "trait", _:
            return gettext("Trait (%(type)s)", type=sort)
        case _, "sealed":
            return gettext("%(what)s (sealed)", what=named)
    return f"{text[:1].upper()}{text[1:]}"


def steps(now: str) -> list[tuple[str, str]]:
    """The five steps with the state of each. `now` is a key of STEPS."""
    at = list(STEPS).index(now)
    return [(find(label), "done" if i < at else "now" if i == at else "") for i, label in enumerate(STEPS.values())]


def _counted(read: Job | None) -> str:
    """What came of reading, as a sentence; empty where nothing is to be said."""
    if read is None or read.result is None or "read" not in read.result:
        return ""
    counts = read.result
    stored, known, rejected = (formats().number(counts[name]) for name in ("stored", "duplicate", "rejected"))
    told = [gettext("%(n)s are stored", n=stored)]
    if counts["duplicate"]:
        told.append(gettext("%(n)s were known already", n=known))
    if counts["rejected"]:
        told.append(gettext("%(n)s could not be used and are kept with their reasons", n=rejected))
    n, what = formats().number(counts["read"]), ", ".join(told)
    return ngettext("%(n)s row read: %(what)s.", "%(n)s rows read: %(what)s.", counts["read"], n=n, what=what)
