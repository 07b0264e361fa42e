"""`ws.feedback`: what people say about segments and about single memberships, and what it adds up to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias, get_args

import numpy as np

from kohort.errors import NotFound, WrongUsage
from kohort.model.clock import iso
from kohort.segments.feedback import AT_ONCE
from kohort.store.feedback import Said
from kohort.workspace.feedback_subject import FOUND, Subject, members_of, subject_of
from kohort.workspace.people import company_numbers, customer_keys, short_code, this_user
from kohort.workspace.reasons import checked_reason

if TYPE_CHECKING:
    import pyarrow as pa

    from kohort.model.links import Roots
    from kohort.segments.feedback import Evidence, Judged
    from kohort.store.feedback import Saying
    from kohort.workspace.workspace import Workspace

Row: TypeAlias = "dict[str, Any]"
Rows: TypeAlias = "list[dict[str, Any]]"
Keys: TypeAlias = "list[int]"
People: TypeAlias = "list[Judged]"

FEW = AT_ONCE
_OUT: Row = {"segment": None}


class FeedbackDoor:
    """Votes and comments for every door. Numbers are the company's customer numbers, or short codes."""

    def __init__(self, workspace: Workspace) -> None:
        self._ws = workspace

    # -- saying ----------------------------------------------------------------------------------------------------

    def add(
        self,
        name: str,
        said: Said,
        *,
        part: str = "",
        customer: str | None = None,
        text: str = "",
        by: str | None = None,
    ) -> Row:
        """Keep what somebody says about a segment, a part of it, or about whether one member belongs there.

        A person has one vote about each: a later one takes the place of hers before. Comments stay beside each other.

        Args:
            name: A segment of your own, an adopted segmentation, or "found" for what was found last.
            said: "agree", "disagree" or "comment"; of a customer, agree = belongs here.
            part: Key of a part; "" = the whole. Of a customer it is the part she is in.
            customer: Her number; None = the segment itself.
            text: Why; a comment needs one. It must not tell about whom.
            by: Who says it; the user of this machine where not given.

        Returns:
            One row of `list`.

        Raises:
            NotFound: No such segment or part.
            UnknownCustomer: The number is nobody's.
            WrongUsage: She is no member, members are accounts, a comment says nothing, or the text names somebody.
        """
        if said not in get_args(Said):
            raise WrongUsage(f"{said!r} is nothing that can be said.", hint="Say agree, disagree or comment.")
        subject, key, drawn = self._subject(name), None, False
        if customer is not None:
            key = self._key(subject, customer)
            part = self._part_of(subject, key)
            lists = {"", part} if said != "comment" else set()  # people go along all of them, or those of one part
            drawn = any(key in self._next(subject, one)[:FEW] for one in lists)
        elif part and part not in subject.parts:
            raise NotFound(f"part of {name!r}", part, subject.parts)
        reason = checked_reason(self._ws.store.vault, text, [] if key is None else [key])
        if said == "comment" and not reason:
            raise WrongUsage("A comment without words says nothing.")
        kept = self._ws.store.feedback.say(
            subject.name,
            part,
            said,
            by=_name(by),
            customer=key,
            text=reason,
            drawn=drawn,
            version=subject.version,
        )
        return self._rows([kept])[0]

    def withdraw(self, number: int, *, by: str | None = None) -> Row:
        """Take back what one has said oneself, and answer it.

        Raises:
            NotFound: Nothing has this number, or not any more.
            WrongUsage: Somebody else said it.
        """
        said = next((one for one in self._ws.store.feedback.all() if one.number == number), None)
        if said is None:
            raise NotFound("feedback", str(number), hint="See what there is with: kohort feedback list")
        if said.by != _name(by):
            raise WrongUsage("Somebody else said this.", hint="Only who said it can take it back. Say what you think.")
        return self._rows([self._ws.store.feedback.take_back(number)])[0]

    # -- looking ---------------------------------------------------------------------------------------------------

    def list(self, name: str | None = None, *, part: str | None = None, customer: str | None = None) -> Rows:
        """Everything that stands, newest first: `number`, `segment`, `part`, `customer_id` and `code` (None = about the
        segment), `said`, `text`, `drawn`, `by`, `at`."""
        kept = self._ws.store.feedback.all(None if name is None else self._subject(name).name)
        if part is not None:
            kept = [one for one in kept if one.part == part]
        if customer is not None:
            roots = self._roots()
            (key,) = customer_keys(self._ws.store.vault, [customer])
            whom = roots.root_of(key)
            kept = [one for one in kept if one.customer is not None and roots.root_of(one.customer) == whom]
        return self._rows(kept)[::-1]

    def evidence(self, name: str, part: str | None = None) -> Evidence:
        """What people say about a segment, or one part of it, put together. See `kohort.segments.feedback.Evidence`.

        Args:
            part: Key of a part; "" or None = the whole, with the votes about customers of every part.
        """
        return self._evidence(self._subject(name), part or "")

    def wrong(self, name: str, part: str | None = None) -> Rows:
        """Customers of whom people say that they do not belong, or do not agree, newest first: `customer_id`, `code`, `part`,
        `verdict`, `against`, `votes`, `reasons`, `by`, `inside` (whether she is a member now), `held` (taken out by hand)."""
        subject = self._subject(name)
        held = self._held(subject)
        found = [one for one in self._judged(subject, part or "") if one.verdict != "belongs"]
        found.sort(key=lambda one: -one.sayings[-1].number)
        inside = self._memberships(subject, [one.customer for one in found])
        numbers = company_numbers(self._ws.store.vault, [one.customer for one in found])
        return [
            {
                "customer_id": number,
                "code": short_code(one.customer),
                "part": one.part,
                "verdict": one.verdict,
                "against": sum(s.said == "disagree" for s in one.sayings),
                "votes": len(one.sayings),
                "reasons": [s.text for s in one.sayings if s.text and s.said == "disagree"],
                "by": [s.by for s in one.sayings if s.said == "disagree"],
                "inside": inside.get(one.customer, _OUT)["segment"] == one.part,
                "held": held.get(one.customer) in ("", one.part),
            }
            for number, one in zip(numbers, found, strict=True)
        ]

    def to_check(self, name: str, part: str | None = None, *, limit: int = FEW) -> Rows:
        """Members whom chance puts before people next, those first whom nobody has judged: `customer_id`, `code`, `part`,
        `since`, `reason`."""
        subject = self._subject(name)
        keys = self._next(subject, part or "")[:limit]
        rows = self._memberships(subject, keys)
        return [
            {
                "customer_id": number,
                "code": short_code(key),
                "part": rows[key]["segment"],
                "since": None if rows[key].get("since") is None else iso(rows[key]["since"]),
                "reason": rows[key].get("reason") or "",
            }
            for key, number in zip(keys, company_numbers(self._ws.store.vault, keys), strict=True)
        ]

    def refinement(self, name: str, part: str | None = None) -> Row:
        """Which one condition would take out those who do not belong and keep those who do, if answers and chance allow it.

        Returns:
            `{"state", "wrong", "belong", "needed"}`; `state` is "not_enough" (fewer than `needed` customers of either kind),
            "by_chance" (none separates them better than chance would) or "found". Of the latter two also `tried` and
            `by_chance`; of a found one `about`, `label`, `how`, `value`, `unit`, `condition` and `rule` (texts to paste; empty
            where rules cannot say it), `sentence`, `wrong_out` and `right_kept` (shares with 95 % intervals).
        """
        from kohort.workspace.refinement import proposal

        subject = self._subject(name)
        clear = {one.customer: one for one in self._judged(subject, part or "") if one.verdict != "disputed"}
        asked = {key: one.verdict == "wrong" for key, one in clear.items()}
        rule = self._rule(subject, part or "")
        return proposal(self._ws, subject.name, part or "", rule, asked)

    # -- deciding --------------------------------------------------------------------------------------------------

    def take_out(self, name: str, customer: str, *, by: str | None = None) -> None:
        """Turn what people say about one customer into a decision by hand: she is kept out of the part from the next run on.

        Raises:
            WrongUsage: Nobody said that she does not belong, or something is decided about her by hand already.
        """
        subject = self._defined(name)
        key = self._key(subject, customer)
        said = [s for one in self._judged(subject, "") if one.customer == key for s in one.sayings]
        against = [one for one in said if one.said == "disagree"]
        if not against:
            raise WrongUsage("Nobody said that this customer does not belong.", hint="Say so first, and why.")
        if key in self._held(subject, added=True):
            raise WrongUsage(
                "Something is decided about this customer by hand already.",
                hint=f"Take that back with: kohort segments reset {name} CUSTOMER",
            )
        reason = next((one.text for one in reversed(against) if one.text), "")
        several = len(subject.parts) > 1
        self._ws.segments.take_out(
            name, [short_code(key)], segment=against[-1].part if several else "", note=reason, by=_name(by)
        )

    def undo(self, name: str, customer: str, *, by: str | None = None) -> None:
        """Take back `take_out`: the rule decides about her again from the next run on.

        Raises:
            WrongUsage: She was not taken out by hand.
        """
        subject = self._defined(name)
        key = self._key(subject, customer)
        if key not in self._held(subject):
            raise WrongUsage("This customer was not taken out by hand.")
        self._ws.segments.reset(name, [short_code(key)], by=_name(by))

    # -- parts -----------------------------------------------------------------------------------------------------

    def shown(self) -> str | None:
        """The name under which the found segments that pages show are talked about; None where there are none."""
        found = self._ws.store.state.segmentation()
        return None if found is None else found.name or FOUND

    def _subject(self, name: str) -> Subject:
        return subject_of(self._ws, name)

    def _defined(self, name: str) -> Subject:
        subject = self._subject(name)
        if subject.definition is None:
            raise WrongUsage(
                f"{name!r} was found; nobody is put in or taken out by hand.",
                hint="Votes about it count when groups are looked for anew.",
            )
        return subject

    def _key(self, subject: Subject, customer: str) -> int:
        if subject.definition is not None and subject.definition.kind == "accounts":
            raise WrongUsage("The members of this segment are accounts; say what you think about the segment itself.")
        (key,) = customer_keys(self._ws.store.vault, [customer])
        return self._ws.store.meant(key)

    def _part_of(self, subject: Subject, key: int) -> str:
        """The part that a customer is in, or was when people talked about her."""
        import pyarrow.compute as pc

        members = self._members(subject)
        mine = members.filter(pc.equal(members.column("customer"), key)).column("segment").to_pylist()
        mine = mine or [one.part for one in self._judged(subject, "") if one.customer == key]
        if not mine:
            raise WrongUsage("This customer is not in the segment.", hint="Say what you think about those who are.")
        return str(mine[-1])

    def _members(self, subject: Subject) -> pa.Table:
        return members_of(self._ws, subject)

    def _memberships(self, subject: Subject, keys: Keys) -> dict[int, Row]:
        """Those of some customers, by customer: who is no member is not among them."""
        import pyarrow as pa
        import pyarrow.compute as pc

        members = self._members(subject)
        mine = members.filter(pc.is_in(members.column("customer"), pa.array(keys, pa.int64())))
        return {row["customer"]: row for row in mine.to_pylist()}

    def _keys(self, subject: Subject, part: str) -> np.ndarray:
        import pyarrow.compute as pc

        if subject.definition is not None and subject.definition.kind == "accounts":
            return np.zeros(0, np.int64)
        table = self._members(subject)
        inside = pc.not_equal(table.column("segment"), "") if not part else pc.equal(table.column("segment"), part)
        keys: np.ndarray = table.filter(inside).column("customer").to_numpy()
        return keys

    def _order(self, subject: Subject, keys: np.ndarray) -> np.ndarray:
        from kohort.segments.feedback import by_lot

        return by_lot(keys, str(self._ws.store.state.get("hash_seed")), subject.name)

    def _next(self, subject: Subject, part: str) -> Keys:
        """Members nobody has judged, in the order by lot."""
        keys = self._keys(subject, part)
        known = np.array([one.customer for one in self._judged(subject, part)], np.int64)
        along = keys[self._order(subject, keys)]
        found: Keys = along[~np.isin(along, known)].tolist()
        return found

    def _judged(self, subject: Subject, part: str) -> People:
        from kohort.segments.feedback import judged

        found = judged(self._ws.store.feedback.all(subject.name), self._roots())
        return [one for one in found if not part or one.part == part]

    def _evidence(self, subject: Subject, part: str) -> Evidence:
        from kohort.segments.feedback import evidence

        about = [
            one
            for one in self._ws.store.feedback.all(subject.name)
            if one.customer is None and one.part == part and one.version == subject.version
        ]
        people = self._judged(subject, part)
        if not people:  # mostly: then nobody needs to know who the members are
            nobody = np.zeros(0, np.int64)
            return replace(evidence(about, [], nobody, nobody), members=self._size(subject, part))
        keys = self._keys(subject, part)
        drawn = any(one.drawn for one in people)  # the order of a million members takes a moment
        return evidence(about, people, keys, self._order(subject, keys) if drawn else np.zeros(0, np.int64))

    def _size(self, subject: Subject, part: str) -> int:
        """How many there are to judge."""
        if subject.definition is not None and subject.definition.kind == "accounts":
            return 0
        if subject.name.startswith(f"{FOUND}:"):
            return len(self._keys(subject, part))
        sizes = self._ws.store.members.sizes([subject.name]).get(subject.name, {})
        return sizes.get(part, 0) if part else sum(sizes.values())

    def _held(self, subject: Subject, *, added: bool = False) -> dict[int, str]:
        """Customers who are kept out by hand → of which part ("" = of every one); `added` = those who were put in, too."""
        table = self._ws.store.by_hand.table().to_pylist()
        mine = [row for row in table if row["name"] == subject.name and (added or not row["added"])]
        return {row["customer"]: row["segment"] for row in mine}

    def _rule(self, subject: Subject, part: str) -> str:
        """The rule as written of what is talked about; empty where there is none, or several."""
        if subject.definition is None:
            return ""
        rules = [p.rule for p in subject.definition.parts if p.rule is not None and part in ("", p.key)]
        return rules[0].text if len(rules) == 1 else ""

    def _roots(self) -> Roots:
        from kohort.model.links import roots

        return roots(self._ws.store.links.now())

    def _rows(self, sayings: Sequence[Saying]) -> Rows:
        keys = [one.customer for one in sayings if one.customer is not None]
        numbers = dict(zip(keys, company_numbers(self._ws.store.vault, keys), strict=True)) if keys else {}
        return [
            {
                "number": one.number,
                "segment": one.name,
                "part": one.part,
                "customer_id": None if one.customer is None else numbers[one.customer],
                "code": None if one.customer is None else short_code(one.customer),
                "said": one.said,
                "text": one.text,
                "drawn": one.drawn,
                "version": one.version,
                "by": one.by,
                "at": iso(one.at_us),
            }
            for one in sayings
        ]


def _name(by: str | None) -> str:
    name = (by if by is not None else this_user()).strip()
    if not name:
        raise WrongUsage("Say who says this.")
    return name


__all__ = ["FEW", "FOUND", "FeedbackDoor"]
