"""``$ref``: what is said once, under ``$evaluators``, and used in many rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeGuard

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from payaid_entitlements.core.flags.details import FlagValue

REF: Final = "$ref"


def is_reference(value: FlagValue) -> TypeGuard[dict[str, str]]:
    """Whether *value* is an object that says ``$ref`` and nothing else."""
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get(REF), str)


def resolved(value: FlagValue, evaluators: Mapping[str, FlagValue]) -> FlagValue:
    """
    Put what is named in the place of its name: by structure, not in the text.

    What stands under ``$evaluators`` is taken as it is written: a ``$ref`` inside of it names nothing, so that
    nothing names itself. A name that is not there is left, for whoever evaluates to fail on.
    """
    if is_reference(value):
        return evaluators.get(value[REF], value)
    if isinstance(value, dict):
        return {key: resolved(item, evaluators) for key, item in value.items()}
    if isinstance(value, list):
        return [resolved(item, evaluators) for item in value]
    return value


def references(value: FlagValue) -> Iterator[str]:
    """Name what *value* refers to, in the order of the text, each as often as it is used."""
    if is_reference(value):
        yield value[REF]
    elif isinstance(value, dict):
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def size(value: FlagValue) -> int:
    """Count the values in *value*, itself included."""
    if isinstance(value, dict):
        return 1 + sum(map(size, value.values()))
    if isinstance(value, list):
        return 1 + sum(map(size, value))
    return 1
