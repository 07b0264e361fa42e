"""What each command shows to people. Words and number formats come from `views`, so that every door says the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from shlex import quote
from typing import TYPE_CHECKING, Any

from kohort.cli.screen import Screen, bar
from kohort.views.formats import EN
from kohort.views.words import HEALTH, SEVERITY, VERDICT, plural, steadiness

if TYPE_CHECKING:
    from kohort.health.doctor import Check
    from kohort.model.feature import FeatureTable
    from kohort.model.health import Finding, HealthReport, Severity
    from kohort.model.segmentation import Segment, Segmentation
    from kohort.model.source import IngestReport
    from kohort.segments.movement import Movement

SAMPLES_SHOWN = 2
FAILED: dict[Severity, str] = {"problem": "Needs a fix", "warning": "Worth a look", "info": "Good to know"}
FILES_SHOWN = 15
MOVES_SHOWN = 10


def workspace_made(screen: Screen, found: Mapping[str, str]) -> None:
    screen.line(f"The workspace {found['name']} is in {found['workspace']}.", "bold")
    screen.line(f"Days are counted in {found['timezone']}, money in {found['currency']}.")
    screen.command(f"Next: kohort ingest -w {quote(found['workspace'])} YOUR-FILES")


def mapping_proposed(screen: Screen, proposal: Any) -> None:
    """The mapping we are about to use, with values of the file beside it."""
    mapping = proposal.mapping
    screen.line(f"Read as {mapping.kind}, under the name {mapping.name}:", "bold")
    rows = [(str(e["column"]), str(e["use"]), _examples(e["examples"])) for e in proposal.examples]
    reasons = [
        f"{e['column']} is left out: {e['why']}" for e in proposal.examples if e["use"] == "left out" and e["why"]
    ]
    screen.table([("column", "left"), ("used as", "left"), ("for example", "left")], rows)
    for note in (*proposal.notes, *reasons):
        screen.line(f"  {note}")
    screen.line("It is stored in kohort.yaml; change it there if it is wrong.")


def ingested(screen: Screen, report: IngestReport) -> None:
    """What became of every row."""
    screen.line(
        f"{report.read:,} rows read: {report.stored:,} new, {report.duplicate:,} already known, "
        f"{report.rejected:,} rejected.",
        "bold",
    )
    rows = [
        (b.source, b.file, f"{b.read:,}", f"{b.stored:,}", f"{b.duplicate:,}", f"{b.rejected:,}")
        for b in report.batches[:FILES_SHOWN]
    ]
    columns = [("source", "left"), ("file", "left")]
    screen.table(
        [*columns, ("rows", "right"), ("new", "right"), ("already known", "right"), ("rejected", "right")],  # type: ignore[list-item]
        rows,
    )
    if len(report.batches) > FILES_SHOWN:
        screen.line(f"… and {len(report.batches) - FILES_SHOWN:,} more files.")
    for note in dict.fromkeys(note for b in report.batches for note in b.notes):
        screen.line(note)
    if report.rejected:
        reasons: dict[str, int] = {}
        for b in report.batches:
            for code, n in b.reasons.items():
                reasons[code] = reasons.get(code, 0) + n
        listed = ", ".join(
            f"{n:,} {code.replace('_', ' ')}" for code, n in sorted(reasons.items(), key=lambda x: -x[1])
        )
        screen.line(f"Rejected: {listed}. None is lost; see them with: kohort rejected list")


def rejected_rows(screen: Screen, rows: Sequence[Mapping[str, Any]], waiting: int) -> None:
    if not rows:
        screen.line("No rejected rows.")
        return
    screen.table(
        [("file", "left"), ("line", "right"), ("column", "left"), ("what is wrong", "left")],
        [(r["file"], f"{r['line']:,}", r["column"], r["reason"]) for r in rows],
    )
    for row in rows:
        if "row" in row:
            screen.line(f"{row['file']} line {row['line']}: {row['row']}")
    if waiting > len(rows):
        screen.line(f"… and {waiting - len(rows):,} more: --limit {waiting}, or kohort rejected export --out FILE.csv")


def data_health(screen: Screen, report: HealthReport) -> None:
    """The report: verdict, what it rests on, sources, findings."""
    word, _ = HEALTH[report.verdict]
    screen.title(f"{word} ({report.score} of 100)")
    screen.line(report.text)
    if report.as_of:
        screen.line(
            f"{plural(report.events, 'row')} of {plural(report.customers, 'customer')}, "
            f"up to {EN.date_of(report.as_of)}."
        )
    screen.line()
    screen.table(
        [("what the figure is made of", "left"), ("points", "right")],
        [(p["text"], f"{p['points']} of {p['of']}") for p in report.score_parts],
    )
    screen.title("Sources")
    screen.table(
        [
            ("source", "left"),
            ("rows", "right"),
            ("rejected", "right"),
            ("from", "left"),
            ("to", "left"),
            ("not always filled", "left"),
        ],
        [
            (
                s.source,
                EN.number(s.rows),
                EN.number(s.rejected),
                EN.date_of(s.first),
                EN.date_of(s.last),
                ", ".join(f"{c} {EN.percent(share)}" for c, share in s.completeness.items() if share < 1) or "–",
            )
            for s in report.sources
        ],
    )
    screen.title("What we found, and what was done about it")
    for finding in report.findings:
        _finding(screen, finding, report.currency)


def _finding(screen: Screen, finding: Finding, currency: str) -> None:
    word, _ = SEVERITY[finding.severity]
    money = f"  [{EN.short_money(finding.amount, currency)}]" if finding.amount else ""
    screen.line()
    screen.line(f"{word}: {finding.text}{money}", "bold" if finding.severity != "info" else "")
    if finding.action:
        screen.line(f"  {finding.action}")
    for row in finding.sample[:SAMPLES_SHOWN]:
        screen.line("  e.g. " + ", ".join(f"{k.replace('_', ' ')} {_cell(v)}" for k, v in row.items()), "dim")


def feature_list(screen: Screen, table: FeatureTable, out: str | None) -> None:
    when = "" if table.as_of is None else f" as of {_date(table.as_of)}"
    screen.line(f"{len(table):,} customers with {len(table.features)} features{when}.", "bold")
    if out:
        screen.line(f"Written to {out}.")
    screen.table(
        [("name", "left"), ("meaning", "left"), ("filled", "right"), ("empty means", "left")],
        [
            (f.name, f.label, EN.percent(1 - table.data[f.name].null_count / max(1, len(table))), f.missing or "–")
            for f in table.features
        ],
    )


def segmentation_found(screen: Screen, found: Segmentation) -> None:
    """The segments with size and revenue, and how far they can be trusted."""
    word, _ = VERDICT[found.structure.verdict]
    screen.title(f"{found.name}: {word}" if found.name else word)
    screen.line(found.structure.text)
    if found.segments:
        _segments(screen, found)
        for segment in found.segments:
            screen.line(f"{segment.name}: {segment.description}")
            if segment.rule is not None and segment.rule.text:
                screen.line(f"  In short: {segment.rule.text}", "dim")
    elif found.alternatives:
        _tiers(screen, found.alternatives)
    if found.micro:
        screen.line(f"{len(found.micro)} small slices inside these segments: see the pages or --json.")
    if found.layers:
        screen.title("What is known of whom")
        for layer in found.layers:
            screen.line(layer.text)
    if found.labels:
        _own_groups(screen, found)
    for warning in found.warnings:
        screen.line(f"Note: {warning}")


def _own_groups(screen: Screen, found: Segmentation) -> None:
    """How the company's own groups and the segments agree, where each group is, and what to do about it."""
    own = found.labels
    screen.title("Your own groups beside these")
    agreed = own["agreement"]
    if agreed is not None:
        value, low, high = (round(100 * agreed[key]) for key in ("value", "low", "high"))
        screen.line(own["text"])
        screen.line(f"Agreement {value} of 100, likely between {low} and {high} (0 = as by chance, 100 = the same).")
    screen.table(
        [("your group", "left"), ("customers", "right"), *((s.id, "right") for s in found.segments)],
        [
            (
                str(row["label"]),
                EN.number(row["size"]),
                *(EN.percent(row["segments"].get(s.id, 0) / max(row["size"], 1)) for s in found.segments),
            )
            for row in own["table"]
        ],
    )
    for proposal in own["proposals"]:
        screen.line(f"  {proposal}")
    if own["unlabelled"]:
        screen.line(f"{plural(own['unlabelled'], 'customer')} without a group of yours.")


