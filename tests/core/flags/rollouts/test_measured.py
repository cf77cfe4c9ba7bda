"""What processes have counted together, read."""

from __future__ import annotations

from payaid_entitlements.core.flags.rollouts.measured import (
    Arm,
    Measured,
    Rate,
    Side,
    amount_field,
    count_field,
    rate_field,
    tally,
)


def test_fields_are_read_as_they_are_named() -> None:
    inside, control = Arm.INSIDE, Arm.CONTROL
    assert Measured.of(
        {
            "processes": 3,
            count_field(inside, "samples"): 10,
            count_field(inside, "ids"): 4,
            rate_field(inside, "error_rate", "of"): 10,
            rate_field(inside, "error_rate", "bad"): 1,
            amount_field(inside, "latency", 40): 7,
            amount_field(inside, "latency", 41): 3,
            count_field(control, "samples"): 90,
            rate_field(control, "a/b", "of"): 90,
            amount_field(control, "c/d", 0): 2,
        }
    ) == Measured(
        Side(10, 4, {"error_rate": Rate(1, 10)}, {"latency": {40: 7, 41: 3}}),
        Side(90, 0, {"a/b": Rate(0, 90)}, {"c/d": {0: 2}}),
        3,
    )


def test_what_makes_no_sense_is_left_out() -> None:
    found = Measured.of(
        {
            "processes/of": 3,
            "sideways/samples": 1,
            "in": 1,
            "in/later": 1,
            "in/samples": -1,
            "in/latency/le/304": 1,
            "in/latency/le/-1": 1,
            "in/latency/le/x": 1,
            "in/error_rate/bad": 5,
            "out/error_rate/bad": 5,
            "out/error_rate/of": 3,
        }
    )
    assert found == Measured(Side(), Side(rates={"error_rate": Rate(3, 3)}))
    assert found.inside.rate("error_rate") == Rate()
    assert Measured.of({}) == Measured()


def test_a_tally_is_of_one_step_of_one_try() -> None:
    assert tally("new-checkout", 3) == "rollout/new-checkout/3"
