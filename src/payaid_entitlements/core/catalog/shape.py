"""
Check the shape of a document: what does not fit becomes a problem and is left out.

The rest is still checked for its meaning, so that one run shows all that is wrong. What had to be
left out is remembered: a plan that names a feature whose definition is broken is not wrong itself.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeVar

from pydantic import BaseModel, ValidationError

from payaid_entitlements.core.catalog import written
from payaid_entitlements.core.catalog.plain import Plain, described
from payaid_entitlements.core.catalog.problems import did_you_mean, dotted
from payaid_entitlements.core.flags import written as flags

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from payaid_entitlements.core.catalog.problems import Findings, Path

_M = TypeVar("_M", bound=BaseModel)

_KINDS: Final[dict[str, type[BaseModel]]] = {
    "switch": written.Switch,
    "config": written.Config,
    "quota": written.Quota,
    "allocation": written.Allocation,
    "credit": written.Credit,
}
_EXPECTED: Final = {
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "dict_type": "a mapping",
    "list_type": "a list",
    "string_type": "text",
    "int_type": "a whole number",
}


def fit(model: type[_M], data: dict[str, Plain], findings: Findings, path: Path = ()) -> tuple[_M, frozenset[Path]]:
    """
    Read *data*, which stands at *path*, as *model*.

    Returns:
        The model, and the paths below *data* that were left out.
    """
    left_out: set[Path] = set()
    rest: Plain = data
    first = True
    while True:
        try:
            return model.model_validate(rest), frozenset(left_out)
        except ValidationError as error:
            wrong: set[Path] = set()
            for detail in error.errors(include_url=False):
                where = _place(detail, rest)
                wrong.add(where)
                if first:  # later rounds only see what leaving something out has broken
                    _report(detail, rest, (*path, *where), findings)
            # Positions in lists are those of the first round only as long as whole values go.
            left_out |= wrong
            rest = _without(rest, wrong)
            first = False


def _place(detail: ErrorDetails, data: Plain) -> Path:
    """
    Find what is wrong, to point at it and to leave it out.

    Pydantic adds the kind of a feature to its path; what is missing has no place of its own, so
    what should contain it goes.
    """
    at: list[str | int] = []
    inner: Plain = data
    for piece in detail["loc"]:
        if isinstance(inner, dict) and piece in inner:
            inner = inner[str(piece)]
        elif isinstance(inner, list) and isinstance(piece, int) and piece < len(inner):
            inner = inner[piece]
        else:
            continue  # the kind, or "[key]"; what is missing is nowhere either
        at.append(piece)
    return tuple(at)


def _report(detail: ErrorDetails, data: Plain, path: Path, findings: Findings) -> None:
    kind, name = detail["type"], dotted(path) or "the catalog"
    value = detail["input"]
    match kind:
        case "extra_forbidden":
            known = _known_fields(path, data)
            word = str(path[-1])
            near = _other_kinds(word, path) or did_you_mean(word, known) or f"; it has {', '.join(known)}"
            findings.add("unknown.field", f"{dotted(path[:-1]) or 'the catalog'} has no {word!r}{near}", path)
        case "missing":
            findings.add("missing.field", f"{name} lacks {detail['loc'][-1]!r}", path)
        case "union_tag_not_found":
            findings.add("missing.field", f"{name} lacks 'kind': one of {', '.join(_KINDS)}", path)
        case "union_tag_invalid":
            written_kind = value.get("kind") if isinstance(value, dict) else None
            _wrong_word(written_kind, list(_KINDS), (*path, "kind"), findings)
        case "literal_error":
            expected = re.findall(r"'([^']*)'", detail["ctx"]["expected"])
            if path == ("catalog",):
                findings.add("catalog.version", f"this release reads `catalog: 1`, not {described(value)}", path)
            else:
                _wrong_word(value, expected, path, findings)
        case "value_error":
            findings.add("wrong.type", f"{name}: {detail['ctx']['error']}", path)
        case _ if kind in _EXPECTED:
            findings.add("wrong.type", f"{name} is {described(value)}, but should be {_EXPECTED[kind]}", path)
        case _:
            findings.add("wrong.value", f"{name}: {detail['msg'].lower()}, not {described(value)}", path)


def _wrong_word(value: object, known: list[str], path: Path, findings: Findings) -> None:
    near = did_you_mean(value, known) if isinstance(value, str) else ""
    message = f"{dotted(path)} is one of {', '.join(known)}, not {described(value)}{near}"
    findings.add("wrong.value", message, path)


def _other_kinds(word: str, path: Path) -> str:
    """Say which kinds of features have the field *word*, where it was written for another kind."""
    kinds = [kind for kind, model in _KINDS.items() if word in model.model_fields]
    is_feature = path[:1] == ("features",) or path[2:3] == ("features",)
    return f"; only a {' or a '.join(kinds)} has" if kinds and is_feature else ""


def _known_fields(path: Path, data: Plain) -> list[str]:
    """List the fields of the model that stands around *path*."""
    model: type[BaseModel] | None
    match path[:-1]:
        case ("modules", _, "features", _) | ("features", _):
            feature = _at(data, path[:-1])
            kind = feature.get("kind") if isinstance(feature, dict) else None
            model = _KINDS.get(str(kind))
        case ("plans" | "add_ons", _, "price"):
            model = written.WrittenPrice
        case (*_, "rollover"):
            model = written.WrittenRollover
        case ("flags", _, *_, "rollout"):
            model = flags.WrittenRollout
        case ("flags", _, *_, "schedule", int()):
            model = flags.WrittenScheduled
        case ("flags", _, "rules", int()):
            model = flags.WrittenRule
        case ("flags", _, "exclusion" | "holdout"):
            model = flags.WrittenShare
        case (str() as section, *_):
            model = _SECTIONS.get(section)
        case _:
            model = written.WrittenCatalog
    return [field.alias or name for name, field in model.model_fields.items()] if model is not None else []


_SECTIONS: Final[dict[str, type[BaseModel]]] = {
    "modules": written.WrittenModule,
    "plans": written.WrittenPlan,
    "add_ons": written.WrittenAddOn,
    "lifecycle": written.WrittenLifecycle,
    "rate_limits": written.WrittenRateLimit,
    "flags": flags.WrittenFlag,
}


def _at(data: Plain, path: Path) -> Plain:
    for piece in path:
        assert isinstance(data, dict)  # only features are looked up, and all around them are mappings
        data = data[str(piece)]
    return data


def _without(data: Plain, paths: set[Path], here: Path = ()) -> Plain:
    if isinstance(data, dict):
        inner = {key: (*here, key) for key in data}
        return {key: _without(data[key], paths, path) for key, path in inner.items() if path not in paths}
    if isinstance(data, list):
        return [_without(item, paths, (*here, index)) for index, item in enumerate(data) if (*here, index) not in paths]
    return data
