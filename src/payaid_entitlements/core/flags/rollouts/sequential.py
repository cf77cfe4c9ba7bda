"""
How sure a measured rate is, however often one looks: a confidence sequence for the rate of a yes or no.

A test for a fixed number of samples that is looked at again and again calls a false alarm sooner or later. This one may
be looked at after every sample, for ever, and ended at will: it is the mixture of Robbins (1970), "Statistical methods
related to the law of the iterated logarithm", Annals of Mathematical Statistics 41(5), in the form of Howard, Ramdas,
McAuliffe and Sekhon (2021), "Time-uniform, nonparametric, nonasymptotic confidence sequences", Annals of Statistics
49(2). For independent samples with rate p,

    M_n(p) = B(a + s, b + n - s) / B(a, b) / (p^s (1 - p)^(n - s))

where s of n were a yes, is a martingale that begins at 1, so by Ville's inequality it ever reaches 1/alpha with a
probability of at most alpha. All rates that have not reached it are the confidence sequence. It is exact: nothing is
approximated by a normal distribution. a = b = 1/2 (Krichevsky and Trofimov) is narrow where rates are small.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf, lgamma, log, log1p, pi
from typing import Final

#: Of the Beta distribution over which is mixed.
A: Final = 0.5
B: Final = 0.5
#: ln B(1/2, 1/2).
_LOG_BETA: Final = log(pi)
#: Halvings of an interval until nothing is left of it in a float.
_HALVINGS: Final = 60


def log_evidence(bad: float, of: float, rate: float) -> float:
    """
    Say how much speaks against *rate*, as the natural logarithm of M.

    Args:
        bad: How many were a yes.
        of: How many there were, at least *bad*. Neither need be whole: half of two that may be the same is one half.
        rate: From 0 to 1, both inclusive. Infinite where what was seen cannot be with it.
    """
    good = of - bad
    if (bad and rate <= 0) or (good and rate >= 1):
        return inf
    mixed = lgamma(A + bad) + lgamma(B + good) - lgamma(A + B + of) - _LOG_BETA
    return mixed - (bad * log(rate) if bad else 0.0) - (good * log1p(-rate) if good else 0.0)


def is_refuted(bad: float, of: float, rate: float, alpha: float) -> bool:
    """Say whether *rate* is believed no more; of the true one that is ever said with a probability of *alpha*."""
    return log_evidence(bad, of, rate) >= -log(alpha)


def lower(bad: float, of: float, alpha: float) -> float:
    """
    Find the least rate that is believed; 0 where nothing is known.

    Args:
        alpha: The probability, over all time, that the true rate is ever outside of `lower` and `upper`.
    """
    if not bad:
        return 0.0
    # Evidence only grows from the rate that was seen on down, so what is searched for is there once.
    return _edge(0.0, bad / of, lambda rate: is_refuted(bad, of, rate, alpha))


def upper(bad: float, of: float, alpha: float) -> float:
    """Find the greatest rate that is believed, as `lower` the least; 1 where nothing is known."""
    if bad == of:
        return 1.0
    return _edge(1.0, bad / of, lambda rate: is_refuted(bad, of, rate, alpha))


def _edge(outside: float, inside: float, is_outside: Callable[[float], bool]) -> float:
    """Find the edge of what is believed; on its outer side, so that rounding errs towards believing more."""
    for _ in range(_HALVINGS):
        middle = (outside + inside) / 2
        if is_outside(middle):
            outside = middle
        else:
            inside = middle
    return outside
