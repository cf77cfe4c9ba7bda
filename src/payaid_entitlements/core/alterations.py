"""What facts altered about a tenant, also what was to come: ``plan: starter@1 -> professional@2``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from payaid_entitlements.core.altered import Altered
from payaid_entitlements.core.earliest import counting
from payaid_entitlements.core.encoding import decode_value
from payaid_entitlements.core.facts import Recorded, Subject
from payaid_entitlements.core.instant import Instant, moment
from payaid_entitlements.core.subscription import MAIN

#: Fields of a subscription that are instants.
_TIMES = frozenset(
    {"starts", "anchor", "trial_end", "past_due_since", "paused_from", "paused_until", "cancel_at", "ends"}
)


def altered(facts: Iterable[Recorded]) -> tuple[Altered, ...]:
    """Tell what *facts* altered, also later; what they only confirmed is left out."""
    return tuple(
        Altered(
            named(each.subject) + (f" from {_time(each.since)}" if each.is_later else ""),
            worded(each.subject, each.before),
            worded(each.subject, each.after),
            each.since,
        )
        for each in alterations(facts)
    )


def features_of(facts: Iterable[Recorded]) -> set[str]:
    """The modules and features that *facts* name."""
    named = set()
    for fact in facts:
        match fact.subject, fact.value or fact.before:
            case ("override", feature, *_), _:
                named.add(feature)
            case ("grant", _), {"feature": str(feature)}:
                named.add(feature)
    return named


@dataclass(frozen=True, slots=True)
class Alteration:
    """
    From *since* on a subject is *after*, where it was *before*, or would have been.

    Attributes:
        is_later: It begins after what the change itself says: something that was to come is dropped, or moved.
    """

    subject: Subject
    since: Instant
    before: object
    after: object
    is_later: bool


def alterations(facts: Iterable[Recorded]) -> Iterator[Alteration]:
    """Compare what each subject was, and was to be, before a change and after it."""
    by_subject: dict[Subject, list[Recorded]] = {}
    for fact in facts:
        by_subject.setdefault(fact.subject, []).append(fact)
    for subject, group in by_subject.items():
        first = group[0]
        was: _Course = ((first.since, first.before), *first.later)
        becomes: _Course = was
        for fact in group:
            kept = [each for each in becomes if each[0] < fact.since]
            becomes = (*kept, (fact.since, fact.value), *fact.kept)
        last: tuple[object, object] | None = None
        for since in sorted({since for since, _ in (*was, *becomes)}):
            pair = counting(_at(was, since)), counting(_at(becomes, since))
            if pair[0] != pair[1] and pair != last:
                said = {fact.since for fact in group}
                yield Alteration(subject, since, *pair, is_later=since not in said)
            last = pair


#: What a subject is from when on, oldest first.
_Course = tuple[tuple[Instant, object], ...]


def _at(course: _Course, at: Instant) -> object:
    return next((value for since, value in reversed(course) if since <= at), None)


def named(subject: Subject) -> str:
    """Name a subject for people."""
    match subject:
        case ("subscription", name, "given", add_on):
            words = f"units of add-on {add_on} that gave their lot"
            return words if name == MAIN else f"{words} in subscription {name}"
        case ("subscription", name, *what):
            words = " ".join(what).replace("_", " ")
            return words if name == MAIN else f"{words} of subscription {name}"
        case ("carried", name):
            words = "usage"
            return words if name == MAIN else f"{words} of subscription {name}"
        case ("override", feature, user):
            return f"override of {feature} for user {user}"
        case ("override", feature):
            return f"override of {feature}"
    return " ".join(subject)


def worded(subject: Subject, value: object) -> str:
    """Write the value of a fact for people."""
    match value:
        case None:
            return "none"
        case {"plan": plan, "version": version}:
            return f"{plan}@{version}"
        case {"quantity": quantity, "version": version}:
            return f"{quantity} (version {version})"
        case {"to": to, "until": until}:
            return f"{_plain(decode_value(to))}{_end(until)}"
        case {"feature": feature, "amount": amount, "expires": expires}:
            return f"{decode_value(amount)} {feature}{_end(expires)}"
        case {"carries": list(lines)}:
            return ", ".join(f"{mode} of {feature}" for feature, mode, *_ in lines)
        case {"units": units}:
            return str(units)
        case {"zone": zone}:
            return str(zone)
        case int() if subject[-1] in _TIMES:
            return _time(value)
    return str(value)


def _plain(value: object) -> str:
    return "allowed" if value is True else "denied" if value is False else str(getattr(value, "limit", value))


def _end(until: object) -> str:
    return f" until {_time(until)}" if isinstance(until, int) else ""


def _time(at: Instant) -> str:
    return moment(at).isoformat(sep=" ", timespec="seconds")
