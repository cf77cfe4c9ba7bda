"""What an operator may say about a tenant: an exception, with its reason and its end; its end now; an undoing."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar
from uuid import uuid4

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone

from payaid_entitlements.admin import Admin, Change
from payaid_entitlements.core.catalog.model import Catalog
from payaid_entitlements.core.typed import overridable, typed
from payaid_entitlements.errors import UnknownFeature


class Act(forms.Form):
    """
    What all acts need.

    Args:
        now: When it is, by the clock of the client; of a form that nobody has filled in, nothing asks.

    Attributes:
        name: Which act it is, in the field ``act``.
        title: What it is called.
    """

    name: ClassVar[str]
    title: ClassVar[str]

    required_css_class = "required"
    because = forms.CharField(
        max_length=500,
        label="Because",
        help_text="A ticket or a sentence. It is kept with the change, and everybody who may look reads it.",
        widget=forms.TextInput(attrs={"size": 60}),
    )
    #: By it a form that is sent twice is one change.
    operation = forms.UUIDField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, catalog: Catalog, now: datetime | None = None, **named: Any) -> None:
        super().__init__(*args, **named)
        self.catalog = catalog
        self.now = now

    def clean_operation(self) -> object:
        """Make one for a form that has none."""
        return self.cleaned_data["operation"] or uuid4()

    def carry_out(self, admin: Admin, tenant: str, expect: int) -> Change:
        """
        Do it.

        Args:
            expect: Revision of the tenant that was looked at.

        Raises:
            EntitlementError, TypeError: It is refused.
        """
        raise NotImplementedError(self.name)  # each act below has its own

    def again(self) -> dict[str, str]:
        """What was written, for the form that confirms it; with the operation, whether it was written or made."""
        written = {name: str(self.data[name]) for name in self.fields if name in self.data}
        return written | {"operation": str(self.cleaned_data["operation"])}

    @property
    def _operation(self) -> tuple[str, str]:
        return "django-admin", str(self.cleaned_data["operation"])


class SetOverride(Act):
    """Let a key be something else than what was bought, until a time."""

    name, title = "override", "Set an override"

    feature = forms.CharField(
        max_length=255,
        label="Key",
        help_text="Of a module, a feature, or a rate limit (rate_limits.api).",
        widget=forms.TextInput(attrs={"list": "keys"}),  # the page has them
    )
    to = forms.CharField(
        max_length=255,
        label="To",
        help_text="true, false, a value as in the catalog (500/month), rates joined by commas, unlimited or deny.",
    )
    until = forms.DateTimeField(
        required=False,
        label="Until",
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )
    forever = forms.BooleanField(required=False, label="Without an end")
    user = forms.CharField(required=False, max_length=255, label="Only for the user")
    field_order = ("feature", "to", "until", "forever", "user", "because")

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        # Whoever writes a time has to know whose; the field of a browser has no zone.
        self.fields["until"].help_text = f"It ends then by itself. Time of {timezone.get_current_timezone_name()}."

    def clean_feature(self) -> str:
        """A key that the catalog has."""
        key: str = self.cleaned_data["feature"].strip()
        try:
            return overridable(self.catalog, key)
        except UnknownFeature as error:
            raise ValidationError(str(error)) from error

    def clean_until(self) -> datetime | None:
        """
        Still to come; in the zone of the project, where that has ``USE_TZ = False`` too.

        What was confirmed may be sent again when its end is over, to find out whether it was done: the library knows.
        """
        until: datetime | None = self.cleaned_data["until"]
        if until is None:
            return None
        if timezone.is_naive(until):
            until = timezone.make_aware(until)
        if self.now is not None and until <= self.now and "confirmed" not in self.data:
            now = self.now.astimezone(timezone.get_current_timezone())
            raise ValidationError(f"That is over already: it is {now:%Y-%m-%d %H:%M %z} now.")
        return until

    def clean(self) -> dict[str, Any]:
        """An end, or none in so many words; a value that the key can have."""
        said = self.cleaned_data
        if "until" in said and bool(said["until"]) == said["forever"]:
            self.add_error("until", "Say when it ends, or that it has no end.")
        if "feature" in said and "to" in said:
            try:
                said["value"] = typed(self.catalog, said["feature"], said["to"])
            except ValueError as error:
                self.add_error("to", str(error))
        return said

    def carry_out(self, admin: Admin, tenant: str, expect: int) -> Change:
        """Same as `Act.carry_out`."""
        said = self.cleaned_data
        return admin.override(
            tenant,
            said["feature"],
            said["value"],
            until=said["until"],
            user=said["user"] or None,
            expect=expect,
            operation=self._operation,
        )


class ClearOverride(Act):
    """Let what was bought count again."""

    name, title = "clear", "Clear an override"

    feature = forms.CharField(max_length=255, widget=forms.HiddenInput)
    user = forms.CharField(required=False, max_length=255, widget=forms.HiddenInput)

    def carry_out(self, admin: Admin, tenant: str, expect: int) -> Change:
        """Same as `Act.carry_out`."""
        said = self.cleaned_data
        return admin.clear_override(
            tenant, said["feature"], user=said["user"] or None, expect=expect, operation=self._operation
        )


class Undo(Act):
    """Take a change back."""

    name, title = "undo", "Undo a change"

    change = forms.CharField(max_length=255, widget=forms.HiddenInput)

    def carry_out(self, admin: Admin, tenant: str, expect: int) -> Change:
        """Same as `Act.carry_out`. Whose change it is was looked at before; what it is about may not have changed."""
        return admin.undo(self.cleaned_data["change"], operation=self._operation)


ACTS: dict[str, type[Act]] = {each.name: each for each in (SetOverride, ClearOverride, Undo)}
