"""
``{% load payaid %}``: what a page shows to whom.

Tags give bools and `Usage`, and never a `Decision`: a template swallows the error of one that is used as a truth value,
and shows what it should hide (Django's ticket 17664).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from django import template
from django.conf import settings
from django.template.base import FilterExpression, Node, NodeList, Parser, Token
from django.template.context import Context
from django.template.exceptions import TemplateSyntaxError
from django.utils.translation import get_language

from payaid_entitlements.binding import Binding, current_binding
from payaid_entitlements.core.flags.details import FlagError
from payaid_entitlements.core.metering.usage import Usage
from payaid_entitlements.core.written.problems import did_you_mean
from payaid_entitlements.errors import NoCurrentTenant, UnknownFeature, UnknownFlag
from payaid_entitlements.view import TenantView
from payaid_entitlements.web.django.process import configuration
from payaid_entitlements.web.pages import label_of
from payaid_entitlements.web.problems import followable

register = template.Library()

#: Given a view and the tag's key and access, says whether what is inside is shown.
Asked = Callable[[TenantView, str, str], bool]


class Shown(Node):
    """What is shown to some, and something else to others."""

    child_nodelists = ("shown", "otherwise")

    def __init__(
        self,
        name: str,
        asked: Asked,
        key: FilterExpression,
        access: FilterExpression | None,
        shown: NodeList,
        otherwise: NodeList,
    ) -> None:
        self.name = name
        self.asked = asked
        self.key = key
        self.access = access
        self.shown = shown
        self.otherwise = otherwise

    def render(self, context: Context) -> str:
        """Ask, and render one of both."""
        view = _view(self.name)
        access = "write" if self.access is None else self.access.resolve(context)
        if access not in ("read", "write"):
            raise TemplateSyntaxError(f"{{% {self.name} %}}: access is {access!r}; it is 'read' or 'write'")
        key = _key(self.name, self.key.resolve(context))
        inside = self.shown if self.asked(view, key, access) else self.otherwise
        return inside.render(context)


def _block(name: str, asked: Asked) -> None:
    def compile_tag(parser: Parser, token: Token) -> Shown:
        _, *said = token.split_contents()
        access = None
        if name != "flag" and len(said) == 2 and said[1].startswith("access="):
            access = parser.compile_filter(said.pop().removeprefix("access="))
        if len(said) != 1:
            raise TemplateSyntaxError(
                f'{{% {name} %}} takes one key: {{% {name} "crm.export" %}}...{{% else %}}...{{% end{name} %}}'
            )
        shown = parser.parse(("else", f"end{name}"))
        otherwise = NodeList()
        if parser.next_token().contents == "else":
            otherwise = parser.parse((f"end{name}",))
            parser.delete_first_token()
        return Shown(name, asked, parser.compile_filter(said[0]), access, shown, otherwise)

    register.tag(name, compile_tag)


def _is_held(view: TenantView, key: str, access: Any) -> bool:
    _require_known(view, key)
    return view.check(key, access=access).allowed


def _is_module_held(view: TenantView, key: str, access: Any) -> bool:
    kind = view.kind(key)
    if kind not in (None, "module"):
        raise TemplateSyntaxError(f'{key!r} is a {kind} and no module; use {{% feature "{key}" %}}')
    return _is_held(view, key, access)


def _is_on(view: TenantView, key: str, access: str) -> bool:
    if settings.DEBUG and view.flag_details(key).error is FlagError.FLAG_NOT_FOUND:
        raise UnknownFlag(f"there is no flag {key!r}")
    return view.decide_flag(key).allowed


_block("feature", _is_held)
_block("module", _is_module_held)
_block("flag", _is_on)


@register.simple_tag
def usage(key: str) -> Usage:
    """
    Read how much of a metered feature is used and left: ``{% usage "invoicing.invoices" as u %}{{ u.used }}``.

    Raises:
        UnknownFeature: The catalog has no such feature.
        TypeError: It is of a kind that is not counted; or the page is rendered in an event loop, which would wait.
        StoreUnavailable: No answer.
    """
    binding, view = _binding("usage"), _view("usage")
    key = _key("usage", key)
    found: Usage = binding.act(lambda client: client.usage(view.tenant, key, user=view.user))[key]
    return found


@register.inclusion_tag("payaid/upgrade_prompt.html", takes_context=True)
def upgrade_prompt(context: Context, key: str) -> dict[str, object]:
    """
    Say what would open *key* to this tenant, by the template ``payaid/upgrade_prompt.html``, which a project overrides.

    It is given ``feature``, ``is_open``, ``reason``, ``request``, ``remedies``, the cheapest first, each as JSON data
    with a ``label``, and in the language that is active what refusals say: ``title``, ``detail`` and ``language``, its
    tag. ``options`` are the remedies of which the detail does not say all.
    """
    view = _view("upgrade_prompt")
    key = _key("upgrade_prompt", key)
    _require_known(view, key)
    decision = view.check(key)
    words = configuration().answers.words
    said = words.of(decision.reason.value, get_language() or "", key)
    labels = words.labels(said.language)
    remedies = [] if decision.allowed else [_shown(each.to_public(), labels) for each in view.remedies(decision)]
    return {
        "request": context.get("request"),
        "feature": key,
        "is_open": decision.allowed,
        "reason": decision.reason.value,
        "title": said.title,
        "detail": said.detail,
        "language": said.language,
        "remedies": remedies,
        "options": [each for each in remedies if each["label"]],
    }


def _shown(remedy: dict[str, object], labels: Mapping[str, str]) -> dict[str, object]:
    """A remedy for a page: with words, and without an address that a link must not lead to."""
    return remedy | {"label": label_of(remedy, labels), "url": followable(remedy.get("url"))}


def _binding(name: str) -> Binding:
    try:
        return current_binding()
    except NoCurrentTenant:
        raise NoCurrentTenant(_TEACHING.format(name=name)) from None


def _view(name: str) -> TenantView:
    view = _binding(name).view
    view.require_young()
    return view


def _key(name: str, key: object) -> str:
    if not isinstance(key, str) or not key:
        # A variable that is not there is empty, and no key: it must not read as no.
        raise TemplateSyntaxError(f'{{% {name} %}}: the key is {key!r}; write {{% {name} "crm.export" %}}, in quotes')
    return key


def _require_known(view: TenantView, key: str) -> None:
    # The world is not known in an outage, of which `check` says what it says.
    world = view._world
    if settings.DEBUG and world is not None and view.kind(key) is None:
        keys = (*world.catalog.modules, *world.catalog.features)
        raise UnknownFeature(f"the catalog has no module or feature {key!r}{did_you_mean(key, keys)}")


_TEACHING: Final = (
    "{{% {name} %}}: no tenant is bound here. In a request EntitlementsMiddleware binds one; elsewhere, in a mail or a "
    "task, render inside of `with entitlements().bind(tenant):`"
)
