"""
The middleware: binds the tenant of a request, answers what is refused, says how rate limits stand.

One class for both colours. Behind Django's ASGI handler nothing of it runs in a thread.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from payaid_entitlements.binding import CURRENT
from payaid_entitlements.web.answers import ANSWERED, answerable
from payaid_entitlements.web.django.answering import answer, raised_inside, tell_of_limits
from payaid_entitlements.web.django.configuration import Configuration
from payaid_entitlements.web.django.finding import RequestView, address_of, finder
from payaid_entitlements.web.django.judging import Judge
from payaid_entitlements.web.django.process import configuration, entitlements
from payaid_entitlements.web.django.streaming import begun, bind_stream
from payaid_entitlements.web.finding import LazyBinding
from payaid_entitlements.web.needs import Needs, ask, ask_async
from payaid_entitlements.web.request import intent_of

View = Callable[..., Any]

_APP: Final = "payaid_entitlements.web.django"


class EntitlementsMiddleware:
    """
    Stands anywhere in ``MIDDLEWARE``: whose request it is, is asked when the first guard asks, behind every login.

    It binds the tenant for guards and `current_tenant`, gives views ``request.entitlements``, answers what they refuse
    as a problem document or a page, asks what ``PAYAID["ROUTES"]`` says of a view, and refuses views before which
    nothing stands where ``PAYAID["UNGUARDED"]`` is ``"refuse"``.

    Raises:
        ImproperlyConfigured: When the handler starts: ``PAYAID`` has mistakes, and all of them are in it; or the app is
            not installed, so that `manage.py check` would look nothing over and say that all is well.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        if not apps.is_installed(_APP):
            raise ImproperlyConfigured(
                f"INSTALLED_APPS has no {_APP!r}, so that nothing of it is checked, and its templates and commands are "
                "missing; add it"
            )
        self.get_response = get_response
        self._edge = _Edge(configuration())
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)
            self.process_view: Callable[..., Any] = self._view_awaited
        else:
            self.process_view = self._view

    def __call__(self, request: HttpRequest) -> Any:
        """Handle one request."""
        if self._is_async:
            return self._awaited(request)
        edge = self._current_edge()
        binding = edge.bind(request)
        token = CURRENT.set(binding)
        try:
            response = self.get_response(request)
        except ANSWERED as error:
            response = answer(request, binding, edge.answers, error)
        finally:
            CURRENT.reset(token)
        return edge.finished(request, binding, response)

    async def _awaited(self, request: HttpRequest) -> Any:
        edge = self._current_edge()
        binding = edge.bind(request)
        token = CURRENT.set(binding)
        try:
            response = await self.get_response(request)
            if response.streaming:
                await begun(response)
        except Exception as error:
            told = answerable(error)
            if told is None:
                raise
            response = answer(request, binding, edge.answers, told)
        finally:
            CURRENT.reset(token)
        return edge.finished(request, binding, response)

    def _view(
        self, request: HttpRequest, view: View, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> HttpResponse | None:
        """Ask what the settings say of the view that was found."""
        edge = self._edge
        needed = edge.needed(request, view)
        if needed is not None:
            binding = _binding_of(request)
            try:
                ask(binding, needed)
            except ANSWERED as error:
                return answer(request, binding, edge.answers, error)
        return None

    async def _view_awaited(
        self, request: HttpRequest, view: View, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> HttpResponse | None:
        edge = self._edge
        needed = edge.needed(request, view)
        if needed is not None:
            binding = _binding_of(request)
            try:
                await ask_async(binding, needed)
            except ANSWERED as error:
                return answer(request, binding, edge.answers, error)
        return None

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Answer what a view or a template refuses; Django calls this in a thread, also on ASGI."""
        told = answerable(error)
        return None if told is None else answer(request, _binding_of(request), self._edge.answers, told)

    def _current_edge(self) -> _Edge:
        # The settings of a test are others than those of the test before.
        now, edge = configuration(), self._edge
        if edge.configuration is not now:
            edge = self._edge = _Edge(now)
        return edge


class _Edge:
    """What the middleware has made of one configuration."""

    __slots__ = ("_find", "_judge", "_proxies", "answers", "configuration")

    def __init__(self, made_of: Configuration) -> None:
        self.configuration = made_of
        self.answers = made_of.answers
        self._find = finder(made_of)
        self._proxies = made_of.proxies
        self._judge = Judge(made_of) if made_of.routes or made_of.refuses_unguarded else None

    def bind(self, request: HttpRequest) -> LazyBinding:
        address = None if self._proxies is None else partial(address_of, request, self._proxies)
        binding = LazyBinding(
            entitlements(), partial(self._find, request), lambda: intent_of(request.method or ""), address=address
        )
        request.entitlements = RequestView(binding)  # type: ignore[attr-defined]  # what Django's users expect there
        return binding

    def needed(self, request: HttpRequest, view: View) -> Needs | None:
        """
        What is asked before *view* runs.

        Raises:
            Http404: Nothing stands before it, and that is refused.
        """
        if self._judge is None:
            return None
        mistake, needed = self._judge.of(request, view)
        if mistake:
            raise Http404(mistake)
        return needed

    def finished(self, request: HttpRequest, binding: LazyBinding, response: HttpResponseBase) -> HttpResponseBase:
        if response.status_code == 500:
            error = raised_inside(request)
            if error is not None:
                response = answer(request, binding, self.answers, error)
        if binding.outcomes:
            tell_of_limits(response, binding, self.answers)
        if response.streaming:
            bind_stream(response, binding)
        return response


def _binding_of(request: HttpRequest) -> LazyBinding:
    """What this request is bound to, also where a view has bound something else meanwhile."""
    view: RequestView = request.entitlements  # type: ignore[attr-defined]  # as above
    return view._binding  # type: ignore[return-value]  # it is made above
