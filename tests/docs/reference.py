"""
The parts of the reference that are written from the code, so that they say what it does.

    python -m tests.docs.reference     writes them anew

A page has such a part between ``<!-- written from the code: NAME -->`` and ``<!-- end -->``. A test compares.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, Final

import typer
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

import payaid_entitlements
from payaid_entitlements import admin, errors, logs, openfeature, testing, web
from payaid_entitlements.cli.program import app
from payaid_entitlements.core.catalog import written
from payaid_entitlements.core.decision import Decision, Reason
from payaid_entitlements.core.flags import written as flags
from payaid_entitlements.core.observing import Observer
from payaid_entitlements.errors import (
    ChangeConflict,
    EntitlementError,
    ModuleFailed,
    RateLimited,
    Refused,
    ReservationExpired,
    TenantConflict,
    UnknownApiVersion,
)
from payaid_entitlements.stores import ports
from payaid_entitlements.stores.sql import begin_immediate
from payaid_entitlements.web import asgi, ofrep, routing, tenancy, versions, wsgi
from payaid_entitlements.web import django as web_django
from payaid_entitlements.web.answers import ANSWERED
from payaid_entitlements.web.django.checks import CHECKS
from payaid_entitlements.web.fastapi import Gate
from payaid_entitlements.web.flask import Gate as FlaskGate
from payaid_entitlements.web.isolating import IsolatedASGI, IsolatedWSGI
from payaid_entitlements.web.problems import status_of
from payaid_entitlements.web.refusing import PROBLEM_SCHEMA, refusal
from payaid_entitlements.web.sentry import PayaidIntegration
from payaid_entitlements.web.starlette import Gate as StarletteGate
from payaid_entitlements.web.versions import asgi as versions_asgi
from payaid_entitlements.web.versions import wsgi as versions_wsgi
from tests.docs.pages import ROOT

REFERENCE: Final = ROOT / "docs" / "reference"
_PART: Final = re.compile(r"(<!-- written from the code: (?P<name>\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def anew(page: Path) -> str:
    """The text of *page*, with its parts as the code says them now."""
    return _PART.sub(
        lambda part: f"{part[1]}\n{PARTS[part['name']]().strip()}\n\n{part[3]}", page.read_text(encoding="utf-8")
    )


def _row(*cells: str) -> str:
    return f"| {' | '.join(' '.join(cell.split()).replace('|', chr(92) + '|') for cell in cells)} |"


def _table(titles: Sequence[str], rows: Iterator[Sequence[str]] | Sequence[Sequence[str]]) -> str:
    return "\n".join((_row(*titles), _row(*["---"] * len(titles)), *(_row(*row) for row in rows)))


# -- reasons ----------------------------------------------------------------------------------------------------


def reasons() -> str:
    """Every reason, by its family."""
    families: dict[str, list[Reason]] = {}
    for reason in Reason:
        families.setdefault(reason.family, []).append(reason)
    parts = []
    for family, members in families.items():
        rows = [(f"`{each.value}`", each.meaning, each.way_out, _used(each)) for each in members]
        parts += [f"## {family}\n", _table(("code", "meaning", "way out", "where"), rows), ""]
    return "\n".join(parts)


def _used(reason: Reason) -> str:
    if reason.value in _ADVISORIES:
        return "advisory"
    if reason is Reason.ENFORCEMENT_LEGACY:
        return f"allowed, or refused, {status_of(reason)}"
    return "allowed" if reason.value in _ALLOWED else f"refused, {status_of(reason)}"


#: What no refusal ever says. Tested against answers, in test_reference.py.
_ALLOWED: Final = frozenset(
    {
        "plan.granted",
        "plan.default_granted",
        "trial.granted",
        "override.granted",
        "grant.held",
        "credit.pays",
        "flag.on",
        "quota.granted",
        "quota.overage",
        "quota.warned",
        "quota.in_grace",
        "enforcement.observed",
        "enforcement.off",
        "store.failed_open",
        "rate.within",
        "rate.default",
    }
)
_ADVISORIES: Final = frozenset(
    {"catalog.deprecated", "subscription.in_grace", "subscription.expiring", "store.last_known_good"}
)


# -- errors -----------------------------------------------------------------------------------------------------


def exceptions() -> str:
    """Every exception, with what it derives from."""
    rows = []
    for error in _exceptions(EntitlementError):
        bases = ", ".join(f"`{base.__name__}`" for base in error.__bases__)
        rows.append(
            (f"`{error.__name__}`", bases, _linked(inspect.cleandoc(error.__doc__ or "").split("\n\n")[0]), http(error))
        )
    return _table(("exception", "is a", "means", "HTTP"), rows)


def _exceptions(root: type[EntitlementError]) -> Iterator[type[EntitlementError]]:
    yield root
    for child in root.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from _exceptions(child)


def http(error: type[EntitlementError]) -> str:
    """The statuses with which a web gate answers *error*."""
    if error is RateLimited:
        return f"{status_of(Reason.OVERRIDE_DENIED)} or {status_of(Reason.RATE_LIMITED)}"
    if issubclass(error, Refused):
        found = {
            status_of(reason)
            for reason in Reason
            if reason.value not in _ALLOWED | _ADVISORIES and reason is not Reason.STORE_UNAVAILABLE
            # Which is of an outcome, and not of a decision.
            if issubclass(RateLimited if reason is Reason.RATE_LIMITED else _raised(reason), error)
        }
        return " or ".join(map(str, sorted(found)))
    if not issubclass(error, ANSWERED):  # a mistake of the host, not for clients
        return "500"
    if error is UnknownApiVersion:
        kinds = ("unknown", "absent", "retired")
        return " or ".join(str(refusal(UnknownApiVersion(kind, ["2"])).status) for kind in kinds)
    return str(refusal(error(_MORE.get(error, "said"), **_NAMED.get(error, {}))).status)


#: What errors are made of that take more, or other, than a message.
_MORE: Final[dict[type[EntitlementError], Any]] = {TenantConflict: {"said": "said"}}
_NAMED: Final[dict[type[EntitlementError], dict[str, Any]]] = {
    ReservationExpired: {"operation": "said"},
    ChangeConflict: {"expected": 1, "found": 2},
    ModuleFailed: {"reference": "said"},
}


def _raised(reason: Reason) -> type[Refused]:
    try:
        Decision(False, reason, "key").or_raise()
    except Refused as refused:
        return type(refused)
    raise AssertionError(reason)


# -- the public API ---------------------------------------------------------------------------------------------


def api() -> str:
    """Everything that `payaid_entitlements` exports."""
    names = [name for name in payaid_entitlements.__all__ if not name.startswith("_")]
    return "\n".join(_named(name, getattr(payaid_entitlements, name), 3) for name in sorted(names, key=str.casefold))


def api_more() -> str:
    """The public names of the packages below."""
    parts = []
    for title, things in (
        ("payaid_entitlements.web", {name: getattr(web, name) for name in web.__all__}),
        ("payaid_entitlements.web.fastapi", {"Gate": Gate}),
        ("payaid_entitlements.web.flask", {"Gate": FlaskGate}),
        ("payaid_entitlements.web.starlette", {"Gate": StarletteGate}),
        ("payaid_entitlements.web.routing", {"Routes": routing.Routes, "needs": routing.needs}),
        ("payaid_entitlements.web.asgi", {name: getattr(asgi, name) for name in asgi.__all__}),
        ("payaid_entitlements.web.django", {name: getattr(web_django, name) for name in web_django.__all__}),
        ("payaid_entitlements.web.wsgi", {name: getattr(wsgi, name) for name in wsgi.__all__}),
        ("payaid_entitlements.web.isolating", {"IsolatedASGI": IsolatedASGI, "IsolatedWSGI": IsolatedWSGI}),
        ("payaid_entitlements.web.sentry", {"PayaidIntegration": PayaidIntegration}),
        ("payaid_entitlements.logs", {name: getattr(logs, name) for name in logs.__all__}),
        ("payaid_entitlements.web.tenancy", {name: getattr(tenancy, name) for name in tenancy.__all__}),
        ("payaid_entitlements.web.versions", {name: getattr(versions, name) for name in versions.__all__}),
        ("payaid_entitlements.web.versions.asgi", {"VersionsMiddleware": versions_asgi.VersionsMiddleware}),
        ("payaid_entitlements.web.versions.wsgi", {"VersionsMiddleware": versions_wsgi.VersionsMiddleware}),
        ("payaid_entitlements.web.ofrep", {name: getattr(ofrep, name) for name in ofrep.__all__}),
        ("payaid_entitlements.openfeature", {name: getattr(openfeature, name) for name in openfeature.__all__}),
        ("payaid_entitlements.testing", {name: getattr(testing, name) for name in testing.__all__}),
        (
            "payaid_entitlements.admin",
            {name: getattr(admin, name) for name in ("Altered", "AuditEntry", "ChangeReason")},
        ),
        ("payaid_entitlements.core.observing", {"Observer": Observer}),
        ("payaid_entitlements.stores.sql", {"begin_immediate": begin_immediate}),
        ("payaid_entitlements.stores.ports", {"Store": ports.Store}),
    ):
        parts.append(f"## {title}\n")
        parts += [_named(name, thing, 3) for name, thing in things.items()]
    return "\n".join(parts)


def _named(name: str, thing: object, level: int) -> str:
    mark = "#" * level
    if inspect.isclass(thing) and issubclass(thing, Enum):
        members = "\n".join(f"- `{member.name}`: `{member.value}`" for member in thing if name != "Reason")
        return f"{mark} {name}\n\n{_told(thing)}\n{members}\n"
    if inspect.isclass(thing):
        return f"{mark} {name}\n\n{_class(name, thing)}\n"
    if inspect.isfunction(thing):
        return f"{mark} {name}\n\n{_callable(name, thing)}\n"
    value = (
        f"`{thing!r}`" if isinstance(thing, Enum | int) else f"`{' | '.join(_type(part) for part in thing.__args__)}`"
    )  # type: ignore[attr-defined] # the other names are unions
    return f"{mark} {name}\n\n{value}\n"


def _class(name: str, thing: type) -> str:
    parts = [_callable(name, thing)] if not _is_opened(thing) else [_told(thing)]
    # What is the same as in its twin is not said twice.
    for key in () if name == "AsyncAdmin" else dir(thing):
        if key.startswith(("_", "test_")):  # a contract's tests are told by what they keep
            continue
        found = inspect.getattr_static(thing, key)
        if isinstance(found, property):
            parts.append(f"#### {name}.{key}\n\n{_told(found.fget)}")
        elif inspect.isfunction(found) or isinstance(found, classmethod | staticmethod):
            parts.append(f"#### {name}.{key}\n\n{_callable(key, getattr(thing, key))}")
    return "\n\n".join(parts)


def _is_opened(thing: type) -> bool:
    """Is it never made by its constructor?"""
    return thing.__name__ in ("TenantView", "Admin", "AsyncAdmin", "Observer", "Store", "Overriding")


def _callable(name: str, function: Callable[..., object]) -> str:
    signature = inspect.signature(function)
    parameters = [each for key, each in signature.parameters.items() if key != "self"]
    colour = "async " if inspect.iscoroutinefunction(function) else ""
    answer = signature.return_annotation
    arrow = "" if answer is inspect.Signature.empty or inspect.isclass(function) else f" -> {_type(answer)}"
    shown, kind = [], None
    for each in parameters:
        if each.kind is inspect.Parameter.KEYWORD_ONLY and kind is not inspect.Parameter.KEYWORD_ONLY:
            shown.append("*")
        kind = each.kind
        type_ = "" if each.annotation is inspect.Parameter.empty else f": {_type(each.annotation)}"
        default = "" if each.default is inspect.Parameter.empty else f" = {_default(each.default)}"
        shown.append(f"{each.name}{type_}{default}")
    one = f"{colour}{name}({', '.join(shown)}){arrow}"
    if len(one) > 110:
        one = f"{colour}{name}(\n    {f',{chr(10)}    '.join(shown)},\n){arrow}"
    # Indented, not fenced: a signature is nothing that runs.
    return f"{textwrap.indent(one, '    ')}\n\n{_told(function)}"


def _type(annotation: object) -> str:
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    text = re.sub(r"\b(?:[a-z_]+\.)+(?=[A-Z])", "", text).replace("builtins.", "")
    return "Change" if text == "R" else text


def _default(value: object) -> str:
    if inspect.isbuiltin(value):
        return f"{value.__module__}.{value.__name__}"
    if inspect.isfunction(value):
        return value.__name__
    return (
        str(value) if isinstance(value, Enum) and not isinstance(value, str) else repr(getattr(value, "value", value))
    )


_SECTIONS: Final = ("Args", "Returns", "Raises", "Attributes")


def _told(thing: object) -> str:
    """A docstring as Markdown: the sections of Google's style become lists."""
    text = inspect.cleandoc(getattr(thing, "__doc__", None) or "")
    shown: list[str] = []
    for part in re.split(rf"\n(?=(?:{'|'.join(_SECTIONS)}):\n)", text):
        title, _, body = part.partition(":\n")
        if title not in _SECTIONS:
            shown.append(_linked(part.strip()))
            continue
        items: list[str] = []
        for line in textwrap.dedent(body).splitlines():
            if not line.strip():
                continue
            if line.startswith(" ") and items:
                items[-1] += f" {line.strip()}"
            else:
                items.append(line.strip())
        shown.append("\n".join((f"{title}:\n", *(f"- {_linked(_item(title, item))}" for item in items))))
    return "\n\n".join(shown)


