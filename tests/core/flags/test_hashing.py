"""Buckets: the golden values that must never change, and the laws that rollouts stand on."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payaid_entitlements.core.flags import cbor
from payaid_entitlements.core.flags.hashing import keyed, murmur3, position, threshold
from payaid_entitlements.core.flags.model import PARTS
from payaid_entitlements.core.flags.nodes import Const, Distribute
from tests.core.flags.asking import ask, evaluate
from tests.core.flags.conformance import outside_json

#: Ours: flag, id, hash of v2, hash of v3. Two implementations that know nothing of each other gave them.
GOLDEN = [
    ("new-checkout", "user-1", 1_954_156_369, 2_132_831_605),
    ("new-checkout", "user-2", 986_941_360, 278_469_018),
    ("new-checkout", "あいうえお", 507_308_296, 1_287_254_505),
    ("a", "bc", 3_017_643_002, 143_376_823),
    ("ab", "c", 3_017_643_002, 1_535_147_242),
]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"", 0),
        (b"test", 0xBA6BD213),
        (b"Hello, world!", 0xC0363E43),
        (b"ejOoVL", 0),
        (b"bY9fO-", 1),
        (b"SI7p-", 2**31 - 1),
        (b"6LvT0", 2**31),
        (b"ceQdGm", 2**32 - 1),
    ],
)
def test_the_hash_is_murmur3_without_a_sign(raw: bytes, expected: int) -> None:
    assert murmur3(raw) == expected


@pytest.mark.parametrize(("flag", "key", "v2", "v3"), GOLDEN)
def test_golden_vectors(flag: str, key: str, v2: int, v3: int) -> None:
    assert murmur3((flag + key).encode()) == v2
    assert murmur3(keyed(flag) + cbor.text(key)) == v3


def test_golden_vectors_from_outside() -> None:
    golden = outside_json("golden/bucketing.json")
    for case in golden["murmur3_vectors"]:
        assert murmur3(case["text"].encode(), case["seed"]) == case["hash"]
    assert len(golden["pairs"]) == 200
    for pair in golden["pairs"]:
        flag, key = pair["flagKey"], pair["targetingKey"]
        v2, v3 = (flag + key).encode(), keyed(flag) + cbor.text(key)
        assert v3.hex() == pair["v3_cbor_hex"]
        assert (murmur3(v2), position(murmur3(v2))) == (pair["v2_murmur3"], pair["v2_bucket_of_100000"])
        assert (murmur3(v3), position(murmur3(v3))) == (pair["v3_murmur3"], pair["v3_bucket_of_100000"])


def test_a_rule_puts_everybody_where_the_golden_values_do() -> None:
    for pair in outside_json("golden/bucketing.json")["pairs"]:
        flag, key = pair["flagKey"], pair["targetingKey"]
        for scheme in ("v2", "v3"):
            bucket = pair[f"{scheme}_bucket_of_100000"]
            for first in (bucket, bucket + 1):
                arms = ((Const("in"), first), (Const("out"), PARTS - first))
                rule = Distribute(flag, None, arms, scheme=scheme)  # type: ignore[arg-type]
                expected = "in" if bucket < first else "out"
                assert evaluate(rule, {"targetingKey": key}) == expected


@given(st.integers(0, 2**32 - 1), st.integers(0, PARTS), st.integers(1, 2**31 - 1))
def test_one_comparison_is_the_position(hashed: int, weight: int, weights: int) -> None:
    weight = min(weight, weights)

    assert (hashed < threshold(weight, weights)) is (position(hashed, weights) < weight)


def _share(flag: str, parts: int) -> Distribute:
    return Distribute(flag, None, ((Const(True), parts), (Const(False), PARTS - parts)))


@given(st.text("abcé-", min_size=1, max_size=9), st.text("xyzü1", min_size=1, max_size=9), st.data())
def test_a_growing_share_loses_nobody(flag: str, tenant: str, data: st.DataObject) -> None:
    low = data.draw(st.integers(0, PARTS))
    high = data.draw(st.integers(low, PARTS))

    before, after = (evaluate(_share(flag, parts), {"targetingKey": tenant}) for parts in (low, high))

    assert before in (True, False)
    assert after or not before


@given(st.lists(st.integers(1, 1000), min_size=2, max_size=6), st.text("xyz", min_size=1))
def test_only_ratios_count(weights: list[int], key: str) -> None:
    """Ten of a hundred are the same as ten thousand of a hundred thousand."""

    def chosen(times: int) -> object:
        arms = tuple((Const(index), weight * times) for index, weight in enumerate(weights))
        return evaluate(Distribute("f", None, arms), {"targetingKey": key})

    assert chosen(1) == chosen(1000)


IDS = 100_000


@pytest.fixture(scope="module")
def hashes() -> dict[str, list[int]]:
    return {
        flag: [murmur3(prefix + cbor.text(f"tenant-{number}")) for number in range(IDS)]
        for flag in ("new-checkout", "dark-mode")
        for prefix in (keyed(flag),)
    }


def test_buckets_are_even(hashes: dict[str, list[int]]) -> None:
    """Chi-square of 100 buckets; 99 degrees of freedom exceed 160 once in ten thousand flags, and these two do not."""
    for hashed in hashes.values():
        counts = [0] * 100
        for one in hashed:
            counts[position(one, 100)] += 1
        expected = IDS / 100
        assert sum((count - expected) ** 2 / expected for count in counts) < 160


def test_flags_are_independent(hashes: dict[str, list[int]]) -> None:
    """Chi-square of ten buckets of one flag by ten of another: 81 degrees of freedom exceed 138 as rarely."""
    table = [[0] * 10 for _ in range(10)]
    for one, other in zip(*hashes.values(), strict=True):
        table[position(one, 10)][position(other, 10)] += 1
    rows = [sum(row) for row in table]
    columns = [sum(column) for column in zip(*table, strict=True)]
    total = 0.0
    for row, counts in zip(rows, table, strict=True):
        for column, count in zip(columns, counts, strict=True):
            expected = row * column / IDS
            total += (count - expected) ** 2 / expected
    assert total < 138


ANSWERS = """
from tests.core.flags.asking import ask
rule = {"fractional": [{"cat": ["salt", {"var": "targetingKey"}]}, ["a", 20], ["b", 30], ["c", 50]]}
listed = {"in": [{"var": "targetingKey"}, [f"id-{n}" for n in range(0, 50, 3)]]}
print("".join(ask(rule, {"targetingKey": f"id-{n}"}) + str(ask(listed, {"targetingKey": f"id-{n}"}))[0]
              for n in range(50)))
"""


def test_every_process_answers_the_same() -> None:
    """Sets and texts are in another order in every process; answers are not."""
    answers = {
        subprocess.run(
            [sys.executable, "-c", ANSWERS],
            env={
                **os.environ,
                "PYTHONHASHSEED": seed,
                "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            },
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "4711")
    }
    assert len(answers) == 1
    assert len(answers.pop().strip()) == 100


def test_v2_and_v3_are_not_the_same() -> None:
    rule = {"fractional": [["a", 1], ["b", 1]]}
    said = [
        {scheme: ask(rule, {"targetingKey": f"id-{number}"}, scheme=scheme) for scheme in ("v2", "v3")}  # type: ignore[arg-type]
        for number in range(40)
    ]
    assert any(one["v2"] != one["v3"] for one in said)
