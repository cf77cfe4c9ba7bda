"""Whatever a flag file is, what comes of it is a document or `FlagsInvalid`, and answers or errors with a code."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from payaid_entitlements.core.flags.context import FlagContext
from payaid_entitlements.core.flags.details import FlagReason
from payaid_entitlements.core.flags.flagd import dump, load, validate
from payaid_entitlements.core.flags.flagd.evaluating import evaluator
from payaid_entitlements.errors import FlagsInvalid
from tests.core.flags.flagd.generated import context
from tests.core.flags.flagd.malformed import WHOLE, damaged

CONTEXTS = (
    context(None),
    context("acme", attributes={"email": "a@example.com", "version": "2", "items": [1, 2, 3], "user": {"name": "jo"}}),
    context("", attributes={"email": [[]], "version": {}, "items": {"a": 1}, "user": 7, "n": float("nan")}),
)


def test_the_whole_file_is_right() -> None:
    assert validate(WHOLE) == ()
    assert set(load(WHOLE).flags) == {"look", "price", "text", "page"}


def test_malformed_files_give_typed_errors_only() -> None:
    counts = outcomes(300)
    # Not all of them are refused whole, and not all pass.
    assert counts["refused"] > 30
    assert counts["answers"] > 100
    assert counts["errors"] > 3


@pytest.mark.soak
def test_ten_thousand_malformed_files_give_typed_errors_only() -> None:
    assert sum(outcomes(10_000)[each] for each in ("refused", "read")) == 10_000


def outcomes(count: int) -> dict[str, int]:
    """Read *count* files and ask every flag of them; count what came out."""
    counts = {"refused": 0, "read": 0, "broken": 0, "answers": 0, "errors": 0, "unwritten": 0}
    for seed in range(count):
        source = damaged(Random(seed))
        try:
            document = load(source)
        except FlagsInvalid as invalid:
            assert invalid.problems and str(invalid)
            counts["refused"] += 1
            continue
        counts["read"] += 1
        counts["broken"] += len(document.broken)
        if document.broken:
            assert document.problems
        for flag in document.flags.values():
            evaluate = evaluator(flag)
            for each in CONTEXTS:
                counts["errors" if asked(evaluate, each) else "answers"] += 1
        counts["unwritten"] += is_unwritten(document.flags)
    return counts


def asked(evaluate: Any, about: FlagContext) -> bool:
    details = evaluate(about)
    assert (details.error is None) is (details.reason is not FlagReason.ERROR)
    assert bool(details.message) is (details.error is not None)
    return details.error is not None


def is_unwritten(flags: Any) -> bool:
    try:
        written = dump(flags)
    except FlagsInvalid:
        return True
    assert set(load(written).flags) == set(flags)
    return False
