"""The pages: by decorator, by mixin, and by a line in the settings."""

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.generic import TemplateView

from payaid_entitlements import consume_quota, require_module
from payaid_entitlements.web.django import FeatureRequiredMixin


def home(request: HttpRequest) -> HttpResponse:
    """Open to everybody: the settings say so."""
    return render(request, "shop/home.html")


def login(request: HttpRequest) -> HttpResponse:
    """Log in as somebody."""
    request.session["org"] = request.POST["org"]
    return HttpResponseRedirect("/orders")


@require_module("orders")
def orders(request: HttpRequest) -> HttpResponse:
    """A page that shows what the customer could have."""
    return render(request, "shop/orders.html")


class Export(FeatureRequiredMixin, TemplateView):
    """A class of views."""

    required_feature = "orders.export"
    template_name = "shop/export.html"


@consume_quota("orders.invoices", operation="invoice:{number}")
def invoice(request: HttpRequest, number: int) -> HttpResponse:
    """Uses one up, and gives it back when this fails."""
    if number == 13:
        raise ValueError("no invoice has this number")
    return HttpResponse(f"invoice {number}")


async def analytics(request: HttpRequest) -> HttpResponse:
    """Its namespace stands in the settings. In a coroutine the tenant is awaited."""
    tenant = await request.entitlements
    return HttpResponse(f"analytics of {tenant.tenant}")
