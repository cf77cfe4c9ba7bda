"""
What an operator does to one flag, as pure functions from a definition to the next: how many are in, and which variant.

None of them touches what buckets are made of, so that whoever is in at a share is in at each larger one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final, cast

from payaid_entitlements.core.flags.details import FlagValue
from payaid_entitlements.core.flags.model import Flag, FlagSet, FlagType, Rollout, Rule
from payaid_entitlements.core.instant import EARLIEST
from payaid_entitlements.core.written.problems import did_you_mean
from payaid_entitlements.errors import ConfigurationError

#: The rule that `fixed` puts before all others.
FIXED: Final = "set"
#: The rule that `rolled_out` gives to a flag that has none.
ROLLOUT: Final = "rollout"


def rolled_out(flag: Flag, share: int, rule: str | None = None) -> Flag:
    """
    Let *share* in, in parts of `PARTS`, of those to whom a rule applies; steps and guards that it had end with it.

    Args:
        rule: Its id. None for the only one that has a rollout, else for the only one; a boolean flag without rules
            gets one that applies to everybody.

    Raises:
        ConfigurationError: There is no such rule, or several may be meant, or its targeting is flagd's.
    """
    plain = Rollout(((EARLIEST, share),))
    if flag.targeting is not None:
        raise ConfigurationError(
            f"flag {flag.key!r} was read from flagd, and its targeting says who is in; change its weights there and "
            "import it again"
        )
    own = [each for each in flag.rules if not _is_fixing(each)]
    if rule is None and not own:
        added = Rule(ROLLOUT, _on(flag), rollout=plain)
        return replace(flag, rules=(*flag.rules, added))
    meant = _meant(flag, own, rule)
    return replace(flag, rules=tuple(replace(each, rollout=plain) if each.id == meant else each for each in flag.rules))


def fixed(flag: Flag, variant: str | None) -> Flag:
    """
    Let *variant* come out for everybody, whatever the rules say; None lets the rules decide again.

    Who is held out of the flag, excluded from it or without a prerequisite stays so.

    Raises:
        ConfigurationError: The flag has no such variant, or a rule of its own has the id `FIXED`.
    """
    if variant is not None and variant not in flag.variants:
        has = ", ".join(repr(each) for each in flag.variants)
        raise ConfigurationError(
            f"flag {flag.key!r} has no variant {variant!r}{did_you_mean(variant, flag.variants)}; it has {has}"
        )
    if flag.targeting is not None:
        own = _own_targeting(flag.targeting)
        return replace(flag, targeting=own if variant is None else {"if": [True, variant, own]})
    rules = tuple(each for each in flag.rules if not _is_fixing(each))
    if variant is None:
        return replace(flag, rules=rules)
    if any(each.id == FIXED for each in rules):
        raise ConfigurationError(f"flag {flag.key!r} has a rule {FIXED!r} of its own; give that another id first")
    return replace(flag, rules=(Rule(FIXED, variant), *rules))


def fixed_at(flag: Flag) -> str | None:
    """The variant that comes out for everybody, where `fixed` said so; None where the rules decide."""
    if flag.rules and _is_fixing(flag.rules[0]):
        return cast("str", flag.rules[0].serve)
    match flag.targeting:
        case {"if": [True, str(variant), _]}:
            return variant
    return None


def with_flag(flag_set: FlagSet, flag: Flag) -> FlagSet:
    """
    The same set with *flag* in place of what has its key.

    What could not be read of the flag is gone then, and with it where its rollout stood.
    """
    unread = flag_set.without(*((kind, flag.key) for kind in ("flag", "progress", "removed")))
    return replace(flag_set, flags={**flag_set.flags, flag.key: flag}, unread=unread)


def _is_fixing(rule: Rule) -> bool:
    return rule.id == FIXED and rule.when is None and rule.rollout is None and isinstance(rule.serve, str)


def _own_targeting(targeting: FlagValue) -> FlagValue:
    match targeting:
        case {"if": [True, str(), own]}:
            return cast("FlagValue", own)
    return targeting


def _on(flag: Flag) -> str:
    """The variant that a boolean flag is on with."""
    for name, value in flag.variants.items() if flag.type is FlagType.BOOLEAN else ():
        if value is True and name != flag.default:
            return name
    raise ConfigurationError(
        f"flag {flag.key!r} has no rule, and nothing says which of its variants the share gets; define one with `rules`"
    )


def _meant(flag: Flag, own: list[Rule], rule: str | None) -> str:
    """The rule whose rollout is to change."""
    ids = [each.id for each in own]
    if rule is not None:
        if rule in ids:
            return rule
        raise ConfigurationError(f"flag {flag.key!r} has no rule {rule!r}{did_you_mean(rule, ids)}")
    growing = [each.id for each in own if each.rollout is not None]
    if len(growing) == 1:
        return growing[0]
    if not growing and len(ids) == 1:
        return ids[0]
    several = ", ".join(repr(each) for each in growing or ids)
    raise ConfigurationError(f"flag {flag.key!r} has several rules that may be meant: {several}; say which: rule=...")
