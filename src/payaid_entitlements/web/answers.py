"""
How an app answers what the library refuses: the same from every framework, in the form and language of the reader.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Final, TypeAlias, cast

from payaid_entitlements.core.decision import Decision, Reason
from payaid_entitlements.core.observing import log
from payaid_entitlements.core.raising import SWITCHED_OFF
from payaid_entitlements.core.remedies import Remedy
from payaid_entitlements.errors import (
    ConfigurationError,
    EntitlementError,
    ModuleFailed,
    ModuleUnavailable,
    RateLimited,
    Refused,
    StoreUnavailable,
    TenantConflict,
    TenantUnidentified,
    UnknownApiVersion,
)
from payaid_entitlements.view import TenantView
from payaid_entitlements.web.negotiating import prefers_page
from payaid_entitlements.web.pages import Page, Pages
from payaid_entitlements.web.problems import BY_KIND, Problem, problem_of
from payaid_entitlements.web.refusing import VARY, Refusal, worded, written
from payaid_entitlements.web.words import Words, shipped_words

#: What clients are told. Everything else is a mistake of the host, and a 500.
ANSWERED: Final[tuple[type[EntitlementError], ...]] = (
    Refused,
    StoreUnavailable,
    TenantUnidentified,
    UnknownApiVersion,
    ModuleFailed,
    ModuleUnavailable,
    *BY_KIND,
)
#: Makes a page; None where the document is to be sent instead.
PageMaker: TypeAlias = Callable[[Page], str | None]

#: A challenge is visible ASCII with blanks between (RFC 9110 sections 5.5 and 11.3); a line end would begin a field.
_CHALLENGE: Final = re.compile(r"[!-~]+(?: +[!-~]+)*")
BEARER: Final = "Bearer"
_FIELD: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def answerable(error: BaseException | None) -> EntitlementError | None:
    """
    Say what of *error* clients are told; None where it is another mistake.

    Of a group (of tasks that failed together) that is its first error, where all of them are for clients.
    """
    if isinstance(error, ANSWERED):
        return error
    if not isinstance(error, BaseExceptionGroup):
        return None
    found = [answerable(each) for each in error.exceptions]
    return found[0] if None not in found else None


@cache
def _pages() -> Pages:
    return Pages()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """
    How refusals are answered.

    Attributes:
        challenge: How to log in, for ``WWW-Authenticate`` on 401 (RFC 9110 section 11.6.1).
        legacy_fields: Also say ``X-RateLimit-Limit``, ``-Remaining`` and ``-Reset``, for clients that know no others.
        pages: Makes the page for who would rather have one, as browsers do: `Pages`, or a function of yours that takes
            a `Page` and gives HTML, or None for the document. None: everybody gets the document.
        words: What is said, by language.
        vary: Fields of requests by which your login knows who is asking, besides ``Authorization`` and ``Cookie``.

    Raises:
        ConfigurationError: The challenge, or a name in `vary`, cannot be sent as a field; *pages* is no function, or
            one that has to be awaited.
    """

    challenge: str = BEARER
    legacy_fields: bool = False
    pages: PageMaker | None = field(default_factory=_pages)
    words: Words = field(default_factory=shipped_words)
    vary: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not _CHALLENGE.fullmatch(self.challenge):
            raise ConfigurationError(f"challenge={self.challenge!r} cannot be sent as WWW-Authenticate: visible ASCII")
        for name in self.vary:
            if not _FIELD.fullmatch(name):
                raise ConfigurationError(f"vary={self.vary!r}: {name!r} is no name of a field")

        pages: object = self.pages
        if pages is not None and (not callable(pages) or inspect.iscoroutinefunction(pages)):
            raise ConfigurationError(f"pages={pages!r} is no plain function that takes a Page; say Pages(...)")

    def say(
        self, error: EntitlementError, *, view: TenantView | None = None, accept: str = "", language: str = ""
    ) -> Refusal:
        """
        Answer *error*, and log a refusal.

        Args:
            error: One of `ANSWERED`.
            view: Of the tenant that was refused: what it could do about it; None where nothing is known of it, or
                another tenant was refused.
            accept: The request's ``Accept`` (RFC 9110 section 12.5.1): browsers get a page.
            language: The request's ``Accept-Language`` (section 12.5.4), or the tag of a language.

        Raises:
            EntitlementError: *error* itself, when it is not for clients.
        """
        remedies: tuple[Remedy, ...] = ()
        root: Reason | None = None
        if isinstance(error, TenantConflict):
            log.warning("tenant.conflict", found=error.found)
        elif isinstance(error, Refused):
            if not isinstance(error, RateLimited):
                # Those are counted: a line for each would cost whoever is flooded more than the answer does.
                log.info(
                    "refused",
                    tenant=error.tenant,
                    # Half a surrogate pair, which a client may put into a key, is nothing that a log can write.
                    feature=error.decision.feature.encode(errors="backslashreplace").decode(),
                    reason=error.decision.reason.value,
                    reference=error.reference,
                )
            if isinstance(error, RateLimited) and error.decision.reason is Reason.OVERRIDE_DENIED:
                # By the key of a limit, which may be that of a feature too.
                remedies = (SWITCHED_OFF,)
            elif view is not None:
                remedies, root = view.remedies(error.decision), _root(view, error.decision)
        problem = problem_of(error, remedies=remedies, root=root, challenge=self.challenge, legacy=self.legacy_fields)
        return self.tell(problem, accept=accept, language=language)

    def tell(self, problem: Problem, *, accept: str = "", language: str = "") -> Refusal:
        """
        Answer *problem*: what the edge itself has to say, such as that there is no such route.

        Args:
            problem: Its reason is one of those that `words` has.
            accept: As in `say`.
            language: As in `say`.
        """
        said = worded(problem, self.words, language)
        refusal = written(problem, said, (*VARY, *self.vary))
        if self.pages is None or not prefers_page(accept):
            return refusal
        more: dict[str, Any] = dict(problem.members)
        page = self._page(
            Page(
                status=problem.status,
                reason=problem.reason,
                title=said.title,
                detail=said.detail,
                language=said.language,
                feature=str(more.get("feature", "")),
                reference=str(more.get("reference", "")),
                upgrade_url=str(more.get("upgrade_url", "")),
                retry_after=problem.headers.get("Retry-After", ""),
                remedies=tuple(more.get("remedies", ())),
                versions=tuple(more.get("versions", ())),
                labels=self.words.labels(said.language),
            )
        )
        if page is None:
            return refusal
        return replace(refusal, headers={**refusal.headers, "Content-Type": "text/html; charset=utf-8"}, page=page)

    def _page(self, page: Page) -> str | None:
        try:
            made: object = cast("PageMaker", self.pages)(page)
            if made is not None and not isinstance(made, str):
                raise TypeError(f"a page is a str, not {type(made).__name__}")
            return made
        except Exception as error:
            # A refusal that fails would be a 500 which hides why; what is shipped says it in its place.
            log.warning("page.failed", reason=page.reason, error=type(error).__name__)
            return _pages()(page)


def _root(view: TenantView, decision: Decision) -> Reason:
    """Why what *decision* misses is missing, where it misses something: money does not buy what was switched off."""
    reason = decision.reason
    while reason is Reason.DEPENDENCY_MISSING:
        decision = view.decide(decision.source.removeprefix("requires "), "write")
        if decision.allowed:
            break
        reason = decision.reason
    return reason


def answers_of(answers: Answers | None, *, challenge: str, legacy_fields: bool) -> Answers:
    """
    Take what a gate was told about its answers.

    Raises:
        ConfigurationError: It was told twice.
    """
    if answers is None:
        return Answers(challenge=challenge, legacy_fields=legacy_fields)
    if challenge != BEARER or legacy_fields:
        raise ConfigurationError("with answers=, say answers=Answers(challenge=..., legacy_fields=...)")
    return answers
