"""Facts in words: what a change in the audit trail said, before and after."""

from __future__ import annotations

from collections.abc import Iterator
from zoneinfo import ZoneInfo

from payaid_entitlements.cli.printing import worth_of
from payaid_entitlements.cli.times import shown
from payaid_entitlements.core.alterations import alterations, named
from payaid_entitlements.core.encoding import decode_value
from payaid_entitlements.core.facts import Recorded, Subject
from payaid_entitlements.core.instant import Instant

#: Fields of a subscription that are instants.
TIMES = (
    "starts",
    "anchor",
    "trial_end",
    "past_due_since",
    "paused_from",
    "paused_until",
    "cancel_at",
    "ends",
)


def value_in_words(subject: Subject, value: object, zone: ZoneInfo) -> str:
    """What a fact says: a plan with its version, a time in *zone*, a value until a time."""
    match value:
        case None:
            return "-"
        case {"plan": str(plan), "version": int(version)}:
            return f"{plan}@{version}"
        case {"to": to, "until": until}:
            end = f" until {shown(until, zone)}" if isinstance(until, int) else ""
            return f"{worth_of(decode_value(to))}{end}"
        case int() if subject[-1] in TIMES:
            return shown(value, zone)
        case {"zone": str(name)}:
            return name
    return str(value)


def changes_in_words(facts: tuple[Recorded, ...], zone: ZoneInfo, recorded: Instant) -> Iterator[tuple[str, str, str]]:
    """What a change altered, as (subject, before, after); with the instant, where that was to come when *recorded*."""
    for each in alterations(facts):
        coming = f" from {shown(each.since, zone)}" if each.since > recorded else ""
        yield (
            named(each.subject),
            value_in_words(each.subject, each.before, zone),
            value_in_words(each.subject, each.after, zone) + coming,
        )
