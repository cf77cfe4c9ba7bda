"""
What was measured, against what a guard bounds.

A whole rollout that is no worse than its bounds is rolled back with a probability of at most `ALPHA`, however often
anybody looks: each metric of each step has an equal part of that (Bonferroni), and so has each side of a comparison.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from payaid_entitlements.core.flags.model import PARTS, Metric, Rollout
from payaid_entitlements.core.flags.rollouts.histogram import quantile_above, quantile_within
from payaid_entitlements.core.flags.rollouts.measured import LATENCY, Measured, Side
from payaid_entitlements.core.flags.rollouts.sequential import is_refuted, lower, upper
from payaid_entitlements.core.flags.shares import percent

#: The most that a rollout that is no worse may be rolled back by chance.
ALPHA: Final = 0.05
#: The same for the shares of ids on both sides, which only hold a step. It is what the field uses: see Fabijan and
#: others (2019), "Diagnosing sample ratio mismatch in online controlled experiments", KDD.
MISMATCH: Final = 0.001


@dataclass(frozen=True, slots=True)
class Judged:
    """
    One metric.

    Attributes:
        is_measured: There is something on each side that counts.
        is_broken: It surely is beyond its bound.
        figures: What was measured, in words.
    """

    metric: Metric
    is_measured: bool
    is_broken: bool
    figures: str


def judge(rollout: Rollout, share: int, measured: Measured) -> tuple[Judged, ...]:
    """
    Judge all metrics of a step.

    Args:
        rollout: With a guard, or there is nothing to judge.
        share: That is in; where it is all, there is nobody to compare with and what is against control breaks nothing.
    """
    metrics = () if rollout.guard is None else rollout.guard.metrics
    alpha = ALPHA / max(len(metrics) * len(rollout.steps), 1)
    return tuple(
        (_rate if metric.quantile is None else _quantile)(metric, measured, alpha, is_all=share >= PARTS)
        for metric in metrics
    )


def mismatch(share: int, measured: Measured) -> str | None:
    """
    Say what is wrong with how many ids are on each side; None where nothing is.

    The sequential test of shares of Lindon and Malek (2022), "Anytime-valid inference for multinomial count data",
    which for two sides is that of `sequential`. Ids are counted by each process for itself: of each no more than one
    in *processes* counts, so that an id that all of them saw is one. That errs towards seeing nothing wrong.
    """
    inside, control = (side.ids / max(measured.processes, 1) for side in (measured.inside, measured.control))
    if not 0 < share < PARTS or not is_refuted(inside, inside + control, share / PARTS, MISMATCH):
        return None
    seen = 100 * inside / (inside + control)
    return f"{seen:.2f}% of those who were measured are inside, and {percent(share)} should be"


def _rate(metric: Metric, measured: Measured, alpha: float, *, is_all: bool) -> Judged:
    inside, control = (side.rate(metric.name) for side in (measured.inside, measured.control))
    bound = metric.bound / PARTS
    if not metric.against_control:
        least = lower(inside.bad, inside.of, alpha)
        figures = f"at least {100 * least:.3f}% ({inside.bad} of {inside.of}), and {percent(metric.bound)} is the bound"
        return Judged(metric, inside.of > 0, least > bound, figures)
    least, most = lower(inside.bad, inside.of, alpha / 2), upper(control.bad, control.of, alpha / 2)
    figures = (
        f"at least {100 * least:.3f}% inside ({inside.bad} of {inside.of}), at most {100 * most:.3f}% outside "
        f"({control.bad} of {control.of}), and {percent(metric.bound)} more is the bound"
    )
    return Judged(metric, inside.of > 0 and (is_all or control.of > 0), not is_all and least > most + bound, figures)


def _quantile(metric: Metric, measured: Measured, alpha: float, *, is_all: bool) -> Judged:
    quantile = (metric.quantile or 0) / PARTS
    inside, control = (_amounts(side, metric) for side in (measured.inside, measured.control))
    name = f"p{100 * quantile:g}"
    if not metric.against_control:
        least = quantile_above(inside, quantile, alpha)
        figures = (
            f"{name} is more than {_amount(metric, least)} ({sum(inside.values())} measured), and "
            f"{_amount(metric, metric.bound)} is the bound"
        )
        # It is above *least*, so at the bound it is beyond it.
        return Judged(metric, bool(inside), least >= metric.bound, figures)
    least, most = quantile_above(inside, quantile, alpha / 2), quantile_within(control, quantile, alpha / 2)
    known = "unknown" if most is None else f"at most {_amount(metric, most)}"
    figures = (
        f"{name} is more than {_amount(metric, least)} inside ({sum(inside.values())} measured), {known} outside "
        f"({sum(control.values())} measured), and {_amount(metric, metric.bound)} more is the bound"
    )
    is_broken = not is_all and most is not None and least >= most + metric.bound
    return Judged(metric, bool(inside) and (is_all or bool(control)), is_broken, figures)


def _amounts(side: Side, metric: Metric) -> dict[int, int]:
    return {number: count for number, count in side.amounts.get(metric.name, {}).items() if count}


def _amount(metric: Metric, amount: int) -> str:
    if metric.name == LATENCY:
        return f"{max(amount, 0) / 1000:g} ms"
    return str(max(amount, 0))
