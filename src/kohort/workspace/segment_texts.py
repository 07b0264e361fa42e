"""The definitions behind `ws.segments`: written, read, checked, said in words, compared, taken out."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from kohort.errors import NotEnough, WrongUsage
from kohort.model.progress import Progress, silent
from kohort.workspace import building, looks
from kohort.workspace import definitions as texts
from kohort.workspace.definitions import Body
from kohort.workspace.edits import Edits
from kohort.workspace.people import this_user

if TYPE_CHECKING:
    from kohort.definitions.rules.choices import Choices
    from kohort.definitions.rules.rows import Rows
    from kohort.definitions.rules.tree import Rule
    from kohort.definitions.segments import SegmentDefinition
    from kohort.errors import RefusedDefinition
    from kohort.model.edits import Edit, Removed
    from kohort.segments.dry_run import DryRun
    from kohort.workspace.workspace import Workspace

Language = Literal["en", "nl", "da", "de"]


class SegmentTexts:
    """What people define, as text in `kohort.yaml`; the first half of `SegmentDoor`."""

    def __init__(self, workspace: Workspace) -> None:
        self._ws = workspace
        self._edits = Edits(workspace.store.state)

    def definition(self, name: str) -> SegmentDefinition:
        """What `kohort.yaml` says now.

        Raises:
            NotFound: There is no such definition.
        """
        return texts.named(self._ws, name)

    def text(self, name: str) -> str:
        """The YAML of one definition."""
        from kohort.definitions.segments_text import write_definition

        return write_definition(self.definition(name))

    def add(self, name: str, rule: Body, *, by: str | None = None) -> SegmentDefinition:
        """Write a new definition, or a new version of one, into `kohort.yaml` (or the file of `segments/` it is in).

        Members change with the next `run`; `dry_run` says how.

        Args:
            by: Who decides this; the user of this machine where not given.

        Raises:
            RefusedDefinition: With every mistake and its place.
            WrongUsage: An adopted segmentation has this name.
        """
        from kohort.segments.definitions import checked

        definition = texts.read_new(self._ws, name, rule)
        checked(self._ws.store, self._ws.config.segments, definition)
        texts.keep(self._ws, definition)
        self._edits.note(definition.name, "saved", by or this_user())
        return definition

    def pause(self, name: str, *, by: str | None = None) -> None:
        """From now on nobody enters or leaves; those who are in stay. See `resume`.

        Raises:
            NotFound: There is no such definition.
        """
        self._set_paused(name, True, by)

    def resume(self, name: str, *, by: str | None = None) -> None:
        """The rule decides again, from the next run on."""
        self._set_paused(name, False, by)

    def _set_paused(self, name: str, paused: bool, by: str | None) -> None:
        definition = self.definition(name)
        if definition.paused != paused:
            texts.keep(self._ws, replace(definition, paused=paused))
            self._edits.note(name, "paused" if paused else "resumed", by or this_user())

    def edits(self) -> dict[str, Edit]:
        """Definition → who changed it last, and when. What was written into `kohort.yaml` by hand is not among them."""
        return self._edits.all()

    def removed(self) -> tuple[Removed, ...]:
        """Definitions that were taken out in the last 90 days, the latest first; `restore` brings them back."""
        return self._edits.removed()

    def restore(self, name: str, *, by: str | None = None) -> SegmentDefinition:
        """Undo `remove`: the definition is as it was. Members come back with the next `run`; what was decided by hand about
        single customers does not.

        Raises:
            NotFound: Nothing of that name was removed in the last 90 days.
            WrongUsage: There is another definition of that name now.
            RefusedDefinition: It no longer fits the others: what it refers to is gone.
        """
        gone = self._edits.back(name)
        if any(d.name == name for d in self._ws.config.segments):
            raise WrongUsage(f"There is another segment called {name!r} now.", hint="Give that one another name first.")
        definition = self.add(name, self.read(gone.text, name=name), by=by)
        self._edits.is_back(name)
        self._edits.note(name, "restored", by or this_user())
        return definition

    def choices(self, *, without: str = "") -> Choices:
        """What a rule can name, for forms: events, what is known of customers, segments (but one)."""
        return building.choices(self._ws, without=without)

    def rows(self, name: str, rule: str = "") -> Rows | None:
        """A definition, or another rule for it, as rows of a form; None where it is no single rule. See
        `kohort.definitions.rules.rows`."""
        return building.rows_of_definition(self._ws, name, rule)

    def read_rows(self, rows: Rows, *, without: str = "") -> list[Rule | list[RefusedDefinition]]:
        """Each row as the rule that it is, looked up; or as everything that is wrong with it."""
        return building.read_rows(self._ws, rows, without=without)

    def with_rule(self, title: str, rule: Rule, *, of: str = "", description: str = "") -> SegmentDefinition:
        """A new definition that is called so, or one that there is with another rule, where all else stays. For `add`.

        Args:
            title: What people read; the name of a new one is made from it.
            of: The definition that is changed; empty = a new one.

        Raises:
            RefusedDefinition: With every mistake.
        """
        from kohort.definitions.segments_text import title as usual

        taken = [*(d.name for d in self._ws.config.segments), *(row["name"] for row in self._ws.segmentations())]
        name = of or building.free_name(title, [*taken, *self._ws.store.members.names()])
        words = {"label": "" if usual(name) == title else title, "description": description}
        return building.with_rule(self._ws, name, rule, of=of, words=words)

    def read(self, text: str, *, name: str = "", file: str = "the text") -> SegmentDefinition:
        """One definition from the text of a file, for `add` and `dry_run`. See `kohort.workspace.definitions.read_file`."""
        return texts.read_file(self._ws, text, file, name)

    def understood(self, name: str, rule: Body) -> SegmentDefinition:
        """What `add` would write, without writing it."""
        return texts.read_new(self._ws, name, rule)

    def never_observed(self, definition: SegmentDefinition) -> list[str]:
        """Events and columns that a definition asks for, its consent and account too, and the data has never shown."""
        rules = [r.rule for p in definition.parts for r in (p.rule, p.keep) if r is not None]
        contents, settings = self._ws.contents(), self._ws.config.segment_settings
        asked = {dict(settings.consent).get(definition.purpose), settings.accounts * (definition.kind == "accounts")}
        unseen = {column for column in asked if column and not contents.present.get(column)}
        return sorted(unseen.union(*(texts.never_observed(rule, contents) for rule in rules)))

    def check(self, rule: str) -> dict[str, Any]:
        """What a rule is once it is read: `text` in the canonical way of writing, `sentence`, `never_observed`.

        Raises:
            RefusedDefinition: With every mistake and its place.
        """
        from kohort.definitions.rules import format_rule

        read = texts.read_rule(self._ws, rule)
        return {
            "text": format_rule(read),
            "sentence": self._sentence(read, "en"),
            "never_observed": list(texts.never_observed(read, self._ws.contents())),
        }

    def say(self, rule: str, language: Language = "en") -> str:
        """A rule as a sentence in plain words: English, Dutch, Danish or German."""
        return self._sentence(texts.read_rule(self._ws, rule), language)

    def hear(self, sentence: str, language: Language = "en") -> str:
        """The rule that a sentence says: the inverse of `say`.

        Raises:
            RefusedDefinition: The sentence is not one that `say` could have written.
        """
        from kohort.definitions.rules import format_rule
        from kohort.definitions.rules.sentences import read_sentence

        return format_rule(read_sentence(sentence, language, labels=self._labels()))

    def dry_run(self, name: str, rule: Body, *, as_of: int | str | None = None, progress: Progress = silent) -> DryRun:
        """What `add` of this text would lead to: who enters, who leaves, what else moves, who would be told.

        Samples are the company's customer numbers. Nothing is written.
        """
        from kohort.segments.dry_run import dry_run

        definition = texts.read_new(self._ws, name, rule)
        how = self._how(as_of)
        found = dry_run(self._ws.store, self._ws.config.segments, definition, progress=progress, **how)
        return looks.with_numbers(found, self._ws.store.vault)

    def diff(self, name: str, old: int | None = None, new: int | None = None) -> str:
        """What changed between two versions of a definition, one sentence per line; empty where nothing did.

        Without numbers: between the version that members follow now and `kohort.yaml`; where they are the same, between
        the last two.

        Raises:
            NotFound: No definition or version of that name and number.
            NotEnough: There is one version only.
        """
        return looks.diff(self._ws, name, old, new)

    def remove(self, name: str, *, by: str | None = None) -> None:
        """Take a definition out: it stands in no file any more, and everybody leaves it. History stays; see `restore`.

        An interruption in between leaves its members under a name that is defined no more; removing it again ends them.

        Raises:
            NotFound: No such definition, and nobody is in it.
            WrongUsage: Others refer to it; the message lists them. Or it is an adopted segmentation.
        """
        from kohort.definitions.segments_text import write_definition
        from kohort.segments.remove import check_removable, remove

        ws, definitions = self._ws, self._ws.config.segments
        texts.not_adopted(ws, name)
        check_removable(definitions, name)
        if told := [t.name for t in ws.config.triggers if t.watches.segment == name]:
            error = WrongUsage(f"{name!r} fires {', '.join(told)}.", hint="Change or remove these triggers first.")
            error.code = "needed_by_others"
            raise error
        moments = [status.as_of for status in ws.store.status.all().values() if status.name == name]
        with suppress(NotEnough):  # there is no data yet
            moments.append(self._moment(None))
        if there := next((d for d in definitions if d.name == name), None):
            label, size = looks.described(ws, name).label, looks.described(ws, name).size
            self._edits.note_removed(name, label, write_definition(there), size, by or this_user())
        texts.let_go(ws, name)
        remove(ws.store, definitions, name, as_of=max((m for m in moments if m is not None), default=0))

    # -- parts -----------------------------------------------------------------------------------------------------

    def _how(self, as_of: int | str | None) -> dict[str, Any]:
        """What every evaluation is told about the workspace."""
        ws = self._ws
        return {
            "as_of": self._moment(as_of),
            "zone": ws.zone,
            "currency": ws.currency,
            "features": texts.rule_features(ws),
            "settings": ws.config.segment_settings,
            "threads": ws.threads,
        }

    def _moment(self, as_of: int | str | None) -> int:
        return as_of if isinstance(as_of, int) else self._ws.as_of(as_of)

    def _sentence(self, rule: Rule, language: Language) -> str:
        from kohort.definitions.rules.sentences import say_rule

        return say_rule(rule, language, labels=self._labels())

    def _labels(self) -> dict[str, str]:
        """Names of features and segments as people read them."""
        features = {f.name: f.label for f in texts.features(self._ws) if f.label}
        return features | {d.name: d.label for d in self._ws.config.segments if d.label}
