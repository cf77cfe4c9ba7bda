"""
One gate for a FastAPI app: who asks comes from a dependency of yours, what they need is a line per router or route.

The only package of the library that imports FastAPI.
"""

try:
    from payaid_entitlements.web.fastapi.gate import Gate
except ModuleNotFoundError as error:
    if error.name not in {"fastapi", "starlette"}:
        raise
    raise ModuleNotFoundError(
        f"a gate for FastAPI needs the package {error.name!r}; run: pip install 'payaid-entitlements[fastapi]'",
        name=error.name,
    ) from error

__all__ = ["Gate"]
