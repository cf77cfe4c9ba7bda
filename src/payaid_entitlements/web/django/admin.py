"""What Django's admin site finds: the pages of tenants, on the site that ``admin.site`` is."""

from __future__ import annotations

from django.contrib import admin

from payaid_entitlements.web.django.models import Tenant
from payaid_entitlements.web.django.tenants.pages import TenantPages

admin.site.register(Tenant, TenantPages)
