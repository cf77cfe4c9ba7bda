"""Whatever stands in the place of a flag: it is read, or refused with its problems; nothing else ever happens."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payaid_entitlements.core.catalog import Catalog
from payaid_entitlements.core.catalog.flags.reading import read_flag
from payaid_entitlements.core.flags.writing import written
from payaid_entitlements.errors import CatalogInvalid, FlagsInvalid
from tests.core.flags.native import context, snapshot
from tests.core.flags.test_reading import CATALOG, CONDITIONS, FORMS, ROLLOUTS, SOLD

#: What is put in the place of something that was right.
STRANGE: list[Any] = [
    None, True, 0, -1, 2**70, 1.5, float("inf"), "", "x", "25%", "100000%", "0x1%", "1 day", "\0", "\ud800", "é" * 300,
    [], [[]], [None], {}, {"": {}}, {"a": {}}, {"percent": "5%"}, {"all": [{}]}, {"segment": "staff"},
    {"$decimal": "1e999"}, {"attribute": "x", "matches": "(" * 300}, "error_rate > 5%",
    "2026-12-01T09:00:00Z", "9999-12-31T23:59:59Z",
]  # fmt: skip


def _whole() -> list[dict[str, Any]]:
    flags = [data for _, data, _ in FORMS]
    flags += [{"rollout": data} for _, data, _ in ROLLOUTS]
    return flags + [{"rules": [{"when": data, "serve": "on"}]} for _, data, _ in CONDITIONS]


def _damaged(data: Any, chance: random.Random) -> Any:
    """Put something strange in one place of *data*, or take a key away, or add one."""
    if chance.random() < 0.2 or not isinstance(data, dict | list) or not data:
        return chance.choice(STRANGE)
    if isinstance(data, list):
        at = chance.randrange(len(data))
        return [_damaged(item, chance) if index == at else item for index, item in enumerate(data)]
    key = chance.choice(sorted(data))
    match chance.randrange(6):
        case 0:
            return {name: value for name, value in data.items() if name != key}
        case 1:
            return {**data, chance.choice(["rules", "rollout", "steps", "not", "split", "x"]): chance.choice(STRANGE)}
    return {**data, key: _damaged(data[key], chance)}


def _read(seed: int) -> None:
    chance = random.Random(seed)
    data = chance.choice(_whole())
    for _ in range(chance.randrange(1, 4)):
        data = _damaged(data, chance)
    try:
        flag = read_flag("look", data, catalog=CATALOG, segments=CATALOG.segments)
    except FlagsInvalid as error:
        assert error.problems
    else:
        assert read_flag("look", written(flag), catalog=CATALOG, segments=CATALOG.segments) == flag
        snapshot(flag, segments=CATALOG.segments).flags["look"].evaluate(context())
    try:
        catalog = Catalog.load({**SOLD, "flags": {"look": data}})
    except CatalogInvalid as invalid:
        assert invalid.problems
    else:
        assert Catalog.load(catalog.document) == catalog


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32))
def test_a_flag_is_read_or_refused(seed: int) -> None:
    """Alone and in a catalog; what is read can be written and asked."""
    _read(seed)


@pytest.mark.soak
def test_ten_thousand_flags_are_read_or_refused() -> None:
    """As above, many of them."""
    for seed in range(10_000):
        _read(seed)
