"""`payaid explain --reference`: what was said beside what was true."""

from __future__ import annotations

from datetime import datetime

from payaid_entitlements.cli.examples import example_directory
from payaid_entitlements.core.catalog import Catalog
from payaid_entitlements.core.decision import Reason
from payaid_entitlements.core.instant import instant
from payaid_entitlements.core.reference import make_reference
from tests.cli.conftest import NOW, Terminal

HASH = Catalog.load(example_directory() / "catalog.yaml").hash


def said(
    tenant: str, feature: str, reason: Reason, *, at: datetime = NOW, age: float = 0.0, catalog: str = HASH
) -> str:
    return make_reference(
        tenant=tenant, feature=feature, reason=reason, at=instant(at), revision=1, age=age, catalog_hash=catalog
    )


def test_the_reference_of_a_refusal_is_read_beside_the_truth(terminal: Terminal) -> None:
    reference = terminal.run("check", "kaveri", "hr", "--json").data["reference"]
    terminal.later(hours=2)
    terminal.changed("override", "set", "kaveri", "hr", "true", "--for", "1d", "--because", "INC-4711")
    output = terminal.run("explain", "--reference", reference)
    assert output.code == 0
    assert "what was said was true" in output.out
    assert "│ said      │ 22 Nov 2026 21:30 IST (16:00 UTC) │ plan.module_absent" in output.out
    assert "│ true now  │ 22 Nov 2026 23:30 IST (18:00 UTC) │ allowed" in output.out
    assert "  since then: 22 Nov 2026 23:30 IST (18:00 UTC) override by cli:" in output.out
    assert ": INC-4711" in output.out
    assert "  every rule: payaid explain kaveri hr --at 2026-11-22T16:00:00Z" in output.out


def test_as_json_it_says_so_to_programs(terminal: Terminal) -> None:
    reference = said("on-leave", "invoicing", Reason.SUBSCRIPTION_PAUSED)
    data = terminal.run("explain", "--reference", reference, "--json").data
    assert (data["tenant"], data["feature"], data["was_true"]) == ("on-leave", "invoicing", True)
    assert data["said"] == {
        "at": "2026-11-22T16:00:00+00:00",
        "reason": "subscription.paused",
        "revision": 1,
        "age_seconds": 0.0,
        "catalog": HASH[:4],
    }
    assert data["then"]["decision"]["reason"] == data["now"]["decision"]["reason"] == "subscription.paused"


def test_what_came_from_an_old_copy_is_judged_so(terminal: Terminal) -> None:
    reference = said("kaveri", "crm", Reason.PLAN_MODULE_ABSENT, age=8)
    output = terminal.run("explain", "--reference", reference)
    assert "what was said was not true any more: it came from a copy about 8 s old" in output.out
    assert "about 8.0 s old" in output.out


def test_what_differs_from_the_truth_without_a_copy_is_judged_so(terminal: Terminal) -> None:
    reference = said("kaveri", "crm", Reason.PLAN_MODULE_ABSENT, catalog="ffff" * 16)
    output = terminal.run("explain", "--reference", reference, "kaveri")
    assert "facts or the catalog came later" in output.out
    assert "another catalog, ffff" in output.out.replace("│\n│", "")


def test_a_change_without_a_reason_is_listed_without_one(terminal: Terminal) -> None:
    import time_machine

    from payaid_entitlements import Entitlements

    reference = said("kaveri", "hr", Reason.PLAN_MODULE_ABSENT)
    terminal.later(minutes=1)
    with time_machine.travel(terminal.now, tick=False), Entitlements.open(terminal.url) as ent:
        ent.admin("billing").change_plan("kaveri", "professional")
    assert "change_plan by billing\n" in terminal.run("explain", "--reference", reference).out


def test_the_tenant_that_is_named_must_be_the_one_it_is_about(terminal: Terminal) -> None:
    reference = said("kaveri", "hr", Reason.PLAN_MODULE_ABSENT)
    output = terminal.run("explain", "everything", "--reference", reference)
    assert (output.code, output.out) == (1, "")
    assert output.err == "payaid: the reference is not about 'everything'"


def test_a_tenant_of_whom_nothing_is_known_must_be_named(terminal: Terminal) -> None:
    reference = said("tiny-shop", "hr", Reason.PLAN_MODULE_ABSENT)
    output = terminal.run("explain", "--reference", reference)
    assert output.code == 1
    assert "payaid explain TENANT --reference" in output.err
    assert terminal.run("explain", "tiny-shop", "--reference", reference).code == 0


def test_a_feature_that_no_catalog_has_is_said(terminal: Terminal) -> None:
    reference = said("kaveri", "payroll", Reason.PLAN_MODULE_ABSENT)
    output = terminal.run("explain", "--reference", reference)
    assert output.code == 1
    assert output.err == "payaid: the catalog has no module or feature that this reference is about"


def test_what_is_no_reference_is_said(terminal: Terminal) -> None:
    output = terminal.run("explain", "--reference", "7F3K")
    assert output.code == 2
    assert "a reference has 26 letters and digits" in output.err


def test_of_the_second_that_it_names_the_moment_that_agrees_is_shown(terminal: Terminal) -> None:
    """The override began within the second: at its end hr was open, at its beginning it was not."""
    terminal.later(seconds=10.5)
    terminal.changed("override", "set", "kaveri", "hr", "true", "--for", "1d", "--because", "INC-1")
    reference = said("kaveri", "hr", Reason.PLAN_MODULE_ABSENT, at=terminal.now)
    terminal.later(hours=1)
    assert terminal.run("explain", "--reference", reference, "--json").data["was_true"] is True
