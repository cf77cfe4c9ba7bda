"""
Python as it is written, by its syntax tree: nothing of it is imported or run.

A tree says what is written and not what it means, so names decide: ``org.plan == "pro"`` compares a plan, and so does
``tariff in ("pro", "enterprise")`` where both are plans. What a name does not tell is not found.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator
from typing import Final

from payaid_entitlements.cli.scan.places import KEY, SETTING, Asked, Found, Place, Terms
from payaid_entitlements.settings import ALIASES

#: Functions and methods whose first text is a key, whoever they belong to.
_OF_KEYS: Final = {
    "require_module": "feature",
    "require_feature": "feature",
    "consume_quota": "feature",
    "assign_slot": "feature",
    "require_flag": "flag",
    "rate_limit": "limit",
}
#: Methods of a client, whose second argument is a key, or all behind the first one are; of a view, whose first one is.
_OF_CLIENTS: Final = {
    **dict.fromkeys(("check", "require", "peek", "value", "remedies", "explain", "usage", "require_room"), "feature"),
    **dict.fromkeys(("consume", "try_consume", "reserve"), "feature"),
    **dict.fromkeys(("assign", "try_assign", "unassign", "reassign", "assignments"), "feature"),
    **dict.fromkeys(("rate_limit", "try_rate_limit", "concurrent"), "limit"),
}
_SEVERAL: Final = "usage"
_OF_VIEWS: Final = {
    **dict.fromkeys(("check", "require", "value", "decide"), "feature"),
    **dict.fromkeys(("flag", "flag_details"), "flag"),
}
#: Attributes of a plan by which it is known, and methods by which rows of one are found in a database.
_OF_PLANS: Final = frozenset({"name", "key", "id", "code", "slug", "value"})
_FILTERS: Final = frozenset({"filter", "exclude", "filter_by", "Q"})
_CLIENTS: Final = frozenset({"ent", "aent", "entitlements", "_ent", "_entitlements"})
_VIEWS: Final = frozenset({"view", "current_tenant", "tenant_view"})

#: What keys a module of `payaid catalog types` begins with.
_WRITTEN: Final = "Keys of the catalog. Written by `payaid catalog types`"


def read_python(source: bytes, file: str, terms: Terms, found: Found) -> None:
    """
    Read one file of Python.

    Raises:
        SyntaxError, ValueError, RecursionError, MemoryError: It is none, or too deep.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the code of others, which is theirs
        tree = ast.parse(source, file)
    if (ast.get_docstring(tree) or "").startswith(_WRITTEN):
        # It has all keys, which says nothing about who asks; those who do name its constants.
        return
    lines = source.decode("utf-8", "replace").splitlines()
    constants = {each.replace(".", "_").replace("-", "_").upper(): each for each in _keys(terms)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.mentioned.add(node.value)
        elif isinstance(node, ast.Attribute | ast.Name) and _name(node) in constants:
            found.mentioned.add(constants[_name(node)])
        if isinstance(node, ast.expr | ast.Match) and _compares(node, terms):
            found.comparisons.add(_place(node, file, lines))
        if isinstance(node, ast.Call):
            found.asked.update(Asked(_place(node, file, lines), key, kind) for key, kind in _asked(node))


def _keys(terms: Terms) -> Iterator[str]:
    catalog = terms.catalog
    yield from (*catalog.modules, *catalog.features, *catalog.rate_limits)


def _place(node: ast.expr | ast.Match, file: str, lines: list[str]) -> Place:
    text = lines[node.lineno - 1].strip() if node.lineno <= len(lines) else ""
    return Place(file, node.lineno, text[:160])


# -- comparing ---------------------------------------------------------------------------------------------------------


def _compares(node: ast.expr | ast.Match, terms: Terms) -> bool:
    match node:
        case ast.Compare():
            return _is_comparison(node, terms)
        case ast.Match():
            return _is_plan(node.subject, terms) or terms.are_plans(_cases(node))
        case ast.Subscript():
            return _is_plan(node.slice, terms)
        case ast.Dict():
            return terms.are_plans(key.value if isinstance(key, ast.Constant) else None for key in node.keys)
        case ast.Call(func=ast.Attribute(attr="get"), args=[first, *_]):
            return _is_plan(first, terms)
        case ast.Call(func=ast.Attribute(value=whose, attr="startswith" | "endswith")):
            return _is_plan(whose, terms)
        case ast.Call(func=function, keywords=[_, *_] as given) if _name(function) in _FILTERS:
            return any(_is_lookup(each.arg or "", terms) and _is_value(each.value) for each in given)
        case ast.Call() | ast.Attribute() | ast.Name():
            name = _name(node)
            return terms.asks_plan(name) or (isinstance(node, ast.Attribute | ast.Name) and _is_setting(name))
        case ast.Constant(value=str(text)):
            # As the name of an environment variable.
            return _is_setting(text)
    return False


def _is_comparison(node: ast.Compare, terms: Terms) -> bool:
    sides = (node.left, *node.comparators)
    for one, operator, other in zip(sides, node.ops, sides[1:], strict=False):
        for this, that in ((one, other), (other, one)):
            if _is_plan(this, terms) and _is_value(that):
                return True
        if isinstance(operator, ast.In | ast.NotIn) and terms.are_plans(_texts(other)):
            return True
    return False


def _is_plan(node: ast.expr, terms: Terms) -> bool:
    """Is it, by its name, something that is a plan? A text is none: ``"plan"`` may be a key of anything."""
    match node:
        case ast.Attribute(value=whose, attr=attribute) if attribute in _OF_PLANS:
            return _is_plan(whose, terms)
        case ast.Name() | ast.Attribute():
            return terms.is_plannish(_name(node))
        case ast.Subscript(slice=ast.Constant(value=str(key))):
            return terms.is_plannish(key)
        case ast.Call(func=ast.Attribute(attr="get"), args=[ast.Constant(value=str(key)), *_]):
            return terms.is_plannish(key)
        case ast.Call(func=ast.Attribute(value=whose, attr="lower" | "upper" | "strip")):
            return _is_plan(whose, terms)
        case ast.Call(func=ast.Name(id="getattr"), args=[_, ast.Constant(value=str(key)), *_]):
            return terms.is_plannish(key)
        case ast.Call(func=ast.Name() | ast.Attribute() as function):
            return terms.is_plannish(_name(function))
    return False


def _is_lookup(argument: str, terms: Terms) -> bool:
    """Does a keyword look for a plan: ``plan``, and in Django ``plan__in`` or ``org__plan__name``?"""
    words = [word for word in argument.split("__") if word not in _OF_PLANS and word not in ("in", "iexact", "exact")]
    return bool(words) and terms.is_plannish(words[-1])


def _is_value(node: ast.expr) -> bool:
    """Is it something that plans are compared with: a text, a rank, a constant such as ``Plan.PRO``, or several?"""
    match node:
        case ast.Constant(value=bool()):
            return False
        case ast.Constant(value=str() | int()):
            return True
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return _is_value(operand)
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name.isupper() or "plan" in name.lower() or "tier" in name.lower()
        case ast.Tuple(elts=each) | ast.List(elts=each) | ast.Set(elts=each):
            return bool(each) and all(map(_is_value, each))
    return False


def _texts(node: ast.expr) -> list[object]:
    match node:
        case ast.Tuple(elts=each) | ast.List(elts=each) | ast.Set(elts=each):
            return [one.value if isinstance(one, ast.Constant) else None for one in each]
    return []


def _cases(node: ast.Match) -> Iterator[object]:
    for case in node.cases:
        patterns = case.pattern.patterns if isinstance(case.pattern, ast.MatchOr) else [case.pattern]
        for each in patterns:
            if isinstance(each, ast.MatchValue):
                yield each.value.value if isinstance(each.value, ast.Constant) else None


def _is_setting(name: str) -> bool:
    return SETTING.fullmatch(name) is not None and name not in ALIASES


# -- asking ------------------------------------------------------------------------------------------------------------


def _asked(node: ast.Call) -> Iterator[tuple[str, str]]:
    """The keys that one call of our API asks for, each with its kind."""
    name, arguments = _name(node.func), node.args
    owner = ""
    if isinstance(node.func, ast.Attribute):
        owner = _name(node.func.value.func if isinstance(node.func.value, ast.Call) else node.func.value)
    if name in _OF_KEYS and owner not in _CLIENTS and arguments:
        yield from _key(arguments[0], _OF_KEYS[name])
    elif owner in _CLIENTS and name in _OF_CLIENTS:
        for key in arguments[1:] if name == _SEVERAL else arguments[1:2]:
            yield from _key(key, _OF_CLIENTS[name])
    elif owner in _CLIENTS and name in ("check_many", "consume_many") and len(arguments) > 1:
        many = arguments[1]
        each = many.keys if isinstance(many, ast.Dict) else getattr(many, "elts", [])
        for one in each:
            if one is not None:
                yield from _key(one, "feature")
    elif owner in _VIEWS and name in _OF_VIEWS and arguments:
        yield from _key(arguments[0], _OF_VIEWS[name])


def _key(node: ast.expr, kind: str) -> Iterator[tuple[str, str]]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and KEY.fullmatch(node.value):
        yield node.value, kind


def _name(node: ast.AST) -> str:
    """The last word of what is named: ``c`` of ``a.b.c``; empty where nothing is."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Call(func=function):
            return _name(function)
    return ""