def _item(title: str, item: str) -> str:
    name, colon, rest = item.partition(": ")
    return f"`{name}`: {rest}" if colon and title != "Returns" and "`" not in name else item


def _linked(text: str) -> str:
    return text.replace("``", "`")


# -- the command line -------------------------------------------------------------------------------------------


def cli() -> str:
    """Every command with its arguments and options."""
    group = typer.main.get_command(app)
    return "\n".join(_commands(group, "payaid"))


def _commands(command: object, name: str) -> Iterator[str]:
    children = getattr(command, "commands", None)
    rows = [_parameter(each) for each in command.params if each.name != "help"]  # type: ignore[attr-defined] # click's types are private to Typer
    if children is None or name == "payaid":
        yield f"## {name}\n\n{_help(command)}\n"
        if rows:
            yield f"{_table(('argument or option', 'meaning', 'default'), rows)}\n"
    for key, child in (children or {}).items():
        yield from _commands(child, f"{name} {key}")


def _help(command: object) -> str:
    return " ".join(str(getattr(command, "help", "") or "").split())


def _parameter(each: object) -> tuple[str, str, str]:
    is_argument = getattr(each, "param_type_name", "") == "argument"
    if is_argument:
        name = str(getattr(each, "metavar", None) or str(getattr(each, "name", "")).upper())
    else:
        name = ", ".join(f"`{option}`" for option in getattr(each, "opts", ()))
    default = getattr(each, "default", None)
    if getattr(each, "required", False):
        said = "required"
    else:
        said = "" if default is None or default is False or callable(default) else f"`{default}`"
    return (f"`{name}`" if is_argument else name), str(getattr(each, "help", "") or ""), said


