"""Refusals as responses of Django."""

from __future__ import annotations

import sys
from typing import Any, Final

from django.core.signals import got_request_exception
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.translation import get_language

from payaid_entitlements.binding import Binding
from payaid_entitlements.errors import EntitlementError
from payaid_entitlements.web.answers import Answers, answerable
from payaid_entitlements.web.finding import view_of_refused
from payaid_entitlements.web.rate_fields import fields_beside

#: Attribute of a request: what a middleware further inside has raised, which Django has made a 500 of.
_RAISED: Final = "_payaid_raised"


def answer(request: HttpRequest, binding: Binding, answers: Answers, error: EntitlementError) -> HttpResponse:
    """Answer *error*, in the language that is active."""
    said = answers.say(
        error,
        view=view_of_refused(binding, error),
        accept=request.META.get("HTTP_ACCEPT", ""),
        language=get_language() or "",
    )
    return HttpResponse(said.content, status=said.status, headers=said.headers)


def tell_of_limits(response: HttpResponseBase, binding: Binding, answers: Answers) -> None:
    """Say how the rate limits stand on which the request was counted."""
    if binding.outcomes:
        there = {name.lower(): value for name, value in response.items()}
        for name, value in fields_beside(there, binding.outcomes, legacy=answers.legacy_fields).items():
            response.headers[name] = value


def raised_inside(request: HttpRequest) -> EntitlementError | None:
    """What of ours a middleware further inside has raised, and nobody has answered."""
    return getattr(request, _RAISED, None)


def _note(request: HttpRequest | None = None, **_: Any) -> None:
    told = answerable(sys.exc_info()[1])
    if request is not None and told is not None:
        setattr(request, _RAISED, told)


# What a middleware raises never reaches another one: Django makes a response of it in between.
got_request_exception.connect(_note, dispatch_uid="payaid_entitlements")
