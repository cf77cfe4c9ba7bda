"""
OpenFeature: our flags, and what is sold, for code that asks by the standard. Needs the extra ``openfeature``.

The only package of the library that imports `openfeature`; nothing in it decides anything.
"""

try:
    from payaid_entitlements.openfeature.entitlements import NO_LIMIT, EntitlementProvider
    from payaid_entitlements.openfeature.evaluator import FlagdEvaluator
    from payaid_entitlements.openfeature.flags import FlagProvider
    from payaid_entitlements.openfeature.tracking import Tracked, TrackingSink
except ModuleNotFoundError as error:
    if error.name is None or error.name.partition(".")[0] != "openfeature":
        raise
    raise ModuleNotFoundError(
        "a provider for OpenFeature needs the package 'openfeature-sdk'; "
        f"run: pip install 'payaid-entitlements[openfeature]' ({error})",
        name=error.name,
    ) from error

__all__ = ["NO_LIMIT", "EntitlementProvider", "FlagProvider", "FlagdEvaluator", "Tracked", "TrackingSink"]
