"""`ws.context`: series about the world beside customers' features, as they were known at the moment asked about."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from kohort.errors import NotFound, RefusedDefinition, WrongUsage
from kohort.model.clock import iso
from kohort.model.feature import FeatureInfo, FeatureTable

if TYPE_CHECKING:
    import pyarrow as pa

    from kohort.definitions.features import FeatureDefinition
    from kohort.ingest.context import Areas, SeriesTable
    from kohort.ingest.context_fetch import Fetched
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
            "led", "in_series"} | null, "area_errors": estimate | null, "fetched": {"at", "requests_today", "requests_per_day"} | null}`
            each. `fetched` is null of a file of yours; `at` is null where it was not fetched yet. `led` customers have an area that
            leads somewhere,
            `in_series` one that the series knows. `area_errors` is null where nobody checked a line of the table of areas.
        """
        found = []
        for series in self._ws.config.context:
            table, areas = self._read(series, if_there=True)
            facts = table.as_dict()
            facts |= {edge: iso(facts[edge]) if facts[edge] is not None else None for edge in ("first", "last")}
            told = {"name": series.name, "features": [f.name for f in series.features], **facts}
            errors = areas.error_rate if areas else None
            customers = self._coverage(series, table, areas)
            found.append({**told, "customers": customers, "area_errors": errors, "fetched": self._fetched(series)})
        return found

    def fetch(self, names: Sequence[str] = (), *, again: bool = False) -> list[Fetched]:
        """Fetch what is new of the series that have a connection. One that fails does not stop the others; one that is new enough
        is not asked for.

        Args:
            names: Series; none = all that are fetched.
            again: From the beginning, however new they are. The budget of requests holds all the same.

        Raises:
            NotFound: No fetched series is called so.
            WrongUsage: There are none.
            MissingExtra: The extra `sources` is not installed.
            TooLarge: A series has more rows than are read.
        """
        from kohort.ingest.connect.feeds import open_feed
        from kohort.ingest.context_fetch import fetch

        known = {s.name: s for s in self._ws.config.context if s.connection}
        if not known:
            hint = "Give a series under context: a connection, see docs/context.md."
            raise WrongUsage("No series of kohort.yaml is fetched.", hint=hint)
        for name in names:
            if name not in known:
                raise NotFound("fetched series", name, known)
        connections = {c.name: c for c in self._ws.config.connections}
        found = []
        for series in [known[name] for name in dict.fromkeys(names)] or list(known.values()):
            connection = connections[series.connection]
            feed = partial(open_feed, connection)
            state, now = self._ws.store.state, time.time_ns() // 1_000
            found.append(fetch(series, connection, feed, state=state, root=self._ws.root, now=now, again=again))
        return found

    def note(self, as_of: int | str | None = None) -> dict[str, Any]:
        """Note for every customer what is known at a moment where she is, of the series that say `rules`: rules then ask for it by the
        name of the feature. What is new enough is not noted again. Answers `{"as_of", "noted", "features": {name: customers}}`.

        Args:
            as_of: The moment; None = that of the workspace.

        Raises:
            WrongUsage: Rules may name no series.
            NotEnough: There are no events yet.
        """
        from kohort.workspace.noting import note

        return note(self._ws, as_of if isinstance(as_of, int) else self._ws.as_of(as_of))

    def values(self, series: Sequence[ContextSeries], as_of: int) -> tuple[list[int], dict[str, list[float | None]]]:
        """Customers (pseudonyms), and of each feature of some series what is known at a moment where each of them is. Who objects to
        profiling is not among them."""
        from kohort.definitions.features import FeatureDefinition, aggregate

        asked = [*self.wanted(), FeatureDefinition(f"{AREA}known", aggregate("count"))]  # somebody may be nowhere
        table = self._ws.pseudonymous_features(as_of, definitions=asked, context=False)
        said = {definition.name: table.data[definition.name] for definition in asked}
        found: dict[str, list[float | None]] = {}
        for one in series:
            for feature, column in zip(one.features, self._columns(one, said, as_of, len(table)), strict=True):
                found[feature.name] = column.to_pylist()
        return [int(key) for key in table.ids.to_pylist()], found

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

    def _read(self, series: ContextSeries, *, if_there: bool = False) -> tuple[SeriesTable, Areas | None]:
        """A series and its areas; with `if_there` one that was not fetched yet is empty."""
        from kohort.ingest.context import no_rows, read_areas, read_series

        areas = read_areas(series, self._ws.root)
        if if_there and series.connection and not (self._ws.root / series.place).exists():
            return no_rows(), areas
        return read_series(series, self._ws.root, zone=self._ws.zone), areas

    def _fetched(self, series: ContextSeries) -> dict[str, Any] | None:
        from kohort.ingest.context_fetch import kept_of

        if not series.connection:
            return None
        kept = kept_of(self._ws.store.state, series)
        return {
            "at": iso(kept.fetched_us) if kept.fetched_us else None,
            "requests_today": kept.used_on(time.time_ns() // 1_000),
            "requests_per_day": series.requests_per_day or None,
        }

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
