"""One segment definition after the other, from the values of a YAML text; every mistake is noted where it stands."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from kohort.definitions.segments import (
    Part,
    Quantifier,
    RuleText,
    SegmentDefinition,
    SegmentKind,
    SegmentSettings,
)
from kohort.definitions.windows import Span, parse_span
from kohort.definitions.yaml_text import CODE, Document, Path, nearest
from kohort.errors import RefusedDefinition

if TYPE_CHECKING:
    from kohort.definitions.rules.tree import Rule

T = TypeVar("T")
MOST_DEFINITIONS, MOST_PARTS = 1_000, 100
LONGEST_NAME, LONGEST_LABEL, LONGEST_DESCRIPTION = 60, 60, 1_000
KINDS: tuple[SegmentKind, ...] = get_args(SegmentKind)
_QUANTIFIERS: tuple[Quantifier, ...] = get_args(Quantifier)
_COMMON = ("label", "description", "purpose", "timezone", "paused", "include_anonymous", "profiling")
_BELONGS: dict[str, tuple[SegmentKind, ...]] = {
    "keep": ("rule",),
    "minimum_stay": ("rule",),
    "salt": ("buckets",),
}
"""Keys beside the kind that only some kinds have."""

_PART_KEYS: dict[SegmentKind, tuple[str, ...]] = {
    "tiers": ("rule", "keep", "minimum_stay", "label"),
    "stages": ("rule", "keep", "minimum_stay", "then", "label"),
    "buckets": ("share", "label"),
}
_EXAMPLE = "For example {rule: t_country = 'DE'}."


@dataclass(frozen=True, slots=True)
class Source:
    """Where segment definitions stand: the value at `path` of a document."""

    document: Document
    data: Any
    path: Path


@dataclass(frozen=True, slots=True)
class Written:
    """A rule with the place it was written at."""

    name: str  # of the definition
    path: Path
    text: str
    rule: Rule


class Reader:
    """Reads the definitions of one source."""

    def __init__(self, source: Source, settings: SegmentSettings | None) -> None:
        self.document, self.data, self.path = source.document, source.data, source.path
        self.settings = settings
        self.definitions: dict[str, SegmentDefinition] = {}
        self.rules: list[Written] = []

    def read(self) -> None:
        if self.data is None:
            return
        if not isinstance(self.data, dict):
            self.mistake(self.path, "Segments are written as name: rule, or name: {…}.")
            return
        if len(self.data) > MOST_DEFINITIONS:
            self.mistake(self.path, f"There can be {MOST_DEFINITIONS:,} definitions at most.")
            return
        for name, data in self.data.items():
            before = len(self.document.mistakes)
            found = self.definition(name, data, (*self.path, name))
            if found is not None and len(self.document.mistakes) == before:
                self.definitions[name] = found

    def targets(self) -> dict[str, tuple[str, ...]]:
        """Every name written here with its parts, whether or not its definition is in order."""
        found: dict[str, tuple[str, ...]] = {}
        for name, data in self.data.items() if isinstance(self.data, dict) else ():
            parts = next((data[k] for k in _PART_KEYS if k in data), None) if isinstance(data, dict) else None
            found[name] = tuple(parts) if isinstance(parts, dict) else (name,)
        return found

    def definition(self, name: str, data: Any, path: Path) -> SegmentDefinition | None:
        self.name(name, path)
        if isinstance(data, str):
            data = {"rule": data}
            path_of = {"rule": path}
        else:
            path_of = {}
        if not isinstance(data, dict):
            self.mistake(path, "A segment is a rule, or {…}.", _EXAMPLE)
            return None
        kinds = [k for k in data if k in KINDS]
        self.known_keys(data, path, (*KINDS, *_BELONGS, *_COMMON))
        if len(kinds) != 1:
            what = "none of them" if not kinds else " and ".join(kinds)
            self.mistake(path, f"A segment has exactly one of {_listed(KINDS)}; this one has {what}.", _EXAMPLE)
            return None
        kind: SegmentKind = kinds[0]
        for key in data.keys() & _BELONGS.keys():
            if kind not in _BELONGS[key]:
                hint = f"Write {key} with each of the {kind}." if key in _PART_KEYS.get(kind, ()) else ""
                self.mistake((*path, key), f"{key!r} has no meaning beside {kind}.", hint)
        parts = self.parts(kind, name, data, path, path_of.get("rule"))
        if parts is None:
            return None
        return SegmentDefinition(
            name,
            kind,
            parts,
            label=self.text(data, "label", path, LONGEST_LABEL),
            description=self.text(data, "description", path, LONGEST_DESCRIPTION),
            purpose=self.purpose(kind, data, path),
            zone=self.zone(data, path),
            salt=self.text(data, "salt", path, LONGEST_NAME),
            quantifier=next(iter(data["accounts"])) if kind == "accounts" else "any",
            paused=self.flag(data, "paused", path),
            include_anonymous=self.anonymous(kind, data, path),
            profiling=self.flag(data, "profiling", path, implied=True),
        )

    def parts(
        self, kind: SegmentKind, name: str, data: dict[str, Any], path: Path, rule_path: Path | None
    ) -> tuple[Part, ...] | None:
        match kind:
            case "rule":
                return self.one(self.ruled(name, name, data, path, rule_path=rule_path))
            case "by_hand":
                if data["by_hand"] is not True:
                    self.mistake((*path, "by_hand"), "by_hand is true, or left out.")
                return (Part(name),)
            case "accounts":
                return self.accounts(name, data["accounts"], (*path, "accounts"))
            case _:
                return self.several(kind, name, data[kind], (*path, kind))

    def one(self, part: Part | None) -> tuple[Part, ...] | None:
        return None if part is None else (part,)

    def several(self, kind: SegmentKind, name: str, data: Any, path: Path) -> tuple[Part, ...] | None:
        """Parts of tiers, stages and buckets."""
        example = "{test: 50, control: 50}" if kind == "buckets" else "{gold: revenue >= 1000, silver: revenue > 0}"
        if not isinstance(data, dict) or not data:
            self.mistake(path, f"{kind} are written as {kind}: {example}.", "At least one is needed.")
            return None
        if len(data) > MOST_PARTS:
            self.mistake(path, f"There can be {MOST_PARTS} {kind} at most.")
            return None
        found = []
        for key, value in data.items():
            at = (*path, key)
            self.name(key, at)
            self.twin(key, data, at)
            if isinstance(value, dict):
                self.known_keys(value, at, _PART_KEYS[kind])
            part = self.bucket(key, value, at) if kind == "buckets" else self.stage(name, key, value, at, tuple(data))
            if part is not None:
                found.append(part)
        total = sum((p.share or Decimal(0) for p in found), Decimal(0))
        if total > 100:
            self.mistake(path, f"The shares add up to {total:f} percent.", "They can be 100 at most.")
        return tuple(found)

    def stage(self, name: str, key: str, value: Any, path: Path, keys: tuple[str, ...]) -> Part | None:
        if isinstance(value, str):
            return self.ruled(name, key, {"rule": value}, path, rule_path=path)
        if not isinstance(value, dict):
            self.mistake(path, f"{key} needs a rule.", _EXAMPLE)
            return None
        return self.ruled(name, key, value, path, keys=keys)

    def ruled(
        self,
        name: str,
        key: str,
        data: dict[str, Any],
        path: Path,
        *,
        rule_path: Path | None = None,
        keys: tuple[str, ...] = (),
    ) -> Part | None:
        """A part with a rule and what goes with it. `rule_path` where the rule stands there on its own."""
        rule = self.rule(name, data.get("rule"), rule_path or (*path, "rule"))
        keep = self.rule(name, data["keep"], (*path, "keep")) if "keep" in data else None
        then = self.then(key, data["then"], (*path, "then"), keys) if "then" in data else ()
        stay = self.stay(data["minimum_stay"], (*path, "minimum_stay")) if "minimum_stay" in data else None
        if rule is None:
            return None
        # The label of a definition with one part is the definition's.
        label = self.text(data, "label", path, LONGEST_LABEL) if keys else ""
        return Part(key, label, rule, keep, stay, then)

    def bucket(self, key: str, value: Any, path: Path) -> Part | None:
        label = ""
        if isinstance(value, dict):
            label = self.text(value, "label", path, LONGEST_LABEL)
            path, value = (*path, "share"), value.get("share")
        share = _percent(value)
        if share is None or not 0 < share <= 100 or share != round(share, 4):
            self.mistake(path, "A share is a number of percent: more than 0, 100 at most.", "For example 50 or 12.5.")
            return None
        return Part(key, label, share=share)

    def accounts(self, name: str, data: Any, path: Path) -> tuple[Part, ...] | None:
        if not isinstance(data, dict) or len(data) != 1 or next(iter(data)) not in _QUANTIFIERS:
            self.mistake(
                path,
                "accounts says how many users must meet the rule: any, all or none.",
                "For example {any: did('page')}.",
            )
            return None
        if self.settings is not None and not self.settings.accounts:
            self.mistake(
                path,
                "It is not said which account a customer belongs to.",
                "Write at the top of kohort.yaml for example: accounts: t_company",
            )
        quantifier = next(iter(data))
        rule = self.rule(name, data[quantifier], (*path, quantifier))
        return None if rule is None else (Part(name, rule=rule),)

    def rule(self, name: str, text: Any, path: Path) -> RuleText | None:
        from kohort.definitions.rules import format_rule, parse_rule

        if not isinstance(text, str) or not text.strip():
            said = "A rule is a condition in quotes." if text not in (None, "") else "The rule is empty."
            self.mistake(path, said, 'For example "recency_days <= 60".')
            return None
        rule = self.attempt(path, lambda: parse_rule(text))
        if rule is None:
            return None
        self.rules.append(Written(name, path, text, rule))
        return RuleText(format_rule(rule), rule)

    def then(self, key: str, value: Any, path: Path, keys: tuple[str, ...]) -> tuple[str, ...]:
        names = [value] if isinstance(value, str) else value
        if not isinstance(names, list) or not names or not all(isinstance(n, str) for n in names):
            self.mistake(
                path, "then is a list of the stages that may follow.", "Leave it out to allow every other one."
            )
            return ()
        for n in names:
            if n == key:
                self.mistake(path, f"{n!r} is the stage itself.", "Staying needs no permission.")
            elif n not in keys:
                self.mistake(path, f"No stage is called {n!r}.", nearest(n, [k for k in keys if k != key]))
        if len(set(names)) < len(names):
            self.mistake(path, "A stage is named twice.")
        return tuple(names)

    def stay(self, value: Any, path: Path) -> Span | None:
        if not isinstance(value, str):
            self.mistake(path, "minimum_stay needs a length with its unit.", "Write for example 14 days.")
            return None
        span = self.attempt(path, lambda: parse_span(value))
        if span is not None and (span.amount == 0 or span.calendar):
            self.mistake(path, "minimum_stay is counted from the moment of entry, and is not 0.", "Write 14 days.")
        return span

    def purpose(self, kind: SegmentKind, data: dict[str, Any], path: Path) -> str:
        purpose = self.text(data, "purpose", path, LONGEST_NAME)
        at = (*path, "purpose")
        if purpose and kind == "accounts":
            self.mistake(at, "Accounts have no consent: people have.", "Ask for it inside the rule.")
        elif purpose and self.settings is not None and purpose not in dict(self.settings.consent):
            known = [p for p, _ in self.settings.consent]
            hint = nearest(purpose, known) if known else "Write at the top: consent: {marketing: t_newsletter}"
            self.mistake(at, f"It is not said which trait is the consent for {purpose!r}.", hint)
        return purpose

    def anonymous(self, kind: SegmentKind, data: dict[str, Any], path: Path) -> bool:
        included = self.flag(data, "include_anonymous", path)
        if included and kind == "accounts":
            self.mistake((*path, "include_anonymous"), "The members are accounts; visitors belong to none.")
        return included

    def zone(self, data: dict[str, Any], path: Path) -> str:
        zone = self.text(data, "timezone", path, LONGEST_NAME)
        try:
            if zone:
                ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            self.mistake((*path, "timezone"), f"{zone!r} is not a time zone.", "Write for example Europe/London.")
        return zone

    def name(self, name: str, path: Path) -> None:
        if not usable_name(name):
            self.mistake(
                path,
                f"{name!r} is not a usable name.",
                f"Use letters, digits, spaces, - and _ ({LONGEST_NAME} at most).",
            )

    def twin(self, name: str, names: Iterable[str], path: Path) -> None:
        other = next((n for n in names if n != name and folded(n) == folded(name)), None)
        if other is not None:
            self.mistake(path, f"{name!r} and {other!r} differ by large and small letters only.")

    def known_keys(self, data: dict[str, Any], path: Path, known: Iterable[str]) -> None:
        for key in data.keys() - set(known):
            self.document.mistake((*path, key), f"{key!r} is not known here.", nearest(key, known), at_key=True)

    def text(self, data: dict[str, Any], key: str, path: Path, longest: int) -> str:
        value = data.get(key, "")
        if isinstance(value, str) and len(value) <= longest and value.isprintable():
            return value
        self.mistake((*path, key), f"{key} is a text of {longest:,} characters at most, on one line.")
        return ""

    def flag(self, data: dict[str, Any], key: str, path: Path, *, implied: bool = False) -> bool:
        value = data.get(key, implied)
        if not isinstance(value, bool):
            self.mistake((*path, key), f"{key} is true or false.")
        return value is True

    def attempt(self, path: Path, read: Callable[[], T]) -> T | None:
        try:
            return read()
        except RefusedDefinition as error:
            for one in (error, *error.others):
                self.document.refused(path, one)
            return None

    def mistake(self, path: Path, message: str, hint: str = "", *, code: str = CODE) -> None:
        self.document.mistake(path, message, hint, code=code)


def usable_name(name: str) -> bool:
    """Letters, digits, spaces, `-` and `_`; no space at either end or twice in a row.

    Example:
        >>> usable_name("Big spenders"), usable_name("a/b"), usable_name(" a")
        (True, False, False)
    """
    fine = all(c.isalpha() or c.isdecimal() or c in " -_" for c in name)
    normal = unicodedata.normalize("NFC", name) == name and " ".join(name.split()) == name
    return fine and normal and 0 < len(name) <= LONGEST_NAME and any(c.isalnum() for c in name)


def folded(name: str) -> str:
    """Names that fold to the same text are one name to people."""
    return unicodedata.normalize("NFKC", name).casefold()


def _percent(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    share = Decimal(str(value))
    return share if share.is_finite() else None


def _listed(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"
