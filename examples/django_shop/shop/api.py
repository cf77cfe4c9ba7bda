"""The API: what each action needs, and how often it may be called."""

from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from payaid_entitlements.web.django.rest import EntitlementThrottle, HasEntitlement


class Orders(ViewSet):
    """Orders, for programs of customers."""

    permission_classes = (HasEntitlement,)
    required_features = {"*": "orders", "export": "orders.export"}  # noqa: RUF012 # as REST framework is written
    throttle_classes = (EntitlementThrottle,)
    rate_limit = "api"

    def list(self, request: Request) -> Response:
        """All of them."""
        return Response([1001, 1002])

    @action(detail=False)
    def export(self, request: Request) -> Response:
        """All of them, to take away."""
        return Response({"orders": "1001;1002"})
