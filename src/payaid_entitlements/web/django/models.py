"""
A model without a table: it gives tenants their place in the admin site, and permissions that can be granted.

Who a tenant is, and what it holds, stands in our own tables, which Django does not migrate.
"""

from __future__ import annotations

from django.db import models


class Tenant(models.Model):
    """Whoever holds something: known by the id that the host's login has verified."""

    id: models.CharField[str, str] = models.CharField(primary_key=True, max_length=255)

    class Meta:
        """Nothing of it is stored by Django."""

        managed = False
        default_permissions = ("view", "change")
        verbose_name = "tenant"

    def __str__(self) -> str:
        return str(self.pk)
