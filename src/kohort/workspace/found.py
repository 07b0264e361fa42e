"""From everybody's features to a result that is kept: groups, words, their course over the past half year."""

from __future__ import annotations

import io
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kohort.errors import NotEnough, WrongUsage
from kohort.model.clock import DAY_US, iso
from kohort.model.feature import FeatureInfo, FeatureTable
from kohort.model.progress import Progress, silent
from kohort.model.segmentation import Segmentation, TrendPoint
from kohort.workspace import roll
from kohort.workspace.people import with_company_numbers
from kohort.workspace.roll import CUSTOMER, GROUP, KIND, SINCE, SURE

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from kohort.definitions.features import FeatureDefinition
    from kohort.discovery.discover import Discovery
    from kohort.segments import Movement
    from kohort.workspace.workspace import Workspace

TREND_DAYS = (180, 120, 60)
"""How long before `as_of` the sizes of the segments are looked at again."""

_ASSIGNER = "assigner.bin"


@dataclass(frozen=True)
class Found:
    """What `Workspace.discover` found.

    Attributes:
        segmentation: Everything said about it, with the company's own customer numbers.
        as_found: The same with pseudonyms, as it is stored.
        table: The features it was found on, ids are pseudonyms.
        definitions: Of these features.
        data_version: Of the event log they were computed from.
        groups: Group number of each row, −1 = left out; `confidence` of each row.
        segment_of: Segment id of each group number.
        assigner: The bytes that place later customers.
    """

    workspace: Workspace
    as_found: Segmentation
    table: FeatureTable
    definitions: tuple[FeatureDefinition, ...]
    data_version: str
    groups: np.ndarray
    confidence: np.ndarray
    segment_of: tuple[str, ...]
    assigner: bytes

    @property
    def segmentation(self) -> Segmentation:
        return with_company_numbers(self.as_found, self.workspace.store.vault)

    def adopt(self, name: str, only: Collection[str] | None = None) -> Movement:
        """Keep it, or some of its segments, under a name: a versioned definition with everybody's membership. See
        `kohort.segments.adopt`."""
        from kohort.discovery.assign import assigner_from_bytes
        from kohort.segments import adopt

        ws = self.workspace
        ws.pin_definitions(self.definitions)
        movement = adopt(
            ws.store,
            name,
            self.as_found,
            self.table,
            groups=self.groups,
            confidence=self.confidence,
            segment_of=self.segment_of,
            assigner=self.assigner,
            load=assigner_from_bytes,
            data_version=self.data_version,
            only=only,
        )
        keep_people(ws, name, self.table)
        return movement


def find(
    ws: Workspace, *, as_of: int | str | None, labels: str | None, progress: Progress = silent, **how: Any
) -> Found:
    """Find, explain, look back over the past half year, and keep the result as the latest found."""
    from kohort.discovery.discover import discover
    from kohort.discovery.explain import with_trend

    data_version, used = ws.store.log.version(), ws.definitions()
    table = ws.pseudonymous_features(as_of, definitions=used, progress=progress)
    if not len(table):
        raise NotEnough("There are no customers to group yet.", hint="Bring data in with: kohort ingest YOUR-FILES")
    result = discover(table, labels=labels, threads=ws.threads, progress=progress, **how)
    grouping = result.grouping
    points: dict[str, list[TrendPoint]] = {}
    if result.segmentation.segments and ws.contents().activity:  # what is known since ever has no course
        points = _trend(ws, table, result, progress)
    found = Found(
        ws,
        with_trend(result.segmentation, points),
        table,
        used,
        data_version,
        grouping.labels,
        grouping.confidence,
        result.segment_of,
        grouping.assigner.to_bytes(),
    )
    keep(ws, found)
    return found


def latest(ws: Workspace) -> Found:
    """The result of the last `discover`, in this process or another.

    Raises:
        NotEnough: Nothing was found yet.
    """
    import pyarrow.parquet as pq

    from kohort.definitions.features import parse_features

    kept = ws.store.state.get("found")
    if kept is None:
        raise NotEnough("Nothing was found yet.", hint="Run: kohort discover")
    files, manifest = ws.store.artefacts.load(KIND, kept["artefact"])
    segmentation = ws.store.state.segmentation("", id=kept["segmentation"])
    assert segmentation is not None
    whole = pq.read_table(io.BytesIO(files[roll.FILE])).sort_by(CUSTOMER)
    infos = tuple(FeatureInfo(**f) for f in manifest["features"])
    # A manifest sorts its names, and sentences speak of the first feature of an idea: the order is that of the columns.
    place = {info.name: n for n, info in enumerate(infos)}
    definitions = sorted(parse_features(manifest["definitions"]), key=lambda d: place.get(d.name, len(place)))
    value = whole.column("_value").to_numpy() if "_value" in whole.column_names else None
    table = FeatureTable(
        whole.column(CUSTOMER).combine_chunks(),
        whole.select([f.name for f in infos]),
        infos,
        manifest["as_of"],
        value,
        segmentation.currency,
    )
    return Found(
        ws,
        segmentation,
        table,
        tuple(definitions),
        manifest["data_version"],
        whole.column(GROUP).to_numpy(),
        whole.column(SURE).to_numpy(),
        tuple(manifest["segment_of"]),
        files[_ASSIGNER],
    )


