"""Flag files that somebody has damaged: in their text, in their structure, or all the way through."""

from __future__ import annotations

import json
from random import Random
from typing import Any

#: A file that uses everything.
WHOLE: dict[str, Any] = {
    "$schema": "https://flagd.dev/schema/v0/flags.json",
    "metadata": {"flagSetId": "web", "version": "1", "fractional": "v3", "n": 1.5},
    "$evaluators": {
        "staff": {"ends_with": [{"var": "email"}, "@example.com"]},
        "recent": {"sem_ver": [{"var": "version"}, ">=", "1.2.3"]},
    },
    "flags": {
        "look": {
            "state": "ENABLED",
            "variants": {"on": True, "off": False},
            "defaultVariant": "off",
            "metadata": {"team": "growth"},
            "targeting": {"if": [{"$ref": "staff"}, "on", {"fractional": [["on", 25], ["off", 75]]}]},
        },
        "price": {
            "state": "ENABLED",
            "variants": {"low": 1, "high": 2.5},
            "defaultVariant": None,
            "targeting": {
                "fractional": [
                    {"cat": [{"var": "$flagd.flagKey"}, {"var": "user.name"}]},
                    ["low", {"-": [{"var": "$flagd.timestamp"}, 1_740_000_000]}],
                    ["high", {"if": [{"$ref": "recent"}, 3, 0]}],
                ]
            },
        },
        "text": {
            "state": "DISABLED",
            "variants": {"a": "x", "b": "y"},
            "targeting": {"reduce": [{"var": "items"}, {"+": [{"var": "current"}, {"var": "accumulator"}]}, 0]},
        },
        "page": {
            "state": "ENABLED",
            "variants": {"plain": {}, "rich": {"images": [1, 2, {"deep": None}]}},
            "defaultVariant": "plain",
            "targeting": {
                "if": [
                    {"some": [{"var": "items"}, {">": [{"var": ""}, 2]}]},
                    "rich",
                    {"missing_some": [1, ["a", "b"]]},
                    {"substr": [{"merge": [["plain"], []]}, 0, 5]},
                    {"max": [1, {"*": [2, 3]}, {"%": [7, {"var": ["n", 2]}]}]},
                ]
            },
        },
    },
}

_ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1.5, 1e308, 10**30, "", "on", "\x00", "é" * 300, "$flagd.timestamp", [], {}, [[]]),
    *({"$ref": "staff"}, {"$ref": "nobody"}, {"$ref": 7}, {"var": []}, {"var": {"var": "x"}}, {"nope": [1]}, {"": 1}),
    *([["on", -5]], {"fractional": [["on", 2**40]]}, {"fractional": "x"}, {"if": []}, {"a": 1, "b": 2}, ["on"] * 50),
    *({"cat": [{"var": ""}] * 9}, {"map": [[1] * 99, {"map": [[1] * 99, {"cat": ["x" * 99, {"var": ""}]}]}]}),
    *(
        {"/": [1, 0]},
        {"substr": ["x", "y"]},
        {"<": [{}, []]},
        {"sem_ver": ["9" * 400, "=", "1"]},
        float("nan"),
        "\ud800",
    ),
)


def damaged(random: Random) -> str | bytes | dict[str, Any]:
    """A file with one damage or several."""
    kind = random.randrange(10)
    if kind < 2:
        return _torn(random)
    if kind == 2:
        return random.randbytes(random.randrange(200))
    value = _copied(WHOLE)
    if kind < 6:
        value = {"flags": [{"key": key, **flag} for key, flag in value["flags"].items()], **_copied(_rest())}
    for _ in range(random.randrange(1, 6)):
        value = _changed(value, random)
    if kind % 2 or not isinstance(value, dict):
        return json.dumps(value)
    return value


def _rest() -> dict[str, Any]:
    return {name: value for name, value in WHOLE.items() if name != "flags"}


def _copied(value: Any) -> Any:
    return json.loads(json.dumps(value))


def _torn(random: Random) -> str:
    """The text with pieces gone, doubled, or replaced by signs that mean something there."""
    text = json.dumps(WHOLE)
    for _ in range(random.randrange(1, 4)):
        start = random.randrange(len(text))
        end = min(len(text), start + random.randrange(1, 12))
        piece = random.choice(["", text[start:end] * 2, *'{}[]",:\\0e-', "null", "1e999", '"\\ud800"', "[" * 2000])
        text = text[:start] + piece + text[end:]
    return text


def _changed(value: Any, random: Random, depth: int = 0) -> Any:
    """*value* with something else at a place in it, which is rarely the whole."""
    deeper = random.random() < (0.99 if depth < 3 else 0.85)
    if isinstance(value, dict) and value and deeper:
        name = random.choice([*value])
        if random.random() < 0.1:
            return {(random.choice(["", "$ref", "key", "é"]) if each == name else each): value[each] for each in value}
        return {**value, name: _changed(value[name], random, depth + 1)}
    if isinstance(value, list) and value and deeper:
        at = random.randrange(len(value))
        return [*value[:at], _changed(value[at], random, depth + 1), *value[at + 1 :]]
    found = random.choice(_ODD)
    for _ in range(random.choice([*[0] * 20, 3, 40, 200])):
        found = {"!": [found]}
    return found
