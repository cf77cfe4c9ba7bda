"""
What a gate adds to an app and to all apps that are mounted in it: answers to refusals, and their description.
"""

from __future__ import annotations

from functools import partial

from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import HTTPConnection

from payaid_entitlements.entitlements import AsyncEntitlements, Entitlements
from payaid_entitlements.errors import EntitlementError, Refused
from payaid_entitlements.view import TenantView
from payaid_entitlements.web.answers import Answers
from payaid_entitlements.web.fastapi.around import Work, stand_around
from payaid_entitlements.web.fastapi.describing import describe
from payaid_entitlements.web.fastapi.marks import marks, put_in_order
from payaid_entitlements.web.fastapi.truth import view_that_refused
from payaid_entitlements.web.fastapi.walking import all_places
from payaid_entitlements.web.refusing import Refusal
from payaid_entitlements.web.starlette.installing import answer_in_all, said_to
from payaid_entitlements.web.starlette.walking import apps


def install(app: Starlette, ent: AsyncEntitlements | Entitlements, answers: Answers) -> None:
    """Make *app*, and all apps that are mounted in it, answer refusals. Repeating it is harmless."""
    answer_in_all(app, partial(_say, ent, answers))
    for inner in apps(app):
        if isinstance(inner, FastAPI):
            describe(inner)
    places = list(all_places(app))
    for place in places:
        put_in_order(place.dependant)
    stand_around(
        app,
        Work(
            # Also functions that a route calls may be limited by guards.
            tells=ent.catalog is None or bool(ent.catalog.rate_limits),
            settles=any(mark.is_taking for place in places for mark in marks(place.dependant)),
            legacy=answers.legacy_fields,
        ),
    )


async def _say(
    ent: AsyncEntitlements | Entitlements, answers: Answers, connection: HTTPConnection, error: EntitlementError
) -> Refusal:
    view: TenantView | None = None
    # Of an address nobody has a plan.
    if isinstance(error, Refused) and error.tenant:
        view = await view_that_refused(ent, connection, error.tenant)
    return said_to(answers, connection, error, view)
