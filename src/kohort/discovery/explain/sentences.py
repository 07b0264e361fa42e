"""Every sentence that explains a group, in one place, so that another language is another such module."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from kohort.discovery.explain.facts import Fact
from kohort.discovery.explain.numbers import about, days, exact, number, share, times
from kohort.model.feature import FeatureInfo, Idea

_SINCE_LAST = re.compile(r"^days since (?:the |their )?(last|latest|first) (.+)$", re.IGNORECASE)
_WINDOW = re.compile(r"\d|\b(this|past|recent|last (week|month|quarter|year))\b", re.IGNORECASE)


def lead(facts: Sequence[Fact], idea: Idea) -> Fact | None:
    """The fact that speaks for an idea: the first one over all time, else the first one. None where there is none."""
    found = [f for f in facts if f.column.info.idea == idea and f.column.info.type == "number"]
    whole_time = [f for f in found if not windowed(f.column.info)]
    return next(iter(whole_time or found), None)


def windowed(info: FeatureInfo) -> bool:
    """Whether a feature looks at a stretch of time only, so that 1 does not mean "once".

    Example:
        >>> windowed(FeatureInfo("o", "Orders in 12 months")), windowed(FeatureInfo("o", "Orders ever"))
        (True, False)
    """
    return _WINDOW.search(info.label) is not None


def lower_first(text: str) -> str:
    """The text inside a sentence: first letter small unless the word is an abbreviation.

    Example:
        >>> lower_first("Days since last order"), lower_first("VAT number"), lower_first("")
        ('days since last order', 'VAT number', '')
    """
    return text if len(text) > 1 and text[1].isupper() else text[:1].lower() + text[1:]


def capital_first(text: str) -> str:
    return text[:1].upper() + text[1:]


def plain_label(info: FeatureInfo) -> str:
    """The label without its unit in brackets, inside a sentence: "Annual Income (k$)" → "annual income".

    Labels of several capitalised words are column titles, not names; single capital words inside stay.
    """
    label = re.sub(r"\s*[(\[].*?[)\]]", "", info.label or info.name).strip() or info.name
    if info.unit == "days" and not label.lower().startswith("days"):
        label = re.sub(r"\s+days$", "", label, flags=re.IGNORECASE)  # the unit follows with every figure
    words = label.split()
    if len(words) > 1 and all(w[:1].isupper() and w[1:].islower() for w in words if w[:1].isalpha()):
        return label.lower()
    return lower_first(label)


def listed(parts: Sequence[str]) -> str:
    """Items of a list as a phrase.

    Example:
        >>> listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"])
        ('a', 'a and b', 'a, b and c')
    """
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}" if parts else ""


def customers(count: int) -> str:
    return f"{number(count)} customer{'' if count == 1 else 's'}"


# -- Descriptions ------------------------------------------------------------------------------------------------


def description(
    size: int, facts: Sequence[Fact], different: Sequence[Fact], revenue_share: float | None, currency: str
) -> str:
    """One sentence: how many, how often, how much, when, and what they bring in. Every figure is a typical member's.

    Tables that say nothing about orders get the features that differ most instead, with everybody's figure beside.
    """
    told = _behaviour(facts, currency) or _compared(different, currency)
    money_part = "" if revenue_share is None else f"they bring in {share(revenue_share)} of revenue"
    sentence = f"{customers(size)} {told}" if told else f"{customers(size)} close to the typical customer in everything"
    return f"{sentence}; {money_part}." if money_part else f"{sentence}."


def _behaviour(facts: Sequence[Fact], currency: str) -> str:
    """ "who ordered 13 times, about every 27 days, usually for around £400, the last time 7 days ago"."""
    parts = [p for p in (_how_often(facts), _rhythm(facts), _how_much(facts, currency), _when(facts)) if p]
    if not _how_often(facts) or len(parts) < 2:
        return ""
    often = lead(facts, "frequency")
    exactly = often is not None and (often.at_typical or 0.0) >= 0.95
    return ("who " if exactly else "who typically ") + ", ".join(parts)


def _how_often(facts: Sequence[Fact]) -> str:
    fact = lead(facts, "frequency")
    if fact is None or not isinstance(fact.value, float) or fact.column.info.unit not in ("orders", "count", "events"):
        return ""
    if windowed(fact.column.info):
        label = plain_label(fact.column.info)
        label = re.sub(r"^(event|order|purchase|visit)s\b", r"\1", label) if fact.value == 1 else label
        return f"have {'no' if fact.value == 0 else number(fact.value)} {label}"
    verb = "ordered" if fact.column.info.unit == "orders" or "order" in fact.column.info.name else "came"
    if fact.value == 1:
        return f"{verb} once"
    if fact.value == 2:
        return f"{verb} twice"
    low, high = int(fact.value), math.ceil(fact.value)  # the median of an even number of members can lie between two
    count = f"{number(low)} or {number(high)}" if fact.column.whole and low != high else number(fact.value)
    return f"{verb} {count} times"


def _rhythm(facts: Sequence[Fact]) -> str:
    fact = lead(facts, "rhythm")
    often = lead(facts, "frequency")
    if fact is None or not isinstance(fact.value, float) or fact.column.info.unit != "days" or fact.value < 1:
        return ""
    if fact.known < 0.75 or (often and isinstance(often.value, float) and often.value < 3):
        return ""
    return f"about every {days(fact.value)}"


def _how_much(facts: Sequence[Fact], currency: str) -> str:
    basket, value = lead(facts, "basket"), lead(facts, "value")
    often = lead(facts, "frequency")
    once = often is not None and often.value == 1
    if basket and isinstance(basket.value, float) and basket.column.info.unit == "money":
        return f"{'' if once else 'usually '}for around {about(basket.column.info, basket.value, currency)}"
    if value and isinstance(value.value, float) and value.column.info.unit == "money":
        return f"with {plain_label(value.column.info)} of around {about(value.column.info, value.value, currency)}"
    return ""


def _when(facts: Sequence[Fact]) -> str:
    fact = lead(facts, "recency")
    often = lead(facts, "frequency")
    if fact is None or not isinstance(fact.value, float) or fact.column.info.unit != "days":
        return ""
    ago = f"{days(fact.value)} ago"
    once = often is not None and often.value == 1 and not windowed(often.column.info)
    return ago if once else f"the last time {ago}"


def _compared(different: Sequence[Fact], currency: str) -> str:
    parts = []
    for fact in different[:3]:
        info = fact.column.info
        label = plain_label(info)
        if fact.value is None:
            parts.append(f"{info.missing or 'no known ' + label}")
        elif info.type == "text":
            parts.append(f"{label} mostly {fact.value} ({share(fact.share)}, {share(fact.average_share)} of all)")
        elif info.type == "flag":
            parts.append(f"{label} for {share(float(fact.value))} ({share(_number(fact.average))} of all)")
        else:
            here, all_of = about(info, fact.value, currency), about(info, fact.average, currency)
            parts.append(f"{label} typically {here} ({all_of} overall)")
    return f"with {listed(parts)}" if parts else ""


def _number(value: float | str | None) -> float | None:
    return value if isinstance(value, float) else None


# -- Differences -------------------------------------------------------------------------------------------------


def difference(fact: Fact, currency: str) -> str:
    """How the typical member differs: "7.4 times", "half", "23 days instead of 54 days", "Germany for 92% …"."""
    info = fact.column.info
    if fact.value is None:
        usual = about(info, fact.average, currency)
        return f"{info.missing or 'mostly unknown'} for {share(1 - fact.known)}, otherwise {usual} is typical"
    if info.type == "text":
        return f"{fact.value} for {share(fact.share)} instead of {share(fact.average_share)}"
    here, usual = about(info, fact.value, currency), about(info, fact.average, currency)
    if here == usual:
        return "about the same"
    plain = isinstance(fact.value, float) and isinstance(fact.average, float)
    ratio = times(fact.value, fact.average) if plain and info.type == "number" else ""  # type: ignore[arg-type]
    if not ratio or info.unit in ("days", "share", "hour", "bits") or info.idea in ("trait", "other"):
        return f"{here} instead of {usual}"
    return ratio


# -- Rules -------------------------------------------------------------------------------------------------------


def at_least(info: FeatureInfo, bound: float, currency: str) -> str:
    found = _SINCE_LAST.match(info.label)
    if found:
        return f"{found[1].lower()} {found[2]} at least {exact(info, bound, currency)} ago"
    return f"{plain_label(info)} at least {exact(info, bound, currency)}"


def below(info: FeatureInfo, bound: float, currency: str, *, inclusive: bool) -> str:
    found = _SINCE_LAST.match(info.label)
    if found:
        word = "at most" if inclusive else "less than"
        return f"{found[1].lower()} {found[2]} {word} {exact(info, bound, currency)} ago"
    if inclusive and bound == 0 and info.unit in ("orders", "items", "events", "count"):
        return f"no {plain_label(info)}"
    return f"{plain_label(info)} {'at most' if inclusive else 'under'} {exact(info, bound, currency)}"


def between(info: FeatureInfo, low: float, high: float, currency: str, *, inclusive: bool) -> str:
    bounds = f"{exact(info, low, currency)} {'to' if inclusive else 'up to'} {exact(info, high, currency)}"
    found = _SINCE_LAST.match(info.label)
    return f"{found[1].lower()} {found[2]} {bounds} ago" if found else f"{plain_label(info)} from {bounds}"


def exactly(info: FeatureInfo, value: float, currency: str) -> str:
    return f"{plain_label(info)} exactly {exact(info, value, currency)}"


def is_text(info: FeatureInfo, level: str, *, negative: bool) -> str:
    return f"{plain_label(info)} is {'not ' if negative else ''}{level}"


def is_flag(info: FeatureInfo, *, negative: bool) -> str:
    return f"{plain_label(info)}: {'no' if negative else 'yes'}"


def is_missing(info: FeatureInfo) -> str:
    return info.missing or f"{plain_label(info)} is unknown"


def rule_text(parts: Sequence[str]) -> str:
    return capital_first(listed(parts)) if parts else ""


# -- People ------------------------------------------------------------------------------------------------------


def why_edge(here: str, other: str) -> str:
    return f"Between {here} and {other}"


def why_odd(info: FeatureInfo, value: float | str | bool | None, typical: float | str | None, currency: str) -> str:
    if value is None:
        return capital_first(is_missing(info))
    here, usual = about(info, value, currency), about(info, typical, currency)
    return f"{capital_first(plain_label(info))} {here}, {usual} is typical here"


# -- Warnings ------------------------------------------------------------------------------------------------------

RULES_FIRST = "Under 1,000 customers rules serve you better than discovered segments: you can say who you mean."


def left_out(count: int, total: int) -> str:
    return f"{customers(count)} ({share(count / max(total, 1))}) fit no segment and are left out."


def shaky(segments: Sequence[str]) -> str:
    return f"Shaky, check by hand: {listed(segments)}."


def hard_to_rule(segments: Sequence[str]) -> str:
    return f"No short rule describes {listed(segments)} well: take the rule as a hint, not as a definition."


NO_VALUE = "Revenue per customer is not known, so segments are ordered by size."
NO_TIERS = "What customers bring in is not known here, so no tiers can be given: add a column with their spend."
NOTHING_TO_COMPARE = "No groups were found that hold, so there is nothing to compare your own groups with."


# -- Slices --------------------------------------------------------------------------------------------------------


def slice_name(parent: str, phrase: str) -> str:
    return f"{parent} · {phrase}"


def slice_description(parent: str, told: str) -> str:
    return f"A slice of {parent}: {lower_first(told)}"


def slice_rule(parent: str, text: str) -> str:
    return f"Among {parent}: {lower_first(text)}"


# -- Maps --------------------------------------------------------------------------------------------------------


def axis_words(info: FeatureInfo, *, higher: bool) -> str:
    """What it means to stand further along an axis: "more orders", "last order longer ago", "higher spend"."""
    found = _SINCE_LAST.match(info.label)
    if found:
        return f"{found[1].lower()} {found[2]} {'longer ago' if higher else 'more recent'}"
    if info.unit in ("orders", "items", "events", "count"):
        return f"{'more' if higher else 'fewer'} {plain_label(info)}"
    return f"{'higher' if higher else 'lower'} {plain_label(info)}"


# -- Tiers by value ------------------------------------------------------------------------------------------------

TIER_NAMES = ("Top spenders", "Middle spenders", "Small spenders")


def tiers(top_share: float, top_revenue: float, by: str) -> str:
    return (
        f"Tiers by {by}: the top {share(top_share)} of customers bring in {share(top_revenue)} of it. The borders are "
        "our choice, not something found in the data; move them as you like."
    )


# -- Labels a company brings along -----------------------------------------------------------------------------------


def agreement(value: float) -> str:
    """An adjusted agreement (0 = as by chance, 1 = the same) in words."""
    if value >= 0.8:
        return "Your labels and the segments found are nearly the same."
    if value >= 0.5:
        return "Your labels and the segments found largely agree."
    if value >= 0.2:
        return "Your labels and the segments found agree in part."
    if value >= 0.05:
        return "Your labels and the segments found have little in common."
    return "Your labels and the segments found have nothing in common beyond chance."


def split(label: str, parts: Sequence[tuple[str, float]], apart: str) -> str:
    told = listed([f"{name} ({share(part)})" for name, part in parts])
    count = {2: "two", 3: "three", 4: "four"}.get(len(parts), str(len(parts)))
    return f"Your “{label}” holds {count} groups that behave differently: {told}{f' – {apart}' if apart else ''}."


def apart(info: FeatureInfo, one: float | str | None, other: float | str | None, currency: str) -> str:
    return f"{plain_label(info)} {about(info, one, currency)} against {about(info, other, currency)}"


def merge(labels: Sequence[str], segment: str) -> str:
    return f"Your {listed([f'“{label}”' for label in labels])} behave alike: most of each are in {segment}."
