"""
What parts of a catalog have in common: sorts of values.

Importing this file builds pydantic models, as `payaid_entitlements.core.catalog.written` does.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Final

from pydantic import Field, PlainValidator, WithJsonSchema

from payaid_entitlements.core.written.fields import TEXTS, Reference, texts
from payaid_entitlements.core.written.plain import described

_NUMBER: Final[dict[str, object]] = {"type": "number"}


def _amount(value: object) -> int | Decimal:
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return value
    raise ValueError(f"write a number, not {described(value)}")


def _value(value: object) -> bool | int | Decimal | str | list[str]:
    if isinstance(value, bool | int | Decimal | str):
        return value
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return value
    raise ValueError(f"write true, false, a number, text or a list of texts, not {described(value)}")


Number = Annotated[int | Decimal, PlainValidator(_amount), WithJsonSchema(_NUMBER)]
FeatureValue = Annotated[
    bool | int | Decimal | str | list[str],
    PlainValidator(_value),
    WithJsonSchema(
        {
            "type": ["boolean", "number", "string", "array"],
            "items": {"type": "string"},
            "examples": [True, 5, "100/month", "unlimited", "10 GB", "24 hours"],
        }
    ),
]
Rates = Annotated[
    list[str],
    PlainValidator(texts),
    WithJsonSchema({**TEXTS, "examples": ["30/minute", ["20/second", "600/minute"], "5 at once", "unlimited"]}),
]
Stages = Annotated[
    list[str],
    PlainValidator(texts),
    WithJsonSchema({**TEXTS, "examples": [["full for 7 days", "read_only for 14 days", "none"]]}),
]
Url = Annotated[str, Field(min_length=1, max_length=2000, description="Where to buy it.")]
Requires = Annotated[list[Reference], Field(description="Modules and features that must be held too.")]
OnOutage = Annotated[
    str,
    Field(
        description="When the store cannot be reached: `closed`, `open` or `last_known_good 10 minutes`.",
        json_schema_extra={"pattern": "^(closed|open|last_known_good .+)$"},
    ),
]
Unit = Annotated[str, Field(min_length=1, max_length=64, description="What one of it is called: `seat`.")]
