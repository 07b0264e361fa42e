"""The data-health report: can segments be trusted that are built on this data, and why (not)?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kohort.health import findings as say
from kohort.health import findings_controls as told
from kohort.health.facts import Facts, Row, gather, look_at
from kohort.health.returns import ReturnFacts, return_facts
from kohort.health.score import judge, score_parts
from kohort.model.clock import DAY_US, iso
from kohort.model.clock import moment as to_moment
from kohort.model.event import IDENTIFY, SCORE
from kohort.model.health import Finding, HealthReport, SourceHealth
from kohort.model.money import minor_digits
from kohort.model.progress import Progress, silent
from kohort.model.source import BatchReport, RejectedRow

if TYPE_CHECKING:
    from kohort.store.store import Store

LATEST = 2**62
"""An instant after every event."""


def report(
    store: Store,
    *,
    zone: str,
    currency: str,
    controls: Mapping[str, str],
    as_of: int | None = None,
    progress: Progress = silent,
) -> HealthReport:
    """Look at everything in a workspace's event log and say what was found.

    Args:
        store: An open store; nothing is written.
        zone: The workspace's time zone, in which days are counted.
        currency: ISO 4217 of the workspace; money is in its major units.
        controls: Product code → kind of line, as set in `kohort.yaml`.
        as_of: Later events are not looked at; None = up to the newest.
        progress: Told how far it is.

    Returns:
        Findings with rows, money, what was done, and samples without direct identifiers.
    """
    from kohort.engines.duck import connect, folders_of, register_events

    snapshot = store.log.snapshot()
    batches = [batch for batch in store.state.batches() if batch.source != SCORE]  # what we said ourselves
    with connect(folders=folders_of(snapshot)) as con:
        register_events(con, snapshot)
        return report_on(
            con,
            columns=sorted(snapshot.columns),
            zone=zone,
            batches=batches,
            rejected=store.state.rejected(limit=100),
            waiting=store.state.rejected_counts(),
            currency=currency,
            controls=controls,
            as_of=as_of,
            progress=progress,
        )


def report_on(
    con: Any,
    *,
    columns: Sequence[str],
    zone: str,
    batches: Sequence[BatchReport],
    rejected: Sequence[RejectedRow] = (),
    waiting: Mapping[tuple[str, str], int] | None = None,
    currency: str,
    controls: Mapping[str, str],
    as_of: int | None = None,
    progress: Progress = silent,
) -> HealthReport:
    """The same for a connection with the relation `events`."""
    progress("Looking at the data", 0, 3)
    (newest,) = con.execute(f"SELECT max(ts) FROM events WHERE event NOT IN ('{IDENTIFY}', '{SCORE}')").fetchone()
    moment = as_of if as_of is not None else newest if newest is not None else LATEST
    # Traits of a table without dates are known since ever; those learned after the newest event count as well.
    horizon = as_of if as_of is not None else LATEST
    look_at(con, as_of=horizon)
    facts = gather(con, day=_local_day(moment, zone), columns=columns)
    progress("Looking at the data", 1, 3)
    returned = return_facts(con)
    progress("Looking at the data", 2, 3)
    sources = _sources(facts, batches)
    verdict, text = judge(facts)
    parts = score_parts(facts, sources)
    found = _findings(
        facts,
        returned=returned,
        sources=sources,
        batches=batches,
        rejected=rejected,
        waiting=waiting,
        currency=currency,
        controls=controls,
        moment=moment if moment != LATEST else None,
    )
    progress("Looking at the data", 3, 3)
    return HealthReport(
        verdict=verdict,
        text=text,
        score=sum(p["points"] for p in parts),
        customers=facts.customers["all"],
        events=facts.count().rows,
        as_of=iso(moment) if moment != LATEST else None,
        currency=currency,
        sources=sources,
        findings=found,
        coverage=_coverage(facts, currency),
        score_parts=parts,
    )


def _local_day(us: int, zone: str) -> int:
    """Days from 1970-01-01 to the day of an instant in a zone; an instant after every event is far away."""
    from datetime import date
    from zoneinfo import ZoneInfo

    if us >= LATEST:
        return us // DAY_US
    return (to_moment(us).astimezone(ZoneInfo(zone)).date() - date(1970, 1, 1)).days


def _findings(
    facts: Facts,
    *,
    returned: ReturnFacts,
    sources: Sequence[SourceHealth],
    batches: Sequence[BatchReport],
    rejected: Sequence[RejectedRow],
    waiting: Mapping[tuple[str, str], int] | None,
    currency: str,
    controls: Mapping[str, str],
    moment: int | None,
) -> tuple[Finding, ...]:
    money = say.Money(minor_digits(currency))
    return say.ordered(
        [
            *say.anonymous(facts, money),
            *told.machines(facts),
            *told.machine_like(facts),
            *told.written(facts),
            *told.clocks(facts, batches),
            *say.returns(facts, returned, money),
            *say.line_kinds(facts, money),
            *say.duplicates(facts, money, batches),
            *say.controls_set(controls),
            *say.rejected(batches, rejected, waiting),
            *say.currencies(facts, currency, money),
            *say.outliers(facts, money),
            *say.spellings(facts),
            *(say.times(facts, sources, moment) if moment is not None else ()),
            *say.gaps_in_columns(sources),
        ]
    )


_NOT_COLUMNS = {"batch", "event", "rows", "first", "last"}


def _sources(facts: Facts, batches: Sequence[BatchReport]) -> tuple[SourceHealth, ...]:
    """One entry per source, in the order they were first read."""
    of_batch = {b.batch: b.source for b in batches}
    by_source: dict[str, list[BatchReport]] = {}
    for b in batches:
        by_source.setdefault(b.source, []).append(b)
    filled: dict[str, list[Row]] = {source: [] for source in by_source}
    for row in facts.filled:
        filled.setdefault(of_batch.get(row["batch"], "unknown"), []).append(row)
    return tuple(_source(source, by_source.get(source, []), rows) for source, rows in filled.items())


def _source(source: str, batches: Sequence[BatchReport], rows: Sequence[Row]) -> SourceHealth:
    dated = [r for r in rows if r["last"] > 0]
    reasons: dict[str, int] = {}
    for b in batches:
        for code, n in b.reasons.items():
            reasons[code] = reasons.get(code, 0) + n
    stored = sum(r["rows"] for r in rows)
    return SourceHealth(
        source=source,
        rows=sum(b.read for b in batches) or stored,
        stored=sum(b.stored for b in batches) or stored,
        duplicate=sum(b.duplicate for b in batches),
        rejected=sum(b.rejected for b in batches),
        first=iso(min(r["first"] for r in dated)) if dated else None,
        last=iso(max(r["last"] for r in dated)) if dated else None,
        completeness=_completeness(rows),
        reasons=reasons,
    )


def _completeness(rows: Sequence[Row]) -> dict[str, float]:
    """Share of rows that fill each column, among the events that use the column at all."""
    if not rows:
        return {}
    shares = {}
    for column in rows[0].keys() - _NOT_COLUMNS:
        users = {r["event"] for r in rows if r[column]}
        able = sum(r["rows"] for r in rows if r["event"] in users)
        if able:
            shares[column.removeprefix("p_").removeprefix("t_")] = sum(r[column] for r in rows) / able
    return dict(sorted(shares.items()))


def _coverage(facts: Facts, currency: str) -> tuple[dict[str, Any], ...]:
    unit = 10 ** minor_digits(currency)
    months: dict[str, dict[str, Any]] = {}
    for cell in facts.cells:
        if cell["event"] == "identify":
            continue
        month = months.setdefault(cell["month"], {"month": cell["month"], "events": 0, "customers": 0, "revenue": 0})
        month["events"] += cell["n"]
        if cell["line_kind"] == "goods" and not cell["duplicate"]:
            month["revenue"] += cell["a"]
    for name, month in months.items():
        month["customers"] = facts.month_customers.get(name, 0)
        month["revenue"] /= unit
    return tuple(months[m] for m in sorted(months))
