"""A Django project for tests: one for the process, as Django has it, with databases that come and go with a test."""

from __future__ import annotations

import os
import time

import django
import pymysql
from django.apps import apps


def begun() -> None:
    """Set Django up with `tests.project.settings`, unless it is."""
    if not apps.ready:
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.project.settings")
        # There is no wheel of the driver that Django names.
        pymysql.install_as_MySQLdb()
        before = os.environ.get("TZ")
        django.setup()
        # Django sets the time zone of the whole process, and other tests in it tell the time too.
        if before is None:
            os.environ.pop("TZ", None)
        else:
            os.environ["TZ"] = before
        time.tzset()
