"""The workspace: one company's folder, and the verbs that every door calls."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kohort import __version__
from kohort.errors import NotEnough, NoWorkspace, WrongUsage
from kohort.model.clock import parse_instant
from kohort.model.feature import FeatureTable
from kohort.model.progress import Progress, silent
from kohort.workspace.kept import Kept
from kohort.workspace.settings import Settings

if TYPE_CHECKING:
    import pyarrow as pa

    from kohort.definitions.defaults import DataProfile
    from kohort.definitions.features import FeatureDefinition
    from kohort.definitions.workspace_file import WorkspaceConfig
    from kohort.discovery.over_time import By
    from kohort.health.doctor import Check
    from kohort.ingest import Proposal
    from kohort.model.feature import FeatureInfo
    from kohort.model.health import HealthReport
    from kohort.model.segmentation import Segmentation
    from kohort.model.source import IngestReport, RejectedRow, SourceKind, SourceMapping
    from kohort.segments import Movement
    from kohort.store.api_keys import ApiKeys
    from kohort.store.audit_log import AuditLog
    from kohort.store.store import Store
    from kohort.store.users import Users
    from kohort.views.gallery import Charts
    from kohort.workspace.activity import ActivityDoor
    from kohort.workspace.connections import ConnectionsDoor
    from kohort.workspace.context import ContextDoor
    from kohort.workspace.customers import CustomerDoor
    from kohort.workspace.feedback import FeedbackDoor
    from kohort.workspace.found import Found
    from kohort.workspace.groups import GroupDoor
    from kohort.workspace.identity import IdentityDoor
    from kohort.workspace.over_time import FoundOverTime
    from kohort.workspace.predict import PredictDoor
    from kohort.workspace.privacy import PrivacyDoor
    from kohort.workspace.roll import Rolls
    from kohort.workspace.segments import SegmentDoor
    from kohort.workspace.triggers import TriggerDoor

CONFIG_FILE = "kohort.yaml"
DEMO_MARK = ".kohort-demo"
"""Says that a folder was made by `kohort demo`, so that the next one may make it anew."""


class Workspace:
    """One company's customers: files in, segments out. Open it with `kohort.open`, make one with `kohort.create`.

    Every verb is short wiring; the work is in the rooms below. A workspace is a context manager; any number of
    processes may have it open, and writers take turns.
    """

    def __init__(self, root: Path, settings: Settings, store: Store) -> None:
        self.root = root
        self.store = store
        self._settings = settings
        self._defaults: tuple[object, tuple[FeatureDefinition, ...]] | None = None
        self.kept = Kept(store)

    @classmethod
    def open(cls, path: str | Path = ".") -> Workspace:
        """Open the workspace in a folder. See `kohort.open`."""
        root = Path(path)
        if not (root / CONFIG_FILE).is_file():
            raise NoWorkspace(f"There is no workspace in {str(path)!r}.", hint=f"Make one with: kohort init -w {path}")
        from kohort.store import open_store

        store = open_store(root)
        try:
            settings = Settings(root / CONFIG_FILE, store.log.columns)
            settings.now()  # a mistake in it is said here
        except BaseException:
            store.close()
            raise
        return cls(root, settings, store)

    @classmethod
    def create(
        cls,
        path: str | Path,
        *,
        name: str | None = None,
        timezone: str = "UTC",
        currency: str = "EUR",
        business: str = "auto",
    ) -> Workspace:
        """Make a new workspace in a folder that holds none yet. See `kohort.create`."""
        from kohort.definitions.workspace_file import WorkspaceConfig, parse, save, write
        from kohort.store import create_store

        root = Path(path)
        if (root / CONFIG_FILE).exists():
            raise WrongUsage(f"{str(path)!r} already holds a workspace.", hint="Open it, or choose another folder.")
        wanted = WorkspaceConfig(
            name=name or root.resolve().name, timezone=timezone, currency=currency, business=business
        )
        config = parse(write(wanted))  # the same checks as for a file that a person wrote, before anything is made
        store = create_store(root, buckets=config.buckets)
        save(config, root / CONFIG_FILE)
        return cls(root, Settings(root / CONFIG_FILE, store.log.columns), store)

    def close(self) -> None:
        """Let go of the databases."""
        self.store.close()

    def __enter__(self) -> Workspace:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def config(self) -> WorkspaceConfig:
        """What `kohort.yaml` says now: a person or another process may have changed it since it was opened."""
        return self._settings.now()

    @property
    def config_stamp(self) -> str:
        """Another text whenever `kohort.yaml` says something else."""
        return self._settings.whole()

    @property
    def name(self) -> str:
        """What the business is called."""
        return self.config.name

    @property
    def zone(self) -> str:
        """IANA name of the time zone of days and hours."""
        return self.config.timezone

    @property
    def currency(self) -> str:
        """ISO 4217 code that money is reported in."""
        return self.config.currency

    @property
    def is_demo(self) -> bool:
        """Whether this is the demo shop."""
        return (self.root / DEMO_MARK).exists()

    def change(self, change: Callable[[WorkspaceConfig], WorkspaceConfig]) -> None:
        """Write `kohort.yaml` anew from what it says now; nobody's change is lost."""
        with self.store.write_lock():
            self._settings.change(change)

    # -- data in ---------------------------------------------------------------------------------------------------

    def propose(
        self,
        paths: Sequence[str | Path],
        *,
        kind: SourceKind | None = None,
        answers: Mapping[str, Any] | None = None,
    ) -> Proposal:
        """How these files would be read, with examples to look at; nothing is stored.

        Args:
            paths: Files, folders, patterns.
            kind: What a row is, where the files do not make it plain.
            answers: What is settled beforehand: {"columns": {"customer": "user_id"}, "day_first": True}.

        Raises:
            NeedsAnswer: The files allow more than one reading.
        """
        from kohort.ingest import propose

        taken = [m.name for m in self.config.sources]
        return propose(paths, kind=kind, zone=self.zone, currency=self.currency, answers=answers, taken=taken)

    def columns_of(self, paths: Sequence[str | Path]) -> list[str]:
        """Names of the columns of files, for answering what `propose` asks."""
        from kohort.ingest import columns_of

        return columns_of(paths)

    def stored_mapping(self, paths: Sequence[str | Path], *, kind: SourceKind | None = None) -> SourceMapping | None:
        """The mapping of `kohort.yaml` that these files fit, if there is one."""
        from kohort.ingest import fits

        fitting = (m for m in self.config.sources if kind in {None, m.kind} and fits(paths, m))
        return next(fitting, None)

    @property
    def keys(self) -> ApiKeys:
        """Keys of programs that send events or read."""
        return self.store.api_keys

    @property
    def users(self) -> Users:
        """People who log in to the pages, with their roles."""
        return self.store.users

    @property
    def audit_log(self) -> AuditLog:
        """Who did what: logins, looks at single customers, decisions, changes of users and keys."""
        return self.store.audit_log

    def confirm(self, mapping: SourceMapping) -> None:
        """Keep a mapping in `kohort.yaml`, in place of an earlier one of that name."""

        def confirmed(config: WorkspaceConfig) -> WorkspaceConfig:
            others = tuple(m for m in config.sources if m.name != mapping.name)
            return replace(config, sources=(*others, mapping))

        self.change(confirmed)

    def ingest(
        self,
        *paths: str | Path,
        kind: SourceKind | None = None,
        mapping: SourceMapping | None = None,
        progress: Progress = silent,
    ) -> IngestReport:
        """Read files into the event log: each row is stored, known already, or rejected and kept with its reason.

        Args:
            paths: Files, folders, patterns.
            kind: What a row is, where the file does not make it plain.
            mapping: How to read them; else the fitting one of `kohort.yaml`, else a proposal that leaves no question.
            progress: Told the rows read.

        Raises:
            NeedsAnswer: The files allow more than one reading.
        """
        from kohort.ingest import ingest_files
        from kohort.workspace.cleaning import at_work

        chosen = mapping or self.stored_mapping(paths, kind=kind) or self.propose(paths, kind=kind).mapping
        if chosen not in self.config.sources:
            self.confirm(chosen)
        with at_work(self) as cleaner:
            return ingest_files(
                paths,
                chosen,
                store=self.store,
                zone=self.zone,
                currency=self.currency,
                controls=self.config.controls,
                cleaner=cleaner,
                now=time.time_ns() // 1_000,
                progress=progress,
            )

    def rejected(self, limit: int = 100) -> list[RejectedRow]:
        """Rows that could not be used, oldest first."""
        return self.store.state.rejected(limit=limit)

    def export_rejected(self, path: str | Path) -> int:
        """Write all rejected rows to a CSV to fix and bring back; says how many."""
        from kohort.ingest import export_rejected

        return export_rejected(path, store=self.store)

    def retry_rejected(self, path: str | Path | None = None, *, progress: Progress = silent) -> IngestReport:
        """Read rejected rows again, from a fixed CSV or as they were; those that succeed leave the list."""
        from kohort.ingest import retry_rejected
        from kohort.workspace.cleaning import at_work

        with at_work(self, again=True) as cleaner:
            return retry_rejected(
                path,
                mappings={m.name: m for m in self.config.sources},
                store=self.store,
                zone=self.zone,
                currency=self.currency,
                controls=self.config.controls,
                signals=self.config.objections,
                cleaner=cleaner,
                now=time.time_ns() // 1_000,
                progress=progress,
            )

    @cached_property
    def context(self) -> ContextDoor:
        """Series about the world around customers: weather, prices, trends."""
        from kohort.workspace.context import ContextDoor

        return ContextDoor(self)

    @cached_property
    def connections(self) -> ConnectionsDoor:
        """Systems that rows are fetched from, and fetching them."""
        from kohort.workspace.connections import ConnectionsDoor

        return ConnectionsDoor(self)

    # -- looking at it ---------------------------------------------------------------------------------------------

    def health(self, refresh: bool = False, *, progress: Progress = silent) -> HealthReport:
        """Whether the data is good enough, what is odd in it, and what was done about it.

        The report is kept until the data or the definitions change; `refresh` looks again anyway.
        """
        from kohort.health import report
        from kohort.health.cleaning import with_cleaning
        from kohort.model.health import health_from_dict
        from kohort.workspace.cleaning import standings

        def look() -> dict[str, Any]:
            return report(
                self.store, zone=self.zone, currency=self.currency, controls=self.config.controls, progress=progress
            ).as_dict()

        found = health_from_dict(self._kept("health", look, refresh=refresh))
        return with_cleaning(found, standings(self))

    def summary(self) -> dict[str, Any]:
        """The figures of the overview; see `kohort.workspace.summary`."""
        from kohort.workspace.summary import summary

        def look() -> dict[str, Any]:
            return summary(self.store.log.snapshot(), as_of=self.as_of(), currency=self.currency)

        return {**self._kept("summary", look), "demo": self.is_demo}

    def doctor(self) -> list[Check]:
        """Whether the installation and this workspace are in order; each problem with what to do."""
        from kohort.health.doctor import run_checks

        return run_checks(self.root, self.store)

    def as_of(self, text: str | None = None) -> int:
        """An instant from what a person typed. Where nothing is typed, the moment that a server keeps members at; else the
        instant of the last event, or the last moment that a server kept, whichever is later.

        Raises:
            NotEnough: There are no events yet.
        """
        if text is not None:
            return parse_instant(text, zone=self.zone)
        if (live := self.store.kept_current()) is not None:
            return live
        from kohort.workspace.summary import last_instant

        last = self._kept("last_instant", lambda: last_instant(self.store.log.snapshot()))
        if last is None:
            raise NotEnough("There is no data yet.", hint="Bring some in with: kohort ingest YOUR-FILES")
        return max(int(last), self.store.ticks.position().as_of)

    def features(self, as_of: int | str | None = None, *, progress: Progress = silent) -> FeatureTable:
        """Every customer as they were at one moment; ids are the company's own customer numbers.

        Args:
            as_of: Microseconds UTC, or what a person types; the last event when not given.
        """
        import pyarrow as pa

        from kohort.workspace.people import company_numbers

        table = self.pseudonymous_features(as_of, progress=progress)
        return replace(table, ids=pa.array(company_numbers(self.store.vault, table.ids.to_numpy()), pa.string()))

    def pseudonymous_features(
        self,
        as_of: int | str | None = None,
        *,
        definitions: Sequence[FeatureDefinition] | None = None,
        customers: Sequence[int] | None = None,
        context: bool = True,
        progress: Progress = silent,
    ) -> FeatureTable:
        """The same with pseudonyms for ids: what analysis works on. `definitions` None = the workspace's; `customers` None = all.

        `context`: with the features of the series under `context:`, as they were known at that moment.
        Who objects to profiling, or may not be used, is not in it.
        """
        from kohort.definitions.defaults import value_definition
        from kohort.definitions.observed import notes
        from kohort.model.limits import LIMITS
        from kohort.trust.limits import forbidding

        contents = self.contents()
        wanted = definitions if definitions is not None else self.definitions()
        table = self.engine_features(progress)(
            self.store.log.snapshot(),
            [*wanted, *(self.context.wanted() if context else [])],
            as_of=as_of if isinstance(as_of, int) else self.as_of(as_of),
            zone=self.zone,
            currency=self.currency,
            value=value_definition(contents),
            customers=customers,
        )
        table = table.without(forbidding(self.store, *LIMITS))
        if context and self.config.context:
            table = self.context.beside(table)
        return replace(table, notes=notes(wanted, contents))

    def engine_features(self, progress: Progress = silent) -> Callable[..., FeatureTable]:
        """Features of a snapshot by the engine of `kohort.yaml`: see `kohort.engines.evaluate.features`."""
        if self.config.engine == "spark":
            from kohort.engines import spark

            return partial(spark.features, spark=spark.session(master=self.config.spark))
        from kohort.engines import evaluate

        return partial(evaluate.features, progress=progress)

    def write_features(self, path: str | Path, as_of: int | str | None = None) -> tuple[int, tuple[FeatureInfo, ...]]:
        """`features` as a Parquet file by `engine: spark`, without ever holding everybody in memory.

        Returns:
            How many customers, and what the columns after `customer_id` mean.
        """
        from kohort.workspace.features_file import write_features

        return write_features(self, Path(path), as_of if isinstance(as_of, int) else self.as_of(as_of))

    def definitions(self) -> tuple[FeatureDefinition, ...]:
        """The features of `kohort.yaml`, or a good default set for what the data contains now."""
        from kohort.definitions.defaults import default_features

        config = self.config
        if config.features:
            return config.features
        found = self.contents(), config.business
        if self._defaults is None or self._defaults[0] != found:
            self._defaults = found, default_features(*found)[1]
        return self._defaults[1]

    # -- segments --------------------------------------------------------------------------------------------------

    @cached_property
    def segments(self) -> SegmentDoor:
        """Segments that people define: rules, tiers, stages, buckets, lists by hand, accounts."""
        from kohort.workspace.segments import SegmentDoor

        return SegmentDoor(self)

    @cached_property
    def feedback(self) -> FeedbackDoor:
        """What people say about segments and single memberships, and what it adds up to."""
        from kohort.workspace.feedback import FeedbackDoor

        return FeedbackDoor(self)

    @cached_property
    def triggers(self) -> TriggerDoor:
        """What is told to other systems when customers enter and leave segments, and what was delivered."""
        from kohort.workspace.triggers import TriggerDoor

        return TriggerDoor(self)

    @cached_property
    def predict(self) -> PredictDoor:
        """What comes next: training sets from the past, models that were checked, scores with their reasons."""
        from kohort.workspace.predict import PredictDoor

        return PredictDoor(self)

    @cached_property
    def activity(self) -> ActivityDoor:
        """What arrives, who enters and leaves, what could not be used: what happens right now."""
        from kohort.workspace.activity import ActivityDoor

        return ActivityDoor(self)

    @cached_property
    def identity(self) -> IdentityDoor:
        """Which ids are one customer: runs, questions, merges, splits and their log."""
        from kohort.workspace.identity import IdentityDoor

        return IdentityDoor(self)

    @cached_property
    def customers(self) -> CustomerDoor:
        """One customer from all sides, and finding her."""
        from kohort.workspace.customers import CustomerDoor

        return CustomerDoor(self)

    @cached_property
    def groups(self) -> GroupDoor:
        """The household and the account each customer belongs to."""
        from kohort.workspace.groups import GroupDoor

        return GroupDoor(self)

    @cached_property
    def rolls(self) -> Rolls:
        """Members of found groups with their features, for pages that list them."""
        from kohort.workspace.roll import Rolls

        return Rolls(self.store)

    @cached_property
    def privacy(self) -> PrivacyDoor:
        """Requests of persons about their data: erasure, and the search for what is left of them."""
        from kohort.workspace.privacy import PrivacyDoor

        return PrivacyDoor(self)

    def discover(
        self,
        *,
        algorithm: str = "auto",
        k: int | None = None,
        micro: bool = False,
        seed: int = 0,
        as_of: int | str | None = None,
        labels: str | None = None,
        map_method: str = "pca",
        representation: str = "features",
        progress: Progress = silent,
    ) -> Found:
        """Find groups of customers that behave alike, explain them, and keep the result until something is adopted.

        See `kohort.discover` for the arguments; `labels` names a text feature that holds the company's own groups.
        """
        from kohort.workspace.found import find

        return find(
            self,
            algorithm=algorithm,
            k=k,
            micro=micro,
            seed=seed,
            as_of=as_of,
            labels=labels,
            map_method=map_method,
            representation=representation,
            progress=progress,
        )

    def discover_over_time(
        self,
        *,
        months: int | None = None,
        by: By = "behaviour",
        k: int | None = None,
        weight: float | None = None,
        seed: int = 0,
        as_of: int | str | None = None,
        progress: Progress = silent,
    ) -> FoundOverTime:
        """Find groups some months ago and follow them month by month, so that they keep their identity; says what that costs.

        Groups by behaviour are kept as the latest found, to be adopted. See docs/over-time.md.

        Args:
            months: How far back to begin; None = 12, or as many as the history allows.
            by: "behaviour": the features of the workspace. "shape": the course of each customer's last 12 months.
            k: Number of groups; None = chosen on evidence at the first moment.
            weight: What the past counts, 0 to 1; None = chosen on evidence.
            as_of: The last moment.

        Raises:
            NotEnough: The history is too short, or no groups hold at the first moment.

        Example:
            `ws.discover_over_time(k=6).over_time.way("evolving").mobility_long`
        """
        from kohort.workspace.over_time import over_time

        return over_time(self, months=months, by=by, k=k, weight=weight, seed=seed, as_of=as_of, progress=progress)

    def refit(
        self,
        name: str,
        *,
        weight: float | None = None,
        as_of: int | str | None = None,
        seed: int = 0,
        progress: Progress = silent,
    ) -> Movement:
        """Let the borders of an adopted segmentation follow the customers one step, and place everybody again.

        Segments keep their ids and names. Run it once a period: each call is a step.

        Args:
            weight: What the past counts, 0 to 1; None = as when it was found over time.

        Raises:
            NotFound: Nothing is adopted under this name.
            WrongUsage: Its groups have no centres, or nothing says the weight.
        """
        from kohort.workspace.over_time import refit

        return refit(self, name, weight=weight, as_of=as_of, seed=seed, progress=progress)

    def segmentation(self, name: str | None = None) -> Segmentation | None:
        """The adopted segmentation of that name; without a name the newest adopted one, else the latest found."""
        from kohort.workspace.people import with_company_numbers

        kept = self.store.state.segmentation(name)
        return with_company_numbers(kept, self.store.vault) if kept else None

    def segmentations(self) -> list[dict[str, Any]]:
        """What was found and adopted, oldest first: id, name, version, as_of, k, adopted."""
        return self.store.state.segmentations()

    def adopt(self, name: str, *, only: Collection[str] | None = None, progress: Progress = silent) -> dict[str, Any]:
        """Keep the latest result of `discover` under a name; says its version, size, and who moved.

        Args:
            only: Ids of the segments to keep; who is in another group is in no segment. None = all.

        Raises:
            NotEnough: Nothing was found yet, or it has no segments.
            NotFound: `only` names a segment that was not found.
        """
        from kohort.workspace.found import latest

        progress("Adopting", 0, 1)
        movement = latest(self).adopt(name, only)
        progress("Adopting", 1, 1)
        found = self.segmentation(name)
        assert found is not None
        return {
            "name": name,
            "version": movement.version,
            "customers": found.customers,
            "segments": len(found.segments),
            "movement": movement.as_dict(),
        }

    def take_back(self, name: str) -> Movement | None:
        """Take the last adoption under a name back: the groups adopted before it are the members again.

        Returns:
            Who moved; None where there were none before, so that nothing is adopted under this name any more.

        Raises:
            NotFound: Nothing is adopted under this name.
            WrongUsage: Nothing would be left of it, and other definitions or triggers refer to it.
        """
        from kohort.workspace.found import take_back

        return take_back(self, name)

    def run(self, name: str, as_of: int | str | None = None, *, progress: Progress = silent) -> Movement:
        """Place everybody again with the adopted definition, on the data as it is now; says who moved.

        Raises:
            NotFound: Nothing is adopted under this name.
        """
        from kohort.discovery.assign import assigner_from_bytes
        from kohort.segments import adopted, run
        from kohort.workspace.found import keep_people

        adopted(self.store, name)
        table = self.pseudonymous_features(as_of, progress=progress)
        movement = run(self.store, name, table, load=assigner_from_bytes)
        keep_people(self, name, table)
        return movement

    def rename(self, name: str, segment: str, title: str) -> None:
        """Give a segment (its id or its name) a name of your own; it survives finding the groups again.

        Of a definition of your own it changes what a part is called, not the key that rules use.
        """
        from kohort.workspace.definitions import relabel

        mine = next((d for d in self.config.segments if d.name == name), None)
        if mine is not None:
            relabel(self, mine, segment, title)
            return
        from kohort.segments import adopted, rename

        titles = adopted(self.store, name).titles
        by_title = {title.lower(): id_ for id_, title in titles.items()}
        rename(self.store, name, segment if segment in titles else by_title.get(segment.lower(), segment), title)

    def members(self, name: str, as_of: int | str | None = None) -> pa.Table:
        """Who is in which segment: customer_id, segment, since (ISO, UTC), confidence, reason.

        Args:
            name: A defined segment or an adopted segmentation, or a part of one: by its name, or as `value/gold`.
            as_of: A moment; as the latest run left them when not given. Moments before the first run are answered with
                the definition of now on the data as it was then; `since` is missing there.

        Raises:
            NotFound: No segmentation or segment has this name.
            NotEnough: It was not run yet, and no moment is given.
        """
        from kohort.workspace.members import members

        return members(self, name, None if as_of is None else as_of if isinstance(as_of, int) else self.as_of(as_of))

    def members_page(self, segment_id: str, cursor: int = 0, limit: int = 50) -> dict[str, Any]:
        """Some members of a segment with their features, the surest first: `rows`, `next` cursor, `columns`."""
        from kohort.workspace.members import members_page

        return members_page(self, segment_id, cursor, limit)

    def report(self, path: str | Path = "report.html", *, name: str | None = None) -> Path:
        """Write the self-contained HTML report of a segmentation (see `segmentation` for the default).

        Raises:
            NotEnough: Nothing was found yet.
        """
        from kohort.views.report import render_report

        found = self.segmentation(name)
        if found is None:
            raise NotEnough("Nothing was found yet.", hint="Run: kohort discover")
        text = render_report(found, summary=self.summary(), health=self.health(), name=self.name)
        place = Path(path)
        place.write_text(text, encoding="utf-8")
        return place

    def charts(self, name: str | None = None) -> Charts:
        """The charts of a segmentation (see `segmentation` for the default), as `kohort.charts` gives them.

        Raises:
            NotEnough: Nothing was found yet.

        Example:
            `ws.charts()["map"].save("map.svg")`
        """
        from kohort.views.gallery import charts

        found = self.segmentation(name)
        if found is None:
            raise NotEnough("Nothing was found yet.", hint="Run: kohort discover")
        return charts(found)

    def digest(self, since: str = "7d") -> dict[str, Any]:
        """What moved in the days before the newest data, what it was worth, and what needs a look; about no single customer.

        See `kohort.workspace.digest.digest`.

        Example:
            `ws.digest("2w")["looks"]`
        """
        from kohort.workspace.digest import digest

        return digest(self, since)

    def pin_definitions(self, used: tuple[FeatureDefinition, ...]) -> None:
        """Write default features into `kohort.yaml`, so that they are seen, edited and kept; own ones stay as they are."""
        if not self.config.features:
            self.change(lambda config: config if config.features else replace(config, features=used))

    @property
    def threads(self) -> int:
        """The one thread setting, KOHORT_THREADS, 1 when unset."""
        from kohort.engines.duck import threads_setting

        return threads_setting()

    def contents(self) -> DataProfile:
        """What the event log contains, as far as features depend on it."""
        from kohort.definitions.defaults import DataProfile
        from kohort.engines.evaluate import profile

        return DataProfile(**self._kept("profile", lambda: asdict(profile(self.store.log.snapshot()))))

    # -- kept answers ----------------------------------------------------------------------------------------------

    def _kept(self, name: str, look: Callable[[], Any], *, refresh: bool = False) -> Any:
        """The kept answer to a question, or a new one where the data, the settings or Kohort itself changed since."""
        return self.kept.get(name, f"{__version__}|{self._settings.stamp()}", look, refresh=refresh)
