"""
What all guards on one function ask, and what they take: guards that meet on a function become one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar, cast

from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.guards.branching import Branch
from payaid_entitlements.guards.limiting import Limited
from payaid_entitlements.guards.metered import Metered
from payaid_entitlements.guards.requirement import Requirement
from payaid_entitlements.guards.whom import Client

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Rules:
    """
    All that the guards on one function ask and take.

    Attributes:
        requirements: What must be held, in the order in which it is asked.
        metered: What each call takes, in the order in which it is taken, when all requirements are met.
        branches: What is called instead where a flag is off: asked when all requirements are met, before anything is
            taken.
        tenant: Name of the argument that holds the tenant; None for the tenant that is bound.
        client: Whom to ask where the argument names the tenant; None for the only one that is open.
        limits: Rate limits on which each call is counted, before anything else is asked.
    """

    requirements: tuple[Requirement, ...] = ()
    metered: tuple[Metered, ...] = ()
    tenant: str | None = None
    client: Client | None = None
    branches: tuple[Branch, ...] = ()
    limits: tuple[Limited, ...] = ()

    @property
    def may_refuse(self) -> bool:
        """False where each call goes one way or the other."""
        return bool(self.limits or self.requirements or self.metered)

    def merged(self, inner: Rules) -> Rules:
        """These rules and those of a guard below, in the fixed order."""
        return Rules(
            # sorted() is stable: of two modules, the one that is read first is asked first.
            tuple(sorted((*self.requirements, *inner.requirements), key=lambda need: need.rank)),
            tuple(sorted((*self.metered, *inner.metered), key=lambda need: need.rank)),
            _agreed("tenant", self.tenant, inner.tenant),
            cast("Client | None", _agreed("client", self.client, inner.client)),
            (*self.branches, *inner.branches),
            (*self.limits, *inner.limits),
        )


def _agreed(word: str, outer: T | None, inner: T | None) -> T | None:
    if outer is not None and inner is not None and outer is not inner and outer != inner:
        raise ConfigurationError(f"guards on one function merge; they cannot say {word}={outer!r} and {word}={inner!r}")
    return inner if outer is None else outer
