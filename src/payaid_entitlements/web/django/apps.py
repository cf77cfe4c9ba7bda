"""What ``INSTALLED_APPS`` finds."""

from __future__ import annotations

from django.apps import AppConfig
from django.core.checks import Tags, register
from django.db.models.signals import post_migrate


class PayaidConfig(AppConfig):
    """The app: template tags, templates, system checks, and our tables behind Django's own."""

    name = "payaid_entitlements.web.django"
    label = "payaid"
    verbose_name = "Entitlements"
    default = True
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the system checks."""
        from payaid_entitlements.web.django import checks, migrating

        register(checks.settings_are_right, Tags.security)
        register(checks.views_are_guarded, Tags.urls)
        register(migrating.out_of_date, Tags.database)
        post_migrate.connect(migrating.after_migrate, sender=self, dispatch_uid="payaid_entitlements")
