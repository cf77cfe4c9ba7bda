"""
One call of a WSGI app, from its environ to the last byte of its body: what is bound meanwhile, and what is refused.

A body is made while the server reads it, long after the app has returned. So what is bound is bound again for each
piece and for the end; nothing is read ahead, and nothing is held back (PEP 3333, "Handling of block boundaries").
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from http import HTTPStatus
from types import TracebackType
from typing import Any, TypeAlias

from payaid_entitlements.binding import CURRENT, Binding
from payaid_entitlements.errors import EntitlementError
from payaid_entitlements.web.answers import Answers, answerable
from payaid_entitlements.web.finding import LazyBinding, view_of_refused
from payaid_entitlements.web.needs import Needs, ask
from payaid_entitlements.web.rate_fields import fields_beside
from payaid_entitlements.web.request import EnvironRequest
from payaid_entitlements.web.taking import USAGES, Takings, take_quotas

Environ: TypeAlias = dict[str, Any]
ExcInfo: TypeAlias = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]
Headers: TypeAlias = list[tuple[str, str]]
#: ``(status, headers, exc_info=None) -> write``.
StartResponse: TypeAlias = Callable[..., Callable[[bytes], object]]
App: TypeAlias = Callable[[Environ, StartResponse], Iterable[bytes]]


class Call:
    """
    One call.

    The response begins, for the server, when its body does: until then a refusal can take its place. So does that of an
    app that is a generator, which servers know.

    Args:
        binding: What is bound while the app runs.
        answers: How refusals are answered that the app itself does not answer.

    Attributes:
        binding: What is bound now: what runs may have bound something else, and finds it again with its next piece.
    """

    __slots__ = ("_answers", "_begin", "_environ", "_held", "_own", "_write", "binding")

    def __init__(self, binding: LazyBinding, answers: Answers, environ: Environ, start_response: StartResponse) -> None:
        self.binding: Binding = binding
        self._own = binding
        self._answers = answers
        self._environ = environ
        self._begin = start_response
        self._held: tuple[str, Headers] | None = None
        self._write: Callable[[bytes], object] | None = None

    def run(self, app: App, needed: Callable[[], Needs | None] | None = None) -> Iterable[bytes]:
        """
        Call *app*.

        Args:
            needed: Says what is asked before, if anything.

        Returns:
            Its body. As it is where nothing of the app runs while it is read: a list, or what the server's own
            ``wsgi.file_wrapper`` made, by which the server knows that it may send the file itself.
        """
        token = CURRENT.set(self.binding)
        try:
            if needed is not None:
                needs = needed()
                if needs is not None:
                    ask(self.binding, needs)
                    if needs.quotas:
                        self._own.takings = Takings()
                        taken = take_quotas(self.binding, needs.quotas, EnvironRequest(self._environ))
                        self._own.takings.add(taken)
                        self._environ[USAGES] = taken.usages
            body = app(self._environ, self.start)
        except BaseException as error:
            told = answerable(error)
            if told is not None:
                return self.refuse(told)
            self.fail()
            raise
        finally:
            self.binding = CURRENT.get() or self.binding
            CURRENT.reset(token)
        if type(body) is list or type(body) is tuple or self._is_file(body):
            self.begin()
            return body
        return read(self, body)

    def start(self, status: str, headers: Headers, exc_info: ExcInfo | None = None) -> Callable[[bytes], object]:
        """Hear of the response: the app's ``start_response``."""
        if self._write is not None:
            # Too late, or a mistake: the server says so.
            return self._begin(status, headers) if exc_info is None else self._begin(status, headers, exc_info)
        if self._held is not None and exc_info is None:
            self.begin()
            return self._begin(status, headers)
        if self._own.takings is not None:
            self._own.takings.answer(int(status[:3]))
        self._held = status, headers
        return self._writing

    def begin(self) -> Callable[[bytes], object] | None:
        """Begin the response, and say how rate limits stand. Nothing where the app has not begun."""
        if self._write is None and self._held is not None:
            status, headers = self._held
            if self._own.outcomes:
                there = {name.lower(): value for name, value in headers}
                fields = fields_beside(there, self._own.outcomes, legacy=self._answers.legacy_fields)
                told = {name.lower() for name in fields}
                headers = [*(field for field in headers if field[0].lower() not in told), *fields.items()]
            self._write = self._begin(status, headers)
        return self._write

    def _writing(self, piece: bytes) -> object:
        """The app's ``write``, which sends at once."""
        write = self.begin()
        assert write is not None  # whoever has this has begun
        return write(piece)

    def refuse(self, error: EntitlementError) -> Sequence[bytes]:
        """
        Answer *error* instead of what the app has begun.

        Raises:
            Exception: What was raised, by the server, where a part of the app's own answer was sent already.
        """
        said = self._answers.say(
            error,
            view=view_of_refused(self.binding, error),
            accept=self._environ.get("HTTP_ACCEPT", ""),
            language=self._environ.get("HTTP_ACCEPT_LANGUAGE", ""),
        )
        if self._write is not None:
            # The server breaks off: what was sent cannot be taken back.
            self.fail()
        status = f"{said.status} {HTTPStatus(said.status).phrase}"
        headers = [*said.headers.items(), ("Content-Length", str(len(said.content)))]
        self.start(status, headers, sys.exc_info())
        self.begin()
        # The field says what a GET would give (RFC 9110 section 9.3.2).
        return () if self._environ.get("REQUEST_METHOD") == "HEAD" else (said.content,)

    def keep(self) -> None:
        """All was said, or nobody listens any more: nothing is given back."""
        if self._own.takings is not None:
            self._own.takings.keep()

    def fail(self) -> None:
        """It has raised what nobody answers: give back what was used up for it."""
        if self._own.takings is not None:
            self._own.takings.fail()

    def _is_file(self, body: object) -> bool:
        made_by = self._environ.get("wsgi.file_wrapper")
        return isinstance(made_by, type) and type(body) is made_by


def read(call: Call, body: Iterable[bytes]) -> Generator[bytes, None, None]:
    """
    Give *body*, which an app makes while it is read, piece by piece, and close it, as the server does with this.

    It has begun when it is given, since a generator that has not could be closed without anybody noticing.
    """
    pieces = _pieces(call, body)
    next(pieces)
    return pieces


def _pieces(call: Call, body: Iterable[bytes]) -> Generator[bytes, None, None]:
    bind, unbind, bound_now = CURRENT.set, CURRENT.reset, CURRENT.get
    pieces: Iterator[bytes] | None = None
    has_sent = False
    try:
        yield b""
        while True:
            token = bind(call.binding)
            try:
                if pieces is None:
                    pieces = iter(body)
                piece = next(pieces)
            except StopIteration:
                break
            except BaseException as error:
                told = answerable(error)
                if told is None or has_sent:
                    # What was sent cannot be taken back: the server breaks off.
                    call.fail()
                    raise
                call.binding = bound_now() or call.binding
                pieces = iter(call.refuse(told))
                continue
            finally:
                call.binding = bound_now() or call.binding
                unbind(token)
            if not has_sent:
                call.begin()
                has_sent = bool(piece)
            yield piece
        call.begin()
    finally:
        # Read to its end, or the server has broken off: it has had what was taken.
        call.keep()
        close = getattr(body, "close", None)
        if close is not None:
            token = bind(call.binding)
            try:
                close()
            finally:
                unbind(token)
