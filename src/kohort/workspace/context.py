"""`ws.context`: series about the world beside customers' features, as they were known at the moment asked about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from kohort.errors import RefusedDefinition
from kohort.model.clock import iso
from kohort.model.feature import FeatureInfo, FeatureTable

if TYPE_CHECKING:
    import pyarrow as pa

    from kohort.definitions.features import FeatureDefinition
    from kohort.ingest.context import Areas, SeriesTable
    from kohort.model.context import ContextFeature, ContextSeries
    from kohort.workspace.workspace import Workspace

AREA = "_area_"
"""Features of ours that say where a customer is begin so; no feature of a person's can."""


class ContextDoor:
    """Series about the world, for every door."""

    def __init__(self, workspace: Workspace) -> None:
        self._ws = workspace

    def listed(self) -> list[dict[str, Any]]:
        """Every series: what it holds, how late it is known, and how well customers' areas lead to its own.

        Returns:
            `{"name", "features", "read", "used", "left_out", "areas", "first", "last", "delay_days", "customers": {"with_area",
            "led", "in_series"} | null, "area_errors": estimate | null}` each. `led` customers have an area that leads somewhere,
            `in_series` one that the series knows. `area_errors` is null where nobody checked a line of the table of areas.
        """
        found = []
        for series in self._ws.config.context:
            table, areas = self._read(series)
            facts = table.as_dict()
            facts |= {edge: iso(facts[edge]) if facts[edge] is not None else None for edge in ("first", "last")}
            told = {"name": series.name, "features": [f.name for f in series.features], **facts}
            errors = areas.error_rate if areas else None
            found.append({**told, "customers": self._coverage(series, table, areas), "area_errors": errors})
        return found

    def wanted(self) -> list[FeatureDefinition]:
        """Definitions that say where customers are, for the engine to answer beside the others."""
        from kohort.definitions.features import Aggregate, FeatureDefinition, Selection

        columns = dict.fromkeys(s.customer_area for s in self._ws.config.context if s.customer_area)
        return [FeatureDefinition(AREA + c, Aggregate("last", c, Selection())) for c in columns]

    def beside(self, table: FeatureTable) -> FeatureTable:
        """A feature table with the features of all series, in place of where customers are."""
        assert table.as_of is not None
        names = [f.name for f in table.features if not f.name.startswith(AREA)]
        said = {f.name: table.data[f.name] for f in table.features if f.name.startswith(AREA)}
        known, data, infos = set(names), table.data.select(names), list(table.select(names).features)
        for series in self._ws.config.context:
            for feature, column in zip(
                series.features, self._columns(series, said, table.as_of, len(table)), strict=True
            ):
                if feature.name in known:
                    raise RefusedDefinition(
                        f"Two features are called {feature.name!r}.", hint="Rename one under context."
                    )
                data = data.append_column(feature.name, column)
                infos.append(info(series, feature))
        return replace(table, data=data, features=tuple(infos))

    def _columns(
        self, series: ContextSeries, said: dict[str, pa.ChunkedArray], as_of: int, rows: int
    ) -> Sequence[pa.Array]:
        """One column per feature of a series, in the order of the customers."""
        import pyarrow as pa

        from kohort.engines.context import known_at

        table, areas = self._read(series)
        found = known_at(table.observations, series.features, as_of=as_of)
        at = {area: row for row, area in enumerate(found["area"].to_pylist())}
        if series.customer_area:
            places = [_area(text, areas) for text in said[AREA + series.customer_area].to_pylist()]
        else:
            places = [""] * rows
        where = pa.array([at.get(place) if place is not None else None for place in places], pa.int64())
        return [found[f.name].combine_chunks().take(where) for f in series.features]

    def _read(self, series: ContextSeries) -> tuple[SeriesTable, Areas | None]:
        from kohort.ingest.context import read_areas, read_series

        return read_series(series, self._ws.root, zone=self._ws.zone), read_areas(series, self._ws.root)

    def _coverage(self, series: ContextSeries, table: SeriesTable, areas: Areas | None) -> dict[str, int] | None:
        if not series.customer_area or self._ws.store.log.count() == 0:
            return None
        name = AREA + series.customer_area
        asked = [d for d in self.wanted() if d.name == name]
        features = self._ws.pseudonymous_features(definitions=asked, context=False)
        said = [text for text in features.data[name].to_pylist() if text is not None]
        led = [place for text in said if (place := _area(text, areas)) is not None]
        inside = set(table.observations["area"].unique().to_pylist())
        return {"with_area": len(said), "led": len(led), "in_series": sum(place in inside for place in led)}


def info(series: ContextSeries, feature: ContextFeature) -> FeatureInfo:
    """What the column of a feature of a series means."""
    days = feature.within_s / 86_400
    return FeatureInfo(
        name=feature.name,
        label=feature.name.replace("_", " ").capitalize(),
        definition=f"{feature.kind} of {feature.column} of {series.name} within {days:g} days, as known at the moment",
        missing="nothing known of where they are" if series.area else "nothing known then",
    )


def _area(said: object, areas: Areas | None) -> str | None:
    if said is None:
        return None
    return areas.lead(str(said)) if areas else " ".join(str(said).split())
