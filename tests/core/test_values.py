"""What is computed is immutable: decisions, tables and facts are shared by everybody."""

from __future__ import annotations

import copy
import importlib
import pickle
import pkgutil
from dataclasses import is_dataclass

import pytest

import payaid_entitlements.core
from payaid_entitlements.core.values import DENY, UNLIMITED

CLASSES = sorted(
    {
        value
        for found in pkgutil.walk_packages(payaid_entitlements.core.__path__, "payaid_entitlements.core.")
        for value in vars(importlib.import_module(found.name)).values()
        if isinstance(value, type) and is_dataclass(value) and value.__module__ == found.name
        # While a document or a pattern is being read, what is found so far is collected; nobody else knows of it.
        if value.__qualname__ not in ("Reading", "CatalogReading", "_Open", "_Reader")
    },
    key=lambda each: f"{each.__module__}.{each.__qualname__}",
)


@pytest.mark.parametrize("of", CLASSES, ids=lambda each: each.__qualname__)
def test_computed_data_is_frozen_and_small(of):
    """Nobody changes what others see, and there is no dictionary in each of a hundred thousand copies."""
    assert of.__dataclass_params__.frozen
    assert "__slots__" in vars(of)


@pytest.mark.parametrize("value", [UNLIMITED, DENY])
def test_unlimited_and_deny_stay_themselves(value):
    """The two values that are no amounts are one object each, also after a copy and a pickle."""
    assert pickle.loads(pickle.dumps(value)) is value
    assert copy.deepcopy(value) is value
    assert repr(value) in ("UNLIMITED", "DENY")
