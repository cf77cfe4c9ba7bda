"""The environment of a process: unset means enforce, a typo fails start-up."""

from __future__ import annotations

import pytest

from payaid_entitlements.core.catalog import Catalog
from payaid_entitlements.core.controls import ENFORCE, EVERYWHERE, OBSERVE, OFF
from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.settings import environment_modes, modes_of


@pytest.mark.parametrize(
    ("environ", "modes"),
    [
        ({}, {}),
        ({"PAYAID_ENFORCEMENT": ""}, {}),
        ({"PAYAID_ENFORCEMENT": "observe"}, {EVERYWHERE: OBSERVE}),
        ({"PAYAID_ENFORCEMENT": " OFF "}, {EVERYWHERE: OFF}),
        ({"PAYAID_ENFORCEMENT_CRM": "off", "PAYAID_ENFORCEMENT": "enforce"}, {"crm": OFF, EVERYWHERE: ENFORCE}),
        ({"PAYAID_ENFORCEMENTS": "nonsense", "OTHER": "x"}, {}),
        ({"PAYAID_ENFORCEMENT_TIME_SHEETS": "off"}, {"time_sheets": OFF}),
        ({"FEATURE_LICENSING": "true"}, {EVERYWHERE: ENFORCE}),
        ({"FEATURE_LICENSING": "false"}, {EVERYWHERE: OFF}),
        ({"FEATURE_MODULE_GATING": "0"}, {EVERYWHERE: OFF}),
        ({"FEATURE_LICENSING": "True", "FEATURE_MODULE_GATING": "false"}, {EVERYWHERE: OFF}),
        ({"FEATURE_LICENSING": "1", "PAYAID_ENFORCEMENT": "enforce"}, {EVERYWHERE: ENFORCE}),
        ({"FEATURE_LICENSING": "yes"}, {EVERYWHERE: ENFORCE}),
        ({"FEATURE_MODULE_GATING": " Off "}, {EVERYWHERE: OFF}),
        ({"FEATURE_LICENSING": "", "FEATURE_MODULE_GATING": ""}, {}),
    ],
)
def test_what_is_set_counts_and_what_is_not_enforces(environ, modes):
    """An unset or empty variable never opens anything."""
    assert environment_modes(environ) == modes


@pytest.mark.parametrize(
    "environ",
    [
        {"PAYAID_ENFORCEMENT": "enforced"},
        {"PAYAID_ENFORCEMENT_CRM": "yes"},
        {"FEATURE_LICENSING": "enforce"},
        {"FEATURE_LICENSING": "false", "PAYAID_ENFORCEMENT": "enforce"},
        {"PAYAID_ENFORCEMENT_": "off"},
        {"PAYAID_ENFORCEMENT_CRM": "off", "PAYAID_ENFORCEMENT_crm": "enforce"},
    ],
)
def test_a_word_that_nobody_knows_or_a_contradiction_fails_start_up(environ):
    """And the message names the variable."""
    with pytest.raises(ConfigurationError, match=next(iter(environ))[:6]):
        environment_modes(environ)


SOLD = Catalog.load({"catalog": 1, "default_plan": "none", "modules": {"crm": {}, "time-sheets": {}}, "plans": {}})


def test_the_program_gives_one_mode_or_modes_by_module():
    """As words or as values; the environment stands beside it."""
    assert modes_of("observe", {}, SOLD).program == {EVERYWHERE: OBSERVE}
    modes = modes_of({"time-sheets": "off", "*": ENFORCE}, {"PAYAID_ENFORCEMENT_TIME_SHEETS": "enforce"}, SOLD)
    assert (modes.program, modes.environment) == ({"time-sheets": OFF, EVERYWHERE: ENFORCE}, {"time_sheets": ENFORCE})


@pytest.mark.parametrize(
    ("given", "environ", "message"),
    [
        ({"crn": "enforce"}, {}, r"enforcement= is about module 'crn', .*; did you mean 'crm'\?"),
        ("off", {"PAYAID_ENFORCEMENT_CRN": "enforce"}, "PAYAID_ENFORCEMENT_CRN is about module 'crn'"),
        ({"crm": "on"}, {}, "enforcement= is 'on'"),
    ],
)
def test_a_module_that_is_not_sold_fails_start_up(given, environ, message):
    """A typo would leave the module that was meant open; where nothing is known of modules, none is a typo."""
    with pytest.raises(ConfigurationError, match=message):
        modes_of(given, environ, SOLD)
    if "is about" in message:
        assert modes_of(given, environ, None).unknown(SOLD) == ("crn",)
