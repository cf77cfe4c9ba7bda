"""A place in a request that may name its tenant, and how far it is believed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from payaid_entitlements.errors import TenantConflict
from payaid_entitlements.web.later import then
from payaid_entitlements.web.request import Incoming

#: Says whether what stands in a request was written by somebody who is trusted, and not by the client.
Proof: TypeAlias = Callable[[Incoming], bool]
#: Says whom a request names: an id, or None where it names nobody. Where the app is asynchronous it may be awaited.
Read: TypeAlias = Callable[[Incoming], Any]
#: Looks up whose something is: a tenant's id, or None.
Lookup: TypeAlias = Callable[[str], Any]
#: Characters of what a client sent that go into a log.
SHOWN: Final = 80


@dataclass(frozen=True, slots=True)
class Source:
    """
    A place that may name the tenant.

    Attributes:
        name: How it is called where places disagree; ends up in logs.
        read: Whom it names. It raises `TenantConflict` where that cannot be said without guessing.
        proof: Makes what it names verified, where it holds for a request. None: nothing does, it can only agree or
            disagree with a place that is verified.
    """

    name: str
    read: Read
    proof: Proof | None


@dataclass(frozen=True, slots=True)
class Unknown:
    """
    Somebody was named of whom nobody knows: no tenant agrees with it.

    It is told apart from a tenant that exists only by whoever has logged in as one, and is refused either way.
    """

    said: str


def looked_up(text: str, lookup: Lookup | None) -> Any:
    """Say whose *text* is: without a *lookup* it is the id itself. To be awaited where *lookup* is."""
    if lookup is None:
        return text
    return then(lookup(text), lambda found: Unknown(text) if found is None else found)


def always(_incoming: Incoming) -> bool:
    """What the host's own code has said needs no other proof."""
    return True


def shown(found: object) -> str:
    """Write what was found so that it can stand in a log: in one line, short, of printable characters."""
    text = ascii(found)[1:-1] if isinstance(found, str) else ascii(found)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."


def ambiguous(name: str, found: object) -> TenantConflict:
    """Refuse a place that names several, or one in a way that others would read otherwise."""
    return TenantConflict({name: shown(found)})


def one_value(incoming: Incoming, field: str, name: str) -> str | None:
    """
    Read a field that is to be there once, or not at all.

    Raises:
        TenantConflict: It was sent twice, also with the same value; or spelled with underscores, which what stands
            before the app may not have removed, and what stands behind it may take for the same field.
    """
    values = incoming.header(field)
    if len(values) > 1 or incoming.is_misspelled(field):
        raise ambiguous(name, ", ".join(values) or field.replace("-", "_"))
    return values[0].strip() if values else None
