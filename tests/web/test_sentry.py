"""What reaches Sentry: failures once each, whose request it was, and no refusals."""

from __future__ import annotations

import pytest
import sentry_sdk
from sentry_sdk.transport import Transport

from payaid_entitlements import Catalog, Entitlements
from payaid_entitlements.errors import ModuleFailed, NoCurrentTenant, StoreUnavailable, TenantUnidentified
from payaid_entitlements.web import failing, module_boundary
from payaid_entitlements.web.boundary import MODULES
from payaid_entitlements.web.failing import on_failure
from payaid_entitlements.web.sentry import PayaidIntegration, _report

CATALOG = Catalog.load(
    {"catalog": 1, "default_plan": "free", "modules": {"crm": {}}, "plans": {"free": {"modules": ["crm"]}}}
)


class Kept(Transport):
    """Keeps what would be sent."""

    def __init__(self):
        super().__init__()
        self.events = []

    def capture_envelope(self, envelope):
        if (event := envelope.get_event()) is not None:
            self.events.append(event)


@pytest.fixture
def start(monkeypatch):
    """Begin to report, for one test."""
    monkeypatch.setattr(failing, "_REPORTERS", [])
    MODULES.forget()

    def begin(**options):
        transport = Kept()
        sentry_sdk.init(
            "https://key@example.invalid/1",
            transport=transport,
            integrations=[PayaidIntegration(**options)],
            default_integrations=False,
            auto_enabling_integrations=False,
        )
        on_failure(_report)  # the SDK sets an integration up once in a process
        return transport.events

    yield begin
    # Without those that it finds by itself: they change frameworks for the rest of the process.
    sentry_sdk.init(default_integrations=False, auto_enabling_integrations=False)


def fail():
    with pytest.raises(ModuleFailed) as caught, module_boundary("invoicing"):
        raise KeyError("lost")
    return caught.value


def test_a_failure_is_reported_once_with_its_module(start):
    """The error that stands for it is not reported again by whoever catches it."""
    events = start()
    with Entitlements.open("memory://", catalog=CATALOG) as ent, ent.bind("acme", user="u1"):
        failed = fail()
        sentry_sdk.capture_exception(failed)
    (event,) = events
    assert event["exception"]["values"][-1]["type"] == "KeyError"
    tags = {name: value for name, value in event["tags"].items() if name.startswith("payaid.")}
    assert tags == {
        "payaid.module": "invoicing",
        "payaid.plan": "free",
        "payaid.reference": failed.reference,
        "payaid.tenant": "acme",
        "payaid.user": "u1",
    }


def test_ids_stay_at_home_where_the_host_says_so(start):
    """What it is about is still said."""
    events = start(send_tenant=False)
    with Entitlements.open("memory://", catalog=CATALOG) as ent, ent.bind("acme", user="u1"):
        fail()
    assert "acme" not in repr(events[0]["tags"])
    assert events[0]["tags"]["payaid.module"] == "invoicing"


@pytest.mark.parametrize("error", [TenantUnidentified("x"), StoreUnavailable("down")], ids=repr)
def test_answers_wake_nobody(start, error):
    """They have counters."""
    events = start()
    sentry_sdk.capture_exception(error)
    assert events == []


def test_mistakes_and_everything_else_are_reported(start):
    """Also without a module."""
    events = start()
    sentry_sdk.capture_exception(NoCurrentTenant("nobody"))
    sentry_sdk.capture_message("hello")
    assert len(events) == 2


def test_who_has_not_asked_for_it_gets_nothing(start):
    """Another client of the SDK in the same process."""
    start()
    transport = Kept()
    sentry_sdk.init(
        "https://key@example.invalid/1",
        transport=transport,
        default_integrations=False,
        auto_enabling_integrations=False,
    )
    fail()
    sentry_sdk.capture_exception(TenantUnidentified("x"))
    assert [event["exception"]["values"][-1]["type"] for event in transport.events] == ["TenantUnidentified"]
