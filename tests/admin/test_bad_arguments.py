"""Whatever a program hands in: an error of ours, or a TypeError where the kind is wrong; never a wrong "allowed"."""

from __future__ import annotations

import copy
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from payaid_entitlements.core.catalog import Catalog
from payaid_entitlements.core.controls import Enforcement
from payaid_entitlements.core.decision import Decision
from payaid_entitlements.core.interval import Interval, Unit
from payaid_entitlements.core.values import DENY, UNLIMITED, Allowance
from payaid_entitlements.errors import EntitlementError
from tests.admin.conftest import SOLD, TODAY, Shop, at, edited, facts
from tests.core.catalog.test_malformed import malformed

UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
MANY = settings(UNHURRIED, max_examples=10_000)


class Odd:
    """An object that nothing was made for, and that cannot even be shown well."""

    def __repr__(self) -> str:
        return "Odd\x00"


class Text(str):
    """A str of somebody's own."""


#: Of every kind that somebody may hand in by mistake.
ANYTHING = st.sampled_from(
    [
        None, True, False, 0, 1, -1, 7, 10**30, 0.0, 0.5, float("nan"), float("inf"), 1j,
        Decimal(5), Decimal("0.5"), Decimal(-1), Decimal("NaN"), Decimal("Infinity"), Decimal("1e400"),
        "", " ", "None", "null", "undefined", "acme", "globex", "crm", "crm.export", "crm.exprot", "seats", "books",
        "books.delay", "old", "free", "pro", "big", "por", "more_seats", "contacts", "main", "now", "period_end", "off",
        "*", "500/month", "1/", "5 GB", "Asia/Kolkata", "../../etc/passwd", "x" * 300, "a\x00b", "\ud800", "é", "۵",
        b"acme", bytearray(b"acme"), Text("acme"), Text("pro"), Odd(), object, len,
        [], ["pro"], [None], (), ("invoice", 7), ("invoice", None), ("invoice", 1.5), {}, {"more_seats": 1},
        {"seats": 0.5}, {1: 2}, {"more_seats": True}, set(), frozenset({"pro"}), range(3),
        TODAY, at(3), at(-3), TODAY.replace(tzinfo=None), date(2026, 9, 21), datetime.max,
        datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC), timedelta(hours=3), timedelta.max,
        timedelta(-1),
        UUID(int=0), UNLIMITED, DENY, Allowance(5), Allowance(-5), Allowance(UNLIMITED), Allowance("5"),
        Allowance(5, Interval(1, Unit.MONTH)), Enforcement.OFF, ("a", "b"), ["a", 5],
    ]
)  # fmt: skip

#: Verbs with their positional words, then the others.
VERBS = {
    "publish": (("catalog",), ("migrate", "because")),
    "migrate": (("plan",), ("to", "progress", "because")),
    "subscribe": (
        ("tenant", "plan"),
        (
            "trial",
            "add_ons",
            "provider_ids",
            "anchor",
            "starts",
            "ends",
            "timezone",
            "name",
            "because",
            "operation",
            "as_of",
            "tx",
        ),
    ),
    "change_plan": (("tenant", "plan"), ("when", "name", "because", "operation", "as_of", "tx")),
    "set_add_on": (("tenant", "add_on", "quantity"), ("name", "because", "operation", "as_of", "tx")),
    "set_provider_id": (("tenant", "provider", "id"), ("name", "because", "operation", "as_of", "tx")),
    "cancel": (("tenant",), ("when", "name", "because", "operation", "as_of", "tx")),
    "pause": (("tenant",), ("until", "name", "because", "operation", "as_of", "tx")),
    "resume": (("tenant",), ("name", "because", "operation", "as_of", "tx")),
    "past_due": (("tenant", "since"), ("name", "because", "operation", "as_of", "tx")),
    "paid": (("tenant",), ("name", "because", "operation", "as_of", "tx")),
    "suspend": (("tenant",), ("because", "operation", "as_of", "tx")),
    "revoke": (("tenant",), ("because", "operation", "as_of", "tx")),
    "reinstate": (("tenant",), ("because", "operation", "as_of", "tx")),
    "override": (("tenant", "feature", "to"), ("from_", "until", "user", "because", "operation", "as_of", "tx")),
    "clear_override": (("tenant", "feature"), ("user", "because", "operation", "as_of", "tx")),
    "set_timezone": (("tenant", "timezone"), ("because", "operation", "as_of", "tx")),
    "invalidate": (("tenant",), ("because", "operation", "tx")),
    "forget": (("tenant",), ("because", "operation", "tx")),
    "kill": (("key",), ("because", "operation")),
    "restore": (("key",), ("because", "operation")),
    "set_enforcement": (("scope", "mode"), ("percent", "because", "operation")),
    "undo": (("change_id",), ("because", "operation")),
}
#: What is right, so that mostly one argument is wrong and the others lead to where it is looked at.
RIGHT = {
    "tenant": "acme", "plan": "big", "add_on": "more_seats", "quantity": 1, "since": TODAY, "feature": "seats", "to": 9,
    "timezone": "Asia/Kolkata", "key": "crm", "scope": "crm", "mode": "observe", "change_id": "0000",
    "provider": "stripe", "id": "sub_1", "catalog": edited(pro={"seats": 3}),
}  # fmt: skip


@st.composite
def calls(draw):
    verb = draw(st.sampled_from(sorted(VERBS)))
    positional, others = VERBS[verb]
    arguments = {word: RIGHT[word] for word in positional}
    wrong = draw(st.lists(st.sampled_from([*positional, *others]), min_size=1, max_size=2, unique=True))
    for word in wrong:
        arguments[word] = draw(ANYTHING)
    return verb, arguments


