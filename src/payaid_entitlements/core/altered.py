"""What a change altered, in words that people read: ``plan: starter@1 -> professional@2``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from payaid_entitlements.core.encoding import decode_value
from payaid_entitlements.core.facts import Recorded, Subject
from payaid_entitlements.core.instant import Instant, moment
from payaid_entitlements.core.subscription import MAIN

#: Fields of a subscription that are instants.
_TIMES = frozenset(
    {"starts", "anchor", "trial_end", "past_due_since", "paused_from", "paused_until", "cancel_at", "ends"}
)


@dataclass(frozen=True, slots=True)
class Altered:
    """
    One thing that is otherwise than before.

    Attributes:
        since: From when on; None for what is not about a tenant.
    """

    what: str
    before: str
    after: str
    since: Instant | None = None

    def __str__(self) -> str:
        return f"{self.what}: {self.before} -> {self.after}"


def altered(facts: Iterable[Recorded]) -> tuple[Altered, ...]:
    """Tell what *facts* altered; what they only confirmed is left out."""
    return tuple(
        Altered(named(fact.subject), worded(fact.subject, fact.before), worded(fact.subject, fact.value), fact.since)
        for fact in facts
        if fact.before != fact.value
    )


def named(subject: Subject) -> str:
    """Name a subject for people."""
    match subject:
        case ("subscription", name, *what):
            words = " ".join(what).replace("_", " ")
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
        case {"to": to, "until": until}:
            end = f" until {_time(until)}" if isinstance(until, int) else ""
            return f"{_plain(decode_value(to))}{end}"
        case {"zone": zone}:
            return str(zone)
        case int() if subject[-1] in _TIMES:
            return _time(value)
    return str(value)


def _plain(value: object) -> str:
    return "allowed" if value is True else "denied" if value is False else str(getattr(value, "limit", value))


def _time(at: Instant) -> str:
    return moment(at).isoformat(sep=" ", timespec="seconds")
