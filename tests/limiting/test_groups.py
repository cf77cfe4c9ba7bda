"""Which counters a call has: each its own, none shared by accident, and all that count together in one group."""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from payaid_entitlements.core.ratelimit.limits import Limit
from payaid_entitlements.core.ratelimit.policy import Algorithm, Policy
from payaid_entitlements.limiting.groups import course_of, digest, is_of_tenant_alone, own_course


def policy(name, quota=10, window=60_000_000, algorithm=Algorithm.GCRA):
    return Policy(name, algorithm, quota, window, quota)


LIMITS = {
    "api": Limit("api", "tenant", (policy("api"),), "open"),
    "reads": Limit("reads", "tenant", (policy("reads"),), "local_share", counts_toward=("api",)),
    "export": Limit(
        "export", "user", (policy("export.1s"), policy("export.60s", 9, 9)), counts_toward=("reads", "api")
    ),
    "pay": Limit("pay", "user", (policy("pay"),), "closed", counts_toward=("export",)),
    "login": Limit("login", "address", (policy("login"),)),
    "free": Limit("free", "user", ()),
    "off": Limit("off", "tenant", (), is_denied=True),
    "beneath": Limit("beneath", "user", (policy("beneath"),), counts_toward=("off",)),
}


def keys(course):
    return [counter.key for counter in course.group.counters]


def test_a_call_counts_on_all_that_its_limit_counts_toward_once():
    course = course_of(LIMITS, "pay", "acme", "asha", None)
    names = [each.name for each in course.terms.policies]
    assert names == ["pay", "export.1s", "export.60s", "reads", "api"]
    assert len(set(keys(course))) == 5
    assert course.group.owner == course_of(LIMITS, "api", "acme", None, None).group.owner
    assert keys(course)[-1:] == keys(course_of(LIMITS, "api", "acme", "bela", "192.0.2.1"))


def test_the_strictest_policy_for_an_outage_holds():
    found = {key: course_of(LIMITS, key, "acme", "asha", None).on_outage for key in ("api", "reads", "export", "pay")}
    assert found == {"api": "open", "reads": "local_share", "export": "local_share", "pay": "closed"}


def test_a_counter_is_of_whoever_its_limit_counts_by():
    def counters(key, *whose):
        course = course_of(LIMITS, key, *whose)
        return course.group.owner, *keys(course)

    assert counters("api", "acme", "asha", None) == counters("api", "acme", "bela", "192.0.2.1")
    assert counters("api", "acme", None, None) != counters("api", "zoho", None, None)
    assert counters("export", "acme", "asha", None)[1:3] != counters("export", "acme", "bela", None)[1:3]
    assert counters("login", "acme", "asha", "192.0.2.1") == counters("login", None, None, "192.0.2.1")
    assert counters("login", None, None, "192.0.2.1") != counters("login", None, None, "192.0.2.2")


def test_a_counter_stays_where_the_quota_changes_and_not_where_the_window_does():
    def key(one):
        return keys(course_of({"a": Limit("a", "tenant", (one,))}, "a", "acme", None, None))

    assert key(policy("a")) == key(policy("a", quota=99)) == key(Policy("b", Algorithm.GCRA, 5, 60_000_000, 50))
    assert key(policy("a")) != key(policy("a", window=61_000_000))
    assert key(policy("a")) != key(policy("a", algorithm=Algorithm.FIXED_WINDOW))


def test_what_has_no_counters():
    for key, is_denied in (("off", True), ("beneath", True), ("free", False)):
        course = course_of(LIMITS, key, "acme", "asha", None)
        assert (course.group, course.terms.is_denied, course.terms.key) == (None, is_denied, key)
    assert course_of(LIMITS, "beneath", None, None, None).group is None
    assert own_course(LIMITS, "off", "acme", None, None).group is None
    assert [each.name for each in own_course(LIMITS, "beneath", "acme", "asha", None).terms.policies] == ["beneath"]


def test_what_is_the_same_for_all_of_a_tenant():
    assert is_of_tenant_alone(LIMITS, "reads")
    assert not is_of_tenant_alone(LIMITS, "export")
    assert not is_of_tenant_alone(LIMITS, "login")


TEXT = st.text(st.sampled_from(":/{}*? \x00\nabé́é"), max_size=8) | st.just("x" * 10_240)


@settings(max_examples=150, deadline=None)
@given(st.tuples(TEXT, TEXT, TEXT), st.tuples(TEXT, TEXT, TEXT))
def test_no_two_lists_have_one_name(left, right):
    """RL-5: whatever callers type, no key of Redis has a character of it."""
    assume(left != right)
    assert digest(*left) != digest(*right)
    assert digest(*left) != digest(*left, "")
    assert re.fullmatch("[a-z2-7]{26}", digest(*left))


@pytest.mark.soak
@settings(max_examples=5_000, deadline=None)
@given(st.lists(TEXT, max_size=4), st.lists(TEXT, max_size=4))
def test_no_two_lists_have_one_name_at_length(left, right):
    assume(left != right)
    assert digest(*left) != digest(*right)
