"""How verbs become requests, whatever performs them: written once for both clients."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Generic, TypeVar

from payaid_entitlements.admin.change import Author, Change
from payaid_entitlements.admin.tenants import Request, Work, change_tenant
from payaid_entitlements.cache.setting import Setting
from payaid_entitlements.cache.steps import Flow
from payaid_entitlements.core.identity import Operation, identify, operation_id, plain
from payaid_entitlements.core.instant import Instant, instant
from payaid_entitlements.stores.ports import Transaction

#: What a verb returns: a `Change`, or a coroutine of one.
R = TypeVar("R")
T = TypeVar("T")


class Asking(ABC, Generic[R]):
    """
    Somebody who changes things.

    Args:
        actor: Who asks: a person, or a program such as ``webhook:payments``.
        because: Why, for all calls that do not say it themselves.
        dry_run: Work everything out and write nothing; each `Change` is what it would be.

    Raises:
        TypeError: The actor is nobody, or the reason no text.
    """

    def __init__(self, setting: Setting, actor: str, *, because: str | None, dry_run: bool) -> None:
        self._setting = setting
        self._author = Author(identify("actor", actor), _reason(because), dry_run)

    @abstractmethod
    def _change(self, flow: Flow[Change]) -> R:
        """Perform a flow."""

    def _by(self, because: str | None) -> Author:
        return replace(self._author, because=_reason(because) or self._author.because)

    def _request(
        self,
        verb: str,
        tenant: str,
        work: Work,
        given: Mapping[str, object],
        because: str | None,
        operation: Operation | None,
        as_of: datetime | None,
        tx: Transaction | None,
    ) -> Request:
        return Request(
            identify("tenant", tenant),
            verb,
            work,
            given,
            self._by(because),
            operation=optional_operation(operation),
            as_of=optional_instant(as_of),
            tx=tx,
        )

    def _tenant(
        self,
        verb: str,
        tenant: str,
        work: Work,
        given: Mapping[str, object],
        because: str | None,
        operation: Operation | None,
        as_of: datetime | None,
        tx: Transaction | None,
        user: str | None = None,
        expect: int | None = None,
    ) -> R:
        request = self._request(verb, tenant, work, given, because, operation, as_of, tx)
        request = replace(request, user=user, expect=optional_revision("a tenant", expect))
        return self._change(change_tenant(self._setting, request))


def optional_instant(moment: datetime | None) -> Instant | None:
    """Take in a datetime that may be missing."""
    return None if moment is None else instant(moment)


def by_key(name: str, given: Mapping[str, T] | None) -> dict[str, T]:
    """
    Take in a mapping by key that may be missing.

    Raises:
        TypeError: It is no mapping, or a key of it no text.
    """
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise TypeError(f"{name} is a mapping, such as a dict, not {type(given).__name__} ({given!r})")
    return {plain(f"a key of {name}", key): value for key, value in given.items()}


def _reason(because: str | None) -> str | None:
    return None if because is None else plain("because", because)


def optional_revision(of: str, expect: int | None) -> int | None:
    """
    Take in the revision that somebody looked at, which may be missing.

    Raises:
        TypeError: It is no whole number.
    """
    if expect is not None and type(expect) is not int:
        raise TypeError(f"expect={expect!r}: the revision of {of} is a whole number")
    return expect


def optional_operation(operation: Operation | None) -> str | None:
    """Take in the id of an act that may be missing."""
    return None if operation is None else operation_id(operation)
