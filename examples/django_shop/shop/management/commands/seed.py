"""``python manage.py seed``: two customers."""

from typing import Any

from django.core.management.base import BaseCommand

from payaid_entitlements.web.django import entitlements


class Command(BaseCommand):
    """Subscribes them."""

    help = "Subscribe asha to the plan pro; bina has the free one, as everybody."

    def handle(self, *args: Any, **options: Any) -> None:
        """Write into the store."""
        change = entitlements().admin("seed", because="an example").subscribe("asha", "pro", operation="seed:asha")
        self.stdout.write("asha has pro" if change.applied else "asha had it already")
