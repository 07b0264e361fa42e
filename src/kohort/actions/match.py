"""Which triggers a transition fires."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from kohort.actions.against import About, Consent, Kinds, standing_against
from kohort.actions.quiet import quiet_until
from kohort.definitions.triggers import Moved, TraitsChanged, Trigger, hidden_name
from kohort.model.delivery import CHANGED, Ended, Wanted
from kohort.model.membership import Transition
from kohort.model.trait_change import TraitChange
from kohort.store.trait_changes import values_text

LookUp = Callable[[Transition], str]
"""The part that a customer left at the instant of this entry, or entered at the instant of this exit; empty = none."""


@dataclass(frozen=True, slots=True)
class Changed:
    """A change of traits, as a trigger tells of it.

    Attributes:
        seq: Minus its number: no transition has one like it.
        name: What stands in place of the definition.
        segment: The values now of those traits that the trigger watches, as text.
    """

    seq: int
    name: str
    segment: str
    customer: int
    at: int
    change: str = CHANGED
    number: int = 0
    version: int = 0


@dataclass(frozen=True, slots=True)
class Fired:
    """A trigger and what fired it.

    Attributes:
        other: See `kohort.model.delivery.Delivery`.
    """

    trigger: Trigger
    transition: Transition | Changed
    other: str


def delivery_id(key: bytes, trigger: str, destination: str, seq: int) -> str:
    """The same for ever for one trigger, destination and transition; tells nothing about the customer.

    Args:
        key: Of the workspace, so that ids of two workspaces never meet at one receiver.

    Example:
        >>> delivery_id(b"shop", "welcome", "crm", 7) == delivery_id(b"shop", "welcome", "crm", 7)
        True
        >>> len(delivery_id(b"shop", "welcome", "crm", 7))
        36
    """
    said = "\x1f".join([trigger, destination, str(seq)]).encode()
    return "msg_" + hashlib.blake2b(said, digest_size=16, key=key, person=b"kohort delivery").hexdigest()


def fired(triggers: Iterable[Trigger], transitions: Iterable[Transition], other: LookUp) -> list[Fired]:
    """What fires, in the order of the transitions.

    Args:
        other: Asked only where a trigger needs to know.
    """
    watching: dict[str, list[Trigger]] = {}
    for trigger in triggers:
        if not trigger.paused:
            watching.setdefault(trigger.watches.segment, []).append(trigger)
    found = []
    for transition in transitions:
        mine = [t for t in watching.get(transition.name, ()) if t.backfill or not transition.backfill]
        if not mine:
            continue
        beside = other(transition)
        found += [Fired(t, transition, beside) for t in mine if _fires(t.watches, transition, beside)]
    return found


def told_of_traits(triggers: Iterable[Trigger], changes: Iterable[TraitChange]) -> list[Fired]:
    """What changes of traits fire, in their order: each trigger tells of those that it watches."""
    found = []
    watching = [t for t in triggers if isinstance(t.on, TraitsChanged) and not t.paused]
    for change in changes:
        for trigger in watching:
            assert isinstance(trigger.on, TraitsChanged)
            if mine := [c for c in trigger.on.traits if c in change.after]:
                now, was = (values_text({c: values[c] for c in mine}) for values in (change.after, change.before))
                name = hidden_name(trigger.name)
                found.append(Fired(trigger, Changed(-change.seq, name, now, change.customer, change.at), was))
    return found


def _fires(on: Moved, transition: Transition, beside: str) -> bool:
    match on.change:
        case "stage":
            fits = on.origin in ("", beside) and on.target in ("", transition.segment)
            return transition.change == "entered" and transition.segment != beside and fits
        case _ if on.part:
            return transition.change == on.change and transition.segment == on.part
        case _:
            return transition.change == on.change and not beside


def wanted(found: Sequence[Fired], *, key: bytes, zone: str, now: int, consent: Consent, kinds: Kinds) -> list[Wanted]:
    """The deliveries that fired triggers ask for, with what stands against them.

    Args:
        key: See `delivery_id`.
    """
    told = [(one.trigger.purpose, one.transition) for one in found]
    reasons = standing_against([About(p, t.name, t.customer, t.change) for p, t in told], consent, kinds)
    asked: list[Wanted] = []
    for one, reason in zip(found, reasons, strict=True):
        trigger, t = one.trigger, one.transition
        hold = quiet_until(trigger.quiet_hours, zone, now) if trigger.quiet_hours else None
        for destination in trigger.send_to:
            id_ = delivery_id(key, trigger.name, destination, t.seq)
            asked.append(_wanted(one, id_, destination, hold, reason))
    return asked


def _wanted(one: Fired, id_: str, destination: str, hold_until: int | None, suppressed: str) -> Wanted:
    t, cap = one.transition, one.trigger.at_most
    return Wanted(
        id=id_,
        trigger=one.trigger.name,
        destination=destination,
        seq=t.seq,
        name=t.name,
        segment=t.segment,
        other=one.other,
        customer=t.customer,
        change=t.change,
        nth=t.number,
        at=t.at,
        version=t.version,
        hold_until=hold_until,
        suppressed=suppressed,
        most=cap.count if cap else 0,
        most_us=cap.span_us if cap else 0,
    )


def ended(triggers: Iterable[Trigger], transitions: Iterable[Transition]) -> list[Ended]:
    """Exits that take back what a trigger with quiet hours may still be holding: the message would come too late."""
    watching: dict[str, list[Trigger]] = {}
    for trigger in triggers:
        if trigger.quiet_hours and trigger.watches.change != "left":
            watching.setdefault(trigger.watches.segment, []).append(trigger)
    return [
        Ended(trigger.name, t.customer, t.seq)
        for t in transitions
        if t.change == "left"
        for trigger in watching.get(t.name, ())
        if t.segment == (trigger.watches.part or trigger.watches.target or t.segment)
    ]
