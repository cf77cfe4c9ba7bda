"""
Why a flag answered what it did: each thing that was looked at, in the order in which it is looked at, up to the one
that decided; with the bytes that were hashed, so that anybody can compute the bucket again.

For people who operate a product. It names who was asked about, so it is not for logs.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from payaid_entitlements.core.flags.bucketing import whose
from payaid_entitlements.core.flags.conditions import written_condition
from payaid_entitlements.core.flags.details import FlagDetails, FlagReason
from payaid_entitlements.core.flags.hashed import arm_bytes, exposure_bytes, group_bytes
from payaid_entitlements.core.flags.hashing import murmur3, position
from payaid_entitlements.core.flags.jsonlogic.reaching import reach
from payaid_entitlements.core.flags.model import PARTS, All, AnyOf, Condition, Flag, Not, Rule, Segment, Share
from payaid_entitlements.core.flags.rollouts.schedule import share
from payaid_entitlements.core.flags.shares import percent
from payaid_entitlements.core.instant import moment
from payaid_entitlements.forking import IMPORTING

if TYPE_CHECKING:
    from payaid_entitlements.core.flags.compiled import Surroundings
    from payaid_entitlements.core.flags.context import FlagContext
    from payaid_entitlements.core.flags.snapshot import FlagSnapshot


@dataclass(frozen=True, slots=True)
class Bucket:
    """
    Where somebody stands.

    Attributes:
        what: Which of the decisions it is for: ``rollout``, ``arm``, ``group``, or a ``fractional`` of flagd's.
        hashed: The bytes: deterministic CBOR; of flagd's v2 UTF-8.
        hash: MurmurHash3 of them, 32 bits, seed 0.
        position: ``(hash * of) >> 32``, from 0.
        of: How many positions there are.
        start, end: The positions that are in, half-open.
    """

    what: str
    hashed: bytes
    hash: int
    position: int
    of: int
    start: int
    end: int

    @property
    def inside(self) -> bool:
        """Does it stand within?"""
        return self.start <= self.position < self.end

    def to_json(self) -> dict[str, object]:
        """It as JSON data; the bytes are hexadecimal."""
        return {
            "what": self.what,
            "hashed": self.hashed.hex(),
            "hash": self.hash,
            "position": self.position,
            "of": self.of,
            "start": self.start,
            "end": self.end,
            "inside": self.inside,
        }

    def __str__(self) -> str:
        within = "in" if self.inside else "not in"
        return (
            f"position {self.position:,} of {self.of:,} is {within} {self.start:,} to {self.end:,}: "
            f"murmur3({self.hashed.hex()}) = {self.hash}"
        )


@dataclass(frozen=True, slots=True)
class Look:
    """
    One thing that was looked at.

    Attributes:
        what: ``switch``, ``holdout``, ``exclusion``, ``prerequisite``, ``rule``, ``targeting``, ``default``, ``error``.
        name: Of the rule, the group, the other flag; empty for what there is only one of.
        says: What was found, for people.
        decided: It gave the answer; what comes after it was not looked at.
    """

    what: str
    name: str
    says: str
    decided: bool
    buckets: tuple[Bucket, ...] = ()


@dataclass(frozen=True, slots=True)
class FlagExplanation:
    """
    An answer of a flag, with its grounds.

    Attributes:
        details: The answer, as it comes out of evaluating.
        identity: The id that the flag buckets by; None where there is none.
        looks: What was looked at, up to what decided.
    """

    details: FlagDetails
    flag: Flag
    identity: str | None
    at: int
    looks: tuple[Look, ...]

    def to_text(self) -> str:
        """The explanation for people, a line for each thing that was looked at."""
        details = self.details
        value = "the caller's own default" if details.variant is None else f"{details.variant} ({_json(details.value)})"
        whose = f"{self.flag.bucket_by} {self.identity!r}" if self.identity is not None else f"no {self.flag.bucket_by}"
        lines = [f"flag {details.key}: {value}, {details.reason}", f"  at {moment(self.at).isoformat()}, for {whose}"]
        for look in self.looks:
            name = f" {look.name!r}" if look.name else ""
            lines.append(f"  {'=>' if look.decided else '- '} {look.what}{name}: {look.says}")
            lines.extend(f"       {bucket.what}: {bucket}" for bucket in look.buckets)
        return "\n".join(lines)

    def to_json(self) -> dict[str, object]:
        """The same as JSON data."""
        details = self.details
        return {
            "flag": details.key,
            "value": details.value,
            "variant": details.variant,
            "reason": details.reason.value,
            "rule": details.rule,
            "error": None if details.error is None else details.error.value,
            "message": details.message,
            "bucket_by": self.flag.bucket_by,
            "identity": self.identity,
            "at": moment(self.at).isoformat(),
            "looks": [
                {
                    "what": look.what,
                    "name": look.name,
                    "says": look.says,
                    "decided": look.decided,
                    "buckets": [bucket.to_json() for bucket in look.buckets],
                }
                for look in self.looks
            ],
        }


def explain_flag(snapshot: FlagSnapshot, key: str, context: FlagContext) -> FlagExplanation:
    """
    Explain what *key* answers for *context*. Nobody is told of it as of an exposure.

    Raises:
        KeyError: There is no such flag.
    """
    quiet = snapshot if snapshot.origin is None else snapshot.origin
    compiled = quiet.flags[key]
    details, flag = compiled.evaluate(context), compiled.flag
    looks: list[Look] = []
    for look in _looks(flag, details, quiet.around, context):  # pragma: no branch - the default decides at last
        looks.append(look)
        if look.decided:
            break
    return FlagExplanation(details, flag, whose(flag, context), context.at, tuple(looks))


def _looks(flag: Flag, details: FlagDetails, around: Surroundings, context: FlagContext) -> Iterator[Look]:
    if details.reason is FlagReason.ERROR:
        yield Look("error", "", details.message, decided=True)
    if details.reason is FlagReason.DISABLED and details.message:
        yield Look("switch", "", details.message, decided=True)
    yield Look("switch", "", "it is on: neither the environment nor an operator has killed it", decided=False)
    identity = whose(flag, context)
    if flag.holdout is not None:
        yield _holdout(flag.holdout, identity)
    if flag.exclusion is not None:
        yield _exclusion(flag.exclusion, identity)
    for needs in flag.needs:
        other = around.compiled.get(needs.flag)
        came = None if other is None else other.evaluate(context).variant
        is_met = came is not None and came in needs.variants
        says = "does not exist" if other is None else f"is {came or 'no variant'}"
        wanted = " or ".join(sorted(needs.variants))
        yield Look("prerequisite", needs.flag, f"{says}, and must be {wanted}", decided=not is_met)
    if flag.targeting is not None:
        says = f"{_json(flag.targeting)} gives {details.variant or 'no variant'}"
        is_match = details.reason is FlagReason.TARGETING_MATCH
        yield Look("targeting", "", says, decided=is_match, buckets=tuple(_fractionals(flag, context)))
    for rule in flag.rules:
        yield _rule(rule, flag, around, context, identity)
    left = "; ".join(each for each in ("no rule decided" if flag.rules else "it has no rules", details.message) if each)
    yield Look("default", "", left, decided=True)


def _holdout(part: Share, whose: str | None) -> Look:
    if whose is None:
        return Look("holdout", part.group, "there is no id, so nobody is held out", decided=False)
    bucket = _bucket("group", group_bytes(part.group, whose), part.start, part.end)
    says = f"{percent(part.start)} to {percent(part.end)} are held out"
    return Look("holdout", part.group, says, bucket.inside, (bucket,))


def _exclusion(part: Share, whose: str | None) -> Look:
    says = f"it may be on for {percent(part.start)} to {percent(part.end)}"
    if whose is None:
        return Look("exclusion", part.group, f"{says}, and there is no id", decided=True)
    bucket = _bucket("group", group_bytes(part.group, whose), part.start, part.end)
    return Look("exclusion", part.group, says, not bucket.inside, (bucket,))


def _rule(rule: Rule, flag: Flag, around: Surroundings, context: FlagContext, whose: str | None) -> Look:
    said: list[str] = []
    buckets: list[Bucket] = []
    if rule.when is not None:
        is_true = around.condition(rule.when)(context)
        said.append(f"{'applies' if is_true else 'does not apply'}: {_why(rule.when, around, context)}")
        if not is_true:
            return Look("rule", rule.id, said[0], decided=False)
    needs_id = rule.rollout is not None or not isinstance(rule.serve, str)
    if needs_id and whose is None:
        said.append(f"a share decides, and there is no id of {flag.bucket_by}")
        return Look("rule", rule.id, "; ".join(said), decided=False)
    salt = flag.salt or flag.key
    if rule.rollout is not None and whose is not None:
        progress = around.progress.get(flag.key)
        stands = progress if progress is not None and progress.rule == rule.id else None
        inside = share(rule.rollout, stands, context.at)
        buckets.append(_bucket("rollout", exposure_bytes(salt, flag.key, whose), 0, inside))
        said.append(f"{percent(inside)} are in" + (f" ({stands.stage}, step {stands.step + 1})" if stands else ""))
        if not buckets[0].inside:
            return Look("rule", rule.id, "; ".join(said), decided=False, buckets=tuple(buckets))
    if isinstance(rule.serve, str):
        said.append(f"gives {rule.serve}")
    else:
        assert whose is not None  # asked above; narrows the type
        name, bucket = _arm(rule.serve, arm_bytes(salt, whose))
        buckets.append(bucket)
        said.append(f"gives {name}, by {', '.join(f'{arm} {weight}' for arm, weight in rule.serve)}")
    return Look("rule", rule.id, "; ".join(said), decided=True, buckets=tuple(buckets))


def _fractionals(flag: Flag, context: FlagContext) -> Iterator[Bucket]:
    with IMPORTING:
        from payaid_entitlements.core.flags.flagd.hashing import hashed
    try:
        for material, ends in hashed(flag, context):
            yield _among("fractional", material, [0, *ends])[1]
    except Exception:  # what was not asked may not be readable
        return


def _arm(arms: tuple[tuple[str, int], ...], hashed: bytes) -> tuple[str, Bucket]:
    index, bucket = _among("arm", hashed, [0, *accumulate(weight for _, weight in arms)])
    return arms[index][0], bucket


def _among(what: str, hashed: bytes, edges: list[int]) -> tuple[int, Bucket]:
    """Which of the arms between *edges* the bytes fall into."""
    value = murmur3(hashed)
    at = position(value, edges[-1])
    index = bisect_right(edges, at) - 1
    return index, Bucket(what, hashed, value, at, edges[-1], edges[index], edges[index + 1])


def _bucket(what: str, hashed: bytes, start: int, end: int) -> Bucket:
    value = murmur3(hashed)
    return Bucket(what, hashed, value, position(value), PARTS, start, end)


def _why(condition: Condition, around: Surroundings, context: FlagContext) -> str:
    """Say of each comparison in *condition* whether it holds, and what the attribute is."""
    match condition:
        case All(conditions) | AnyOf(conditions):
            word = " and " if isinstance(condition, All) else " or "
            return "(" + word.join(_why(each, around, context) for each in conditions) + ")"
        case Not(inner):
            return f"not {_why(inner, around, context)}"
    holds = "yes" if around.condition(condition)(context) else "no"
    found = (
        ""
        if isinstance(condition, Segment)
        else f", it is {_json(reach(context.attributes, tuple(condition.attribute.split('.'))))}"
    )
    return f"{_json(written_condition(condition))} {holds}{found}"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
