"""Looking at segments of a workspace: versions, history, movement; with the company's own customer numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, get_args

from kohort.errors import NotEnough, NotFound, UnknownCustomer, WrongUsage
from kohort.model.clock import iso
from kohort.workspace.definitions import rule_features
from kohort.workspace.people import check_numbers, company_numbers, customer_keys

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kohort.definitions.features import FeatureDefinition
    from kohort.segments.dry_run import DryRun, Effect
    from kohort.segments.listing import Description
    from kohort.segments.migration import Migration
    from kohort.segments.preview import Preview
    from kohort.store.vault import Vault
    from kohort.workspace.workspace import Workspace

Each = Literal["month", "quarter", "year"]


def describe(ws: Workspace) -> tuple[Description, ...]:
    """See `SegmentDoor.list`."""
    from kohort.segments.listing import describe_all

    return describe_all(ws.store, ws.config.segments, customers=ws.contents().customers, unread=ws.config.unread)


def described(ws: Workspace, name: str) -> Description:
    """See `SegmentDoor.describe`."""
    found = {d.name: d for d in describe(ws)}
    if name not in found:
        raise NotFound("segment", name, found, hint="Make one with: kohort segments add")
    return found[name]


def never_run(ws: Workspace, name: str) -> None:
    """Raise what is right for a name without members: it is not there, or it was not run yet."""
    described(ws, name)
    raise NotEnough(f"{name!r} was not run yet.", hint=f"Run: kohort segments run {name!r}")


def member_keys(ws: Workspace, name: str, members: Sequence[str]) -> list[int]:
    """Pseudonyms of the members that a person names: customers, or accounts.

    Raises:
        WrongUsage: They are not a list of texts.
        UnknownCustomer: Some are not known.
    """
    check_numbers(members)
    if not any(d.name == name and d.kind == "accounts" for d in ws.config.segments):
        return [ws.store.meant(key) for key in customer_keys(ws.store.vault, members)]
    from kohort.segments.accounts import account_keys

    there = _accounts(ws)
    if missing := [i + 1 for i, member in enumerate(members) if member not in there]:
        raise UnknownCustomer(missing, len(members), what="account")
    return [int(key) for key in account_keys(ws.store, members)]


def _accounts(ws: Workspace) -> set[str]:
    """The names of all accounts that the data has ever shown."""
    from kohort.engines.duck import connect, folders_of, register_events

    snapshot, column = ws.store.log.snapshot(), ws.config.accounts
    if column not in snapshot.columns:
        return set()
    with connect(folders=folders_of(snapshot)) as con:
        register_events(con, snapshot)
        return {row[0] for row in con.execute(f'SELECT DISTINCT "{column}" FROM events').fetchall() if row[0]}


def diff(ws: Workspace, name: str, old: int | None, new: int | None) -> str:
    """See `SegmentDoor.diff`."""
    from kohort.definitions.segments_diff import diff_text

    versions = {int(v["version"]): str(v["text"]) for v in ws.store.definitions.versions(name)}
    if not versions:
        never_run(ws, name)
    if old is not None or new is not None:
        return diff_text(*_pair(name, versions, old, new))
    written = _text_now(ws, name)
    if written is not None and (changed := diff_text(versions[max(versions)], written)):
        return changed
    if len(versions) < 2:
        raise NotEnough(f"There is one version of {name!r}.", hint="Change it and run it, then ask again.")
    return diff_text(*_pair(name, versions, None, None))


def history(ws: Workspace, name: str, customer: str | None) -> list[dict[str, Any]]:
    """See `SegmentDoor.history`."""
    if not ws.store.members.runs(name):
        never_run(ws, name)
    if customer is not None:
        (key,) = member_keys(ws, name, [customer])
        return [_with_moments(stay, ("since", "until")) for stay in ws.store.members.history(name, key)]
    runs = [_with_moments(run, ("as_of", "ran_us")) for run in ws.store.members.runs(name)]
    return [{"ran_at": run.pop("ran_us"), **{k: v for k, v in run.items() if k != "run"}} for run in runs]


def movement(ws: Workspace, name: str, since: int | None, until: int | None, by: Each) -> tuple[Migration, ...]:
    """See `SegmentDoor.movement`."""
    from kohort.segments.migration import migration, series

    if by not in get_args(Each):
        raise WrongUsage(f"Movement is not told by {by!r}.", hint=f"Choose one of: {', '.join(get_args(Each))}.")
    runs = ws.store.members.runs(name)
    if not runs:
        never_run(ws, name)
    labels = {p.key: p.label for p in described(ws, name).parts}
    if since is None and until is None:
        return series(ws.store, name, zone=ws.zone, each=by, labels=labels)
    start = runs[0]["as_of"] if since is None else since
    end = runs[-1]["as_of"] if until is None else until
    return (migration(ws.store, name, start, end, labels=labels),)


def value_of(ws: Workspace) -> FeatureDefinition | None:
    """What customers are worth, where the data says it."""
    from kohort.definitions.defaults import value_definition

    return value_definition(ws.contents())


def sampled(found: Preview, vault: Vault) -> Preview:
    """The same with the company's numbers in place of the pseudonyms of its samples."""
    return replace(found, parts=tuple(replace(p, sample=_shown(p.sample, vault)) for p in found.parts))


def _shown(sample: tuple[int | str, ...], vault: Vault) -> tuple[int | str, ...]:
    keys = [key for key in sample if isinstance(key, int)]
    return tuple(company_numbers(vault, keys)) if keys else sample


def with_numbers(found: DryRun, vault: Vault) -> DryRun:
    """The same with the company's numbers in place of the pseudonyms of its samples."""

    def effect(e: Effect) -> Effect:
        parts = (
            replace(
                p,
                entering_sample=_shown(p.entering_sample, vault),
                leaving_sample=_shown(p.leaving_sample, vault),
            )
            for p in e.parts
        )
        return replace(e, parts=tuple(parts))

    return replace(found, edited=effect(found.edited), dependants=tuple(map(effect, found.dependants)))


def _text_now(ws: Workspace, name: str) -> str | None:
    """What `kohort.yaml` says, as a version's text; None where it defines no such segment."""
    from kohort.segments.definitions import Meaning, adopted_ids, version_text

    definition = next((d for d in ws.config.segments if d.name == name), None)
    if definition is None:
        return None
    meaning = Meaning({f.name: f for f in rule_features(ws)}, ws.zone, ws.config.segment_settings)
    versions = {n: f"version {status.version}" for n, status in ws.store.status.all().items()}
    return version_text(definition, meaning, versions | adopted_ids(ws.store))


def _pair(name: str, versions: Mapping[int, str], old: int | None, new: int | None) -> tuple[str, str]:
    """Texts of two versions; where one is left out, the one before the other, or the latest."""
    second = new if new is not None else max(versions)
    first = old if old is not None else second - 1
    for number in (first, second):
        if number not in versions:
            raise NotFound(f"version of {name!r}", str(number), [str(v) for v in sorted(versions)])
    return versions[first], versions[second]


def _with_moments(row: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {k: iso(v) if k in names and v is not None else v for k, v in row.items()}
