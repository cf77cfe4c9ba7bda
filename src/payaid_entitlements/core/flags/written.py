"""
What people write of a flag: its shape, as models that also give editors their schema.

What a text such as ``25%`` or ``error_rate > control + 0.5%`` means, and whether what it names exists, is for
`payaid_entitlements.core.flags.reading`.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, Discriminator, Field, PlainValidator, Tag, WithJsonSchema

from payaid_entitlements.core.written.fields import STRICT, TEXTS, Day, Reference, Title, texts
from payaid_entitlements.core.written.plain import described

_PERCENT: Final = r"^[0-9]{1,3}(\.[0-9]{1,3})?\s*%$"


def _percent(value: object) -> str:
    if isinstance(value, str):
        return value
    raise ValueError(f"write a percentage such as `25%`, not {described(value)}")


def _mapping(value: object) -> dict[str, object]:
    if isinstance(value, dict) and value:
        return value
    raise ValueError(f"write a condition such as `{{plan: [pro, enterprise]}}`, not {described(value or None)}")


def _variants(value: object) -> dict[str, object]:
    if isinstance(value, dict) and value:
        return value
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        return {str(item): item for item in value}
    raise ValueError(
        f"write variants as `{{red: '#f00', blue: '#00f'}}` or `[red, blue]`, not {described(value or None)}"
    )


def _split(value: object) -> list[tuple[str, object]]:
    match value:
        case dict() if value:
            # By name: the order of a mapping says nothing anywhere else, so here it must not say who gets what.
            return sorted(value.items())
        case [_, *_]:
            arms = [tuple(arm.items()) for arm in value if isinstance(arm, dict) and len(arm) == 1]
            if len(arms) == len(value):
                return [(str(variant), weight) for ((variant, weight),) in arms]
    raise ValueError(f"write arms as `{{red: 1, blue: 1}}`, not {described(value or None)}")


Percent = Annotated[
    str,
    PlainValidator(_percent),
    WithJsonSchema({"type": "string", "pattern": _PERCENT, "examples": ["25%", "0.5%"]}),
]
Texts = Annotated[list[str], PlainValidator(texts), WithJsonSchema(TEXTS)]
ConditionData = Annotated[
    dict[str, Any],
    PlainValidator(_mapping),
    WithJsonSchema(
        {
            "type": "object",
            "minProperties": 1,
            "description": "Who it is for: attributes and what they are; all of them must hold.",
            "examples": [
                {"plan": ["pro", "enterprise"]},
                {"company.size": {"gte": 50}, "not": {"segment": "staff"}},
                {"any": [{"user": {"ends_with": "@payaid.example"}}, {"attribute": "plan", "eq": "pro"}]},
            ],
        }
    ),
]
Variants = Annotated[
    dict[str, Any],
    PlainValidator(_variants),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "object", "minProperties": 1},
                {"type": "array", "items": {"type": "string"}, "minItems": 1},
            ]
        }
    ),
]
Split = Annotated[
    list[tuple[str, Any]],
    PlainValidator(_split),
    WithJsonSchema(
        {
            "description": "Variants with their weights, or percentages that make 100%.",
            "anyOf": [
                {"type": "object", "minProperties": 1},
                {"type": "array", "items": {"type": "object", "minProperties": 1, "maxProperties": 1}, "minItems": 1},
            ],
            "examples": [{"red": 1, "blue": 1}, [{"red": "90%"}, {"blue": "10%"}]],
        }
    ),
]
Json = Annotated[Any, PlainValidator(lambda value: value), WithJsonSchema({})]
Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]


class Written(BaseModel):
    """What every part has in common: nothing is converted, nothing unknown is passed over."""

    model_config = STRICT


class WrittenScheduled(Written):
    """From when on how many are in."""

    at: Time | None = Field(default=None, description="With its zone; only the first may leave it out.")
    percent: Percent = Field(description="From then on.")


class WrittenRollout(Written):
    """Who is in: a percentage, steps, or a schedule."""

    percent: Percent | None = Field(default=None, description="`25%`, from the beginning.")
    steps: list[Percent] | None = Field(default=None, description="One after another, never fewer.")
    hold: str | None = Field(default=None, description="How long each step lasts at least: `1 day`.")
    from_: Time | None = Field(default=None, alias="from", description="When the first step begins, with its zone.")
    schedule: list[WrittenScheduled] | None = Field(
        default=None, description="`[{at: 2026-12-01T09:00:00+05:30, percent: 5%}]`, each later than the one before."
    )
    roll_back_if: Texts | None = Field(
        default=None,
        description="`error_rate > control + 0.5%`, `latency p95 > 500 ms`: nobody is in any more once one holds.",
    )
    samples: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="A step lasts until so many were measured, besides its time."
    )
    approval: bool = Field(default=False, description="A step lasts until somebody approves, besides its time.")


def _sort_of_rollout(value: object) -> str:
    return "written out" if isinstance(value, dict | WrittenRollout) else "a share"


Rollout = Annotated[
    Annotated[Percent, Tag("a share")] | Annotated[WrittenRollout, Tag("written out")],
    Discriminator(_sort_of_rollout),
]


class WrittenRule(Written):
    """Who gets what; the first rule that applies decides."""

    id: Annotated[str, Field(min_length=1, max_length=64)] | None = Field(
        default=None, description="What explanations call it; else `rule-1` and so on."
    )
    when: ConditionData | None = Field(default=None, description="Whom it is for; everybody, if left out.")
    serve: str | None = Field(default=None, description="The variant; of a boolean flag the true one, if left out.")
    split: Split | None = Field(default=None, description="Variants by weight, in place of `serve`.")
    rollout: Rollout | None = Field(default=None, description="How many of them; who is not in goes to the next rule.")


class WrittenShare(Written):
    """A part of a group that flags share: from so much up to so much of it."""

    group: Annotated[str, Field(min_length=1, max_length=64, description="Its name; the flags of a group share it.")]
    percent: Percent | None = Field(default=None, description="So much from 0% on, in place of `from` and `to`.")
    from_: Percent | None = Field(default=None, alias="from", description="Where it begins.")
    to: Percent | None = Field(default=None, description="Where it ends.")


class WrittenFlag(Written):
    """A flag's first values; from its first change on it lives in the flag set."""

    title: Title = ""
    owner: Annotated[str, Field(min_length=1, max_length=200)] | None = Field(
        default=None, description="Whom to ask about it."
    )
    remove_by: Day | None = Field(default=None, description="The day by which it should be gone.")
    type: Literal["boolean", "string", "integer", "float", "object"] | None = Field(
        default=None, description="Of its variants; needless where they tell."
    )
    variants: Variants | None = Field(default=None, description="Left out: `on` is true, `off` is false.")
    default: str | None = Field(
        default=None,
        description="The variant where no rule decides: `off`, if there are no `variants`; null is the caller's own.",
    )
    off: str | None = Field(
        default=None, description="The variant when it is switched off; `default`, if left out; null is the caller's."
    )
    enabled: bool = Field(default=True, description="Where it is not, everybody gets `off`.")
    salt: Annotated[str, Field(min_length=1, max_length=64)] | None = Field(
        default=None, description="Hashed with the id, in place of its key; never changed."
    )
    bucket_by: Annotated[str, Field(min_length=1, max_length=200)] = Field(
        default="tenant", description="`tenant`, `user`, or the path of an attribute: whose share it is; never changed."
    )
    fallback: Annotated[str, Field(min_length=1, max_length=200)] | None = Field(
        default=None, description="Whose id is taken where that of `bucket_by` is missing."
    )
    rules: list[WrittenRule] = Field(default=[], description="In order; the first that applies decides.")
    serve: str | None = Field(
        default=None, description="What those in the rollout get; of a boolean flag the true one."
    )
    split: Split | None = Field(default=None, description="What those in the rollout get, by weight.")
    rollout: Rollout | None = Field(default=None, description="For everybody whom no rule has decided for.")
    needs: dict[str, Texts] = Field(default={}, description="Flags, and the variants that they must come out as.")
    exclusion: WrittenShare | None = Field(
        default=None, description="Where it may be on; flags of a group exclude one another."
    )
    holdout: WrittenShare | None = Field(default=None, description="Who never gets it.")
    narrows: list[Reference] = Field(default=[], description="Modules and features that are refused where it is false.")
    metadata: dict[str, Json] = Field(default={}, description="Told with each answer.")
    targeting: Json = Field(default=None, description="JsonLogic as flagd has it, in place of rules.")
    fractional: Literal["v2", "v3"] = Field(default="v3", description="How the buckets of `targeting` are hashed.")


class WrittenFlags(Written):
    """A file of flags, as they stand in a catalog."""

    flags: dict[str, WrittenFlag] = {}
    segments: dict[str, ConditionData] = {}
