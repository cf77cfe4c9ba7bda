"""
What a host app's tests use, and the contracts that stores of others must keep.

The pytest plugin comes with the package: name your client in pytest's ini as
``payaid_entitlements = "app.main:ent"`` and ask for the fixtures `entitlements` and `clock`.
Importing this needs no pytest.
"""

from payaid_entitlements.testing.clock import FakeClock
from payaid_entitlements.testing.faults import FaultyStore
from payaid_entitlements.testing.sandbox import Sandbox, sandbox

__all__ = ["FakeClock", "FaultyStore", "Sandbox", "sandbox"]
