"""Flags for the tests of clients: put into the store as another process would."""

from __future__ import annotations

from dataclasses import replace

from payaid_entitlements.core.flags.model import Flag, FlagType, Rollout, Rule, Test
from payaid_entitlements.core.instant import EARLIEST, instant
from payaid_entitlements.stores.ports import Write

ON_OFF = {"on": True, "off": False}


def flag(key, *rules, default="off", narrows=(), **named):
    """A boolean flag; off where no rule decides."""
    return Flag(key, FlagType.BOOLEAN, ON_OFF, default, "off", rules=rules, narrows=narrows, **named)


def percent(parts, *, rule="r1"):
    """A rule that lets in so many hundred-thousandths."""
    return Rule(rule, "on", rollout=Rollout(((EARLIEST, parts),)))


def where(attribute, operator, value, *, rule="w1"):
    """A rule that lets in whom a test is true for."""
    return Rule(rule, "on", when=Test(attribute, operator, value))


def put(stage, *flags, removed=()):
    """Write flags as somebody else; give their revision."""
    was = stage.memory.flags()
    changed = {**{each.key: each for each in flags}, **dict.fromkeys(removed)}
    flag_set = replace(was, revision=was.revision + 1, flags={**was.flags, **changed})
    _write(stage, flags=flag_set, expect=was.revision)
    return flag_set.revision


def kill(stage, key):
    """Turn the kill switch of a flag as somebody else."""
    was = stage.memory.controls()
    detail = {"about": ["killed", key], "was": False, "is": True}
    _write(stage, controls=was.with_killed(key), expect=was.revision, detail=detail)


def _write(stage, *, expect, **what):
    number = f"{len(stage.memory.audit(limit=1000)):026d}"
    write = Write(number, "test", instant(stage.clock_now()), **what)
    stage.memory.apply(write, expect=expect, actor="other", because=None)
