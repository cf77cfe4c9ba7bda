"""
One gate for a FastAPI app: who asks comes from a dependency of yours, what they need is a line per router or route.

The only package of the library that imports FastAPI.
"""

from payaid_entitlements.web.fastapi.gate import Gate

__all__ = ["Gate"]
