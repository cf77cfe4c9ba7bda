"""The ten questions of a provider, as two: one that waits and one that is awaited."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from openfeature.evaluation_context import EvaluationContext
from openfeature.flag_evaluation import FlagResolutionDetails, FlagValueType
from openfeature.hook import Hook
from openfeature.provider import AbstractProvider, Metadata

from payaid_entitlements.openfeature.kinds import Kind

Object: TypeAlias = Sequence[FlagValueType] | Mapping[str, FlagValueType]


class Asking(AbstractProvider):
    """
    A provider whose questions differ in nothing but the kind that they ask for.

    Args:
        name: Of the provider.
        hooks: Of the host's, which run around each question.
    """

    def __init__(self, name: str, hooks: Sequence[Hook]) -> None:
        super().__init__()
        self._metadata = Metadata(name=name)
        self._hooks = list(hooks)

    def get_metadata(self) -> Metadata:
        """Name the provider."""
        return self._metadata

    def get_provider_hooks(self) -> list[Hook]:
        """Give the hooks that the host has handed in."""
        return self._hooks

    @abstractmethod
    def resolve(
        self, key: str, default: Any, context: EvaluationContext | None, kind: Kind
    ) -> FlagResolutionDetails[Any]:
        """
        Answer.

        Raises:
            OpenFeatureError: There is no answer; the SDK gives the caller its default.
        """

    @abstractmethod
    async def resolve_async(
        self, key: str, default: Any, context: EvaluationContext | None, kind: Kind
    ) -> FlagResolutionDetails[Any]:
        """Same as `resolve`, awaited."""

    # The SDK calls these by the names of their parameters.

    def resolve_boolean_details(
        self, flag_key: str, default_value: bool, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[bool]:
        """Same as `resolve`."""
        return self.resolve(flag_key, default_value, evaluation_context, Kind.BOOLEAN)

    async def resolve_boolean_details_async(
        self, flag_key: str, default_value: bool, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[bool]:
        """Same as `resolve_async`."""
        return await self.resolve_async(flag_key, default_value, evaluation_context, Kind.BOOLEAN)

    def resolve_string_details(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        """Same as `resolve`."""
        return self.resolve(flag_key, default_value, evaluation_context, Kind.STRING)

    async def resolve_string_details_async(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        """Same as `resolve_async`."""
        return await self.resolve_async(flag_key, default_value, evaluation_context, Kind.STRING)

    def resolve_integer_details(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        """Same as `resolve`."""
        return self.resolve(flag_key, default_value, evaluation_context, Kind.INTEGER)

    async def resolve_integer_details_async(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        """Same as `resolve_async`."""
        return await self.resolve_async(flag_key, default_value, evaluation_context, Kind.INTEGER)

    def resolve_float_details(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        """Same as `resolve`."""
        return self.resolve(flag_key, default_value, evaluation_context, Kind.FLOAT)

    async def resolve_float_details_async(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        """Same as `resolve_async`."""
        return await self.resolve_async(flag_key, default_value, evaluation_context, Kind.FLOAT)

    def resolve_object_details(
        self, flag_key: str, default_value: Object, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[Object]:
        """Same as `resolve`."""
        return self.resolve(flag_key, default_value, evaluation_context, Kind.OBJECT)

    async def resolve_object_details_async(
        self, flag_key: str, default_value: Object, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[Object]:
        """Same as `resolve_async`."""
        return await self.resolve_async(flag_key, default_value, evaluation_context, Kind.OBJECT)
