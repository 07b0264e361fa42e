"""The group `segments`: definitions of your own, and segmentations that were found and adopted."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kohort.cli.door import Door, Result, command
from kohort.cli.options import MOMENT, moment
from kohort.cli.root import app
from kohort.errors import NotEnough, NotFound, TooLarge, UnreadableFile, WrongUsage

if TYPE_CHECKING:
    from kohort.model.segmentation import Segmentation
    from kohort.workspace.workspace import Workspace

LARGEST_FILE = 256 * 1024


@app.group("segments", short_help="Define, look at and run segments.")
def segments() -> None:
    """Segments of your own, and those that were found and adopted under a name.

    \b
    kohort segments add loyal "did('order_line', at_least => 3, within => '12 months')"
    kohort segments preview loyal
    kohort segments run loyal
    kohort members loyal --out loyal.csv
    """


@command(segments, "list", short_help="Every segment there is.", epilog="Example: kohort segments list -w shop")
def listed(door: Door) -> Result:
    """List your segments and the adopted ones with their sizes, and what was found and not adopted yet."""
    from kohort.cli.segment_pages import segment_list
    from kohort.model.clock import iso

    with door.open() as ws:
        rows = [{**r, "created": iso(r["created_us"])} for r in ws.segmentations()]
        lines, zone = [d.as_dict() for d in ws.segments.list()], ws.zone
        as_of = ws.store.kept_current()
    for row in rows:
        del row["created_us"]
    live = None if as_of is None else iso(as_of)
    data = {"segmentations": rows, "segments": lines, "live": live}
    return Result(data, lambda screen: segment_list(screen, lines, rows, live), zone=zone)


@command(segments, "show", short_help="One segment in full.", epilog="Example: kohort segments show loyal")
@click.argument("name", required=False)
def show(door: Door, *, name: str | None) -> Result:
    """Show the segment NAME: its rule, what it says in words, its size, how fresh it is and what uses it.

    Without NAME: the adopted segmentation, else the latest found.
    """
    from kohort.cli.pages import segmentation_found
    from kohort.cli.segment_pages import segment_shown

    with door.open() as ws:
        definition = next((d for d in ws.config.segments if d.name == name), None)
        if definition is None:
            found = _segmentation(ws, name)
            return Result(found.as_dict(), lambda screen: segmentation_found(screen, found))
        zone = ws.zone
        data = ws.segments.describe(definition.name).as_dict() | {
            "definition": ws.segments.text(definition.name),
            "rules": [
                {"part": p.key, "rule": r.text, "sentence": ws.segments.say(r.text)}
                | ({"keep": True} if r is p.keep else {})
                for p in definition.parts
                for r in (p.rule, p.keep)
                if r is not None
            ],
        }
    return Result(data, lambda screen: segment_shown(screen, data), zone=zone)


@command(segments, "add", short_help="Define a segment, or change one.")
@click.argument("name")
@click.argument("rule", required=False)
@click.option("--file", "file", metavar="FILE", help="Read the definition from a YAML file; - reads what is piped in.")
@click.option("--yes", is_flag=True, help="Change an existing segment without asking.")
@click.option("--as-of", metavar="T", help="Moment that the effect of a change is shown for (default: the newest).")
def add(door: Door, *, name: str, rule: str | None, file: str | None, yes: bool, as_of: str | None) -> Result:
    """Write the segment NAME with this RULE into kohort.yaml, once all of it is understood.

    Where NAME exists already, who would enter and who would leave is shown first. Members change with the next run.

    \b
    kohort segments add big "sum('order_line', within => '1 year').amount >= 1000"
    kohort segments add value --file value.yaml
    """
    from kohort.cli.segment_pages import effect_shown, segment_added
    from kohort.definitions.segments_diff import diff

    if (rule is None) == (file is None):
        raise WrongUsage("Give either a rule or --file.", hint='For example: kohort segments add vip "orders >= 10"')
    with door.open() as ws:
        text = rule if rule is not None else ws.segments.read(_text(file or ""), name=name, file=_shown(file or ""))
        before = next((d for d in ws.config.segments if d.name == name), None)
        changes: tuple[str, ...] = ()
        effect = None
        if before is not None:
            with door.progress() as progress:
                effect = ws.segments.dry_run(name, text, as_of=moment(ws, as_of), progress=progress)
            changes = diff(before, ws.segments.understood(name, text))
            if not door.as_json:
                effect_shown(door.notes, effect, changes)
            if changes and not _sure(door, f"Change {name}?", yes=yes):
                return Result({"name": name, "changes": []}, lambda screen: screen.line("Nothing was changed."))
        kept = ws.segments.add(name, text)
        data = {"name": name, "kind": kept.kind, "definition": ws.segments.text(name), "new": before is None}
    data |= {"changes": list(changes), "dry_run": effect.as_dict() if effect else None}
    return Result(data, lambda screen: segment_added(screen, data))


@command(segments, "check", short_help="Is everything that is defined in order?")
@click.option("--text", "rule", metavar="RULE", help="Check this rule instead of the files.")
def check(door: Door, *, rule: str | None) -> Result:
    """Read kohort.yaml and segments/*.yaml and say everything that is wrong in them, with its place.

    \b
    kohort segments check
    kohort segments check --text "recency_days <= 60 and did('page')"
    """
    from kohort.cli.segment_pages import files_checked, rule_checked
    from kohort.workspace import definitions as texts

    if rule is None:
        config = texts.check_files(Path(door.folder))
        names = [d.name for d in config.segments]
        with door.open() as ws:
            unseen = {d.name: found for d in config.segments if (found := ws.segments.never_observed(d))}
            looked_up = bool(texts.features(ws))
        data: dict[str, Any] = {"ok": True, "segments": names, "never_observed": unseen, "looked_up": looked_up}
        return Result(data, lambda screen: files_checked(screen, data))
    with door.open() as ws:
        data = {"ok": True, **ws.segments.check(rule)}
    return Result(data, lambda screen: rule_checked(screen, data))


@command(
    segments, "diff", short_help="What changed between two versions?", epilog="Example: kohort segments diff loyal 1 2"
)
@click.argument("name")
@click.argument("old", type=click.IntRange(1), required=False)
@click.argument("new", type=click.IntRange(1), required=False)
def diff_of(door: Door, *, name: str, old: int | None, new: int | None) -> Result:
    """Say what changed in the segment NAME from version OLD to version NEW.

    Without versions: what kohort.yaml says beside what the members follow; else the last two versions. Versions are
    kept with every run; see kohort segments history NAME.
    """
    from kohort.cli.segment_pages import changes_shown

    with door.open() as ws:
        changes = ws.segments.diff(name, old, new).splitlines()
    data = {"name": name, "old": old, "new": new, "changes": changes}
    return Result(data, lambda screen: changes_shown(screen, data))


@command(segments, "remove", short_help="Take a segment out.", epilog="Example: kohort segments remove loyal")
@click.argument("name")
def remove(door: Door, *, name: str) -> Result:
    """Take the segment NAME out of kohort.yaml. Everybody leaves it; its history stays.

    Refused while other segments use it.
    """
    with door.open() as ws:
        ws.segments.remove(name)
    return Result({"removed": name}, lambda screen: screen.line(f"{name} is removed. Its history stays."))


@command(
    segments, "adopt", short_help="Keep what was found last under a name.", epilog="Example: kohort segments adopt Main"
)
@click.argument("name")
def adopt(door: Door, *, name: str) -> Result:
    """Keep the latest result of `kohort discover` as the segmentation NAME, with everybody's membership."""
    from kohort.cli.pages import adopted

    with door.open() as ws, door.progress() as progress:
        found = ws.adopt(name, progress=progress)
    return Result(found, lambda screen: adopted(screen, found))


@command(
    segments,
    "run",
    short_help="Place everybody again; who moved?",
    epilog="Example: kohort segments run --as-of 2011-12-09",
)
@click.argument("names", nargs=-1, metavar="[NAME]…")
@click.option("--as-of", **MOMENT)
def run(door: Door, *, names: tuple[str, ...], as_of: str | None) -> Result:
    """Place everybody by the definitions as they are now, and say who entered and left.

    Without names: every segment of your own. An adopted segmentation is run by its name. A segment that cannot be
    evaluated keeps its members and says why; the others go on, and the exit code is 1.
    """
    from kohort.cli.pages import moved
    from kohort.cli.segment_pages import run_shown

    with door.open() as ws:
        adopted = {row["name"] for row in ws.segmentations() if row["adopted"]}
        defined = {d.name for d in ws.config.segments} | ws.config.unread.keys()
        unknown = [n for n in names if n not in adopted | defined]
        if unknown:
            raise NotFound("segment", unknown[0], [*defined, *adopted], hint="Make one with: kohort segments add")
        if not names and not defined and not ws.config.triggers:
            raise NotEnough("No segments are defined.", hint="Define one with: kohort segments add")
        when, zone = moment(ws, as_of), ws.zone
        with door.progress() as progress:
            movements = {n: ws.run(n, as_of=when, progress=progress) for n in names if n in adopted}
            mine = [n for n in names if n not in movements]
            report = ws.segments.run(mine or None, as_of=when, progress=progress) if mine or not names else None
    if report is None and len(movements) == 1:
        (movement,) = movements.values()
        return Result(movement.as_dict(), lambda screen: moved(screen, movement))
    data = report.as_dict() if report else {}
    data |= {"segmentations": {n: m.as_dict() for n, m in movements.items()}} if movements else {}

    def shown(screen: Any) -> None:
        for one in movements.values():
            moved(screen, one)
        if report is not None:
            run_shown(screen, data)

    return Result(data, shown, 1 if report is not None and report.failed else 0, zone=zone)


@command(
    segments,
    "rename",
    short_help="Give a segment a name of your own.",
    epilog='Example: kohort segments rename value gold "Best customers"',
)
@click.argument("name")
@click.argument("segment")
@click.argument("new_name")
def rename(door: Door, *, name: str, segment: str, new_name: str) -> Result:
    """In the segmentation NAME, call SEGMENT (its id or its name) NEW_NAME.

    Works for adopted segmentations and for parts of your own; the key that rules use stays as it is.
    """
    with door.open() as ws:
        ws.rename(name, segment, new_name)
    data = {"segmentation": name, "segment": segment, "name": new_name}
    return Result(data, lambda screen: screen.line(f"{segment} is now called {new_name}."))


def _segmentation(ws: Workspace, name: str | None) -> Segmentation:
    found = ws.segmentation(name)
    if found is not None:
        return found
    if name is not None:
        known = [str(s["name"]) for s in ws.segmentations() if s["name"]]
        raise NotFound("segment", name, [*(d.name for d in ws.config.segments), *known])
    raise NotEnough("Nothing was found yet.", hint="Run: kohort discover")


def _sure(door: Door, question: str, *, yes: bool) -> bool:
    """Whether a person says so, or has said so beforehand.

    Raises:
        WrongUsage: Nobody is there to be asked.
    """
    if yes:
        return True
    if door.as_json or not sys.stdin.isatty():
        raise WrongUsage("This changes a segment that exists.", hint="Look at what it would do, then say --yes.")
    return click.confirm(question, err=True)


def _text(file: str) -> str:
    """What a file holds, or what is piped in."""
    if file == "-":
        return sys.stdin.read(LARGEST_FILE + 1)
    path = Path(file)
    if path.stat().st_size > LARGEST_FILE:
        raise TooLarge(f"A definition has {LARGEST_FILE // 1024} KB at most.", place=path.name)
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableFile("It is not UTF-8 text.", place=path.name, hint="Save it as UTF-8.") from error


def _shown(file: str) -> str:
    return "the text" if file == "-" else Path(file).name
