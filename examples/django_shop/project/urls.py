"""Where the views are."""

from django.urls import include, path

urlpatterns = [path("", include("shop.urls"))]
