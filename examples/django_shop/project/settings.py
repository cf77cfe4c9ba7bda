"""Settings of the shop. What is about entitlements stands at the end."""

import os
from pathlib import Path

from payaid_entitlements.web import exempt

BASE_DIR = Path(__file__).parents[1]
SECRET_KEY = "a secret of an example, which is none"
DEBUG = True
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
ROOT_URLCONF = "project.urls"
USE_TZ = True
TIME_ZONE = "Asia/Kolkata"  # in it operators write and read times
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "rest_framework",
    "shop",  # before the next one, whose template it overrides
    "payaid_entitlements.web.django",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "payaid_entitlements.web.django.EntitlementsMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
# Of the people who work for us; what customers hold stands there too.
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ.get("SHOP_DB", "shop.db")}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
STATIC_URL = "/static/"
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["shop.login.KeyLogin"],
    "UNAUTHENTICATED_USER": "shop.login.Nobody",
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
}

PAYAID = {
    "URL": "django://default",
    "CATALOG": "catalog.yaml",
    "TENANT": "shop.login.tenant_of",
    "PROXIES": 0,
    # A view before which nothing stands is a mistake that `manage.py check` tells, and is not served.
    "UNGUARDED": "refuse",
    "ROUTES": {"admin": exempt, "home": exempt, "login": exempt, "analytics": "analytics"},
}
