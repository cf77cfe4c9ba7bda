"""What decides who is in stays under a key for whom somebody may be in, also when the flag is removed in between."""

from __future__ import annotations

from dataclasses import replace

import pytest

from payaid_entitlements.core.flags.dealing import is_at_rest, remembering, require_same_buckets
from payaid_entitlements.core.flags.model import Flag, FlagSet, FlagType, Rollout, Rule, Share
from payaid_entitlements.core.flags.snapshot import effective
from payaid_entitlements.core.flags.turning import fixed, rolled_out
from payaid_entitlements.core.instant import EARLIEST
from payaid_entitlements.errors import ConfigurationError
from tests.core.flags.test_turning import BOOLEAN, COLOUR, INDIA

HALF = rolled_out(BOOLEAN, 50_000)
SHARE = Share("checkout", 0, 50_000)


@pytest.mark.parametrize("field", ["salt", "bucket_by", "fallback"])
def test_what_buckets_are_made_of_stays(field: str):
    require_same_buckets(BOOLEAN, rolled_out(BOOLEAN, 5))
    with pytest.raises(ConfigurationError, match=f"the {field} of flag 'look' cannot change from .* to 'user'"):
        require_same_buckets(BOOLEAN, replace(BOOLEAN, **{field: "user"}))


def by(*seeds: object, scheme: str = "v3") -> Flag:
    """A flag of flagd that deals by each of *seeds*; None is the flag's key."""
    deals = [{"fractional": [*([] if seed is None else [seed]), ["on", 1], ["off", 1]]} for seed in seeds]
    return replace(BOOLEAN, targeting={"if": [{"var": "plan"}, *deals]}, scheme=scheme)


CAT = {"cat": ["s1", {"var": "targetingKey"}]}
OTHER = {"cat": ["s2", {"var": "targetingKey"}]}


@pytest.mark.parametrize("after", [by(OTHER), by(None), by(OTHER, CAT, scheme="v2"), by(CAT, scheme="v2")])
def test_what_flagd_deals_by_stays_too(after: Flag):
    """A file with another text before the id deals everybody anew, as another salt does; so does the other hash."""
    with pytest.raises(ConfigurationError, match=r"of flag 'look' cannot change from .* while it is live"):
        require_same_buckets(by(CAT), after)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (by(CAT), by(CAT, OTHER)),
        (by(CAT, OTHER), by(CAT)),
        (by(CAT), replace(BOOLEAN, targeting={"if": [True, "on"]})),
        (replace(BOOLEAN, targeting={"if": [True, "on"]}), by(CAT, scheme="v2")),
        (by(CAT), fixed(by(CAT), "on")),
        (BOOLEAN, by(None)),
        (by(None), BOOLEAN),
    ],
)
def test_another_share_or_none_deals_nobody_anew(before: Flag, after: Flag):
    require_same_buckets(before, after)


@pytest.mark.parametrize("field", ["exclusion", "holdout"])
@pytest.mark.parametrize(
    ("was", "is_"),
    [
        (None, SHARE),
        (SHARE, None),
        (SHARE, replace(SHARE, group="other")),
        (SHARE, replace(SHARE, start=10)),
        (SHARE, replace(SHARE, end=99_000)),
    ],
)
def test_the_part_of_a_group_stays_while_somebody_may_be_in(field: str, was: Share | None, is_: Share | None):
    """Another group, or another part of it, moves people in and out whom no share has moved."""
    before, after = replace(HALF, **{field: was}), replace(rolled_out(BOOLEAN, 60_000), **{field: is_})
    with pytest.raises(ConfigurationError, match=rf"the {field} of flag 'look' cannot change .* while it is live"):
        require_same_buckets(before, after)
    require_same_buckets(before, replace(after, **{field: was}))
    for at_rest in (rolled_out(before, 0), replace(before, enabled=False), fixed(before, "off")):
        require_same_buckets(at_rest, after)
    with pytest.raises(ConfigurationError, match="retire this one, or, once this one is at 0 %"):
        require_same_buckets(before, after)


