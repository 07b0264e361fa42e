"""`kohort.yaml`: everything a workspace was told, as text that people read, edit and keep in version control."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from kohort.definitions.cleaning import CleaningRule, read_cleaning, write_cleaning
from kohort.definitions.connections_text import read_connections, write_connections
from kohort.definitions.context_text import read_context, write_context
from kohort.definitions.destinations_text import read_destinations, write_destinations
from kohort.definitions.features import FeatureDefinition
from kohort.definitions.features_text import read_features, write_features
from kohort.definitions.predictions import Target, read_predictions, write_predictions
from kohort.definitions.retention import Retention, read_retention, write_retention
from kohort.definitions.segments import SegmentDefinition, SegmentSettings
from kohort.definitions.segments_reading import Source, usable_name
from kohort.definitions.segments_text import read_sources, write_segments
from kohort.definitions.signals_text import read_signals, write_signals
from kohort.definitions.sources_text import choice, read_mappings, text_map, text_value, write_source
from kohort.definitions.splice import spliced
from kohort.definitions.triggers import Destination, Trigger, hidden_features, hidden_segments
from kohort.definitions.triggers_text import read_triggers, write_triggers
from kohort.definitions.yaml_text import LARGEST, Document, finish, nearest, read_yaml, write_yaml
from kohort.errors import KohortError, NoWorkspace, RefusedDefinition, UnreadableFile
from kohort.model.connection import Connection
from kohort.model.context import ContextSeries
from kohort.model.event import ColumnType, trait_column
from kohort.model.signals import Signal
from kohort.model.source import SourceMapping

if TYPE_CHECKING:
    from kohort.definitions.rules import Vocabulary

FILE_NAME = "kohort.yaml"
FOLDER_NAME = "segments"
Engine = Literal["duckdb", "spark"]
ENGINES = get_args(Engine)
BUSINESS = ("auto", "shop", "subscription", "b2b", "traits")
_MOST_BUCKETS = 4_096

COLUMN = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}")
SPARK_MASTER = re.compile(r"local(\[[0-9*,]+\])?|yarn|(spark|k8s|mesos)://[^\s]+")

BUCKETS = 16
"""Customer buckets where nothing is said: 60,000 customers of a million share one, a scan opens few files."""


@dataclass(frozen=True, slots=True)
class WorkspaceConfig:
    """What `kohort.yaml` says.

    Attributes:
        name: Name of the workspace.
        timezone: IANA zone in which days, hours and calendar months are counted.
        currency: ISO 4217 code that all money is converted to.
        business: Which default features fit; auto = decide from the data.
        buckets: Number of customer buckets of the event log; fixed once data is in.
        sources: How files are read.
        connections: Where rows are fetched from.
        context: Series about the world around customers.
        controls: Product code → kind of line, over the built-in table.
        cleaning: Rows of files that are put aside.
        features: Own features; empty = the default set.
        segments: Segment definitions, those of `segments/*.yaml` beside the file after its own.
        consent: Purpose → trait (`t_…`) that says a customer agreed to it.
        signals: What a browser says by itself → the purposes of `consent` it objects to.
        accounts: Column that says which account a customer belongs to; empty = there are no accounts.
        destinations: Where changes are told.
        triggers: Which changes are told, to whom, when.
        predictions: What is to be predicted.
        retention: How long each kind of data is kept.
        engine: What evaluates segments: duckdb, or spark.
        spark: Master URL of Spark; empty = this machine.
        files: Names of the segments that stand in a file of the folder → the file's name.
        unread: Names of segments that cannot be read → why; always empty but for `load_readable`.
    """

    name: str
    timezone: str = "UTC"
    currency: str = "EUR"
    business: str = "auto"
    buckets: int = BUCKETS
    sources: tuple[SourceMapping, ...] = ()
    connections: tuple[Connection, ...] = ()
    context: tuple[ContextSeries, ...] = ()
    controls: dict[str, str] = field(default_factory=dict)
    cleaning: tuple[CleaningRule, ...] = ()
    features: tuple[FeatureDefinition, ...] = ()
    segments: tuple[SegmentDefinition, ...] = ()
    consent: dict[str, str] = field(default_factory=dict)
    signals: dict[Signal, tuple[str, ...]] = field(default_factory=dict)
    accounts: str = ""
    destinations: tuple[Destination, ...] = ()
    triggers: tuple[Trigger, ...] = ()
    predictions: tuple[Target, ...] = ()
    retention: Retention = field(default_factory=Retention)
    engine: Engine = "duckdb"
    spark: str = ""
    files: dict[str, str] = field(default_factory=dict, compare=False)
    unread: dict[str, str] = field(default_factory=dict, compare=False)

    @property
    def segment_settings(self) -> SegmentSettings:
        """What all segment definitions share."""
        return SegmentSettings(tuple(self.consent.items()), self.accounts)

    @property
    def objections(self) -> dict[Signal, tuple[str, ...]]:
        """What a browser says by itself → the traits of the purposes it objects to."""
        return {signal: tuple(self.consent[p] for p in purposes) for signal, purposes in self.signals.items()}

    @property
    def evaluated(self) -> tuple[SegmentDefinition, ...]:
        """All segments to evaluate: those that people defined, and those that triggers need."""
        return (*self.segments, *hidden_segments(self.triggers, self.consent))

    def with_hidden(self, features: tuple[FeatureDefinition, ...]) -> tuple[FeatureDefinition, ...]:
        """Features that `evaluated` may name: these, and those that triggers need."""
        known = {f.name for f in features}
        return (*features, *(f for f in hidden_features(self.triggers) if f.name not in known))

    def columns(self) -> dict[str, ColumnType]:
        """The columns that the sources declare: `p_…` for events and orders, `t_…` for customers."""
        return declared_columns(self.sources)


LookUp: TypeAlias = "Callable[[WorkspaceConfig], Vocabulary | None]"

_DEFAULTS: dict[str, Any] = {"consent": {}, "accounts": "", "engine": "duckdb", "spark": ""}
"""Keys that are written only where they say something else."""


def declared_columns(sources: tuple[SourceMapping, ...]) -> dict[str, ColumnType]:
    """Full column name → type of every property and trait that the sources declare."""
    return {column: kind for s in sources for column, kind in s.stored_columns().items()}


def load(
    path: str | FilePath, look_up: LookUp | None = None, *, columns: Mapping[str, ColumnType] | None = None
) -> WorkspaceConfig:
    """Read `kohort.yaml` and `segments/*.yaml` beside it.

    Args:
        path: The file, or the folder it is in.
        columns: What features may name beside what the sources declare: columns of the log that events brought along.
        look_up: Says what rules of segments may name, given all but the segments; None = names are not looked up. It is
            not asked where something else is wrong, or features that are there would be missed.

    Raises:
        NoWorkspace: There is no such file.
        UnreadableFile: A file cannot be read as UTF-8 text.
        RefusedDefinition: With every mistake of the files, its line and key.
    """
    text, files = _texts(path)
    return parse(text, files, look_up, columns=columns)


def load_readable(path: str | FilePath, *, columns: Mapping[str, ColumnType] | None = None) -> WorkspaceConfig:
    """As `load`, but a segment that cannot be read is left out and told in `unread`: it must not stop the others.

    Not for writing back: the text of what is left out would be lost.

    Raises:
        RefusedDefinition: Something else than single segments is wrong.
    """
    config, documents = _understood(*_texts(path), columns=columns)
    wrong: dict[str, str] = {}
    for n, document in enumerate(documents):
        for mistake in document.mistakes:
            keys = mistake.key.split(".")
            name = keys[1 if n == 0 else 0 : 2 if n == 0 else 1]
            if not name or not name[0] or (n == 0 and keys[0] != "segments"):
                finish(documents)
            wrong.setdefault(name[0], f"{mistake.file} {mistake}")
    return replace(config, segments=tuple(s for s in config.segments if s.name not in wrong), unread=wrong)


def _texts(path: str | FilePath) -> tuple[str, dict[str, str]]:
    """The text of `kohort.yaml`, and of each file of `segments/` by name."""
    file = _config_file(path)
    try:
        text = _read_text(file)
    except FileNotFoundError as error:
        raise NoWorkspace(f"There is no {FILE_NAME} here.", hint="Make a workspace with: kohort init") from error
    return text, {f"{FOLDER_NAME}/{f.name}": _read_text(f) for f in segment_files(file.parent)}


def save(config: WorkspaceConfig, path: str | FilePath) -> None:
    """Write `kohort.yaml` and those files of `segments/` whose definitions changed; one without any is removed.

    Each file all or nothing: a reader sees the old text or the new one. Where only segments change, the rest of the text
    stays as people wrote it, remarks included. A folder stands for its file.
    """
    file = _config_file(path)
    _replace_text(file, _kept_text(file, config) or write(config))
    written = {f"{FOLDER_NAME}/{f.name}": f for f in segment_files(file.parent)}
    for name in {*written, *config.files.values()}:
        mine = tuple(s for s in config.segments if config.files.get(s.name) == name)
        place = file.parent / name
        if not mine:
            place.unlink(missing_ok=True)
            continue
        text = _read_text(place) if name in written else ""
        before = _segments_of(text, name)
        if before != mine:
            place.parent.mkdir(exist_ok=True)
            kept = None if before is None else spliced(text, (), _edits(before, mine))
            whole = kept if kept is not None and _segments_of(kept, name) == mine else write_yaml(write_segments(mine))
            _replace_text(place, whole)


def _kept_text(file: FilePath, config: WorkspaceConfig) -> str | None:
    """The text of the file with only its segments changed, remarks and all; None where more is to be written."""
    try:
        text = _read_text(file)
        before = parse(text)
    except (FileNotFoundError, KohortError):
        return None
    mine = tuple(s for s in config.segments if s.name not in config.files)
    if before == replace(config, segments=mine):
        return text
    kept = spliced(text, ("segments",), _edits(before.segments, mine))
    try:
        return kept if kept is not None and parse(kept) == replace(config, segments=mine) else None
    except RefusedDefinition:
        return None


def _edits(before: tuple[SegmentDefinition, ...], after: tuple[SegmentDefinition, ...]) -> dict[str, Any]:
    """Name → what is to be written under it; None = nothing any more."""
    kept = {s.name: s for s in before}
    gone = dict.fromkeys(kept.keys() - {s.name for s in after})
    return gone | {name: body for s in after if kept.get(s.name) != s for name, body in write_segments((s,)).items()}


def segment_files(folder: FilePath) -> list[FilePath]:
    """The files of segment definitions in the folder of a workspace, by name."""
    return sorted(f for f in (folder / FOLDER_NAME).glob("*.yaml") if f.is_file() and not f.name.startswith("."))


def _config_file(path: str | FilePath) -> FilePath:
    file = FilePath(path)
    return file / FILE_NAME if file.is_dir() else file


def _read_text(file: FilePath) -> str:
    try:
        if file.stat().st_size > 4 * LARGEST:
            raise RefusedDefinition(
                f"{file.name} is larger than {LARGEST // 1024} KB.",
                hint="It holds definitions, not data.",
                code="too_large",
            )
        return file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise
    except UnicodeDecodeError as error:
        raise UnreadableFile(f"{file.name} is not UTF-8 text.", hint="Save it as UTF-8.") from error
    except OSError as error:
        raise UnreadableFile(f"{file.name} cannot be read.", hint=error.strerror or "") from error


def _replace_text(file: FilePath, text: str) -> None:
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with draft.open("w", encoding="utf-8") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)


def _segments_of(text: str, name: str) -> tuple[SegmentDefinition, ...] | None:
    """What a file of segments defines; None where it cannot be read."""
    try:
        document = read_yaml(text, name)
        return read_sources([Source(document, document.data, ())])[0]
    except RefusedDefinition:
        return None


def write(config: WorkspaceConfig) -> str:
    """The text of a configuration; `parse` reads it back to an equal value."""
    data: dict[str, Any] = {
        "name": config.name,
        "timezone": config.timezone,
        "currency": config.currency,
        "business": config.business,
        "buckets": config.buckets,
    }
    if config.controls:
        data["controls"] = dict(config.controls)
    if config.cleaning:
        data["cleaning"] = write_cleaning(config.cleaning)
    if config.sources:
        data["sources"] = {s.name: write_source(s) for s in config.sources}
    if config.connections:
        data["connections"] = write_connections(config.connections)
    if config.context:
        data["context"] = write_context(config.context)
    if config.features:
        data["features"] = write_features(config.features)
    data |= {k: v for k in ("consent", "accounts", "engine", "spark") if (v := getattr(config, k)) != _DEFAULTS[k]}
    if config.signals:
        data["signals"] = write_signals(config.signals)
    if retention := write_retention(config.retention):
        data["retention"] = retention
    if segments := [s for s in config.segments if s.name not in config.files]:
        data["segments"] = write_segments(segments)
    if config.destinations:
        data["destinations"] = write_destinations(config.destinations)
    if config.triggers:
        data["triggers"] = write_triggers(config.triggers)
    if config.predictions:
        data["predictions"] = write_predictions(config.predictions)
    return write_yaml(data)


def parse(
    text: str,
    files: Mapping[str, str] | None = None,
    look_up: LookUp | None = None,
    *,
    columns: Mapping[str, ColumnType] | None = None,
) -> WorkspaceConfig:
    """Read the text of a `kohort.yaml`.

    Args:
        files: Texts of `segments/*.yaml` by name.
        columns: As for `load`.
        look_up: Says what rules of segments may name, given all but the segments; None = names are not looked up. It is
            not asked where something else is wrong, or features that are there would be missed.

    Raises:
        RefusedDefinition: With every mistake, its line and key.

    Example:
        >>> parse("name: Toys").currency
        'EUR'
    """
    config, documents = _understood(text, files, look_up, columns)
    finish(documents)
    return config


def _understood(
    text: str,
    files: Mapping[str, str] | None = None,
    look_up: LookUp | None = None,
    columns: Mapping[str, ColumnType] | None = None,
) -> tuple[WorkspaceConfig, list[Document]]:
    """What the texts say, and each text with its mistakes, `kohort.yaml` first."""
    document = read_yaml(text, FILE_NAME)
    data = document.data if document.data is not None else {}
    if not isinstance(data, dict):
        document.mistake((), "The file is written as key: value.")
        document.finish()
    known = [f.name for f in fields(WorkspaceConfig) if f.name not in ("files", "unread")]
    for key in data.keys() - set(known):
        document.mistake((key,), f"{key!r} is not known here.", nearest(key, known), at_key=True)
    sources = read_mappings(document, data.get("sources"))
    declared = {**(columns or {}), **declared_columns(sources)}
    settings = SegmentSettings(
        tuple(_consent(document, data, declared).items()), _account_column(document, data, declared)
    )
    beside = [read_yaml(body, name) for name, body in (files or {}).items()]
    places = [Source(document, data.get("segments"), ("segments",)), *(Source(d, d.data, ()) for d in beside)]
    connections = read_connections(document, data.get("connections"))
    config = WorkspaceConfig(
        name=text_value(document, data, ("name",), "", needed=True),
        timezone=_zone(document, data),
        currency=_currency(document, data),
        business=choice(document, data, ("business",), BUSINESS, "auto"),
        buckets=_buckets(document, data),
        sources=sources,
        connections=connections,
        context=read_context(document, data.get("context"), connections),
        controls=text_map(document, data.get("controls"), ("controls",)),
        cleaning=read_cleaning(document, data.get("cleaning"), declared),
        features=read_features(document, data.get("features"), ("features",), declared),
        consent=dict(settings.consent),
        signals=read_signals(document, data.get("signals"), dict(settings.consent)),
        accounts=settings.accounts,
        destinations=read_destinations(document, data.get("destinations")),
        predictions=read_predictions(document, data.get("predictions"), declared),
        retention=read_retention(document, data.get("retention")),
        engine=choice(document, data, ("engine",), ENGINES, "duckdb"),
        spark=_spark(document, data),
    )
    vocabulary = look_up(config) if look_up is not None and not document.mistakes else None
    segments = read_sources(places, vocabulary, settings=settings)
    parts = {s.name: tuple(p.key for p in s.parts) for found in segments for s in found}
    whole = replace(
        config,
        segments=tuple(s for found in segments for s in found),
        triggers=read_triggers(
            document,
            data.get("triggers"),
            config.destinations,
            settings=settings,
            segments={**(vocabulary.segments if vocabulary else {}), **parts},
            complete=vocabulary is not None,
        ),
        files={s.name: d.name for d, found in zip(beside, segments[1:], strict=True) for s in found},
    )
    return whole, [document, *beside]


def _consent(document: Document, data: dict[str, Any], declared: Mapping[str, ColumnType]) -> dict[str, str]:
    """Purpose → trait. The trait is written with or without `t_`."""
    consent = text_map(document, data.get("consent"), ("consent",))
    for purpose, trait in consent.items():
        if not usable_name(purpose):
            document.mistake(("consent", purpose), f"{purpose!r} is not a usable name.")
        if not COLUMN.fullmatch(trait):
            document.mistake(("consent", purpose), "The consent is the name of a trait.", "For example t_newsletter.")
    traits = {purpose: t if t.startswith("t_") else trait_column(t) for purpose, t in consent.items()}
    for purpose, trait in traits.items():
        if declared.get(trait, "flag") != "flag":
            message = f"{trait} is a {declared[trait]}; a consent is a flag: yes or no."
            document.mistake(("consent", purpose), message, "Declare the column as a flag under sources.")
    return traits


def _account_column(document: Document, data: dict[str, Any], declared: Mapping[str, ColumnType]) -> str:
    column = text_value(document, data, ("accounts",), "")
    if column and not (COLUMN.fullmatch(column) and column.startswith(("t_", "p_"))):
        document.mistake(
            ("accounts",), "accounts names a trait t_… or an event property p_….", "For example t_company."
        )
    elif declared.get(column, "text") != "text":
        message = f"{column} is a {declared[column]}; an account is told by its name, a text."
        document.mistake(("accounts",), message, "Declare the column as text under sources.")
    return column


def _spark(document: Document, data: dict[str, Any]) -> str:
    master = text_value(document, data, ("spark",), "")
    if master and not SPARK_MASTER.fullmatch(master):
        document.mistake(("spark",), f"{master!r} is not a Spark master.", "For example spark://host:7077 or local[4].")
    return master


def _zone(document: Document, data: dict[str, Any]) -> str:
    zone = text_value(document, data, ("timezone",), "UTC")
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        # Listing all zones reads the disk: only for the hint.
        near = nearest(zone, available_timezones())
        hint = near if near.startswith("Did") else "Write for example Europe/London."
        document.mistake(("timezone",), f"{zone!r} is not a time zone.", hint)
        return "UTC"
    return zone


def _currency(document: Document, data: dict[str, Any]) -> str:
    currency = text_value(document, data, ("currency",), "EUR")
    if not (len(currency) == 3 and currency.isascii() and currency.isalpha() and currency.isupper()):
        document.mistake(("currency",), f"{currency!r} is not a currency code.", "Write three capitals: GBP.")
    return currency


def _buckets(document: Document, data: dict[str, Any]) -> int:
    value = data.get("buckets", BUCKETS)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _MOST_BUCKETS:
        document.mistake(("buckets",), f"buckets is a whole number from 1 to {_MOST_BUCKETS}.")
        return BUCKETS
    return value
