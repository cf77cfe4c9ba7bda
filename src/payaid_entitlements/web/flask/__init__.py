"""
One gate for a Flask app: who asks comes from a function of yours, what they need is a line per blueprint or view.

The only package of the library that imports Flask.
"""

try:
    from payaid_entitlements.web.flask.gate import Gate
except ModuleNotFoundError as error:
    if error.name not in {"flask", "werkzeug"}:
        raise
    raise ModuleNotFoundError(
        f"a gate for Flask needs the package {error.name!r}; run: pip install 'payaid-entitlements[flask]'",
        name=error.name,
    ) from error

__all__ = ["Gate"]
