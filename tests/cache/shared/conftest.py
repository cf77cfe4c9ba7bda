"""The stage of the clients' tests, with a Redis that they share."""

from __future__ import annotations

from tests.entitlements.conftest import _plain_environment, stage

__all__ = ["_plain_environment", "stage"]
