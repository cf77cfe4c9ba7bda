"""
One gate for an app of Starlette: who asks comes from a function of yours, what they need is a line per route or mount.

The adapters of frameworks that are built on Starlette use what is below. Imports Starlette, and FastAPI only where
somebody else has.
"""

try:
    from payaid_entitlements.web.starlette.gate import Gate
except ModuleNotFoundError as error:
    if error.name != "starlette":
        raise
    raise ModuleNotFoundError(
        "a gate for Starlette needs the package 'starlette'; run: pip install 'payaid-entitlements[starlette]'",
        name=error.name,
    ) from error

__all__ = ["Gate"]
