"""`ws.groups`: the household and the account each customer belongs to. Numbers are the company's customer numbers, or short codes."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kohort.errors import NotEnough, NotFound, WrongUsage
from kohort.model.event import GROUP_HOW, GROUPS, GroupLevel
from kohort.model.progress import Progress, silent
from kohort.workspace.people import company_numbers, customer_keys, short_code

if TYPE_CHECKING:
    from kohort.identity.told import Held
    from kohort.workspace.workspace import Workspace

KINDS = ("phone", "name", "address")
MOST_SHOWN = 20
"""Others of one group that are named."""


class GroupDoor:
    """Households and accounts, for every door. Nobody is merged, and all of it can be taken back."""

    def __init__(self, workspace: Workspace) -> None:
        self._ws = workspace

    def households(self, *, dry_run: bool = False, region: str = "NL", progress: Progress = silent) -> dict[str, Any]:
        """Find who lives together, and write it down.

        Args:
            dry_run: Say what would be written down and do nothing.
            region: Two letters of the country whose telephone numbers need no prefix.
            progress: Told the step.

        Returns:
            `{"dry_run", "persons", "households", "members", "sizes": {size: n}, "how": {what is shared: n}, "by_hand",
            "changed", "blocked": {kind: n}, "trait", "seconds"}`; `changed` counts customers of whom something new is said.

        Raises:
            NotEnough: No two addresses are known.
            MissingExtra: The extra `identity` is not installed.
        """
        from kohort.identity import told
        from kohort.identity.households import households
        from kohort.identity.persons import known
        from kohort.model.links import roots
        from kohort.store.vault_reading import identifiers
        from kohort.trust.limits import forbidding

        begun, store = time.monotonic(), self._ws.store
        progress("Opening identifiers", 0, 3)
        people = known(identifiers(store.vault, KINDS), region=region)
        held = told.held(store, "household")
        decided = {customer for customer, one in held.items() if one.how == told.BY_HAND}
        progress("Comparing", 1, 3)
        # Finding out who lives with whom is profiling: who objects, or may not be used, is in no household.
        barred = set(forbidding(store, "objection", "restriction").tolist())
        found = households(people, roots(store.links.now()), decided | barred)
        del people
        if found.persons < 2:
            raise NotEnough(
                "No two customers with an address are known.", hint="Bring in a file with addresses, names and numbers."
            )
        progress("Writing down", 2, 3)
        said = _named([home.members for home in found.households], held, decided)
        changed = len(said) if dry_run else self._say("household", said)
        progress("Written down", 3, 3)
        members = [how for home in found.households for how in home.members.values()]
        return {
            "dry_run": dry_run,
            "persons": found.persons,
            "households": len(found.households),
            "members": len(members),
            "sizes": dict(sorted(Counter(len(home.members) for home in found.households).items())),
            "how": dict(Counter(members).most_common()),
            "by_hand": len(decided),
            "changed": changed,
            "blocked": found.blocked,
            "trait": GROUPS["household"],
            "seconds": round(time.monotonic() - begun, 2),
        }

    def accounts(self, *, column: str | None = None, dry_run: bool = False) -> dict[str, Any]:
        """Find which spellings of companies are one, and write down the account of every customer who has a company.

        Args:
            column: The trait that holds the company as written; None = the one that `accounts:` in kohort.yaml names.
            dry_run: Say what would be written down and do nothing.

        Returns:
            `{"dry_run", "column", "customers", "spellings", "accounts", "joined": [{"account", "spellings": [text]}], "by_hand",
            "changed", "trait", "seconds"}`; `joined` holds the first twenty accounts that are spelled in several ways.

        Raises:
            WrongUsage: It is not said which trait holds the company.
            NotFound: There is no such trait.
            NotEnough: Nobody has a company.
        """
        from kohort.identity import told
        from kohort.identity.company_accounts import accounts

        begun, store = time.monotonic(), self._ws.store
        name = column or self._company()
        kinds = store.log.columns()
        if kinds.get(name) != "text":
            texts = [one for one, kind in kinds.items() if one.startswith("t_") and kind == "text"]
            raise NotFound("text trait", name, texts)
        written = {customer: row[0] or "" for customer, row in told.latest(store, (name,)).items() if customer > 0}
        if not written:
            raise NotEnough("Nobody has a company.", hint=f"{name} is filled for no customer.")
        held = told.held(store, "account")
        decided = {customer for customer, one in held.items() if one.how == told.BY_HAND}
        found = accounts(Counter(written.values()), {one.group for one in held.values()})
        said = {
            customer: told.Held(found[text].name, found[text].how)
            for customer, text in written.items()
            if text in found and customer not in decided
        }
        said = {customer: one for customer, one in said.items() if held.get(customer) != one}
        spelled: dict[str, list[str]] = {}
        for text, one in sorted(found.items()):
            spelled.setdefault(one.name, []).append(text)
        several = sorted((n for n in spelled if len(spelled[n]) > 1), key=lambda n: (-len(spelled[n]), n))
        return {
            "dry_run": dry_run,
            "column": name,
            "customers": len(written),
            "spellings": len(set(written.values())),
            "accounts": len(spelled),
            "joined": [{"account": n, "spellings": spelled[n]} for n in several[:MOST_SHOWN]],
            "by_hand": len(decided),
            "changed": len(said) if dry_run else self._say("account", said),
            "trait": GROUPS["account"],
            "seconds": round(time.monotonic() - begun, 2),
        }

    def forget(self, level: GroupLevel) -> dict[str, Any]:
        """Take all of a level back, what people decided too: `{"level", "rows"}`. A run that is going on is waited for.

        Raises:
            Busy: A run has been going on for ten minutes, or files were merged meanwhile, again and again.
        """
        from kohort.identity import told
        from kohort.segments.run_rules import turn

        with turn(self._ws.store):
            return {"level": level, "rows": told.forget(self._ws.store, level)}

    # -- one customer ----------------------------------------------------------------------------------------------

    def of(self, number: str) -> dict[str, Any]:
        """What one customer belongs to: `{"customer_id", "household", "account"}`, each None or `{"group", "how", "by_hand",
        "others": [{"customer_id", "code", "how"}], "size"}`; of the others twenty are named, `size` counts her too.

        Raises:
            UnknownCustomer: The number is nobody's.
        """
        store = self._ws.store
        (key,) = customer_keys(store.vault, [number])
        customer = store.meant(key)
        return {
            "customer_id": company_numbers(store.vault, [customer])[0],
            **{level: self._shown(level, customer) for level in GROUPS},
        }

    def hers(self, ids: Sequence[int]) -> dict[str, dict[str, Any] | None]:
        """The same without the others, for programs: `{"household": {"group", "how", "by_hand"} or None, "account": …}`.

        Args:
            ids: Every pseudonym of one customer.
        """
        from kohort.identity.told import BY_HAND
        from kohort.segments.why import rows_of

        columns = self._ws.store.log.columns()
        if not any(trait in columns for trait in GROUPS.values()):
            return dict.fromkeys(GROUPS)
        shot = self._ws.store.log.snapshot()
        wanted = ["ts", "event_id", *GROUPS.values(), *GROUP_HOW.values()]
        rows = [row for id_ in ids for table in rows_of(shot, id_, wanted) for row in table.to_pylist()]
        found: dict[str, dict[str, Any] | None] = dict.fromkeys(GROUPS)
        for row in sorted(rows, key=lambda row: (row["ts"], row["event_id"])):
            for level, trait in GROUPS.items():
                if row.get(trait):
                    how = row.get(GROUP_HOW[level]) or ""
                    found[level] = {"group": row[trait], "how": how, "by_hand": how == BY_HAND}
        return found

    def put(self, number: str, level: GroupLevel, *, beside: str | None = None) -> dict[str, Any]:
        """Say by hand what a customer belongs to; no run changes it until `reset`. Answers as `of`.

        Args:
            beside: A customer whose household or account it is; None = one of her own.

        Raises:
            UnknownCustomer: A number is nobody's.
            WrongUsage: It is the same customer twice.
        """
        from kohort.identity import told

        store = self._ws.store
        keys = customer_keys(store.vault, [number] if beside is None else [number, beside])
        customers = [store.meant(key) for key in keys]
        if len(set(customers)) < len(customers):
            raise WrongUsage("That is one customer already.", hint="Name two.")
        group = told.fresh(level)
        said = {customers[0]: told.Held(group, told.BY_HAND)}
        if beside is not None:
            theirs = told.held(store, level).get(customers[1])
            # Who had none is put there by hand too: else a run would move her away from whom she was put beside.
            said = {
                customer: told.Held(theirs.group if theirs else group, told.BY_HAND)
                for customer in (customers[:1] if theirs else customers)
            }
        self._say(level, said)
        return self.of(number)

    def reset(self, number: str, level: GroupLevel) -> dict[str, Any]:
        """Leave it to the next run again what a customer belongs to; until then she has a group of her own. Answers as `of`.

        Raises:
            UnknownCustomer: The number is nobody's.
            WrongUsage: Nobody decided about her.
        """
        from kohort.identity import told

        store = self._ws.store
        (key,) = customer_keys(store.vault, [number])
        customer = store.meant(key)
        had = told.held(store, level).get(customer)
        if had is None or had.how != told.BY_HAND:
            raise WrongUsage("Nobody decided about this by hand.", hint="There is nothing to take back.")
        self._say(level, {customer: told.Held(told.fresh(level), told.ALONE)})
        return self.of(number)

    # -- parts -----------------------------------------------------------------------------------------------------

    def _company(self) -> str:
        name = self._ws.config.accounts
        if not name.startswith("t_") or name in GROUPS.values():
            raise WrongUsage(
                "It is not said which trait holds the company.", hint="Name it, for example: --column t_company"
            )
        return name

    def _say(self, level: GroupLevel, said: Mapping[int, Held]) -> int:
        from kohort.identity import told

        return told.say(self._ws.store, level, said, now=time.time_ns() // 1_000, zone=self._ws.zone)

    def _shown(self, level: GroupLevel, customer: int) -> dict[str, Any] | None:
        from kohort.identity.told import BY_HAND, held

        store = self._ws.store
        everybody = held(store, level)
        hers = everybody.get(customer)
        if hers is None:
            return None
        others = sorted(who for who, one in everybody.items() if one.group == hers.group and who != customer)
        shown = others[:MOST_SHOWN]
        return {
            "group": hers.group,
            "how": hers.how,
            "by_hand": hers.how == BY_HAND,
            "others": [
                {"customer_id": number, "code": short_code(who), "how": everybody[who].how}
                for who, number in zip(shown, company_numbers(store.vault, shown), strict=True)
            ],
            "size": len(others) + 1,
        }


def _named(homes: Sequence[Mapping[int, str]], held: Mapping[int, Held], decided: set[int]) -> dict[int, Held]:
    """What is new to be said: a household keeps the code that most of its members have, and who left one is alone."""
    from kohort.identity import told

    said: dict[int, Held] = {}
    used: set[str] = set()
    for members in homes:
        codes = Counter(held[who].group for who in members if who in held)
        code = next((one for one, _ in codes.most_common() if one not in used), None) or told.fresh("household")
        used.add(code)
        said |= {who: told.Held(code, how) for who, how in members.items()}
    for who, one in held.items():
        if who not in said and who not in decided and one.how != told.ALONE:
            said[who] = told.Held(told.fresh("household"), told.ALONE)
    return {who: one for who, one in said.items() if held.get(who) != one}
