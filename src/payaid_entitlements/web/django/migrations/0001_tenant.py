"""The model without a table, for its permissions."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    """Nothing is sent to a database."""

    initial = True
    dependencies: ClassVar = []
    operations: ClassVar = [
        migrations.CreateModel(
            name="Tenant",
            fields=[("id", models.CharField(max_length=255, primary_key=True, serialize=False))],
            options={"verbose_name": "tenant", "default_permissions": ("view", "change"), "managed": False},
        )
    ]
