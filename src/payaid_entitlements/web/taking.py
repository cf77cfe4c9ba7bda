"""
Units of quotas that a request uses up before it is handled, and gives back when it fails.

What is named by the same operation is used up once: by what the host names, or by the ``Idempotency-Key`` that the
client sends (draft-ietf-httpapi-idempotency-key-header-07). A repetition is let through for free, and `Taken` and its
`Usage` say that it is one. Only the host can know that its work was done already: a route that is named by its client
looks at ``usage.replayed`` and does it once, or each client has all for the price of one.

Slots are no matter of a request: they stay when it has failed, since another one for the same holder may have found its
slot there. ``@assign_slot`` on the function takes them, behind all that is validated.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from hashlib import sha256
from json import dumps
from typing import TYPE_CHECKING, Final, TypeAlias
from uuid import UUID

from payaid_entitlements.binding import Binding
from payaid_entitlements.core.identity import Operation, operation_id
from payaid_entitlements.core.values import Amount
from payaid_entitlements.errors import OperationUnnamed
from payaid_entitlements.guards.charging import carry_out, carry_out_async
from payaid_entitlements.guards.metered import Verb, giving_back, use_up
from payaid_entitlements.metering.cancelling import begun, ended
from payaid_entitlements.web.request import Incoming

if TYPE_CHECKING:
    from payaid_entitlements.core.metering.usage import Usage

#: The field by which a client names what it does, so that it may ask again without doing it twice.
KEY_FIELD: Final = "Idempotency-Key"
#: Where a table of routes tells the app, in its scope or environ, what the request has used up: a `Usage` by feature.
USAGES: Final = "payaid_entitlements.usages"
#: Characters of a key; a UUID has 36.
LONGEST_KEY: Final = 255

#: Does a response of this status say that nothing was done?
Failing: TypeAlias = Callable[[int], bool]


def is_failure(status: int) -> bool:
    """4xx and 5xx (RFC 9110 section 15): what was asked was not done."""
    return status >= 400


class Taken:
    """
    What one operation has used up for a request.

    Attributes:
        operation: As the ledger knows it, for ``ent.refund(...)``.
        usages: By feature, what is left.
        is_repeated: The operation was carried out before, and this request uses up nothing.
    """

    __slots__ = ("_back", "_binding", "_is_failure", "is_repeated", "operation", "usages")

    def __init__(
        self,
        binding: Binding,
        operation: str,
        usages: Mapping[str, Usage],
        back: tuple[Verb, ...],
        failing: Failing = is_failure,
    ) -> None:
        self.operation = operation
        self.usages = usages
        self.is_repeated = not back
        self._back = back
        self._binding = binding
        self._is_failure = failing

    def is_owed(self, status: int) -> bool:
        """Is it to be given back where the request is answered with *status*?"""
        return bool(self._back) and self._is_failure(status)

    def give_back(self) -> None:
        """Give back what this request has used up, once. Where that fails it is logged, and hides nothing else."""
        back, self._back = self._back, ()
        carry_out(self._binding, giving_back(back))

    async def give_back_async(self) -> None:
        """Same as `give_back`, awaited; also carried to its end in a task that is cancelled."""
        back, self._back = self._back, ()
        if back:
            await ended(carry_out_async(self._binding, giving_back(back)))

    def keep(self) -> None:
        """Give nothing back any more: what was paid for was done."""
        self._back = ()


def take(
    binding: Binding, amounts: Mapping[str, Amount], operation: Operation, *, failing: Failing = is_failure
) -> Taken:
    """
    Use up units of quotas, all or none.

    Args:
        amounts: By feature.
        operation: What is done: the same when it is asked for again.
        failing: Statuses with which it is to be given back.

    Raises:
        QuotaExceeded, Refused: Less is left, or it is not sold; nothing was used up.
        OperationUnnamed: *operation* identifies nothing, and it is the client that names it.
        OperationConflict: It was something else before.
        StoreUnavailable: The ledger gave no answer. `OutcomeUnknown`: it may have been used up.
        TypeError, ConfigurationError: An amount is no number, or not possible.
    """
    written = named(operation)
    return carry_out(binding, _taking(binding, binding.view.tenant, amounts, written, failing))


async def take_async(
    binding: Binding, amounts: Mapping[str, Amount], operation: Operation, *, failing: Failing = is_failure
) -> Taken:
    """Same as `take`, awaited. Where the task is cancelled meanwhile nothing stays used up."""
    written = named(operation)
    view = await binding.found_async()
    return await begun(
        carry_out_async(binding, _taking(binding, view.tenant, amounts, written, failing)), Taken.give_back_async
    )


def _taking(
    binding: Binding, tenant: str, amounts: Mapping[str, Amount], operation: str, failing: Failing
) -> Generator[Verb, object, Taken]:
    usages, back = yield from use_up(tenant, amounts, operation)
    return Taken(binding, operation, usages, back, failing)


def named(operation: object) -> str:
    """
    Write *operation* as the ledger knows it.

    Raises:
        OperationUnnamed: It names nothing: it is missing, empty, ``None``, ``undefined``, or too long.
        TypeError: It is of another kind.
    """
    try:
        return operation_id(operation)
    except TypeError as error:
        if operation is None or isinstance(operation, str | UUID | tuple):
            raise OperationUnnamed(str(error)) from None
        raise


def operation_of(incoming: Incoming, *parts: str | None) -> str:
    """
    Name what *incoming* asks for by its ``Idempotency-Key``.

    Bound to its method and its path, and as all operations to the tenant: a key that is used for something else, or by
    somebody else, repeats nothing.

    Args:
        parts: What it is bound to besides: who asks, what is used up.

    Raises:
        OperationUnnamed: There is no such field, there are two, or what it says is no key.
    """
    values = incoming.header(KEY_FIELD.lower())
    # A structured string is in quotes (RFC 9651 section 3.3.3); many clients send none.
    key = values[0].strip() if len(values) == 1 else ""
    if len(key) > 1 and key[0] == key[-1] == '"':
        key = key[1:-1]
    if not 0 < len(key) <= LONGEST_KEY or not key.isprintable():
        raise OperationUnnamed(f"{KEY_FIELD}: send one, of 1 to {LONGEST_KEY} characters")
    # A digest: paths and keys are the client's, and may be longer than an operation.
    return f"http:{sha256(dumps([incoming.method, incoming.path, key, *parts]).encode()).hexdigest()}"


def take_quotas(binding: Binding, quotas: Iterable[tuple[str, Amount]], incoming: Incoming) -> Taken:
    """
    Use up *quotas* for *incoming*, all or none, under the name that its client gives. Errors as in `take`.

    Raises:
        OperationUnnamed: It gives none.
    """
    amounts = dict(quotas)
    return take(binding, amounts, operation_of(incoming, *amounts, binding.view.user))


async def take_quotas_async(binding: Binding, quotas: Iterable[tuple[str, Amount]], incoming: Incoming) -> Taken:
    """Same as `take_quotas`, awaited."""
    amounts = dict(quotas)
    view = await binding.found_async()
    return await take_async(binding, amounts, operation_of(incoming, *amounts, view.user))


class Takings:
    """
    All that a request has used up, and what becomes of it by how the request ends.

    An answer that says failure gives back, before its first byte is sent; so does an exception, also in the middle of a
    stream. Whoever stops reading has had what was taken; so has who got all of an answer, whatever fails behind it in
    a background task.
    """

    __slots__ = ("_is_answered", "_taken")

    def __init__(self) -> None:
        self._taken: list[Taken] = []
        self._is_answered = False

    @property
    def is_answered(self) -> bool:
        """Has an answer begun?"""
        return self._is_answered

    def add(self, taken: Taken) -> None:
        """Decide on *taken* too when the request ends."""
        self._taken.append(taken)

    def begin(self) -> None:
        """An answer begins that has no status: a websocket is open."""
        self._is_answered = True

    def answer(self, status: int) -> None:
        """The answer begins with *status*: give back what is owed then."""
        for taken in self._answered(status):
            taken.give_back()

    async def answer_async(self, status: int) -> None:
        """Same as `answer`, awaited."""
        for taken in self._answered(status):
            await taken.give_back_async()

    def fail(self) -> None:
        """It has raised, and nobody has answered that: give back as for a 500."""
        for taken in self._owed(500):
            taken.give_back()

    async def fail_async(self) -> None:
        """Same as `fail`, awaited."""
        for taken in self._owed(500):
            await taken.give_back_async()

    def keep(self) -> None:
        """All was said, or nobody listens any more: give nothing back."""
        for taken in self._taken:
            taken.keep()

    def _answered(self, status: int) -> list[Taken]:
        if status >= 200:  # 1xx come before the answer
            self._is_answered = True
        return self._owed(status)

    def _owed(self, status: int) -> list[Taken]:
        return [taken for taken in reversed(self._taken) if taken.is_owed(status)]
