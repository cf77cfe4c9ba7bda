"""The page of a refusal, by templates of the project where it has one."""

from __future__ import annotations

from typing import Final

from django.core.exceptions import ImproperlyConfigured
from django.template import TemplateDoesNotExist
from django.template.loader import select_template

from payaid_entitlements.web.pages import Page, Pages

_SHIPPED: Final = Pages()


def page_of_project(page: Page) -> str:
    """
    Render ``payaid/refused.html`` of the project with *page*, or, where it has none, the page that is shipped.

    One that is named by the reason (``payaid/refused/plan.feature_absent.html``), its family (``plan``) or the status
    (``402``) goes before it, in this order.
    """
    names = (page.reason, page.reason.partition(".")[0], str(page.status))
    try:
        template = select_template([*(f"payaid/refused/{name}.html" for name in names), "payaid/refused.html"])
    except (TemplateDoesNotExist, ImproperlyConfigured):
        return _SHIPPED(page)
    rendered: str = template.render({"page": page})
    return rendered
