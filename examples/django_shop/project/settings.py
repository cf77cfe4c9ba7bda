"""Settings of the shop. What is about entitlements stands at the end."""

from pathlib import Path

from payaid_entitlements.web import exempt

BASE_DIR = Path(__file__).parents[1]
SECRET_KEY = "a secret of an example, which is none"
DEBUG = True
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
ROOT_URLCONF = "project.urls"
USE_TZ = True
INSTALLED_APPS = [
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
    "payaid_entitlements.web.django.EntitlementsMiddleware",
    "shop.login.LoginMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {"context_processors": ["django.template.context_processors.request"]},
    }
]
# No database is needed: who has logged in stands in a cookie that is signed.
SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
STATIC_URL = "/static/"
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["shop.login.KeyLogin"],
    "UNAUTHENTICATED_USER": "shop.login.Nobody",
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
}

# Which store it is says PAYAID_URL in the environment, else it is payaid.db in the folder where this is started.
PAYAID = {
    "CATALOG": "catalog.yaml",
    "TENANT": "shop.login.tenant_of",
    "PROXIES": 0,
    # A view before which nothing stands is a mistake that `manage.py check` tells, and is not served.
    "UNGUARDED": "refuse",
    "ROUTES": {"home": exempt, "login": exempt, "analytics": "analytics"},
}
