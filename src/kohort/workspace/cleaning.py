"""Cleaning rules of a workspace: at work while files are read, spot checks by people, and what came of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from kohort.errors import NotFound, WrongUsage
from kohort.health.cleaning import Standing
from kohort.store.cleaning import CleaningRecord

if TYPE_CHECKING:
    from kohort.definitions.cleaning import CleaningRule
    from kohort.ingest.cleaning import Cleaner
    from kohort.model.source import RejectedRow
    from kohort.workspace.workspace import Workspace

SAMPLE = 20
_ALL = 1 << 31


def standings(ws: Workspace) -> tuple[Standing, ...]:
    """Every rule of `kohort.yaml` with what is known of it, in their order."""
    if not ws.config.cleaning:
        return ()
    record, waiting = CleaningRecord(ws.store.state), ws.store.state.rejected_counts()
    found = []
    for rule in ws.config.cleaning:
        known = record.known(rule.name, rule.digest)
        rows = sum(rows for (_, code), rows in waiting.items() if code == rule.code(known.version))
        found.append(Standing(rule, known, rows))
    return tuple(found)


@contextmanager
def at_work(ws: Workspace, *, again: bool = False) -> Iterator[Cleaner | None]:
    """The rules that are switched on, for reading files; what they looked at is noted in the end. None = there are no rules.

    Args:
        again: Rejected rows are read again: they were counted before, and those that were put aside wrongly come back.
    """
    found = standings(ws)
    if not found:
        yield None
        return
    from kohort.ingest.cleaning import Cleaner

    cleaner = Cleaner(
        [s.rule for s in found if s.on],
        versions={s.rule.name: s.known.version for s in found},
        zone=ws.zone,
        currency=ws.currency,
        columns={**ws.store.log.snapshot().columns, **ws.config.columns()},
        notes=[s.off for s in found if not s.on],
        spared=CleaningRecord(ws.store.state).wrongly() if again else (),
    )
    try:
        yield cleaner
    finally:
        if cleaner.counted and not again:
            with ws.store.write_lock():
                CleaningRecord(ws.store.state).count(cleaner.counted)


def queue(ws: Workspace, name: str, sample: int = SAMPLE) -> list[dict[str, Any]]:
    """Rows that a rule put aside and nobody has judged yet, in an order that is drawn by lot and stays the same.

    Returns:
        Per row `id`, `source`, `file`, `line` and `row`: its columns without the customer and other direct identifiers.
    """
    rule = _rule(ws, name)
    known = CleaningRecord(ws.store.state).known(rule.name, rule.digest)
    rows = [row for row in _put_aside(ws, rule, known.version) if row.id not in (known.marks or {})]
    lot = sorted(rows, key=lambda row: hashlib.blake2b(f"{rule.digest} {row.id}".encode()).digest())
    return [
        {"id": row.id, "source": row.source, "file": row.file, "line": row.line, "row": judged_by(ws, row)}
        for row in lot[: max(sample, 0)]
    ]


def mark(ws: Workspace, name: str, right: Sequence[int], wrong: Sequence[int]) -> Standing:
    """Note which rows a rule put aside rightly and which wrongly; the last word about a row counts.

    Raises:
        WrongUsage: A number is none of a row that the rule put aside, or is said to be both.
    """
    rule = _rule(ws, name)
    if both := set(right) & set(wrong):
        raise WrongUsage(f"Row {min(both)} cannot be right and wrong.")
    version = CleaningRecord(ws.store.state).known(rule.name, rule.digest).version
    there = {row.id for row in _put_aside(ws, rule, version)}
    if strange := {*right, *wrong} - there:
        raise WrongUsage(
            f"Row {min(strange)} is none that the rule {name} put aside.", hint=f"See: kohort cleaning check {name}"
        )
    with ws.store.write_lock():
        CleaningRecord(ws.store.state).mark(rule.name, rule.digest, right, wrong)
    return next(s for s in standings(ws) if s.rule.name == name)


def _rule(ws: Workspace, name: str) -> CleaningRule:
    rules = {rule.name: rule for rule in ws.config.cleaning}
    if name not in rules:
        raise NotFound("cleaning rule", name, rules, hint="Write one in kohort.yaml under cleaning.")
    return rules[name]


def _put_aside(ws: Workspace, rule: CleaningRule, version: int) -> list[RejectedRow]:
    rows: list[RejectedRow] = ws.store.state.rejected(limit=_ALL, code=rule.code(version))
    return rows


def judged_by(ws: Workspace, row: RejectedRow) -> dict[str, str]:
    """What a person may judge a row by. Of a source that is no longer known, nothing."""
    mapping = next((m for m in ws.config.sources if m.name == row.source), None)
    if mapping is None:
        return {}
    hidden = {*mapping.identities, *(mapping.columns.get(role) for role in ("customer", "text", "user_agent"))}
    meant = {*mapping.columns.values(), *mapping.properties}
    return {name: value for name, value in row.raw.items() if name in meant and name not in hidden}
