"""
What a guard takes from the arguments of a call: the tenant, an amount, and the names that identify what is done.

``"import:{job_id}"`` and ``"member:{member.id}"`` name arguments. A name that the function does not have fails when
the guard is put on it; one that identifies nobody, when it is called: ``import:None`` would be one import for all.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from string import Formatter
from typing import Final
from uuid import UUID

from payaid_entitlements.core.identity import identify
from payaid_entitlements.errors import ConfigurationError

#: Finds something in the arguments of a call.
Find = Callable[[Sequence[object], Mapping[str, object]], object]
#: Names something by the arguments of a call.
Name = Callable[[Sequence[object], Mapping[str, object]], str]

#: Most characters of a name: an id has 255, and a guard counts repetitions behind it.
_MOST: Final = 248


def argument(function: Callable[..., object], name: str, word: str) -> Find:
    """
    Find the argument *name* in a call of *function*.

    Args:
        name: Of a parameter; behind dots what is taken of it: ``job.pages``.
        word: What the guard calls it, for people.

    Raises:
        ConfigurationError: There is no such parameter, or it holds several arguments.
    """
    name, _, path = name.partition(".")
    parameters = inspect.signature(function).parameters
    if name not in parameters:
        raise ConfigurationError(
            f"{word}={name!r}: {function.__qualname__} has no such parameter; it has {', '.join(parameters) or 'none'}"
        )
    parameter = parameters[name]
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
        raise ConfigurationError(f"{word}={name!r}: {parameter} of {function.__qualname__} holds several arguments")
    can_be_named = parameter.kind is not parameter.POSITIONAL_ONLY
    position = list(parameters).index(name) if parameter.kind is not parameter.KEYWORD_ONLY else None

    def find(args: Sequence[object], kwargs: Mapping[str, object]) -> object:
        if position is not None and position < len(args):
            return args[position]
        # A positional-only parameter cannot be given by name: a `**kwargs` beside it may hold another of the same name.
        found = kwargs.get(name, parameter.default) if can_be_named else parameter.default
        if found is parameter.empty:
            raise TypeError(f"{function.__qualname__}() was called without {name!r}, which names the {word}")
        return found

    if not path:
        return find
    part = attrgetter(path)
    return lambda args, kwargs: part(find(args, kwargs))


def naming(function: Callable[..., object], text: str, word: str, *, is_constant_allowed: bool) -> Name:
    """
    Read *text*, in which arguments of *function* stand in braces.

    Of several, whatever stands between them is written as ``%3A`` inside of them: two calls never share a name by
    accident.

    Args:
        word: What it names, for people.
        is_constant_allowed: It may name no argument, and then is the same for all calls.

    Raises:
        ConfigurationError: An argument is not there, or is not named so that it identifies something.
    """
    texts, names = _parts(text, word)
    if not names and not is_constant_allowed:
        raise ConfigurationError(
            f"{word}={text!r} names no argument: each call after the first would be its repetition, and free; "
            f"write {word}='import:{{job_id}}'"
        )
    if not all(texts[1:-1]):
        raise ConfigurationError(f"{word}={text!r}: two arguments need something between them, or they can be confused")
    between = frozenset("%").union(*texts[1:]) if len(names) > 1 else frozenset[str]()
    finds = [argument(function, name, word) for name in names]

    def name_of(args: Sequence[object], kwargs: Mapping[str, object]) -> str:
        whole = texts[0]
        for name, find, behind in zip(names, finds, texts[1:], strict=True):
            part = _identifying(word, name, find(args, kwargs))
            whole += "".join(_escaped(letter) if letter in between else letter for letter in part) + behind
        if len(whole) > _MOST:
            raise TypeError(f"{word}={whole!r} has {len(whole)} characters; at most {_MOST}")
        return identify(word, whole)

    return name_of


def _parts(text: str, word: str) -> tuple[list[str], list[str]]:
    """The texts before, between and behind the arguments of *text*, and what these are."""
    texts, names = [""], list[str]()
    try:
        pieces = list(Formatter().parse(text))
    except ValueError as error:
        raise ConfigurationError(f"{word}={text!r}: {error}") from error
    for literal, name, spec, conversion in pieces:
        texts[-1] += literal
        if name is None:
            continue
        if spec or conversion or not all(part.isidentifier() for part in name.split(".")):
            raise ConfigurationError(f"{word}={text!r}: name an argument in braces and nothing else: '{{job_id}}'")
        names.append(name)
        texts.append("")
    return texts, names


def _escaped(letter: str) -> str:
    return "".join(f"%{byte:02X}" for byte in letter.encode())


def _identifying(word: str, name: str, value: object) -> str:
    """Write an argument as a part of a name; bools and None identify nothing."""
    match value:
        case bool():
            pass
        case int() | UUID():
            return str(value)
        case str():
            return identify(f"{name!r} in the {word}", value)
    raise TypeError(
        f"{name!r} in the {word} is {value!r}: it must be a str, an int or a UUID that identifies what is done"
    )
