"""Whatever is written, reading answers with a catalog or with problems, never with another error."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from payaid_entitlements.core.catalog import Catalog, Published, publish
from payaid_entitlements.core.written.source import read_source
from payaid_entitlements.errors import CatalogInvalid, ConfigurationError

EXAMPLE = Path(__file__).parents[3] / "examples" / "payaid" / "catalog.yaml"
TEXT = EXAMPLE.read_text(encoding="utf-8")
DATA = read_source(EXAMPLE)[0]

#: How many examples there are is for the profile to say; the machine may be busy.
UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

WORDS = st.sampled_from(
    [
        "", "crm", "crm.export", "crm.exprot", "seats", "free", "starter", "none", "unlimited",
        "100/month", "5/lifetime", "0/day", "1/", "/", "9 GB", "14 days", "month", "hard", "soft_until 1%",
        "switch", "quota", "allocation", "config", "credit", "choice", "int", "max", "full for 7 days",
        "read_only", "5%", "INR", "Mars/Base", "2026-02-30", "A", "é", "\x00", "\ud800", "x" * 300,
        "9" * 50 + "/month", "1e9/day", "٣/day", "1/٣ days", "999999999999 years", "0.0/month",
    ]
)  # fmt: skip
JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**40, -1, 0, Decimal("0.5"), Decimal("NaN"), Decimal("1e30"), Decimal("-0"), 1.5])
    | WORDS
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)


def places(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """List every place of a document."""
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [place for key, value in items for place in ((*path, key), *places(value, (*path, key)))]


PLACES = places(DATA)


def place(data: Any, path: Sequence[Any]) -> Any:
    """Find what is at *path*; None where an earlier damage took it away."""
    for key in path:
        try:
            data = data[key]
        except (KeyError, IndexError, TypeError):
            return None
    return data


@st.composite
def malformed(draw: st.DrawFn) -> dict[str, Any]:
    """Damage the example in some places: delete, replace, copy from elsewhere, rename."""
    data: Any = copy.deepcopy(DATA)
    for _ in range(draw(st.integers(1, 4))):
        *path, last = draw(st.sampled_from(PLACES))
        inner = place(data, path)
        if isinstance(inner, dict) and last in inner:
            match draw(st.sampled_from(["delete", "replace", "copy", "rename"])):
                case "delete":
                    del inner[last]
                case "replace":
                    inner[last] = draw(JUNK)
                case "copy":
                    inner[last] = copy.deepcopy(place(data, draw(st.sampled_from(PLACES))))
                case "rename":
                    inner[draw(WORDS)] = inner.pop(last)
        elif isinstance(inner, list):
            inner.append(draw(JUNK))
    return data  # type: ignore[no-any-return]  # always the copy


def read_or_refuse(data: dict[str, Any]) -> None:
    """Pass where *data* is refused with problems, or is a catalog that can be published and read back."""
    try:
        catalog = Catalog.load(data)
    except CatalogInvalid as error:
        assert error.problems
        assert all(problem.fatal and problem.message and problem.code for problem in error.problems)
        return
    assert Catalog.load(catalog.document) == catalog
    now, _ = publish(None, catalog)
    assert Published.from_json(now.to_json()) == now


@UNHURRIED
@given(malformed())
def test_a_damaged_catalog_is_read_or_refused(data: dict[str, Any]) -> None:
    """Whatever is damaged, and however."""
    read_or_refuse(data)


@pytest.mark.soak
@settings(UNHURRIED, max_examples=10_000)
@given(malformed())
def test_ten_thousand_damaged_catalogs_are_read_or_refused(data: dict[str, Any]) -> None:
    """The same, for long."""
    read_or_refuse(data)


@UNHURRIED
@given(malformed())
def test_a_damaged_catalog_cannot_damage_what_is_held(data: dict[str, Any]) -> None:
    """Publishing a damaged catalog over the example is refused, or leaves every version in place."""
    held, _ = publish(None, Catalog.load(DATA))
    try:
        now, _ = publish(held, Catalog.load(data))
    except CatalogInvalid:
        return
    assert set(held.versions) <= set(now.versions)


@UNHURRIED
@given(st.data())
def test_a_damaged_text_is_read_or_refused(data: st.DataObject) -> None:
    """Lines of the example that are lost, doubled or overwritten give a catalog or problems with lines."""
    lines = TEXT.splitlines()
    for _ in range(data.draw(st.integers(1, 3))):
        index = data.draw(st.integers(0, len(lines) - 1))
        match data.draw(st.sampled_from(["delete", "double", "cut", "insert"])):
            case "delete":
                del lines[index]
            case "double":
                lines.insert(index, lines[index])
            case "cut":
                lines[index] = lines[index][: data.draw(st.integers(0, 40))]
            case "insert":
                at = data.draw(st.integers(0, 60))
                junk = data.draw(st.text(alphabet="{}[]:,-&*!|>'\"%@` \t#?abc109.+~\\", max_size=6))
                lines[index] = lines[index][:at] + junk + lines[index][at:]
    try:
        Catalog.loads("\n".join(lines))
    except ConfigurationError as error:
        assert isinstance(error, CatalogInvalid)


@UNHURRIED
@given(st.text(max_size=200), st.sampled_from(["yaml", "toml", "json"]))
def test_any_text_is_read_or_refused(text: str, format: Any) -> None:
    """No text makes reading fail in another way."""
    try:
        Catalog.loads(text, format)
    except CatalogInvalid as error:
        assert str(error)
