"""The gate: what is asked before the views of a Flask app, its blueprints and single views."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from flask import Flask, request

from payaid_entitlements.binding import CURRENT
from payaid_entitlements.core.decision import Intent
from payaid_entitlements.core.flags.asking import read_attributes
from payaid_entitlements.core.identity import identify
from payaid_entitlements.core.values import Amount
from payaid_entitlements.entitlements import Entitlements
from payaid_entitlements.guards.requirement import Rank, Requirement
from payaid_entitlements.view import TenantView
from payaid_entitlements.web.answers import BEARER, Answers, answers_of
from payaid_entitlements.web.finding import Who
from payaid_entitlements.web.flask.asking import Asking, Steps, Take, asking, not_installed
from payaid_entitlements.web.flask.installing import install
from payaid_entitlements.web.flask.visiting import Visit
from payaid_entitlements.web.needs import Needs, counted, require_countable, require_known
from payaid_entitlements.web.request import EnvironRequest, Incoming
from payaid_entitlements.web.taking import is_failure
from payaid_entitlements.web.tenancy import Tenancy, finder_of
from payaid_entitlements.web.wsgi.binding import Binder

if TYPE_CHECKING:
    from payaid_entitlements.core.metering.usage import Usage


class Gate:
    """
    Lets requests into blueprints and views, by what their tenant holds.

    ``crm.before_request(gate.require_module("crm"))`` stands before all views of a blueprint, also of those that are
    registered in it, and ``@gate.require_feature("crm.export")`` below a route before one. Guards of the library and
    ``current_tenant()`` work in all views, and all of one request answer from one view of its tenant.

    One gate serves any number of apps. Of two gates in one app, for two tenants, each asks for its own; guards and
    ``current_tenant()`` ask for the one that was asked last.

    Args:
        ent: Your client.
        tenant: Gives the id that your login has *verified*, never one that a client may choose: a function that runs
            in the request, when somebody first asks; or a `Tenancy`. None, or an id that identifies nobody, is answered
            with 401.
        user: Gives the id of the user, for overrides of single users; None for nobody.
        challenge: How to log in, for ``WWW-Authenticate`` on 401.
        proxies: How many proxies of yours each request passes, 0 or more, for rate limits that count by address; 0
            behind werkzeug's ``ProxyFix``, which has read their field already. None reads no address.
        legacy_fields: Also say ``X-RateLimit-Limit``, ``-Remaining`` and ``-Reset``, for clients that know no others.
        answers: How refusals are answered: pages, languages, words of yours. It says *challenge* and *legacy_fields*
            then.

    Raises:
        ConfigurationError: *ent* is an `AsyncEntitlements`, for which a WSGI app cannot wait; or *answers* is given,
            and what it says beside it.
    """

    def __init__(
        self,
        ent: Entitlements,
        *,
        tenant: Callable[[], str | None] | Tenancy,
        user: Callable[[], str | None] | None = None,
        challenge: str = BEARER,
        proxies: int | None = None,
        legacy_fields: bool = False,
        answers: Answers | None = None,
    ) -> None:
        self._binder = Binder(ent, proxies)
        self._ent = ent
        self._tenant: Callable[..., Any] = finder_of(tenant, _incoming)
        self._user = user
        self._answers = answers_of(answers, challenge=challenge, legacy_fields=legacy_fields)
        self.key = f"payaid_entitlements.gate.{id(self)}"

    def tenant(self) -> TenantView:
        """
        Give what the tenant of this request holds.

        Raises:
            TenantUnidentified: It is a request of nobody.
            ViewExpired: The view was taken longer ago than one may be used.
        """
        view = self.visit().view
        view.require_young()
        return view

    def require_module(
        self, module: str, /, *, access: Intent | None = None, legacy: Callable[[], bool] | None = None
    ) -> Asking:
        """
        Let only tenants in that hold *module*.

        Args:
            access: ``"read"`` lets reading pass where only writing is refused. None: by the method of the request.
            legacy: Gives your own old answer; it decides until the module is enforced.

        Raises:
            ConfigurationError: The client was opened with a catalog that has no such module.
        """
        return self._require(Rank.MODULE, module, access, legacy)

    def require_feature(
        self, feature: str, /, *, access: Intent | None = None, legacy: Callable[[], bool] | None = None
    ) -> Asking:
        """Let only tenants in that hold *feature*. Everything else as in `require_module`."""
        return self._require(Rank.FEATURE, feature, access, legacy)

    def require_flag(
        self,
        key: str,
        /,
        *,
        attributes: Mapping[str, object] | Callable[[], Mapping[str, object] | None] | None = None,
    ) -> Asking:
        """
        Let only those in for whom the boolean flag *key* is on; others are answered with 403.

        It may be a flag that no catalog has: those that `Admin` made are known to the store alone.

        Args:
            attributes: What the flag's rules may look at besides: a mapping, or a function that gives one of this
                request. Never ``tenant``, ``user``, ``plan``, ``modules`` and ``state``, which are the library's.
        """
        said = attributes if attributes is None or callable(attributes) else read_attributes(attributes)
        need = Requirement(Rank.FLAG, identify("flag", key), attributes=said)
        return asking(self, f"require_flag({key!r})", Steps(needs=Needs(requirements=(need,))))

    def rate_limit(self, limit: str, /, *, cost: int = 1, before_login: bool = False) -> Asking:
        """
        Count each request on the rate limit *limit*, and answer with 429 where there is no room.

        Before it is asked what the tenant holds, wherever it stands among the gates of a blueprint or view. The
        response says how the limit stands, also where the request was let through: ``RateLimit-Policy``,
        ``RateLimit``, ``Retry-After``.

        Args:
            cost: Units that a request weighs.
            before_login: For a limit that counts by address, on views where nobody has logged in yet: the tenant is
                not asked for, and what the catalog says without any plan holds.

        Raises:
            ConfigurationError: The client was opened with a catalog that has no such limit; or it counts by user or
                address and this gate knows none; or it is one of so many at once, which `concurrent` holds.
        """
        need = counted(limit, cost)
        require_known(self._ent.catalog, Requirement(Rank.LIMIT, need.key))
        require_countable(
            self._ent.catalog,
            need.key,
            called="Gate",
            has_user=self._user is not None,
            has_address=self._binder.has_address,
            before_login=before_login,
        )
        steps = Steps(before_login=(need,)) if before_login else Steps(needs=Needs(limits=(need,)))
        return asking(self, f"rate_limit({limit!r})", steps)

    def consume_quota(
        self,
        feature: str,
        /,
        amount: Amount | Callable[[], Amount] = 1,
        *,
        operation: Callable[[], Any] | None,
        failing: Callable[[int], bool] = is_failure,
    ) -> Asking:
        """
        Use up units of *feature* for each request. `usage` gives what is left.

        They are given back where the request fails: where the view raises, also in the middle of a stream, and where
        it answers with 400 or more. Whoever stops reading has had what was taken.

        A request that is repeated with the same operation uses up nothing more and is let through: a view whose work
        must not be done twice looks at ``gate.usage(feature).replayed``.

        Args:
            amount: Units, or a function that says how many this request takes.
            operation: A function that names what is done, the same when it is asked for again: a str, a UUID, or a
                tuple of them. None: the client names it in ``Idempotency-Key``, for this method, path, tenant and
                user; without that field it is answered with 400.
            failing: With which statuses the units are given back.

        Raises:
            ConfigurationError: The client was opened with a catalog in which *feature* is nothing that is used up.
        """
        if not callable(amount) and (isinstance(amount, bool) or not isinstance(amount, int | Decimal)):
            raise TypeError(f"amount={amount!r}: give a number of units, or a function that says how many")
        if operation is not None and not callable(operation):
            raise TypeError(f"operation={operation!r}: give a function that names what each request does, or None")
        require_known(self._ent.catalog, Requirement(Rank.QUOTA, identify("feature", feature)))
        steps = Steps(takes=(Take(feature, amount, operation, failing),))
        return asking(self, f"consume_quota({feature!r})", steps)

    def usage(self, feature: str) -> Usage:
        """
        Give how *feature* stands since this request has used some of it up.

        Raises:
            LookupError: It has not.
        """
        return self.visit().usages[feature]

    def init_app(
        self, app: Flask, *, unguarded: Literal["allow", "refuse"] = "allow", static: Literal["gated", "open"] = "gated"
    ) -> None:
        """
        Make *app* answer refusals, and look over its views.

        Views that are registered later are looked over at the first request, which fails where there is a mistake.

        Args:
            unguarded: ``"refuse"``: a view that no gate or guard stands before, and that is not marked with
                `payaid_entitlements.web.exempt`, is a mistake.
            static: ``"open"``: what Flask serves out of static folders, of the app and of blueprints, is exempt.

        Raises:
            ConfigurationError: A guard stands above a route decorator, where it never runs; something that guards
                nothing was given to ``before_request``; a key is unknown; a view is unguarded. All of them are named.
        """
        if unguarded not in ("allow", "refuse"):
            raise ValueError(f"unguarded is {unguarded!r}; it is 'allow' or 'refuse'")
        if static not in ("gated", "open"):
            raise ValueError(f"static is {static!r}; it is 'gated' or 'open'")
        install(app, self, refuse_unguarded=unguarded == "refuse", is_static_open=static == "open")

    def visit(self) -> Visit:
        """
        What is bound for this request.

        Raises:
            ConfigurationError: The app that serves it does not know this gate.
        """
        current = CURRENT.get()
        if type(current) is Visit and current.gate is self:
            return current
        found: Visit | None = request.environ.get(self.key)
        if found is None:
            raise not_installed()
        return found

    def begin(self, environ: dict[str, Any], open_endpoints: frozenset[str]) -> Visit:
        """Bind for the request of *environ*."""
        address = self._address if self._binder.has_address else None
        method = environ["REQUEST_METHOD"]
        visit = environ[self.key] = Visit(self, self._ent, self._find, method, address, open_endpoints)
        return visit

    @property
    def answers(self) -> Answers:
        """How this gate's refusals are answered."""
        return self._answers

    @property
    def ent(self) -> Entitlements:
        """Whom it asks."""
        return self._ent

    def is_asked(self, environ: dict[str, Any]) -> bool:
        """Is it this gate that is asked at the moment?"""
        return environ.get(self.key) is CURRENT.get()

    def _address(self) -> str:
        # Of the request that runs: a visit that kept its environ, which keeps it, would wait for the garbage collector.
        return self._binder.address(request.environ)

    def _find(self) -> Who:
        return self._tenant(), None if self._user is None else self._user()

    def _require(self, rank: Rank, key: str, access: Intent | None, legacy: Callable[[], bool] | None) -> Asking:
        if access not in (None, "read", "write"):
            raise ValueError(f"access is {access!r}; it is 'read' or 'write'")
        need = Requirement(rank, identify(rank.name.lower(), key), access, legacy)
        require_known(self._ent.catalog, need)
        name = f"require_{rank.name.lower()}({key!r})"
        return asking(self, name, Steps(needs=Needs(requirements=(need,))))


def _incoming() -> Incoming:
    return EnvironRequest(request.environ)
