"""Where the views are."""

from django.urls import include, path
from rest_framework.routers import SimpleRouter

from shop import views
from shop.api import Orders

router = SimpleRouter()
router.register("orders", Orders, basename="api-orders")

urlpatterns = [
    path("", views.home, name="home"),
    path("login", views.login, name="login"),
    path("orders", views.orders, name="orders"),
    path("orders/export", views.Export.as_view(), name="export"),
    path("invoices/<int:number>", views.invoice, name="invoice"),
    path("analytics/", include(([path("", views.analytics, name="overview")], "analytics"))),
    path("api/", include(router.urls)),
]
