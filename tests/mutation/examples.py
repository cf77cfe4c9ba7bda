"""
A plugin for pytest while mutants run: so many random examples, the same ones each time.

A mutant that survives costs all tests that touch it, so most of them are asked with few examples, and without the laws
that insist on many; who survives that is asked again with all.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

#: How many examples a random test gets.
EXAMPLES = int(os.environ.get("MUTATION_EXAMPLES", "4"))
#: From so many on, tests that name their own number run too.
ALL = 50
#: Where those are.
INSISTING = ("test_period_laws.py", "test_independent_model.py")

settings.register_profile("mutation", max_examples=EXAMPLES, derandomize=True, deadline=None, database=None)
settings.load_profile("mutation")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out what insists on many examples."""
    if EXAMPLES < ALL:
        items[:] = [item for item in items if item.path.name not in INSISTING]