def test_a_flag_that_could_not_be_read_has_dealt_nobody_anything():
    require_same_buckets(replace(HALF, broken="so", exclusion=SHARE), replace(HALF, salt="other"))


PARTLY = Rollout(((EARLIEST, 0), (5, 10)))
NEVER = Rollout(((EARLIEST, 0), (5, 0)))


@pytest.mark.parametrize(
    ("flag", "expected"),
    [
        (BOOLEAN, True),
        (HALF, False),
        (rolled_out(BOOLEAN, 0), True),
        (replace(HALF, enabled=False), True),
        (fixed(HALF, "off"), True),
        (fixed(HALF, "on"), False),
        (replace(BOOLEAN, default="on"), False),
        (replace(BOOLEAN, default="on", rules=(Rule("all", "off"),)), True),
        (replace(BOOLEAN, default="on", rules=(Rule("some", "off", when=INDIA),)), False),
        (replace(BOOLEAN, rules=(Rule("some", "off", when=INDIA),)), True),
        (replace(BOOLEAN, rules=(Rule("some", "off", rollout=PARTLY), Rule("rest", "on"))), False),
        (replace(BOOLEAN, rules=(Rule("some", "on", when=INDIA),)), False),
        (replace(BOOLEAN, rules=(Rule("later", "on", rollout=PARTLY),)), False),
        (replace(BOOLEAN, rules=(Rule("never", "on", rollout=NEVER),)), True),
        (replace(COLOUR, rules=(Rule("arms", (("red", 1), ("blue", 1))),)), False),
        (by(CAT), False),
        (fixed(by(CAT), "off"), True),
        (fixed(by(CAT), "on"), False),
        (replace(by(CAT), off=None), False),
        (Flag("bare", FlagType.BOOLEAN, {"on": True}, None, None), True),
    ],
)
def test_a_flag_is_at_rest_where_nobody_is_in_at_any_time(flag: Flag, expected: bool):
    assert is_at_rest(flag) is expected


def turned(held: FlagSet, flags: dict[str, Flag | None], sold: dict[str, Flag] | None = None) -> FlagSet:
    """*held* after a change that leaves *flags*."""
    wanted = replace(held, flags=flags)
    return remembering(effective(sold or {}, held), effective(sold or {}, wanted), wanted, {})


def test_what_is_removed_while_it_is_live_is_remembered_until_it_comes_back():
    """As it was then; with another salt it is refused, whether it comes back or is new to the set."""
    live = FlagSet(1, {"look": HALF})
    gone = turned(live, {"look": None})
    assert gone.removed == {"look": HALF}
    for edit in ({"salt": "new"}, {"bucket_by": "user"}, {"exclusion": SHARE}, {"holdout": SHARE}):
        with pytest.raises(ConfigurationError, match="for it was live when it was removed"):
            turned(gone, {"look": replace(rolled_out(BOOLEAN, 5), **edit)})
    assert turned(gone, {"look": rolled_out(BOOLEAN, 5)}).removed == {}
    assert turned(gone, {"look": None, "colour": COLOUR}).removed == {"look": HALF}
    undefined = turned(live, {})
    assert undefined.removed == {"look": HALF}
    with pytest.raises(ConfigurationError, match="the salt of flag 'look'"):
        turned(undefined, {"look": replace(BOOLEAN, salt="new")})


def test_what_was_off_when_it_was_removed_comes_back_as_anything():
    """So is one that could not be read: it has dealt nobody anything."""
    for flag in (BOOLEAN, rolled_out(HALF, 0), replace(HALF, enabled=False)):
        gone = turned(FlagSet(1, {"look": flag}), {"look": None})
        assert gone.removed == {}
        turned(gone, {"look": replace(HALF, salt="new")})
    assert turned(FlagSet(), {"look": None}, {"look": replace(HALF, broken="so")}).removed == {}


def test_what_stays_is_compared():
    live = FlagSet(1, {"look": HALF, "colour": COLOUR})
    with pytest.raises(ConfigurationError, match="the salt of flag 'look' cannot change from 'look' to 'new'"):
        turned(live, {"look": replace(HALF, salt="new"), "colour": COLOUR})
