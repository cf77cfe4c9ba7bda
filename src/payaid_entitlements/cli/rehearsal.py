"""
A change tried on a copy in memory, so that what is shown beforehand is what would be decided, not a guess.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from payaid_entitlements.cli.opening import Opened
from payaid_entitlements.core.instant import MICROSECONDS
from payaid_entitlements.entitlements import Entitlements
from payaid_entitlements.stores.memory import MemoryStore
from payaid_entitlements.stores.ports import Write


@contextmanager
def rehearsal(store: Opened, tenant: str) -> Iterator[Entitlements]:
    """
    Open a client on a copy of what is sold and of what is known about *tenant*, at the command's instant.

    Raises:
        ConfigurationError: Nothing is published.
    """
    memory = MemoryStore()
    # The copy begins its own counting of revisions: nothing of it is ever compared with the store.
    copies = [Write("0-catalog", "publish", store.now, published=replace(store.published(), revision=1))]
    document, controls = store.document(tenant), store.store.controls()
    if document.revision:
        copies.append(Write("1-tenant", "copy", store.now, document=replace(document, revision=1)))
    if controls.revision:
        copies.append(Write("2-controls", "copy", store.now, controls=replace(controls, revision=1)))
    for copy in copies:
        memory.apply(copy, expect=0, actor="rehearsal", because=None)
    with Entitlements(memory, strict=True, clock=lambda: store.now / MICROSECONDS) as ent:
        yield ent
