"""The edge: refusals as problem documents, and one gate for each framework."""

from payaid_entitlements.web.exempting import exempt
from payaid_entitlements.web.refusing import Refusal, refusal

__all__ = ["Refusal", "exempt", "refusal"]