def _segments(screen: Screen, found: Segmentation) -> None:
    with_money = any(s.revenue_share is not None for s in found.segments)
    most = max((s.revenue_share or 0.0 for s in found.segments), default=0.0) or 1.0
    head: list[Any] = [("", "left"), ("segment", "left"), ("customers", "right"), ("share", "right")]
    if with_money:
        head += [("revenue", "right"), ("of revenue", "left")]
    head += [("how steady", "left")]

    def row(s: Segment) -> list[str]:
        cells = [s.id, s.name, EN.number(s.size), EN.percent(s.share)]
        if with_money:
            share = None if s.revenue_share is None else s.revenue_share / most
            cells += [EN.short_money(s.revenue, found.currency), _with_bar(share, s.revenue_share)]
        return [*cells, steadiness(s.stability).word]

    screen.line()
    screen.table(head, [row(s) for s in found.segments])
    if found.outliers:
        screen.line(f"{EN.number(found.outliers)} customers fit no segment and were left out.")
    screen.line()


def _tiers(screen: Screen, alternatives: Mapping[str, Any]) -> None:
    tiers = alternatives.get("tiers") or []
    if alternatives.get("text"):
        screen.line(str(alternatives["text"]))
    screen.line("Instead, customers by what they bring in:")
    screen.table(
        [("tier", "left"), ("customers", "right"), ("of revenue", "left")],
        [
            (
                str(t.get("name", "")),
                EN.number(t.get("size")),
                _with_bar(t.get("revenue_share"), t.get("revenue_share")),
            )
            for t in tiers
        ],
    )


