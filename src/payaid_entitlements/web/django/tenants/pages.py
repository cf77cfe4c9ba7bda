"""
Pages about tenants in Django's admin site.

Looking is GET, and changes nothing. A change is two POSTs: the first shows what would be otherwise, before and after;
the second, from the form of the first, does it, once however often it is sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_POST, require_safe

from payaid_entitlements.admin import ChangeReason
from payaid_entitlements.core.identity import identify
from payaid_entitlements.entitlements import Entitlements
from payaid_entitlements.errors import (
    ChangeConflict,
    EntitlementError,
    OperationConflict,
    OutcomeUnknown,
    StoreUnavailable,
    UnknownFeature,
)
from payaid_entitlements.web.django.models import Tenant
from payaid_entitlements.web.django.process import entitlements
from payaid_entitlements.web.django.tenants.forms import ACTS, Act, ClearOverride, SetOverride, Undo
from payaid_entitlements.web.django.tenants.showing import catalog_of, now_of, page_of, quoted

#: Tenants on one page of the list.
LISTED = 100


if TYPE_CHECKING:
    _Pages = ModelAdmin[Tenant]
else:
    _Pages = ModelAdmin


class TenantPages(_Pages):
    """
    The pages.

    `TenantPages.client` is asked for the client; override it for a site with a client of its own.
    """

    def client(self) -> Entitlements:
        """Give the client that answers: that of the settings."""
        return entitlements()

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Tenants are whoever logs in; nobody adds one here."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Nobody deletes one here."""
        return False

    def has_view_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Whoever may look, or change."""
        return self._has(request, "view") or self._has(request, "change")

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Whoever may change."""
        return self._has(request, "change")

    def get_urls(self) -> list[URLPattern]:
        """Give our own pages, in place of those for rows of a table."""
        name = f"{self.opts.app_label}_{self.opts.model_name}"
        return [
            path(each, self.admin_site.admin_view(view), name=f"{name}_{called}")
            for each, view, called in (
                ("", require_safe(self.look_up), "changelist"),
                ("of/", require_safe(self.show), "of"),
                ("why/", require_safe(self.why), "why"),
                ("change/", require_POST(self.change), "change"),
            )
        ]

    def look_up(self, request: HttpRequest) -> HttpResponse:
        """List tenants, and find one by its id."""
        self._require_view(request)
        if "tenant" in request.GET:
            # Also one of whom nothing is recorded: it holds the default plan.
            tenant = _tenant(request.GET["tenant"].strip())
            if tenant is None:
                return self._listing(request, wrong="That is no id of a tenant.", status=400)
            return HttpResponseRedirect(self._url("of", tenant=tenant))
        return self._listing(request)

    def show(self, request: HttpRequest) -> HttpResponse:
        """Show one tenant."""
        self._require_view(request)
        tenant = _tenant(request.GET.get("tenant"))
        if tenant is None:
            return self._listing(request, wrong="That is no id of a tenant.", status=400)
        return self._tenant_page(request, tenant)

    def why(self, request: HttpRequest) -> HttpResponse:
        """Show every rule that was asked about one key, or about what a customer quotes the reference of."""
        self._require_view(request)
        tenant, key = _tenant(request.GET.get("tenant")), request.GET.get("key", "")
        reference = request.GET.get("reference", "").strip()
        if tenant is None:
            return self._listing(request, wrong="That is no id of a tenant.", status=400)
        try:
            quote = quoted(self.client(), tenant, reference) if reference else None
            key = key if quote is None else quote.key
            explanation = self.client().explain(tenant, key)
        except (EntitlementError, TypeError, ValueError) as error:
            return self._tenant_page(request, tenant, wrong=str(error), status=_status(error))
        decision, read = explanation.decision, explanation.read
        return self._page(
            request,
            "why",
            title=f"{tenant}: {key}",
            tenant=tenant,
            key=key,
            quote=quote,
            # A decision never enters a template: what has no truth value of its own is taken for true there.
            now=now_of(decision.allowed, read is not None and read.allowed),
            reason=decision.reason.value,
            meaning=decision.reason.meaning,
            way_out=decision.reason.way_out,
            steps=explanation.steps,
            subscriptions=explanation.subscriptions,
        )

    def change(self, request: HttpRequest) -> HttpResponse:
        """Show what a change would come to; or carry it out, or let it be corrected, where that was seen."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        tenant, kind = _tenant(request.POST.get("tenant")), ACTS.get(request.POST.get("act", ""))
        if tenant is None or kind is None:
            return self._listing(request, wrong="That is no id of a tenant, or nothing that can be done.", status=400)
        client = self.client()
        form: Act | None = None
        try:
            seen = client.tenant(tenant, fresh=True)
            revision = seen.revision
            form = kind(request.POST, catalog=catalog_of(client), now=seen.at)
            if not form.is_valid():
                wrong = "Nothing was changed. Correct what is marked below."
                return self._tenant_page(request, tenant, form=form, wrong=wrong, status=400)
            if "edit" in request.POST:
                return self._tenant_page(request, tenant, form=form)
            if isinstance(form, Undo):
                _require_own(client, tenant, form.cleaned_data["change"])
            # Of what somebody else has changed since, the review is not what was confirmed.
            is_overtaken = request.POST.get("revision", str(revision)) != str(revision)
            is_dry = is_overtaken or "confirmed" not in request.POST
            admin = client.admin(_actor(request), because=form.cleaned_data["because"], dry_run=is_dry)
            change = form.carry_out(admin, tenant, revision)
        except StoreUnavailable as error:
            return self._keep(request, tenant, kind, error)
        except (EntitlementError, TypeError) as error:
            return self._tenant_page(request, tenant, form=form, wrong=str(error), status=_status(error))
        if is_dry and change.reason is not ChangeReason.REPEATED:
            return self._page(
                request,
                "review",
                title=f"{form.title}: {tenant}",
                tenant=tenant,
                form=form,
                change=change,
                revision=revision,
                wrong="Somebody has changed this tenant since. This is what it would come to now."
                if is_overtaken
                else "",
            )
        said = "; ".join(map(str, change.altered)) if change.applied else f"nothing was changed ({change.reason.value})"
        messages.add_message(request, messages.SUCCESS if change.applied else messages.WARNING, f"{form.title}: {said}")
        return HttpResponseRedirect(self._url("of", tenant=tenant))

    def _keep(self, request: HttpRequest, tenant: str, kind: type[Act], error: StoreUnavailable) -> HttpResponse:
        """
        Show what was written in an outage, to be sent again: nobody writes it twice, and it is done once.

        Without reading anything: there may be nothing to read from.
        """
        names = ("confirmed", "revision", *kind.base_fields)
        written = {name: request.POST[name] for name in names if name in request.POST}
        return self._page(
            request,
            "again",
            status=503,
            title=f"{kind.title}: {tenant}",
            tenant=tenant,
            act=kind.name,
            act_title=kind.title,
            wrong=str(error),
            is_unknown=isinstance(error, OutcomeUnknown),
            written=written,
            shown=[
                (kind.base_fields[name].label or name.capitalize(), written[name])
                for name in kind.field_order or kind.base_fields
                if written.get(name) and name != "operation"
            ],
        )

    def _listing(self, request: HttpRequest, *, wrong: str = "", status: int = 200) -> HttpResponse:
        after = _tenant(request.GET.get("after"))
        try:
            rows = list(self.client()._store.find(after=after, limit=LISTED + 1))
        except EntitlementError as error:
            rows, wrong, status = [], str(error), _status(error)
        more = rows[LISTED - 1].tenant if len(rows) > LISTED else ""
        return self._page(
            request,
            "look_up",
            status=status,
            title="Tenants",
            sought=request.GET.get("tenant", ""),  # also in an outage, to be asked for again
            rows=rows[:LISTED],
            more=more,
            after=after,
            wrong=wrong,
        )

    def _tenant_page(
        self, request: HttpRequest, tenant: str, *, form: Act | None = None, wrong: str = "", status: int = 200
    ) -> HttpResponse:
        client = self.client()
        try:
            page = page_of(client, tenant)
        except EntitlementError as error:
            return self._listing(request, wrong=str(error), status=_status(error))
        catalog = catalog_of(client)
        return self._page(
            request,
            "tenant",
            status=status,
            title=tenant,
            tenant=tenant,
            page=page,
            wrong=wrong,
            reference=request.GET.get("reference", ""),
            may_change=self.has_change_permission(request),
            # Of a form that was refused all is as it was written; of the others nothing is.
            setting=form if isinstance(form, SetOverride) else SetOverride(catalog=catalog),
            refused=form if isinstance(form, ClearOverride | Undo) else None,
        )

    def _page(self, request: HttpRequest, template: str, *, status: int = 200, **context: Any) -> HttpResponse:
        # Links of the site's own templates lead into this one, where a project has several.
        request.current_app = self.admin_site.name
        shared: Mapping[str, Any] = self.admin_site.each_context(request)
        return TemplateResponse(
            request,
            f"payaid/admin/{template}.html",
            {
                **shared,
                "opts": self.opts,
                "look_up_url": self._url("changelist"),
                "of_url": self._url("of"),
                "why_url": self._url("why"),
                "change_url": self._url("change"),
                **context,
            },
            status=status,
        )

    def _url(self, called: str, **query: str) -> str:
        name = f"{self.admin_site.name}:{self.opts.app_label}_{self.opts.model_name}_{called}"
        return reverse(name) + (f"?{urlencode(query)}" if query else "")

    def _require_view(self, request: HttpRequest) -> None:
        if not self.has_view_permission(request):
            raise PermissionDenied

    def _has(self, request: HttpRequest, verb: str) -> bool:
        return bool(cast("Any", request.user).has_perm(f"{self.opts.app_label}.{verb}_{self.opts.model_name}"))


def _tenant(text: str | None) -> str | None:
    """The id that somebody wrote; None where it identifies nobody."""
    try:
        return identify("tenant", text)
    except TypeError:
        return None


def _actor(request: HttpRequest) -> str:
    return f"django:{request.user.get_username()}"


def _require_own(client: Entitlements, tenant: str, change: str) -> None:
    """
    Check that *change* is about *tenant*: whoever may change a tenant may not change what is sold.

    Raises:
        UnknownFeature: It is not, or there is none.
    """
    if not any(entry.tenant == tenant for entry in client._store.audit(id=change, limit=1)):
        raise UnknownFeature(f"{tenant!r} has no change {change!r}")


def _status(error: Exception) -> int:
    if isinstance(error, StoreUnavailable):
        return 503
    return 409 if isinstance(error, ChangeConflict | OperationConflict) else 400