def found_last(ws: Workspace) -> Segmentation | None:
    """What the last `discover` found, with pseudonyms, whether it was adopted or not; None = nothing yet."""
    kept = ws.store.state.get("found")
    return None if kept is None else ws.store.state.segmentation("", id=kept["segmentation"])


def take_back(ws: Workspace, name: str) -> Movement | None:
    """See `Workspace.take_back`."""
    from kohort.discovery.assign import assigner_from_bytes
    from kohort.segments import take_back
    from kohort.segments.remove import check_removable
    from kohort.segments.take_back import earlier

    if earlier(ws.store, name) is None:
        check_removable(ws.config.segments, name)
        if told := [t.name for t in ws.config.triggers if t.watches.segment == name]:
            error = WrongUsage(f"{name!r} fires {', '.join(told)}.", hint="Change or remove these triggers first.")
            error.code = "needed_by_others"
            raise error
    table = _kept_table(ws, name)
    movement = take_back(ws.store, name, table, load=assigner_from_bytes)
    if movement is not None:
        keep_people(ws, name, table)
    elif (artefact := ws.store.state.get(f"people.{name}")) is not None:
        ws.store.state.set(f"people.{name}", None)
        ws.store.artefacts.delete(KIND, artefact)
    return movement


def _kept_table(ws: Workspace, name: str) -> FeatureTable:
    """Features of everybody at the last run of a name."""
    table, infos, as_of = _people(ws, name)
    table = table.sort_by(CUSTOMER)
    return FeatureTable(table.column(CUSTOMER).combine_chunks(), table.select([f.name for f in infos]), infos, as_of)


def keep_people(ws: Workspace, name: str, table: FeatureTable) -> None:
    """Keep who is in an adopted segmentation as of its last run, with the features of each, for the pages that list them."""
    setting = f"people.{name}"
    with ws.store.write_lock():
        before = ws.store.state.get(setting)
        columns, names = _placed(ws, name, table)
        now = _save_people(ws, table, columns, {}, {"of": name, roll.NAMED: names})
        ws.store.state.set(setting, now)
        if before not in (None, now):
            ws.store.artefacts.delete(KIND, before)


def _placed(ws: Workspace, name: str, table: FeatureTable) -> tuple[dict[str, Any], list[str]]:
    """Group, confidence and since when of each row of a table, as members are now; and the segment of each group."""
    import numpy as np
    import pyarrow as pa

    from kohort.store.members.tables import MEMBERS

    there = name in ws.store.members.names()  # adopting may have been interrupted at its last step
    members = ws.store.members.current(name) if there else MEMBERS.empty_table()
    coded = members.column("segment").combine_chunks().cast(pa.string()).dictionary_encode()
    place = np.full(len(table), members.num_rows)
    at = np.searchsorted(ids := members.column("customer").to_numpy(), table.ids.to_numpy())
    inside = at < members.num_rows
    inside[inside] = ids[at[inside]] == table.ids.to_numpy()[inside]
    place[inside] = at[inside]
    rows = pa.array(place, mask=~inside)
    groups = pa.array(np.asarray(coded.indices, np.int32)).take(rows).fill_null(-1)
    columns = {GROUP: groups, SURE: members.column("confidence").take(rows), SINCE: members.column("since").take(rows)}
    return columns, coded.dictionary.to_pylist()


def people(ws: Workspace, name: str) -> tuple[pa.Table, tuple[FeatureInfo, ...]]:
    """`_customer` and the features of everybody at the last run of a name; "" = as last found, with `_segment`."""
    return _people(ws, name)[:2]


