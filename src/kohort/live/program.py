"""What the loop evaluates: the definitions of a workspace as they are now, compiled once and asked again and again."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from kohort.compile.pairs import CompiledPairs, compile_pairs
from kohort.definitions.features import describe
from kohort.definitions.segments import SegmentDefinition, SegmentSettings, remembers
from kohort.engines.consent import STATEMENT, traits_asked
from kohort.engines.pairs import Pairs
from kohort.engines.segments import STANDING_SCHEMA
from kohort.live.concern import Concern
from kohort.live.featured import compiled_features
from kohort.live.moments import TimePlan
from kohort.live.standing import OUT, Standing
from kohort.model.event import ColumnType
from kohort.model.limits import refusal_mark
from kohort.model.signals import Signal
from kohort.segments.dependencies import refers_to, with_needed
from kohort.segments.evaluate import Question, bucket_key, unfit
from kohort.segments.run_rules import outdated

if TYPE_CHECKING:
    from kohort.definitions.features import FeatureDefinition
    from kohort.store.store import Store


@dataclass(frozen=True, slots=True)
class Given:
    """What the loop is told about a workspace.

    Attributes:
        stamp: Another text whenever anything else here may be another.
        definitions: All that can be read.
        unread: Definitions whose text cannot be read → why.
        features: What rules may name.
        zone: The workspace's time zone.
        currency: Of the log's amounts.
        controls: Product code → kind of order line, over the built-in table.
        threads: None = the setting KOHORT_THREADS.
        traits: Columns whose changes triggers wait for.
        signals: What a browser says by itself → traits of the purposes it objects to.
    """

    stamp: str
    definitions: tuple[SegmentDefinition, ...]
    unread: Mapping[str, str]
    features: tuple[FeatureDefinition, ...]
    settings: SegmentSettings
    zone: str
    currency: str
    controls: Mapping[str, str] = field(default_factory=dict)
    threads: int | None = None
    traits: tuple[str, ...] = ()
    signals: Mapping[Signal, tuple[str, ...]] = field(default_factory=dict)

    def question(self, as_of: int, columns: Mapping[str, ColumnType]) -> Question:
        """The same for the rooms that evaluate everybody."""
        return Question(as_of, self.zone, self.currency, self.features, self.settings, self.threads, columns)


class Program:
    """Definitions that the loop keeps current; close it when another one takes its place.

    Attributes:
        definitions: In order of evaluation; those of accounts, paused ones and those that cannot be evaluated are not
            among them.
        accounts: Definitions whose members are accounts: they are evaluated for everybody, from time to time.
        time: What the clock alone changes.
        concern: Which of them something that happened can change.
        featured: The features, for questions about single customers.
        columns: Of events, beside those that every event has.
        traits: Those of them whose changes triggers wait for.
        by_hand: Definitions about which people may have decided by hand; None = any.
        consent: Purpose → trait, of the purposes of these definitions.

    Args:
        without: Definitions that cannot be evaluated at the moment.
        decided: Definitions about which people decided by hand; None = it is not known.
    """

    def __init__(
        self,
        store: Store,
        given: Given,
        columns: Mapping[str, ColumnType],
        as_of: int,
        *,
        without: Collection[str] = (),
        decided: Collection[str] | None = None,
    ) -> None:
        question = given.question(as_of, columns)
        active = [d for d in with_needed(given.definitions, [d.name for d in given.definitions]) if not d.paused]
        wrong = unfit(store, given.definitions, active, question)
        broken = wrong.keys() | set(without) | {d.name for d in active if given.unread.keys() & refers_to(d)}
        left_out = _with_users(active, broken)
        sound = [d for d in active if d.name not in left_out]
        self.definitions = tuple(d for d in sound if d.kind != "accounts")
        self.accounts = tuple(d.name for d in sound if d.kind == "accounts")
        self.given = given
        there = {d.name for d in self.definitions}
        self._asked = sorted({n for d in self.definitions for n in refers_to(d)} - there)
        self._remembering = [d.name for d in self.definitions if remembers(d)]
        self._keys = {d.name: [p.key for p in d.parts] for d in given.definitions}
        self._compile = partial(
            compile_pairs,
            self.definitions,
            features=given.features,
            zone=given.zone,
            currency=given.currency,
            columns=columns,
            settings=given.settings,
            key=bucket_key(store),
            standing=[*self._remembering, *self._asked],
        )
        self.consent = traits_asked(self.definitions, given.settings, columns)
        self.by_hand = None if decided is None else self._decided(decided)
        compiled = self._compile(by_hand=self.by_hand)
        self.time = TimePlan.of(
            self.definitions, features={f.name: f for f in given.features}, columns=columns, zone=given.zone
        )
        self.concern = Concern(
            self.definitions, self.time.drifting, {f.name: f for f in given.features}, given.settings
        )
        self.featured = compiled_features(given.features, given.zone, given.currency, tuple(sorted(columns.items())))
        self.reads = compiled.reads | self.featured.reads
        self._named = _named(self.definitions, given).union(given.traits)
        self.traits = tuple(c for c in given.traits if c in columns)
        self.pairs = Pairs(compiled, given.threads)

    def follow(self, decided: Collection[str]) -> None:
        """People decided by hand about definitions of these names: what was compiled without such decisions is compiled
        anew, which takes a second or so. Of most definitions there are none, and asking for them is half of the work."""
        names = self._decided(decided)
        if self.by_hand is not None and not names <= self.by_hand:
            self.by_hand = self.by_hand | names
            outgrown, self.pairs = self.pairs, Pairs(self._compile(by_hand=self.by_hand), self.given.threads)
            outgrown.close()

    def _decided(self, names: Collection[str]) -> frozenset[str]:
        consents = map(refusal_mark, self.consent)
        return frozenset(names).union((d.name for d in self.definitions if d.kind == "by_hand"), consents)

    @property
    def statements(self) -> frozenset[str]:
        """Columns of events that say who agreed to what."""
        return frozenset((*STATEMENT, *self.consent.values())) if self.consent else frozenset()

    @property
    def needed(self) -> list[str]:
        """Definitions whose members the loop must know: its own, and those that they refer to."""
        return [*(d.name for d in self.definitions), *self._asked]

    @property
    def in_rounds(self) -> bool:
        """Whether what somebody is in depends on what she was in before, so that her moments must be asked one by one."""
        return bool(self._remembering)

    def with_features(self) -> CompiledPairs:
        """The definitions with the values of all features: what single customers are asked about. Takes a second or so."""
        return self._compile(wanted=self.featured.wanted, by_hand=self.by_hand)

    def asks_for(self, columns: Collection[str]) -> bool:
        """Whether a definition or a feature names one of these columns, which were not there when it was compiled."""
        return bool(self._named & set(columns))

    def columns(self) -> list[str]:
        """Columns of events that the program and its clock read."""
        return sorted(self.reads.union(self.time.columns, self.traits))

    def standing(self, standing: Standing, persons: np.ndarray) -> pa.Table:
        """The relation of who stands where, as far as the program asks for it."""
        place = {int(person): i for i, person in enumerate(persons.tolist())}
        found = [STANDING_SCHEMA.empty_table()]
        for name in (*self._remembering, *self._asked):
            there = standing.where(name, self._keys.get(name, []), persons, place)
            inside = np.flatnonzero(there.part != OUT)
            keys = pa.array(there.keys, pa.string()).take(pa.array(there.part[inside]))
            columns = [persons[inside], pa.array([name] * len(inside), pa.string()), keys, there.since[inside]]
            found.append(pa.table(columns, schema=STANDING_SCHEMA))
        return pa.concat_tables(found)

    def outdated(self, store: Store, as_of: int, columns: Mapping[str, ColumnType]) -> tuple[str, ...]:
        """Definitions whose members follow another meaning than their text has now, or that were never run."""
        names = {*(d.name for d in self.definitions), *self.accounts}
        listed = [d for d in with_needed(self.given.definitions, names) if d.name in names]
        return outdated(store, listed, self.given.question(as_of, columns))

    def close(self) -> None:
        self.pairs.close()


def _with_users(definitions: Sequence[SegmentDefinition], wrong: Collection[str]) -> set[str]:
    """The wrong ones and whatever refers to them, directly or not; definitions come in order of evaluation."""
    found = set(wrong)
    for definition in definitions:
        if refers_to(definition) & found:
            found.add(definition.name)
    return found


def _named(definitions: Sequence[SegmentDefinition], given: Given) -> frozenset[str]:
    """Every word in the rules of definitions, in the features that rules may name, and below `consent:`."""
    texts = [text.text for d in definitions for part in d.parts for text in (part.rule, part.keep) if text]
    texts += [describe(feature.measure) for feature in given.features]
    texts += [trait for _, trait in given.settings.consent]
    return frozenset(word for text in texts for word in re.findall(r"\w+", text))
