"""
What parts of every document have in common: sorts of values, and that nothing is converted or passed over.

Importing this file imports pydantic, as the models do that are made of these.
"""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import ConfigDict, Field

from payaid_entitlements.core.written.plain import described

#: What a key is made of.
KEY: Final = "^[a-z][a-z0-9_-]*$"
#: What a key with its module is made of.
REFERENCE: Final = r"^[a-z][a-z0-9_-]*(\.[a-z][a-z0-9_-]*)?$"
#: The schema of one text, or of several in a list.
TEXTS: Final[dict[str, object]] = {
    "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]
}

Title = Annotated[str, Field(min_length=1, max_length=200, description="What people read; defaults to the key.")]
Reference = Annotated[str, Field(json_schema_extra={"pattern": REFERENCE})]
Day = Annotated[str, Field(json_schema_extra={"format": "date"})]

#: Of every part: nothing is converted, nothing unknown is passed over.
STRICT: Final = ConfigDict(strict=True, extra="forbid", frozen=True)


def texts(value: object) -> list[str]:
    """
    Take one text for a list of it.

    Raises:
        ValueError: *value* is neither text nor a list of texts, or an empty one.
    """
    if isinstance(value, str):
        return [value]
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        return value
    raise ValueError(f"write text or a list of texts, not {described(value)}")