def _people(ws: Workspace, name: str) -> tuple[pa.Table, tuple[FeatureInfo, ...], int]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    artefact = ws.store.state.get("found")["artefact"] if not name else ws.store.state.get(f"people.{name}")
    if artefact is None:  # adopting was interrupted at its last step
        raise NotEnough("The customers of this segmentation are not kept yet.", hint=f"Run: kohort segments run {name}")
    files, manifest = ws.store.artefacts.load(KIND, artefact)
    table = pq.read_table(io.BytesIO(files[roll.FILE]))
    infos = tuple(FeatureInfo(**f) for f in manifest["features"])
    if name:
        table = table.select([CUSTOMER, *(f.name for f in infos)])
    else:
        ids = [*manifest[roll.NAMED], ""]
        table = table.append_column("_segment", pa.array([ids[g] for g in table.column(GROUP).to_pylist()]))
    return table, infos, int(manifest["as_of"])


def _trend(ws: Workspace, table: FeatureTable, result: Discovery, progress: Progress) -> dict[str, list[TrendPoint]]:
    """Sizes and 12-month revenue of each segment at past moments, by the same definition, and at `as_of` as found."""
    assert table.as_of is not None
    points: dict[str, list[TrendPoint]] = {s: [] for s in result.segment_of}
    for number, days in enumerate(TREND_DAYS):
        progress("Looking back half a year", number, len(TREND_DAYS))
        then = ws.pseudonymous_features(table.as_of - days * DAY_US)
        if len(then):
            _count(points, then, result.grouping.assigner.assign(then)[0], result.segment_of)
    progress("Looking back half a year", len(TREND_DAYS), len(TREND_DAYS))
    _count(points, table, result.grouping.labels, result.segment_of)
    return points


def _count(
    points: Mapping[str, list[TrendPoint]], table: FeatureTable, groups: np.ndarray, segment_of: tuple[str, ...]
) -> None:
    import numpy as np

    assert table.as_of is not None
    sizes = np.bincount(groups[groups >= 0], minlength=len(segment_of))
    revenue: Iterable[float | None] = [None] * len(segment_of)
    if table.value is not None:
        money = np.nan_to_num(table.value[groups >= 0])
        revenue = np.bincount(groups[groups >= 0], weights=money, minlength=len(segment_of)).tolist()
    for segment, size, amount in zip(segment_of, sizes.tolist(), revenue, strict=True):
        points[segment].append(TrendPoint(iso(table.as_of)[:10], size, amount))


def keep(ws: Workspace, found: Found) -> None:
    """Keep a result as the latest found, in place of the one before."""
    import numpy as np

    from kohort.definitions.features_text import write_features

    columns: dict[str, Any] = {GROUP: found.groups.astype(np.int32), SURE: found.confidence.astype(np.float32)}
    manifest = {
        "segment_of": list(found.segment_of),
        "definitions": write_features(found.definitions),
        "data_version": found.data_version,
    }
    with ws.store.write_lock():
        before = ws.store.state.get("found")
        artefact = _save_people(ws, found.table, columns, {_ASSIGNER: found.assigner}, manifest)
        ws.store.state.drop_segmentation(found.as_found.id)
        ws.store.state.save_segmentation(found.as_found)
        ws.store.state.set("found", {"artefact": artefact, "segmentation": found.as_found.id})
        if before is not None and before["artefact"] != artefact:
            ws.store.artefacts.delete(KIND, before["artefact"])
            if before["segmentation"] != found.as_found.id:
                ws.store.state.drop_segmentation(before["segmentation"])


def _save_people(
    ws: Workspace, table: FeatureTable, columns: dict[str, Any], files: dict[str, bytes], manifest: dict[str, Any]
) -> str:
    """Store everybody's features with what belongs to them; returns the artefact's id, a digest of the content."""
    import hashlib
    import json

    import pyarrow as pa

    whole = pa.table({CUSTOMER: table.ids, **dict(zip(table.data.column_names, table.data.columns, strict=True))})
    if table.value is not None:
        columns = {**columns, "_value": table.value}
    for name, values in columns.items():
        whole = whole.append_column(
            name, values if isinstance(values, pa.Array | pa.ChunkedArray) else pa.array(values)
        )
    sink = io.BytesIO()
    roll.write(roll.in_order(whole), sink)
    body = sink.getvalue()
    said = {**manifest, "ordered": True, "as_of": table.as_of, "features": [f.as_dict() for f in table.features]}
    identity = hashlib.sha256(body)
    for data in (*files.values(), json.dumps(said, sort_keys=True).encode()):
        identity.update(data)
    artefact = identity.hexdigest()[:24]
    ws.store.artefacts.save(KIND, artefact, {**files, roll.FILE: body}, said)
    return artefact