def prepared():
    shop = Shop("sync")
    admin = shop.admin()
    admin.subscribe("acme", "pro")
    admin.suspend("globex")
    return shop


def state(shop):
    """All that is stored."""
    trail = shop.memory.audit(limit=10_000)
    documents = {tenant: known.to_json() for tenant, known in shop.memory.read(["acme", "globex"]).items()}
    return documents, shop.memory.catalog().revision, shop.memory.controls(), len(trail)


def is_refused_or_done(call):
    verb, arguments = call
    shop = prepared()
    before = state(shop)
    try:
        change = getattr(shop.admin(), verb)(**arguments)
    except (EntitlementError, TypeError) as error:
        assert str(error)
        assert state(shop) == before, "a call that failed has written something"
    else:
        assert change.applied == (state(shop) != before)
    # Whatever was written can be read again, by everybody and in every way.
    if arguments.get("tenant") != "globex":
        assert not shop.check("globex", "crm").allowed
    for tenant in ("acme", "globex"):
        shop.ent.explain(tenant, "seats").to_text()
    for entry in shop.trail():
        assert all(str(each) for each in entry.altered)
    shop.close()


@UNHURRIED
@given(calls())
def test_a_verb_with_wrong_arguments_is_refused_and_writes_nothing(call):
    """Or it was right after all, and did what it says."""
    is_refused_or_done(call)


@pytest.mark.soak
@MANY
@given(calls())
def test_ten_thousand_verbs_with_wrong_arguments(call):
    """The same, for long."""
    is_refused_or_done(call)


@pytest.fixture(scope="module")
def opened():
    shop = prepared()
    yield shop
    shop.close()


#: Questions with their words.
QUESTIONS = {
    "check": ("tenant", "feature", "access", "user", "legacy", "after"),
    "require": ("tenant", "feature", "access", "user", "legacy", "after"),
    "check_many": ("tenant", "features", "access", "user"),
    "peek": ("tenant", "feature"),
    "tenant": ("tenant", "user", "after", "fresh"),
    "value": ("tenant", "feature", "type_"),
    "remedies": ("tenant", "feature"),
    "explain": ("tenant", "feature", "at", "user"),
}
ASKED = {"tenant": "globex", "feature": "crm", "features": ["crm", "seats"], "type_": int}


@st.composite
def questions(draw):
    question = draw(st.sampled_from(sorted(QUESTIONS)))
    words = QUESTIONS[question]
    arguments = {word: ASKED[word] for word in words if word in ASKED}
    for word in draw(st.lists(st.sampled_from(words), min_size=1, max_size=2, unique=True)):
        arguments[word] = draw(ANYTHING)
    return question, arguments


def is_answered_or_refused(shop, asked):
    question, arguments = asked
    # The one tenant that may use anything here, or whoever holds the default plan.
    tenant = arguments["tenant"]
    is_somebody = isinstance(tenant, str) and tenant != "globex"
    try:
        answer = getattr(shop.ent, question)(**arguments)
    except (EntitlementError, TypeError) as error:
        assert str(error)
        return
    answers = answer.values() if question == "check_many" else [answer]
    for each in answers:
        if isinstance(each, Decision) and each.allowed:
            assert is_somebody, "somebody who is suspended, or nobody, was let in"
            assert arguments.get("feature", "crm") in (*SOLD.modules, *SOLD.features)


@UNHURRIED
@given(questions())
def test_a_question_with_wrong_arguments_lets_nobody_in(opened, asked):
    """It is refused, raises an error of ours, or a TypeError."""
    is_answered_or_refused(opened, asked)


@pytest.mark.soak
@MANY
@given(questions())
def test_ten_thousand_questions_with_wrong_arguments(opened, asked):
    """The same, for long."""
    is_answered_or_refused(opened, asked)


@UNHURRIED
@given(malformed())
def test_a_damaged_catalog_is_published_whole_or_not_at_all(data):
    """Through the door that people use, over what is held."""
    shop = prepared()
    before = shop.memory.catalog()
    try:
        change = shop.admin().publish(copy.deepcopy(data))
    except EntitlementError:
        assert shop.memory.catalog() is before
    else:
        assert change.applied
        assert shop.memory.catalog().catalog == Catalog.load(data)
    assert shop.document("acme").revision == 1
    shop.close()


@pytest.mark.parametrize("actor", [None, "", "None", 5, b"asha", "x" * 300])
def test_nobody_changes_anything_as_nobody(actor):
    """An actor is a person or a program with a name."""
    shop = Shop("sync")
    with pytest.raises(TypeError, match="actor"):
        shop.ent.admin(actor)
    shop.close()


@pytest.mark.parametrize("because", [5, b"x", ["x"], True])
def test_a_reason_is_a_text(because):
    """Stores keep it as one; whoever hands in something else is told at once."""
    shop = prepared()
    with pytest.raises(TypeError, match="because"):
        shop.admin().suspend("acme", because=because)
    with pytest.raises(TypeError, match="because"):
        shop.ent.admin("asha", because=because)
    shop.close()


def test_an_id_of_a_type_of_somebodys_own_is_the_plain_text_that_it_shows():
    """A subclass of str compares and stores as its text."""
    shop = prepared()
    assert facts(shop.admin().change_plan(Text("acme"), Text("big"))) == (True, "change.applied")
    assert shop.check("acme", "seats").plan == "big"
    shop.close()
