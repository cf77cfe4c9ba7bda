"""
Flags, written a second time in the most direct way, from what people write; both must agree.

Nothing of the engine is used here but its reader: the model hashes by itself, keeps no compiled form, and goes through
gates and rules as the documents tell them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from payaid_entitlements.core.catalog import Catalog
from payaid_entitlements.core.flags.asking import Asker
from payaid_entitlements.core.flags.explaining import explain_flag
from payaid_entitlements.core.flags.model import FlagSet
from payaid_entitlements.core.flags.snapshot import FlagSnapshot
from payaid_entitlements.core.instant import instant

MASK = 0xFFFFFFFF
BEGIN = datetime(2026, 12, 1, tzinfo=UTC)
HOLD = timedelta(hours=12)
TICK = timedelta(microseconds=1)


# -- the model ------------------------------------------------------------------------------------------------------


def rotated(value: int, by: int) -> int:
    return (value << by | value >> (32 - by)) & MASK


def murmur3(data: bytes) -> int:
    """MurmurHash3, x86, 32 bits, seed 0, as its author wrote it."""

    def mixed(block: bytes) -> int:
        return rotated(int.from_bytes(block, "little") * 0xCC9E2D51 & MASK, 15) * 0x1B873593 & MASK

    whole, hashed = len(data) // 4 * 4, 0
    for at in range(0, whole, 4):
        hashed = (rotated(hashed ^ mixed(data[at : at + 4]), 13) * 5 + 0xE6546B64) & MASK
    hashed ^= mixed(data[whole:]) ^ len(data)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)):
        hashed = (hashed ^ hashed >> shift) * factor & MASK
    return hashed


def text(written: str) -> bytes:
    """A text in CBOR, of less than 256 bytes."""
    raw = written.encode()
    return (bytes([0x60 + len(raw)]) if len(raw) < 24 else bytes([0x78, len(raw)])) + raw


def place(hashed: bytes, of: int = 100_000) -> int:
    return murmur3(hashed) * of >> 32


def parts(percent: str) -> int:
    return int(Decimal(percent.removesuffix("%")) * 1000)


@dataclass
class Somebody:
    """Who asks, and when."""

    tenant: str
    user: str | None
    attributes: Mapping[str, Any]
    at: datetime


@dataclass
class Model:
    """A document of flags, and what is killed."""

    flags: Mapping[str, Any]
    killed: frozenset[str]

    def variant(self, key: str, who: Somebody) -> str:
        flag = self.flags[key]
        off, default = flag.get("off", flag["default"]), flag["default"]
        if key in self.killed or not flag.get("enabled", True) or not self.is_let_through(flag, who):
            return str(off)
        for rule in flag["rules"]:
            found = self.served(key, rule, who)
            if found is not None:
                return found
        return str(default)

    def is_let_through(self, flag: Mapping[str, Any], who: Somebody) -> bool:
        """Holdout, exclusion, prerequisites."""
        whose = self.whose(flag, who)
        if whose is not None and "holdout" in flag and self.is_within(flag["holdout"], whose):
            return False
        if "exclusion" in flag and (whose is None or not self.is_within(flag["exclusion"], whose)):
            return False
        return all(self.variant(other, who) in wanted for other, wanted in flag.get("needs", {}).items())

    def served(self, key: str, rule: Mapping[str, Any], who: Somebody) -> str | None:
        """What a rule gives; None where it leaves somebody to the next one."""
        if not all(who.attributes.get(name) == value for name, value in rule.get("when", {}).items()):
            return None
        flag = self.flags[key]
        whose, salt = self.whose(flag, who), flag.get("salt", key)
        if whose is None and ("rollout" in rule or "split" in rule):
            return None
        if "rollout" in rule:
            hashed = b"\x82" + text(key) + text(str(whose)) if salt == key else text(f"{salt}/{whose}")
            if place(hashed) >= self.share(rule["rollout"], who.at):
                return None
        if "serve" in rule:
            return str(rule["serve"])
        left = place(text(f"{salt}/split/{whose}"), sum(rule["split"].values()))
        for arm, weight in sorted(rule["split"].items()):
            left -= weight
            if left < 0:
                return str(arm)
        raise AssertionError("all positions belong to an arm")

    def whose(self, flag: Mapping[str, Any], who: Somebody) -> str | None:
        found = {"tenant": who.tenant, "user": who.user, "team": who.attributes.get("team")}
        first = found[flag["bucket_by"]]
        return found[flag["fallback"]] if first is None and "fallback" in flag else first

    def is_within(self, group: Mapping[str, str], whose: str) -> bool:
        return parts(group["from"]) <= place(text(f"$group/{group['group']}/{whose}")) < parts(group["to"])

    def share(self, rollout: Any, at: datetime) -> int:
        if isinstance(rollout, str):
            return parts(rollout)
        begun = (at - BEGIN) // HOLD
        return 0 if begun < 0 else parts(rollout["steps"][min(begun, len(rollout["steps"]) - 1)])


# -- documents, and who asks ------------------------------------------------------------------------------------------

PERCENT = st.integers(0, 100_000).map(lambda each: f"{each / 1000:g}%") | st.sampled_from(["0%", "50%", "100%"])
STEPS = st.lists(st.integers(0, 100_000), min_size=1, max_size=4).map(
    lambda each: {
        "steps": [f"{share / 1000:g}%" for share in sorted(each)],
        "hold": "12 hours",
        "from": BEGIN.isoformat(),
    }
)
WHO = st.builds(
    Somebody,
    st.integers(0, 10**6).map(lambda each: f"tenant-{each}"),
    st.none() | st.integers(0, 10**6).map(lambda each: f"é{each}"),
    st.fixed_dictionaries(
        {}, optional={"country": st.sampled_from(["IN", "US"]), "team": st.text("ab-", min_size=1, max_size=30)}
    ),
    # Steps begin at whole ones of these, to the microsecond.
    st.tuples(st.integers(-1, 5), st.integers(-1, 1)).map(lambda each: BEGIN + each[0] * HOLD + each[1] * TICK),
)


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """Some flags, of which each may need those before it, and those of a group have parts of their own."""
    flags: dict[str, Any] = {}
    ends: dict[str, int] = {}
    for key in ("a", "new-checkout", "c", "d")[: draw(st.integers(1, 4))]:
        names = draw(st.sampled_from([("on", "off"), ("blue", "off", "red")]))
        variant = st.sampled_from(names)
        flag: dict[str, Any] = {
            "variants": dict.fromkeys(names, "x"),
            "default": draw(variant),
            "bucket_by": draw(st.sampled_from(["tenant", "user", "team"])),
            **draw(
                st.fixed_dictionaries({}, optional={"off": variant, "enabled": st.sampled_from([True, True, False])})
            ),
            **draw(st.fixed_dictionaries({}, optional={"salt": st.sampled_from(["s", "2026"])})),
            **draw(st.fixed_dictionaries({}, optional={"fallback": st.sampled_from(["tenant", "user"])})),
        }
        if flags and draw(st.booleans()):
            other = draw(st.sampled_from(sorted(flags)))
            flag["needs"] = {other: draw(st.lists(st.sampled_from(list(flags[other]["variants"])), min_size=1))}
        group = f"{flag['bucket_by']}-{flag.get('fallback', '')}"
        if draw(st.booleans()) and ends.get(group, 0) < 90_000:
            begin = ends.get(group, 0)
            ends[group] = draw(st.integers(begin + 1, 100_000))
            flag["exclusion"] = {"group": group, "from": f"{begin / 1000:g}%", "to": f"{ends[group] / 1000:g}%"}
        if draw(st.booleans()):
            flag["holdout"] = {"group": "h", "from": "0%", "to": draw(st.sampled_from(["5%", "50%"]))}
        weights = st.dictionaries(variant, st.integers(0, 9), min_size=1).filter(lambda each: any(each.values()))
        rule = st.one_of(
            *(
                st.fixed_dictionaries(
                    {kind: gives},
                    optional={
                        "when": st.just({"country": "IN"}),
                        "rollout": PERCENT | STEPS,
                    },
                )
                for kind, gives in (("serve", variant), ("split", weights))
            )
        )
        flags[key] = {**flag, "rules": draw(st.lists(rule, min_size=1, max_size=3))}
    return flags


def agree(flags: dict[str, Any], killed: frozenset[str], asked: list[Somebody]) -> None:
    found = FlagSnapshot.of(
        Catalog.load({"catalog": 1, "plans": {"free": {}}, "flags": flags}).flags, FlagSet(), killed
    )
    model = Model(flags, killed)
    for who in asked:
        asker = Asker(who.tenant, who.user, instant(who.at), None, who.attributes)
        for key, flag in found.flags.items():
            details = flag.evaluate(asker)
            assert details.variant == model.variant(key, who), key
            [decided] = [look for look in explain_flag(found, key, asker).looks if look.decided]
            assert details.rule in (None, decided.name)


KILLED = st.frozensets(st.sampled_from(["a", "new-checkout"]), max_size=1)
ASKED = st.lists(WHO, min_size=1, max_size=8)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(documents(), KILLED, ASKED)
def test_the_engine_and_the_model_agree(flags: dict[str, Any], killed: frozenset[str], asked: list[Somebody]) -> None:
    agree(flags, killed, asked)


@pytest.mark.soak
@settings(max_examples=3_000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(documents(), KILLED, ASKED)
def test_they_agree_at_length(flags: dict[str, Any], killed: frozenset[str], asked: list[Somebody]) -> None:
    agree(flags, killed, asked)
