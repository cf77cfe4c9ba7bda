"""
Check the shape of a document: what does not fit becomes a problem and is left out.

The rest is still checked for its meaning, so that one run shows all that is wrong. What had to be
left out is remembered: a plan that names a feature whose definition is broken is not wrong itself.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Final, TypeGuard, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from payaid_entitlements.core.written.plain import Plain, described
from payaid_entitlements.core.written.problems import did_you_mean, dotted

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from payaid_entitlements.core.written.problems import Findings, Path

_M = TypeVar("_M", bound=BaseModel)

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
                    _report(detail, model, where, (*path, *where), findings)
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


def _report(detail: ErrorDetails, model: type[BaseModel], where: Path, path: Path, findings: Findings) -> None:
    kind, name = detail["type"], dotted(path) or "the catalog"
    value = detail["input"]
    match kind:
        case "extra_forbidden":
            around = _models(model, where[:-1])
            kinds = _kinds(around)
            # Where there are several, pydantic says in front of the field which one it took.
            known = _fields([kinds[tag] for tag in map(str, detail["loc"][-2:-1]) if tag in kinds] or around)
            word = str(path[-1])
            near = _other_kinds(word, around) or did_you_mean(word, known) or f"; it has {', '.join(known)}"
            findings.add("unknown.field", f"{dotted(path[:-1]) or 'the catalog'} has no {word!r}{near}", path)
        case "missing":
            findings.add("missing.field", f"{name} lacks {detail['loc'][-1]!r}", path)
        case "union_tag_not_found":
            message = f"{name} lacks 'kind': one of {', '.join(_kinds(_models(model, where)))}"
            findings.add("missing.field", message, path)
        case "union_tag_invalid":
            written_kind = value.get("kind") if isinstance(value, dict) else None
            _wrong_word(written_kind, _kinds(_models(model, where)), (*path, "kind"), findings)
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


def _wrong_word(value: object, known: Collection[str], path: Path, findings: Findings) -> None:
    near = did_you_mean(value, known) if isinstance(value, str) else ""
    message = f"{dotted(path)} is one of {', '.join(known)}, not {described(value)}{near}"
    findings.add("wrong.value", message, path)


def _other_kinds(word: str, around: list[type[BaseModel]]) -> str:
    """Say which kinds have the field *word*, where it was written for another kind."""
    kinds = [kind for kind, model in _kinds(around).items() if word in model.model_fields]
    return f"; only a {' or a '.join(kinds)} has" if kinds else ""


def _kinds(models: list[type[BaseModel]]) -> dict[str, type[BaseModel]]:
    """Find by its `kind` each of *models* that has one."""
    fields = ((model.model_fields.get("kind"), model) for model in models)
    return {get_args(kind.annotation)[0]: model for kind, model in fields if kind is not None}


def _fields(models: list[type[BaseModel]]) -> list[str]:
    """List the fields of *models*, as they are written."""
    return [field.alias or name for model in models for name, field in model.model_fields.items()]


def _models(model: type[BaseModel], where: Path) -> list[type[BaseModel]]:
    """List the models that may stand at *where* in what *model* describes: several, where a `kind` says which."""
    here: list[object] = [model]
    for piece in where:
        here = [inner for each in here for inner in _inside(each, piece)]
    return list(dict.fromkeys(each for each in here if _is_model(each)))


def _inside(annotation: object, piece: str | int) -> Iterator[object]:
    """Give what may stand at *piece* of a mapping, a list or a model."""
    if _is_model(annotation):
        for name, field in annotation.model_fields.items():
            if piece == (field.alias or name):
                yield from _choices(field.annotation)
    elif get_origin(annotation) in (dict, list):
        yield from _choices(get_args(annotation)[-1])


def _choices(annotation: object) -> Iterator[object]:
    """Give each of what *annotation* leaves open."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _choices(get_args(annotation)[0])
    elif origin in (Union, UnionType):
        for each in get_args(annotation):
            yield from _choices(each)
    else:
        yield annotation


def _is_model(annotation: object) -> TypeGuard[type[BaseModel]]:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _without(data: Plain, paths: set[Path], here: Path = ()) -> Plain:
    if isinstance(data, dict):
        inner = {key: (*here, key) for key in data}
        return {key: _without(data[key], paths, path) for key, path in inner.items() if path not in paths}
    if isinstance(data, list):
        return [_without(item, paths, (*here, index)) for index, item in enumerate(data) if (*here, index) not in paths]
    return data
