"""Flags of ours that flagd can say, and contexts that come near to what they ask about."""

from __future__ import annotations

from hypothesis import strategies as st

from payaid_entitlements.core.flags import cbor
from payaid_entitlements.core.flags.context import FlagContext
from payaid_entitlements.core.flags.model import (
    PARTS,
    All,
    AnyOf,
    Condition,
    Flag,
    FlagType,
    Not,
    Rollout,
    Rule,
    Segment,
    Share,
    Test,
)
from payaid_entitlements.core.instant import EARLIEST, MICROSECONDS

#: Ids of which one looks like a number and one is not ASCII.
IDS = st.sampled_from(["acme", "7", "0", "あ", "globex"]) | st.integers(0, 9999).map(lambda each: f"t{each}")
TEXTS = st.sampled_from(["", "a", "ab", "abc", "b", "5", "1", "true", "1.2.3", "v2", "2.0.0-beta", "null", "é"])
NUMBERS = st.integers(-3, 6) | st.sampled_from([0.5, 1.5, 5.0, -0.0])
PLAIN = st.booleans() | NUMBERS | TEXTS
VALUES = (
    st.none() | PLAIN | st.lists(PLAIN, max_size=2) | st.dictionaries(st.sampled_from(["id", "x"]), PLAIN, max_size=2)
)
AFFIXES = TEXTS | st.lists(TEXTS, min_size=1, max_size=2)
ATTRIBUTES = st.sampled_from(["plan", "tenant", "user", "company.id", "company.size", "tags"])
VERSIONS = st.sampled_from(["1.2.3", "v2", "2.0.0-beta", "1", "1.2"])
SEGMENTS = st.sampled_from(["friends", "large", "old"])

TESTS: st.SearchStrategy[Test] = st.one_of(
    st.builds(Test, ATTRIBUTES, st.sampled_from(["eq", "neq", "contains"]), PLAIN),
    st.builds(Test, ATTRIBUTES, st.sampled_from(["in", "not_in"]), st.lists(PLAIN, min_size=1, max_size=3)),
    st.builds(Test, ATTRIBUTES, st.sampled_from(["lt", "lte", "gt", "gte"]), NUMBERS),
    st.builds(
        Test, ATTRIBUTES, st.sampled_from(["starts_with", "ends_with"]), TEXTS | st.lists(TEXTS, min_size=1, max_size=2)
    ),
    st.builds(
        Test,
        ATTRIBUTES,
        st.sampled_from([f"semver_{name}" for name in ("eq", "lt", "lte", "gt", "gte", "tilde", "caret")]),
        VERSIONS,
    ),
    st.builds(Test, ATTRIBUTES, st.just("exists"), st.booleans()),
)


def conditions(leaves: st.SearchStrategy[Condition]) -> st.SearchStrategy[Condition]:
    return st.recursive(
        leaves,
        lambda inner: (
            st.builds(Not, inner)
            | st.lists(inner, min_size=1, max_size=3).map(lambda each: All(tuple(each)))
            | st.lists(inner, min_size=1, max_size=3).map(lambda each: AnyOf(tuple(each)))
        ),
        max_leaves=4,
    )


#: Of the segments the second may name the first, the third both: no circles.
SEGMENT_SETS = st.fixed_dictionaries(
    {
        "friends": conditions(TESTS),
        "large": conditions(TESTS | st.just(Segment("friends"))),
        "old": conditions(TESTS | st.sampled_from([Segment("friends"), Segment("large")])),
    }
)

SHARES = st.integers(0, PARTS) | st.sampled_from([0, 1, PARTS // 2, PARTS])
SECONDS = st.integers(1_700_000_000, 1_700_000_100)
PERCENTAGES = st.builds(lambda parts: Rollout(((EARLIEST, parts),)), SHARES)
SCHEDULES = st.builds(
    lambda begins, shares: Rollout(
        tuple(zip((each * MICROSECONDS for each in sorted(begins)), sorted(shares), strict=True)),
    ),
    st.lists(SECONDS, min_size=3, max_size=3, unique=True),
    st.lists(SHARES, min_size=3, max_size=3),
)
GROUPS = st.builds(
    lambda group, ends: Share(group, min(ends), max(ends)),
    st.sampled_from(["ads", "holdout"]),
    st.tuples(SHARES, SHARES),
)


@st.composite
def flags(draw: st.DrawFn, key: str = "new-checkout") -> Flag:
    """A flag that flagd can say, where the targeting key is the tenant."""
    variants = {"on": "yes", "off": "no", "true": "perhaps"}
    names = st.sampled_from([*variants])
    arms = st.lists(st.tuples(names, st.integers(0, 3)), min_size=1, max_size=4).filter(
        lambda each: sum(weight for _, weight in each) > 0
    )
    salt = draw(st.sampled_from([key, "2026"]))
    bucket_by = draw(st.just("tenant") if salt == key else st.sampled_from(["tenant", "user", "company.id"]))
    rules = draw(
        st.lists(
            st.builds(
                Rule,
                st.just("r"),
                names | arms.map(tuple),
                st.none() | conditions(TESTS | SEGMENTS.map(Segment)),
                st.none() | PERCENTAGES | SCHEDULES,
            ),
            max_size=3,
        )
    )
    return Flag(
        key=key,
        type=FlagType.STRING,
        variants=variants,
        default=draw(st.none() | names),
        off=draw(st.none() | names),
        enabled=draw(st.sampled_from([True, True, True, False])),
        salt=salt,
        bucket_by=bucket_by,
        fallback=None if salt == key else draw(st.sampled_from([None, "tenant", "user"])),
        rules=tuple(rules),
        exclusion=draw(st.none() | GROUPS),
        holdout=draw(st.none() | GROUPS),
    )


@st.composite
def contexts(draw: st.DrawFn) -> FlagContext:
    """Whom a flag is asked about; the targeting key is the tenant."""
    tenant, user = draw(st.none() | IDS), draw(st.none() | IDS)
    attributes: dict[str, object] = {
        "plan": draw(VALUES),
        "company": draw(st.none() | st.fixed_dictionaries({"id": VALUES, "size": VALUES})),
        "tags": draw(VALUES),
    }
    return context(tenant, user, draw(SECONDS) * MICROSECONDS + draw(st.sampled_from([0, 999_999])), attributes)


def context(
    tenant: str | None, user: str | None = None, at: int = 0, attributes: dict[str, object] | None = None
) -> FlagContext:
    named = {"tenant": tenant, "targetingKey": tenant, "user": user}
    return FlagContext(
        tenant=tenant,
        user=user,
        at=at,
        attributes={**(attributes or {}), **{name: each for name, each in named.items() if each is not None}},
        tenant_text=None if tenant is None else cbor.text(tenant),
        user_text=None if user is None else cbor.text(user),
    )