# -- the catalog ------------------------------------------------------------------------------------------------


def catalog() -> str:
    """Every key that a catalog may have, with its type and default, by the models that read it."""
    parts = []
    for title, model, where in (
        ("The document", written.WrittenCatalog, "at the top"),
        ("A module", written.WrittenModule, "under `modules`, by its key"),
        ("A switch", written.Switch, "under `features`, of a module or at the top, by its key"),
        ("A config", written.Config, "as a switch"),
        ("A quota", written.Quota, "as a switch"),
        ("An allocation", written.Allocation, "as a switch"),
        ("A credit", written.Credit, "as a switch"),
        ("A rollover", written.WrittenRollover, "`rollover` of a quota or a credit"),
        ("A plan", written.WrittenPlan, "under `plans`, by its key, the cheapest first"),
        ("A price", written.WrittenPrice, "`price` of a plan or an add-on"),
        ("An add-on", written.WrittenAddOn, "under `add_ons`, by its key"),
        ("The lifecycle", written.WrittenLifecycle, "`lifecycle`"),
        ("A rate limit", written.WrittenRateLimit, "under `rate_limits`, by its key"),
        ("A flag", flags.WrittenFlag, "under `flags`, by its key"),
        ("A rule of a flag", flags.WrittenRule, "in `rules` of a flag"),
        ("A rollout", flags.WrittenRollout, "`rollout` of a flag or a rule, where that is more than a percentage"),
        ("A share", flags.WrittenShare, "`exclusion` and `holdout` of a flag"),
    ):
        about = " ".join(inspect.cleandoc(model.__doc__ or "").split())
        parts.append(f"### {title}\n\n{about} Written {where}.\n\n{_keys(model)}\n")
    return "\n".join(parts)