def _with_bar(length: float | None, share: float | None) -> str:
    """A bar and its figure, which stay on one line."""
    return f"{bar(length)}\u00a0{EN.percent(share)}".strip("\u00a0")


def adopted(screen: Screen, found: Mapping[str, Any]) -> None:
    screen.line(
        f"{found['name']} is adopted (version {found['version']}): {plural(found['segments'], 'segment')}, "
        f"{plural(found['customers'], 'customer')}.",
        "bold",
    )


def moved(screen: Screen, movement: Movement) -> None:
    """Who moved between two moments, the largest moves first."""
    titles = {s.segment: s.name for s in movement.segments}
    screen.line(movement.text or "Everybody was assigned again.", "bold")
    changed = [f for f in movement.flows if f.source != f.target]
    if changed:
        screen.table(
            [("from", "left"), ("to", "left"), ("customers", "right")],
            [
                (titles.get(f.source, f.source) or "–", titles.get(f.target, f.target) or "–", EN.number(f.customers))
                for f in changed[:MOVES_SHOWN]
            ],
        )
    for segment in movement.segments:
        screen.line(segment.text)


def member_counts(screen: Screen, data: Mapping[str, Any]) -> None:
    screen.line(f"{plural(data['customers'], 'customer')} in {data['name']}.", "bold")
    run = data["run_as_of"]
    screen.line(f"As the run of {screen.minute(run)} left them." if run else "Worked out now: no run is that old.")
    if data["out"]:
        screen.line(f"Written to {data['out']}.")
    else:
        screen.line("Write them with --out FILE.csv or --out FILE.parquet.")
    screen.table(
        [("segment", "left"), ("customers", "right")],
        [(name or "left out", f"{n:,}") for name, n in sorted(data["segments"].items(), key=lambda x: -x[1])],
    )


def checks_done(screen: Screen, checks: Sequence[Check]) -> None:
    """Failed checks first, each with what to do, the same thing once; then how many are in order."""
    said = set()
    for check in checks:
        if not check.ok and (check.text, check.fix) not in said:
            said.add((check.text, check.fix))
            word = FAILED[check.severity]
            screen.line(f"{word}: {check.text}", "bold" if check.severity == "problem" else "")
            screen.line(f"  {check.fix}")
    good = sum(c.ok for c in checks)
    screen.line(f"{good} of {len(checks)} checks are in order.", "bold")


def demo_done(screen: Screen, data: Mapping[str, Any], found: Segmentation) -> None:
    segmentation_found(screen, found)
    screen.line()
    screen.line(
        f"{EN.number(data['rows'])} rows of {EN.number(data['customers'])} customers, from raw files to segments "
        f"in {EN.compact(data['seconds'])} seconds. Everything is in {data['workspace']}."
    )


def _examples(values: Sequence[Any]) -> str:
    texts = dict.fromkeys(str(v) for v in values if v not in (None, ""))
    return ", ".join(v if len(v) <= 30 else v[:29] + "…" for v in list(texts)[:3])


def _cell(value: Any) -> str:
    if isinstance(value, list | tuple):
        return " / ".join(map(str, value))
    return f"{value:,}" if isinstance(value, int | float) else str(value)


def _date(us: int) -> str:
    from kohort.model.clock import iso

    return EN.date_of(iso(us))
