"""The answer as a whole: form, language, and fields by which no cache keeps a refusal."""

from __future__ import annotations

import json

import pytest
from structlog.testing import capture_logs

from payaid_entitlements import AddAddOn, ChangePlan, Contact, Decision, Reason, WaitUntil
from payaid_entitlements.errors import (
    ChangeConflict,
    ConfigurationError,
    NotEntitled,
    OperationConflict,
    ReservationExpired,
    RouteUnknown,
    SlotTaken,
    StoreUnavailable,
    TenantConflict,
    TenantUnidentified,
    UnknownTenant,
)
from payaid_entitlements.web import Answers, Pages, Words, refusal
from payaid_entitlements.web.answers import answers_of
from payaid_entitlements.web.problems import Problem
from tests.web.golden.errors import furnished
from tests.web.test_negotiating import FIREFOX

REFUSED = NotEntitled(Decision(False, Reason.PLAN_MODULE_ABSENT, "hr"), tenant="acme", reference="G8NK")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OperationConflict("order-7 was consumed with other units"), "operation.conflict"),
        (ReservationExpired("hold-7 expired", operation="hold-7"), "reservation.expired"),
        (ChangeConflict("revision 7", expected=7, found=9), "change.conflict"),
        (SlotTaken("seat-7 and seat-9"), "slot.taken"),
    ],
)
def test_what_contradicts_what_was_done_is_409_and_says_nothing_of_it(error, reason):
    said = Answers().say(error)

    assert (said.status, said.body["reason"]) == (409, reason)
    assert said.body.keys() == {"type", "title", "status", "detail", "reason"}
    assert not any(digit in f"{said.body['title']}{said.body['detail']}{said.headers}" for digit in "79")
    assert "Retry-After" not in said.headers


def test_mistakes_of_the_host_are_not_for_clients():
    with pytest.raises(UnknownTenant):
        Answers().say(UnknownTenant("x"), accept=FIREFOX)


def test_a_problem_of_the_edge_is_told_in_the_same_way():
    said = Answers().tell(Problem(404, "route.unknown", {"X-A": "b"}), language="de")

    assert (said.status, said.headers["Content-Language"], said.headers["X-A"]) == (404, "de", "b")
    assert said == Answers().tell(Problem(404, "route.unknown", {"X-A": "b"}), accept="*/*", language="de-DE")
    assert Answers().say(RouteUnknown("x")).status == 404


@pytest.mark.parametrize("accept", ["", FIREFOX])
@pytest.mark.parametrize("language", ["", "hi"])
@pytest.mark.parametrize(
    "error",
    [REFUSED, StoreUnavailable("x"), TenantUnidentified("x"), TenantConflict({"token": "a"}), SlotTaken("x")],
    ids=lambda error: type(error).__name__,
)
def test_no_cache_keeps_a_refusal_or_gives_it_to_another(error, accept, language):
    said = Answers(vary=("X-Api-Key",)).say(error, accept=accept, language=language)

    assert said.headers["Cache-Control"] == "no-store"
    assert said.headers["Vary"] == "Accept, Accept-Language, Authorization, Cookie, X-Api-Key"


def test_a_browser_gets_a_page_of_the_same_status_and_fields():
    document, page = (Answers().say(TenantUnidentified("x"), accept=accept) for accept in ("", FIREFOX))

    assert page.status == document.status == 401
    assert page.headers == document.headers | {"Content-Type": "text/html; charset=utf-8"}
    assert page.body == document.body
    assert page.content.startswith(b"<!DOCTYPE html>")
    assert b"<h1>The request does not say for whom it is.</h1>" in page.content


def test_the_reader_reads_it_in_their_language():
    said = Answers().say(REFUSED, language="fr, de-AT;q=0.8", accept=FIREFOX)

    assert said.headers["Content-Language"] == "de"
    assert said.body["title"] == Words().of("plan.module_absent", "de").title
    assert (said.body["reason"], said.body["type"]) == (
        "plan.module_absent",
        "urn:problem-type:payaid:plan.module_absent",
    )
    assert "Kennung für den Support: <code>G8NK</code>" in said.content.decode()
    assert refusal(REFUSED, language="de").body == said.body


def test_a_host_has_words_of_its_own():
    words = Words({"en": {"plan.module_absent": {"detail": "Ask us about $feature."}}})

    assert Answers(words=words).say(REFUSED).body["detail"] == "Ask us about hr."


@pytest.mark.parametrize(
    ("remedies", "expected"),
    [
        ([], None),
        ([ChangePlan("pro", "Pro")], None),
        ([Contact("Pay what is due"), ChangePlan("pro", "Pro", url="/pro"), AddAddOn("a", "A", 1, url="/a")], "/pro"),
        (
            [ChangePlan("pro", "Pro", url="javascript:alert(1)"), Contact("x", url="https://x.example")],
            "https://x.example",
        ),
    ],
)
def test_the_cheapest_way_that_leads_somewhere_is_told(remedies, expected):
    assert refusal(REFUSED, remedies=remedies).body.get("upgrade_url") == expected


