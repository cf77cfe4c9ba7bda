"""
The edge: refusals as problem documents and pages, fields that tell of rate limits, a wall around each module, and a
gate for each framework.
"""

from payaid_entitlements.web.address import client_address
from payaid_entitlements.web.answers import Answers
from payaid_entitlements.web.boundary import ModuleBoundary, module_boundary
from payaid_entitlements.web.exempting import exempt
from payaid_entitlements.web.failing import Failure, on_failure
from payaid_entitlements.web.pages import Page, Pages
from payaid_entitlements.web.rate_fields import rate_fields
from payaid_entitlements.web.refusing import Refusal, refusal
from payaid_entitlements.web.words import Words

__all__ = [
    "Answers",
    "Failure",
    "ModuleBoundary",
    "Page",
    "Pages",
    "Refusal",
    "Words",
    "client_address",
    "exempt",
    "module_boundary",
    "on_failure",
    "rate_fields",
    "refusal",
]
