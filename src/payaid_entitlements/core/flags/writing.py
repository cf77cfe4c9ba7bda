"""A flag as people write it: what `payaid_entitlements.core.flags.reading` reads as the same flag."""

from __future__ import annotations

from collections.abc import Mapping

from payaid_entitlements.core.flags.conditions import written_condition
from payaid_entitlements.core.flags.model import Flag, FlagType, Rule, Share
from payaid_entitlements.core.flags.schedules import written_rollout
from payaid_entitlements.core.flags.shares import percent
from payaid_entitlements.core.flags.variants import SWITCH, true_variant

#: The rule that `rollout`, `split` and `serve` of the flag itself make; it comes last.
ROLLOUT = "rollout"


def written(flag: Flag) -> dict[str, object]:
    """Write *flag* as JSON data, without what a reader takes for granted."""
    data: dict[str, object] = {}
    for name in ("title", "owner", "metadata"):
        if getattr(flag, name):
            data[name] = getattr(flag, name)
    if flag.remove_by is not None:
        data["remove_by"] = flag.remove_by.isoformat()
    data |= _variants(flag)
    if not flag.enabled:
        data["enabled"] = False
    if flag.salt not in ("", flag.key):
        data["salt"] = flag.salt
    if flag.bucket_by != "tenant":
        data["bucket_by"] = flag.bucket_by
    if flag.fallback is not None:
        data["fallback"] = flag.fallback
    data |= _rules(flag)
    if flag.needs:
        data["needs"] = {each.flag: sorted(each.variants) for each in flag.needs}
    for name, share in (("exclusion", flag.exclusion), ("holdout", flag.holdout)):
        if share is not None:
            data[name] = _share(share)
    if flag.narrows:
        data["narrows"] = list(flag.narrows)
    if flag.targeting is not None:
        data["targeting"] = flag.targeting
    if flag.scheme != "v3":
        data["fractional"] = flag.scheme
    return data


def _variants(flag: Flag) -> dict[str, object]:
    data: dict[str, object] = {}
    is_switch = flag.type is FlagType.BOOLEAN and flag.variants == SWITCH
    if not is_switch:
        if flag.type is FlagType.FLOAT:  # 1.0 is 1 in a catalog
            data["type"] = flag.type.value
        data["variants"] = dict(flag.variants)
    if flag.default != ("off" if is_switch else None):
        data["default"] = flag.default
    if flag.off != flag.default:
        data["off"] = flag.off
    return data


def _rules(flag: Flag) -> dict[str, object]:
    rules = flag.rules
    own = rules[-1] if rules and rules[-1].id == ROLLOUT and rules[-1].when is None else None
    data: dict[str, object] = {}
    named = rules if own is None else rules[:-1]
    if named:
        data["rules"] = [_rule(rule, index, flag) for index, rule in enumerate(named, start=1)]
    if own is not None:
        data |= _gives(own, flag)
        if own.rollout is None and isinstance(own.serve, str):
            data["serve"] = own.serve  # else nothing would say that there is a rule
    return data


def _rule(rule: Rule, number: int, flag: Flag) -> dict[str, object]:
    data: dict[str, object] = {} if rule.id == f"rule-{number}" else {"id": rule.id}
    if rule.when is not None:
        data["when"] = written_condition(rule.when)
    return data | _gives(rule, flag)


def _gives(rule: Rule, flag: Flag) -> dict[str, object]:
    data: dict[str, object] = {}
    if isinstance(rule.serve, str):
        if rule.serve != true_variant(flag.variants):
            data["serve"] = rule.serve
    else:
        data["split"] = _split(rule.serve)
    if rule.rollout is not None:
        data["rollout"] = written_rollout(rule.rollout)
    return data


def _split(arms: tuple[tuple[str, int], ...]) -> object:
    names = [name for name, _ in arms]
    # A mapping is read by name; another order, which says who gets what, is written as a list.
    return dict(arms) if names == sorted(set(names)) else [{name: weight} for name, weight in arms]


def _share(share: Share) -> Mapping[str, object]:
    if share.start == 0:
        return {"group": share.group, "percent": percent(share.end)}
    return {"group": share.group, "from": percent(share.start), "to": percent(share.end)}