def _keys(model: type[BaseModel]) -> str:
    properties = model.model_json_schema()["properties"]
    rows = []
    for key, field in model.model_fields.items():
        default = field.get_default(call_default_factory=True)
        if default is PydanticUndefined:
            shown = "required"
        elif default in (None, "", [], {}) or isinstance(default, BaseModel):
            shown = ""
        else:
            default = str(default).lower() if isinstance(default, bool) else default
            shown = f"`{default}`" if not isinstance(default, list) else f"`[{', '.join(default)}]`"
        meaning = field.description or MEANINGS[model.__name__, key]
        name = field.alias or key
        rows.append((f"`{name}`", _written_as(properties[name]), shown, meaning))
    return _table(("key", "value", "default", "meaning"), rows)


#: What the models themselves do not say.
MEANINGS: Final = {
    ("Config", "type"): "Of the value: see [values](#values).",
    ("WrittenCatalog", "modules"): "What is sold one by one; see [a module](#a-module).",
    ("WrittenCatalog", "add_ons"): "What is sold on top of plans; see [an add-on](#an-add-on).",
    ("WrittenCatalog", "lifecycle"): "What a subscription in trouble leaves open; see [the lifecycle](#the-lifecycle).",
    ("WrittenCatalog", "rate_limits"): "Calls per window; see [a rate limit](#a-rate-limit).",
    ("WrittenCatalog", "flags"): "See [a flag](#a-flag).",
    ("WrittenModule", "features"): "Its features, by their key inside the module: `export` of `crm` is `crm.export`.",
    ("WrittenRollover", "min"): "At least so many units move on.",
    ("WrittenRollover", "max"): "At most so many units move on.",
    ("WrittenPrice", "monthly"): "Amount per month.",
    ("WrittenPrice", "yearly"): "Amount per year.",
    ("WrittenPrice", "once"): "Amount, paid once.",
    ("WrittenPlan", "price"): "What it costs; see [a price](#a-price). None: it is free.",
    ("WrittenPlan", "buy"): "How it is bought: `contact_us` shows no price, `hidden` is never offered.",
    ("WrittenPlan", "modules"): "Modules that it opens, besides those of `extends`.",
    (
        "WrittenPlan",
        "features",
    ): "What each feature is worth; see [values](#values). One that is not listed is not held.",
    ("WrittenPlan", "rate_limits"): "Rates in place of a limit's default. Several hold together.",
    ("WrittenAddOn", "price"): "What one costs; see [a price](#a-price).",
    ("WrittenAddOn", "max_quantity"): "How many a subscription may hold. None: no bound.",
    ("WrittenAddOn", "modules"): "Modules that it opens.",
    ("WrittenLifecycle", "past_due"): "Stages from the instant on since which payment is due, one after the other.",
    ("WrittenLifecycle", "paused"): "What a pause leaves open.",
    ("WrittenRateLimit", "per"): "Whose calls are counted together.",
    ("WrittenRateLimit", "default"): "Rates of plans that name none.",
    ("WrittenRateLimit", "burst"): "Calls that may come at once.",
    ("WrittenRateLimit", "on_outage"): "What to do when the limiter cannot be reached.",
    **{(model, "unit"): "What one of it is called: `seat`." for model in ("Quota", "Allocation", "Credit")},
    **{
        (model, "rollover"): "What moves to the next window; see [a rollover](#a-rollover)."
        for model in ("Quota", "Credit")
    },
    **{(model, "url"): "Where to buy it." for model in ("WrittenPlan", "WrittenAddOn")},
    **{(model, "kind"): "Says that it is one." for model in ("Switch", "Config", "Quota", "Allocation", "Credit")},
    **{
        (model, "deprecated"): "Still works; answers carry an advisory. The day after which it may be retired."
        for model in ("Switch", "Config", "Quota", "Allocation", "Credit", "WrittenModule")
    },
}


