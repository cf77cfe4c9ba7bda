"""Whatever the framework: the module that a guard lets somebody use is remembered, and of who is refused nothing is."""

from __future__ import annotations

from datetime import date

import pytest

from payaid_entitlements import Entitlements, require_module
from payaid_entitlements.stores.activity import Seen
from payaid_entitlements.stores.memory import MemoryStore
from tests.web import across
from tests.web.conftest import CATALOG


@require_module("hr")
def endpoint(path: str) -> None:
    """Ask for a module that not everybody has."""


@pytest.mark.parametrize("name", sorted(across.ADAPTERS))
def test_the_module_that_is_used_is_remembered(name: str) -> None:
    store = MemoryStore()
    ent = Entitlements(store, catalog=CATALOG)
    ent.admin("tests", because="x").subscribe("acme", "pro")
    with across.ADAPTERS[name](ent, endpoint) as ask:
        answers = [ask("x", {"X-Tenant": tenant}).status for tenant in ("acme", "acme", "poor")]
    assert answers[2] == 402
    assert answers[0] == answers[1] != 402
    ent.close()
    for tenant, keys in (("acme", ["hr"]), ("poor", [])):
        found = store.activity.of(tenant, date.min, date.max)
        assert [each.key for each in found if each.kind is Seen.MODULE] == keys
