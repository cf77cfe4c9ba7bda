"""What `payaid_entitlements.testing` gives, and when it imports pytest for it."""

from __future__ import annotations

import sys

import pytest

import payaid_entitlements.testing as given
from payaid_entitlements.testing import contracts

CONTRACTS = "payaid_entitlements.testing.contracts"


@pytest.mark.parametrize("name", contracts.__all__)
def test_contracts_are_given_when_they_are_asked_for(name):
    assert getattr(given, name) is getattr(contracts, name)


def test_a_contract_that_fails_shows_what_was_compared(monkeypatch):
    asked = []
    monkeypatch.setattr(pytest, "register_assert_rewrite", asked.append)
    assert given.StoreContract is contracts.StoreContract
    assert asked == []

    monkeypatch.delitem(sys.modules, CONTRACTS)

    assert given.StoreContract is contracts.StoreContract
    assert asked == [CONTRACTS]


def test_what_is_not_there_is_said_as_python_says_it():
    with pytest.raises(AttributeError, match=r"module 'payaid_entitlements\.testing' has no attribute 'QueueContract'"):
        given.QueueContract  # noqa: B018