def _written_as(schema: dict[str, object]) -> str:
    match schema:
        case {"const": value}:
            return f"`{value}`"
        case {"enum": [*values]}:
            return ", ".join(f"`{value}`" for value in values)
        case {"anyOf": [*options]} | {"oneOf": [*options]}:
            shown = [_written_as(each) for each in options if isinstance(each, dict) and each.get("type") != "null"]
            return " or ".join(dict.fromkeys(shown))
        case {"type": "array", "items": {"$ref": _}}:
            return "list of mappings"
        case {"type": "array"}:
            return "list of text"
        case {"type": "object"}:
            return "mapping"
        case {"type": "string", "format": "date"}:
            return "day"
        case {"type": "string", "format": "date-time"}:
            return "time"
        case {"type": str(kind)}:
            kinds = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}
            return kinds[kind]
        case {"$ref": _}:
            return "mapping"
    return "anything"


# -- problem documents ------------------------------------------------------------------------------------------


def problem() -> str:
    """The members of a problem document."""
    required = PROBLEM_SCHEMA["required"]
    assert isinstance(required, list)
    properties = PROBLEM_SCHEMA["properties"]
    assert isinstance(properties, dict)
    rows = [
        (f"`{name}`", each["type"], "always" if name in required else "in refusals", each["description"])
        for name, each in properties.items()
    ]
    return _table(("member", "type", "there", "meaning"), rows)


# -- Django -----------------------------------------------------------------------------------------------------


def django_checks() -> str:
    """What `manage.py check` tells."""
    return _table(("check", "tells that"), [(f"`{number}`", what) for number, what in sorted(CHECKS.items())])


PARTS: Final[dict[str, Callable[[], str]]] = {
    "reasons": reasons,
    "exceptions": exceptions,
    "api": api,
    "api_more": api_more,
    "cli": cli,
    "catalog": catalog,
    "problem": problem,
    "django_checks": django_checks,
}


if __name__ == "__main__":
    for page in sorted(REFERENCE.glob("*.md")):
        page.write_text(anew(page), encoding="utf-8")
