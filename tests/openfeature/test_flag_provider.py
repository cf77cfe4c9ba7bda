"""Flags by OpenFeature: whom the context names, types, states, events, hooks and tracking."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import EventDetails, ProviderEvent
from openfeature.exception import ErrorCode, InvalidContextError, OpenFeatureError, TypeMismatchError
from openfeature.flag_evaluation import Reason
from openfeature.hook import Hook
from openfeature.provider import ProviderStatus
from openfeature.track import TrackingEventDetails

from payaid_entitlements import Entitlements
from payaid_entitlements.core.flags.details import FlagDetails, FlagReason
from payaid_entitlements.core.observing import Tally
from payaid_entitlements.openfeature import FlagProvider, Tracked
from payaid_entitlements.openfeature.flags import resolution
from payaid_entitlements.openfeature.kinds import Kind, fitting
from payaid_entitlements.openfeature.whom import Whom, whom
from payaid_entitlements.stores.memory import MemoryStore
from payaid_entitlements.testing import sandbox
from tests.openfeature.stage import CATALOG, ON_OFF, START, a_flag

PRO, FREE = EvaluationContext("pro"), EvaluationContext("free")


def eventually(is_so: Callable[[], bool]) -> None:
    """Handlers run in a pool of the SDK."""
    end = time.monotonic() + 5
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.005)


# -- whom it is about -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("context", "tenant", "about"),
    [
        (None, None, Whom(None, None, {})),
        (EvaluationContext(), None, Whom(None, None, {})),
        (EvaluationContext(""), None, Whom(None, None, {})),
        (PRO, None, Whom("pro", None, {"targetingKey": "pro"})),
        (
            EvaluationContext("pro", {"user": "ann", "n": 1}),
            None,
            Whom("pro", "ann", {"user": "ann", "n": 1, "targetingKey": "pro"}),
        ),
        (
            EvaluationContext("ann", {"org": "pro"}),
            "org",
            Whom("pro", "ann", {"org": "pro", "targetingKey": "ann"}),
        ),
        (EvaluationContext("ann"), "org", Whom(None, "ann", {"targetingKey": "ann"})),
        (
            EvaluationContext(None, {"at": datetime(2030, 1, 1, tzinfo=UTC), "in": {"it": (datetime(2030, 1, 2),)}}),
            None,
            Whom(None, None, {"at": "2030-01-01T00:00:00+00:00", "in": {"it": ["2030-01-02T00:00:00"]}}),
        ),
    ],
)
def test_the_context_says_whom_it_is_about(context, tenant, about):
    assert whom(context, tenant) == about


@pytest.mark.parametrize(
    ("context", "tenant"),
    [
        (EvaluationContext("None"), None),
        (EvaluationContext("pro", {"user": 7}), None),
        (EvaluationContext("ann", {"org": ""}), "org"),
    ],
)
def test_an_id_that_is_none_is_an_error_and_nobody_else(context, tenant):
    with pytest.raises(InvalidContextError):
        whom(context, tenant)


def test_the_targeting_key_is_the_tenant(stage, asking):
    client = asking(FlagProvider(stage.ent))

    assert client.get_boolean_value("for-pro", False, PRO) is True
    assert client.get_boolean_value("for-pro", True, FREE) is False
    assert client.get_boolean_value("for-ann", False, EvaluationContext("pro", {"user": "ann"})) is True


def test_the_tenant_may_be_an_attribute_and_the_targeting_key_the_user(stage, asking):
    client = asking(FlagProvider(stage.ent, tenant="org"))

    assert client.get_boolean_value("for-pro", False, EvaluationContext("ann", {"org": "pro"})) is True
    assert client.get_boolean_value("for-ann", False, EvaluationContext("ann", {"org": "free"})) is True


def test_of_a_visitor_nothing_that_is_sold_is_known(stage, asking):
    client = asking(FlagProvider(stage.ent, tenant="org"))

    assert client.get_boolean_details("for-pro", False).reason is Reason.DEFAULT
    assert client.get_boolean_value("for-ann", False, EvaluationContext("ann")) is True
    assert client.get_boolean_value("by-country", False, EvaluationContext(None, {"country": "IN"})) is True
    assert client.get_boolean_details("new-checkout", False).value is False
    unknown = client.get_boolean_details("by-countri", False)
    assert unknown.error_code is ErrorCode.FLAG_NOT_FOUND
    assert "by-country" in (unknown.error_message or "")


def test_a_view_that_is_bound_to_the_request_answers(stage, asking):
    client = asking(FlagProvider(stage.ent))

    with stage.ent.bind("pro"):
        assert client.get_boolean_value("for-pro", False) is True
        stage.ent.admin("tests").change_plan("pro", plan="free")
        # One request has one truth.
        assert client.get_boolean_value("for-pro", False) is True
        assert client.get_boolean_value("for-pro", False, PRO) is True
        assert client.get_boolean_value("for-ann", False, EvaluationContext(None, {"user": "ann"})) is True
        # Somebody else's is another question.
        assert client.get_boolean_value("for-pro", True, FREE) is False
        stage.clock.advance(seconds=61)
        assert client.get_boolean_value("for-pro", True, PRO) is False
    assert client.get_boolean_value("for-pro", True) is False


def test_a_view_of_another_client_does_not(stage, asking):
    client, another = asking(FlagProvider(stage.ent)), stage.client()

    with another.bind("pro"):
        assert client.get_boolean_value("for-pro", True) is False


# -- what comes out ---------------------------------------------------------------------------------------------------


def test_details_say_why(stage, asking):
    client = asking(FlagProvider(stage.ent))
    details = client.get_boolean_details("for-pro", False, PRO)

    assert (details.variant, details.reason) == ("on", Reason.TARGETING_MATCH)
    assert details.flag_metadata == {"rule": "pro"}
    # Texts, numbers and booleans are all that metadata may be.
    assert client.get_boolean_details("plain", False, PRO).flag_metadata == {"team": "growth"}


def test_what_is_off_or_left_open_is_the_callers_default(stage, asking):
    client = asking(FlagProvider(stage.ent))

    off, open_ = (client.get_boolean_details(key, True, PRO) for key in ("off", "callers"))
    assert (off.value, off.reason, off.variant, off.error_code) == (True, Reason.DISABLED, None, None)
    assert (open_.value, open_.reason, open_.variant) == (True, Reason.DEFAULT, None)


def test_what_is_broken_is_an_error(stage, asking):
    details = asking(FlagProvider(stage.ent)).get_boolean_details("broken", True, PRO)

    assert (details.value, details.reason, details.error_code) == (True, Reason.ERROR, ErrorCode.PARSE_ERROR)


@pytest.mark.parametrize("is_strict", [True, False])
def test_a_flag_that_there_is_not_is_an_error_also_where_mistakes_are_loud(stage, asking, is_strict):
    details = asking(FlagProvider(stage.client(strict=is_strict))).get_boolean_details("for-prro", True, PRO)

    assert (details.value, details.error_code) == (True, ErrorCode.FLAG_NOT_FOUND)


@pytest.mark.parametrize(
    ("value", "kind", "given"),
    [
        (True, Kind.BOOLEAN, True),
        ("a", Kind.STRING, "a"),
        (7, Kind.INTEGER, 7),
        (7.5, Kind.FLOAT, 7.5),
        (7, Kind.FLOAT, 7.0),
        ({"a": [1, {"b": "c"}]}, Kind.OBJECT, {"a": [1, {"b": "c"}]}),
        ((1, 2), Kind.OBJECT, [1, 2]),
    ],
)
def test_types_that_fit(value, kind, given):
    found = fitting("f", value, kind)

    assert found == given
    assert type(found) is type(given)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (1, Kind.BOOLEAN),
        ("true", Kind.BOOLEAN),
        (True, Kind.INTEGER),
        (True, Kind.FLOAT),
        (1.0, Kind.INTEGER),
        ("1", Kind.INTEGER),
        (1, Kind.STRING),
        ("[]", Kind.OBJECT),
        (None, Kind.OBJECT),
    ],
)
def test_types_that_do_not(value, kind):
    with pytest.raises(TypeMismatchError, match="was asked for"):
        fitting("f", value, kind)


def test_types_are_checked_in_both_ways_of_asking(stage, asking):
    """
    The SDK itself takes a bool for an integer, no int for a float, and gives out what is wrong where it is awaited.
    """
    client = asking(FlagProvider(stage.ent))

    assert client.get_integer_details("plain", 7, PRO).error_code is ErrorCode.TYPE_MISMATCH
    assert client.get_float_details("size", 0.5, PRO).value == 10.0
    wrong = asyncio.run(client.get_string_details_async("plain", "x", PRO))
    assert (wrong.value, wrong.error_code) == ("x", ErrorCode.TYPE_MISMATCH)
    for get, key, value in [
        (client.get_boolean_value_async, "plain", True),
        (client.get_string_value_async, "theme", "white"),
        (client.get_integer_value_async, "size", 10),
        (client.get_float_value_async, "whole", 1.0),
        (client.get_object_value_async, "layout", {"columns": [1, 2]}),
    ]:
        assert asyncio.run(get(key, type(value)(), PRO)) == value


def test_an_object_is_the_callers_own(stage, asking):
    client = asking(FlagProvider(stage.ent))

    client.get_object_value("layout", {}, PRO)["columns"].append(3)

    assert client.get_object_value("layout", {}, PRO) == {"columns": [1, 2]}


def test_metadata_of_a_rule_does_not_hide_the_flags_own():
    details = FlagDetails("f", True, "on", FlagReason.SPLIT, "half", metadata={"rule": "mine"})

    assert resolution(details, False, Kind.BOOLEAN).flag_metadata == {"rule": "mine"}


def test_hooks_of_the_host_run(stage, asking):
    ran: list[str] = []

    class Noting(Hook):
        def before(self, hook_context: Any, hints: Any) -> None:
            ran.append(hook_context.flag_key)

    client = asking(FlagProvider(stage.ent, hooks=[Noting()]))
    client.get_boolean_value("plain", False, PRO)

    assert ran == ["plain"]
    assert api.get_provider_metadata(client.domain).name == "payaid flags"


def test_a_sandbox_forces_what_a_provider_says(asking):
    """
    The provider that the app has set when it started goes on working in its tests.
    """
    ent = Entitlements.open("memory://", catalog=CATALOG)
    client = asking(FlagProvider(ent))
    with sandbox(ent) as inside:
        with inside.flag("plain", True):
            assert client.get_boolean_value("plain", False, PRO) is True
        with inside.flag("plain", False):
            assert client.get_boolean_value("plain", True, PRO) is False
        with inside.outage(is_warm=True):
            client.get_boolean_value("plain", False, PRO)
            assert client.get_provider_status() is ProviderStatus.STALE
        client.get_boolean_value("plain", False, PRO)
        assert client.get_provider_status() is ProviderStatus.READY
    ent.close()


# -- clients that are awaited -----------------------------------------------------------------------------------------


def test_an_async_client_is_asked_in_its_loop_and_answers_others_from_what_is_near(stage, asking):
    async def run() -> None:
        async with stage.async_client() as ent:
            client = asking(FlagProvider(ent))
            early = client.get_boolean_details("for-pro", True, PRO)
            assert (early.value, early.error_code) == (True, ErrorCode.PROVIDER_NOT_READY)
            assert client.get_boolean_details("plain", False).error_code is ErrorCode.PROVIDER_NOT_READY
            assert client.get_provider_status() is ProviderStatus.READY

            assert await client.get_boolean_value_async("for-pro", False, PRO) is True
            assert client.get_boolean_value("for-pro", False, PRO) is True
            assert client.get_boolean_value("by-country", False, EvaluationContext(None, {"country": "IN"})) is True
            async with ent.bind("free"):
                assert await client.get_boolean_value_async("for-pro", True) is False
            # Nobody has asked for a while, and a question that is not awaited cannot ask whether that is so still.
            stage.clock.advance(seconds=30)
            assert client.get_boolean_value("for-pro", False, PRO) is True
            assert client.get_provider_status() is ProviderStatus.READY
            assert client.get_boolean_details("for-pro", True, FREE).error_code is None
            somebody = EvaluationContext("globex")
            assert client.get_boolean_details("for-pro", True, somebody).error_code is ErrorCode.PROVIDER_NOT_READY

    asyncio.run(run())


def test_visitors_of_an_async_client(stage, asking):
    async def run() -> None:
        async with stage.async_client() as ent:
            client = asking(FlagProvider(ent))
            india = EvaluationContext(None, {"country": "IN"})
            assert await client.get_boolean_value_async("by-country", False, india) is True
            stage.put({"by-country": a_flag("by-country", ON_OFF, "off")})
            assert await client.get_boolean_value_async("by-country", True, india) is False
            assert await client.get_boolean_value_async("by-country", True, india) is False

    asyncio.run(run())


def test_a_client_that_waits_is_no_burden_to_an_event_loop(stage, asking):
    here, asked = threading.get_ident(), []
    stage.faults.before = lambda name: asked.append(threading.get_ident())

    async def run() -> None:
        client = asking(FlagProvider(stage.client()), wait=False)
        assert await client.provider.resolve_boolean_details_async("for-pro", False, PRO)
        assert (await client.provider.resolve_boolean_details_async("for-pro", False, None)).value is False
        stage.clock.advance(seconds=3)
        assert (await client.provider.resolve_boolean_details_async("plain", False, None)).value is True

    asyncio.run(run())
    assert asked
    assert here not in asked


# -- states and events ------------------------------------------------------------------------------------------------


def heard(client: Any, *events: ProviderEvent) -> list[tuple[ProviderEvent, EventDetails]]:
    found: list[tuple[ProviderEvent, EventDetails]] = []
    for event in events:
        client.add_handler(event, lambda details, event=event: found.append((event, details)))
    return found


def test_a_change_of_flags_is_an_event_that_names_them(stage, asking):
    client = asking(FlagProvider(stage.ent))
    found = heard(client, ProviderEvent.PROVIDER_CONFIGURATION_CHANGED)

    stage.put({"plain": a_flag("plain", ON_OFF, "off"), "new": a_flag("new", ON_OFF, "on"), "off": None})
    client.get_boolean_value("theme", False, PRO)

    eventually(lambda: bool(found))
    assert [details.flags_changed for _, details in found] == [["new", "off", "plain"]]


def test_a_change_that_changes_no_flag_is_none(stage, asking):
    client = asking(FlagProvider(stage.ent))
    found = heard(client, ProviderEvent.PROVIDER_CONFIGURATION_CHANGED)

    stage.put({})
    client.get_boolean_value("plain", False, PRO)
    stage.put({"plain": a_flag("plain", ON_OFF, "off")})
    client.get_boolean_value("plain", False, PRO)

    eventually(lambda: bool(found))
    assert [details.flags_changed for _, details in found] == [["plain"]]


def test_a_provider_that_was_replaced_watches_no_more(stage, asking):
    provider = FlagProvider(stage.ent)
    client = asking(provider)
    client.get_boolean_value("plain", False, PRO)
    provider.initialize(EvaluationContext())
    assert len(stage.ent._near._watching) == 1

    provider.shutdown()
    provider.shutdown()

    assert stage.ent._near._watching == ()
    assert client.get_boolean_value("plain", False, PRO) is True


def test_flags_that_were_read_for_the_first_time_have_not_changed(stage, asking):
    provider = FlagProvider(stage.client())
    told: list[Any] = []
    provider.emit = lambda *event: told.append(event)  # type: ignore[method-assign]

    provider.initialize(EvaluationContext())

    assert told == []


def test_a_sdk_that_has_ended_keeps_nobody_from_an_answer(stage):
    """
    As at the end of the interpreter: its pool of threads is gone.
    """
    provider = FlagProvider(stage.ent)
    provider.initialize(EvaluationContext())

    def ended(*event: Any) -> None:
        raise RuntimeError("cannot schedule new futures after shutdown")

    provider.attach(ended)
    stage.put({"plain": a_flag("plain", ON_OFF, "off")})

    assert provider.resolve_boolean_details("plain", True, PRO).value is False


def test_an_outage_makes_it_stale_and_its_end_ready_once_each(stage, asking):
    client = asking(FlagProvider(stage.ent))
    client.get_boolean_value("plain", False, PRO)
    found = heard(client, ProviderEvent.PROVIDER_STALE, ProviderEvent.PROVIDER_READY)
    eventually(lambda: len(found) == 1)

    stage.faults.is_down = True
    stage.clock.advance(seconds=30)
    for _ in range(3):
        assert client.get_boolean_value("plain", False, PRO) is True
    assert client.get_provider_status() is ProviderStatus.STALE

    stage.faults.is_down = False
    stage.clock.advance(seconds=30)
    for _ in range(3):
        client.get_boolean_value("plain", False, PRO)
    assert client.get_provider_status() is ProviderStatus.READY
    eventually(lambda: len(found) == 3)
    assert [event.name for event, _ in found] == ["PROVIDER_READY", "PROVIDER_STALE", "PROVIDER_READY"]


def test_an_outage_is_not_over_because_something_is_still_near(stage, asking):
    provider = FlagProvider(stage.ent)
    asking(provider)

    provider._standing.turn("stale")
    provider._standing.turn("ready")
    provider._standing.turn("stale")

    assert provider._standing.state == "stale"


def test_an_outage_at_the_beginning_is_an_error_until_it_ends(stage, asking):
    stage.faults.is_down = True
    provider = FlagProvider(stage.client())
    with pytest.raises(OpenFeatureError, match="no answer"):
        asking(provider)
    client = asking.client()
    assert client.get_provider_status() is ProviderStatus.ERROR
    # Flags of the catalog that the client was opened with would answer; there are none.
    assert client.get_boolean_value("plain", True, PRO) is True

    stage.faults.is_down = False
    stage.clock.advance(seconds=30)
    assert client.get_boolean_value("plain", False, PRO) is True
    assert client.get_provider_status() is ProviderStatus.READY


def test_an_outage_in_which_nothing_is_known_is_an_error_event(stage, asking):
    async def run() -> None:
        async with stage.async_client() as ent:
            client = asking(FlagProvider(ent))
            stage.faults.is_down = True
            assert await client.get_boolean_value_async("plain", True, PRO) is True
            assert client.get_provider_status() is ProviderStatus.ERROR

    asyncio.run(run())


def test_a_store_in_which_nothing_was_published_is_fatal(stage, asking):
    with pytest.raises(OpenFeatureError) as error:
        asking(FlagProvider(stage.client(store=MemoryStore(), catalog=None)))

    assert error.value.error_code is ErrorCode.PROVIDER_FATAL
    assert asking.client().get_provider_status() is ProviderStatus.FATAL


def test_after_a_fork_nobody_is_waited_for(stage, asking):
    provider = FlagProvider(stage.ent)
    asking(provider)
    with provider._standing._lock:
        child = os.fork()
        if child == 0:
            try:
                provider._standing.turn("stale")
                os._exit(0 if provider._standing.state == "stale" else 1)
            finally:
                os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


# -- tracking ---------------------------------------------------------------------------------------------------------


def test_what_is_tracked_goes_to_the_sink(stage, asking):
    told: list[Tracked] = []

    class Sink:
        def track(self, tracked: Tracked) -> None:
            told.append(tracked)

    client = asking(FlagProvider(stage.ent, tracking=Sink()))
    details = TrackingEventDetails(99.5, {"currency": "INR"})
    client.track("checkout.paid", EvaluationContext("pro", {"user": "ann"}), details)
    client.track("seen")

    now = stage.clock.now()
    assert told == [
        Tracked("checkout.paid", "pro", "ann", 99.5, {"currency": "INR"}, now),
        Tracked("seen", None, None, None, {}, now),
    ]
    assert now > START


def test_tracking_raises_nothing(stage, asking):
    class Broken:
        def track(self, tracked: Tracked) -> None:
            raise OSError("full")

    tally = Tally()
    client = asking(FlagProvider(stage.client(observer=tally), tracking=Broken()))

    client.track("seen", EvaluationContext("None"))
    client.track("seen", PRO)
    asking(FlagProvider(stage.ent)).track("seen", PRO)

    assert tally.counts()["flag.tracking_lost", "seen"] == 2
