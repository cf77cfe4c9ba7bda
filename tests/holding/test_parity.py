"""Both colours of what is held have the same words."""

from __future__ import annotations

import inspect

import pytest

from payaid_entitlements import AsyncEntitlements, AsyncReservation, Entitlements, Reservation


def public(kind):
    return {name for name in dir(kind) if not name.startswith("_")}


def test_both_reservations_have_the_same_names():
    """And what is known without asking is plain in both."""
    assert public(Reservation) == public(AsyncReservation)
    for name in ("tenant", "operation", "feature", "amount", "expires_at", "replayed", "hand_over"):
        assert getattr(Reservation, name) is getattr(AsyncReservation, name)


@pytest.mark.parametrize("name", ["settle", "release", "extend"])
def test_both_reservations_take_the_same_arguments(name):
    """Names, kinds and defaults."""
    plain, awaited = (inspect.signature(getattr(kind, name)) for kind in (Reservation, AsyncReservation))
    assert list(plain.parameters.values()) == list(awaited.parameters.values())


def test_reserve_takes_no_transaction():
    """A row would be locked for as long as the work takes."""
    for kind in (Entitlements, AsyncEntitlements):
        assert "tx" not in inspect.signature(kind.reserve).parameters