def test_a_page_says_when_it_opens(clock):
    at = clock.now()
    error = NotEntitled(Decision(False, Reason.SUBSCRIPTION_SCHEDULED, "hr"), tenant="acme")

    assert f"{at:%Y-%m-%d %H:%M} UTC" in Pages()(
        _seen(lambda page: page, error, remedies=[WaitUntil(at), ChangePlan("pro", "Pro", url="/pro")])
    )


def _seen(make, error, remedies):
    """What a function that makes pages is given."""
    seen = []
    problem = Problem(402, error.decision.reason.value, {}, refusal(error, remedies=remedies).body)
    Answers(pages=lambda page: seen.append(make(page))).tell(problem, accept="text/html")
    return seen[0]


@pytest.mark.parametrize(("needed", "status"), [("crm", 402), ("hr", 402), ("books", 402)])
def test_money_opens_what_is_missing_where_nobody_has_switched_it_off(needed, status):
    """
    Also where it is held meanwhile, and where what is missing misses something itself.
    """
    error = NotEntitled(Decision(False, Reason.DEPENDENCY_MISSING, "books", f"requires {needed}"), tenant="free")

    with furnished() as ent:
        assert Answers().say(error, view=ent.tenant("free")).status == status


def test_a_host_makes_pages_by_itself():
    said = Answers(pages=lambda page: f"{page.status} {page.reason} {page.feature}").say(REFUSED, accept=FIREFOX)

    assert said.content == b"402 plan.module_absent hr"


@pytest.mark.parametrize("pages", [None, lambda page: None])
def test_without_a_page_a_browser_gets_the_document(pages):
    said = Answers(pages=pages).say(REFUSED, accept=FIREFOX)

    assert said.headers["Content-Type"] == "application/problem+json"
    assert json.loads(said.content) == said.body


def test_a_page_that_fails_is_no_500():
    def broken(page):
        raise ZeroDivisionError("the secret of the template")

    with capture_logs() as lines:
        said = Answers(pages=broken).say(StoreUnavailable("x"), accept=FIREFOX)

    assert (said.status, said.headers["Content-Type"]) == (503, "text/html; charset=utf-8")
    assert b"<h1>This cannot be decided at the moment.</h1>" in said.content
    assert lines == [
        {"event": "page.failed", "log_level": "warning", "reason": "store.unavailable", "error": "ZeroDivisionError"}
    ]


def test_what_is_no_text_is_no_page():
    said = Answers(pages=lambda page: b"<h1>bytes</h1>").say(REFUSED, accept=FIREFOX)

    assert said.content.startswith(b"<!DOCTYPE html>")


async def _awaited(page):
    return ""


@pytest.mark.parametrize("pages", ["templates", 7, _awaited])
def test_what_makes_no_pages_fails_at_start_up(pages):
    with pytest.raises(ConfigurationError, match="no plain function"):
        Answers(pages=pages)


# -- attacks ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "challenge", ["", "Bearer\r\nSet-Cookie: a=b", "Bearer\n", " Bearer", "Bearer ", 'Bearer realm="ü"', "Bear\x00er"]
)
def test_a_challenge_that_is_no_field_fails_at_start_up(challenge):
    with pytest.raises(ConfigurationError, match="WWW-Authenticate"):
        Answers(challenge=challenge)


@pytest.mark.parametrize("name", ["", "X Api", "X-Api\r\n", "a,b", "ü"])
def test_what_is_no_name_of_a_field_fails_at_start_up(name):
    with pytest.raises(ConfigurationError, match="no name of a field"):
        Answers(vary=(name,))


@pytest.mark.parametrize("key", ["a\r\nSet-Cookie: b=c", "\ud800", "\x00", "<script>", "x" * 100_000, "${title}"])
@pytest.mark.parametrize("accept", ["", "text/html"])
def test_a_key_of_somebody_elses_choosing_gets_into_no_field_and_breaks_nothing(key, accept):
    error = NotEntitled(Decision(False, Reason.CATALOG_UNKNOWN, key), tenant="acme", reference="G8NK")
    with capture_logs() as lines:
        said = Answers(words=Words({"en": {"catalog.unknown_feature": {"detail": "No $feature."}}})).say(
            error, accept=accept, language="en\r\nSet-Cookie: b=c"
        )

    for name, value in said.headers.items():
        assert f"{name}: {value}".isprintable()
        assert key not in value
    assert b"<script>" not in said.content or not accept
    lines[0]["feature"].encode()
    said.content.decode()


def test_there_is_one_place_to_say_how_is_answered():
    answers = Answers(challenge="Basic")

    assert answers_of(None, challenge="Digest", legacy_fields=True) == Answers(challenge="Digest", legacy_fields=True)
    assert answers_of(answers, challenge="Bearer", legacy_fields=False) is answers
    for more in ({"challenge": "Digest", "legacy_fields": False}, {"challenge": "Bearer", "legacy_fields": True}):
        with pytest.raises(ConfigurationError, match=r"answers=Answers\("):
            answers_of(answers, **more)
