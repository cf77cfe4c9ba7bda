"""Flags, conditions and contexts of all sorts, for laws that hold for each of them."""

from __future__ import annotations

from datetime import date

from hypothesis import strategies as st

from payaid_entitlements.core.flags.model import (
    PARTS,
    All,
    AnyOf,
    Condition,
    Flag,
    FlagSet,
    FlagType,
    Guard,
    Metric,
    Needs,
    Not,
    Progress,
    Rollout,
    Rule,
    Segment,
    Share,
    Stage,
    Test,
)
from payaid_entitlements.core.instant import EARLIEST

KEYS = st.sampled_from(["a", "b", "c", "new-look", "plan", "user"])
WORDS = st.sampled_from(["", "a", "é", "\U0001f600", '"', "new look", "0"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=3,
)
CONDITIONS: st.SearchStrategy[Condition] = st.recursive(
    st.builds(Test, KEYS, st.sampled_from(["eq", "in", "lt", "exists"]), VALUES) | st.builds(Segment, KEYS),
    lambda inner: (
        st.builds(Not, inner)
        | st.lists(inner, min_size=1, max_size=3).map(lambda each: All(tuple(each)))
        | st.lists(inner, min_size=1, max_size=3).map(lambda each: AnyOf(tuple(each)))
    ),
    max_leaves=4,
)
PARTS_OF_ALL = st.integers(0, PARTS)
INSTANTS = st.just(EARLIEST) | st.integers(0, 4 * 10**15)
GUARDS = st.builds(
    Guard,
    st.lists(st.builds(Metric, KEYS, st.none() | PARTS_OF_ALL, PARTS_OF_ALL, st.booleans()), max_size=2).map(tuple),
    st.integers(0, 1000),
    st.booleans(),
)
ROLLOUTS = st.builds(
    lambda steps, guard, hold: Rollout(
        tuple((at, parts) for at, parts in zip(sorted(steps[0]), sorted(steps[1]), strict=True)),
        guard,
        hold if guard is not None and len(steps[0]) == 1 else 0,
    ),
    st.integers(1, 4).flatmap(
        lambda count: st.tuples(
            st.lists(INSTANTS, min_size=count, max_size=count, unique=True),
            st.lists(PARTS_OF_ALL, min_size=count, max_size=count),
        )
    ),
    st.none() | GUARDS,
    st.integers(0, 10**12),
)
SHARES = st.builds(lambda group, ends: Share(group, min(ends), max(ends)), KEYS, st.tuples(PARTS_OF_ALL, PARTS_OF_ALL))


@st.composite
def flags(draw: st.DrawFn, key: st.SearchStrategy[str] = KEYS) -> Flag:
    """A flag of which each field is something."""
    variants = draw(st.dictionaries(KEYS, WORDS, min_size=1, max_size=4))
    names = st.sampled_from(sorted(variants))
    arms = st.lists(st.tuples(names, st.integers(0, 100)), min_size=1, max_size=4).map(tuple)
    rules = draw(
        st.lists(
            st.builds(Rule, KEYS, names | arms, st.none() | CONDITIONS, st.none() | ROLLOUTS),
            max_size=3,
            unique_by=lambda rule: rule.id,
        )
    )
    return draw(
        st.builds(
            Flag,
            key=key,
            type=st.just(FlagType.STRING),
            variants=st.just(variants),
            default=st.none() | names,
            off=st.none() | names,
            enabled=st.booleans(),
            salt=KEYS,
            bucket_by=st.sampled_from(["tenant", "user", "company.id"]),
            fallback=st.sampled_from([None, "tenant"]),
            rules=st.just(tuple(rules)),
            needs=st.lists(st.builds(Needs, KEYS, st.frozensets(KEYS, min_size=1, max_size=2)), max_size=2).map(tuple),
            exclusion=st.none() | SHARES,
            holdout=st.none() | SHARES,
            narrows=st.lists(KEYS, max_size=2).map(tuple),
            owner=st.none() | WORDS,
            remove_by=st.none() | st.dates(date(2026, 1, 1), date(2030, 1, 1)),
            title=WORDS,
            metadata=st.dictionaries(WORDS, st.booleans() | WORDS, max_size=2),
            targeting=VALUES,
            scheme=st.sampled_from(["v2", "v3"]),
        )
    )


PROGRESS = st.builds(
    Progress, KEYS, st.sampled_from(Stage), st.integers(0, 9), INSTANTS, st.integers(0, 99), st.booleans(), WORDS
)


@st.composite
def flag_sets(draw: st.DrawFn) -> FlagSet:
    """A flag set of a few flags, some of them removed."""
    kept = {flag.key: flag for flag in draw(st.lists(flags(), max_size=3))}
    removed: dict[str, Flag | None] = dict.fromkeys(draw(st.lists(KEYS, max_size=2)))
    was_live = {flag.key: flag for flag in draw(st.lists(flags(), max_size=1)) if flag.key not in kept}
    return FlagSet(
        draw(st.integers(0, 2**40)),
        {**removed, **kept},
        draw(st.dictionaries(KEYS, CONDITIONS, max_size=2)),
        draw(st.dictionaries(KEYS, PROGRESS, max_size=2)),
        was_live,
    )
