"""Apps that were moved from slowapi and flask-limiter answer as they did; and several processes count together."""

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from payaid_entitlements import Catalog, Entitlements

HERE = Path(__file__).parents[2] / "examples" / "moving_rate_limits"
#: Each with the package that the old app needs.
FRAMEWORKS = {"slowapi": "slowapi", "flask": "flask_limiter"}
#: A method, a path, an account and how often.
REQUESTS = [
    ("POST", "/sign-in", "", 4),
    ("GET", "/reports", "poor", 6),
    ("GET", "/reports", "other", 1),
    ("GET", "/reports", "rich", 6),
    ("GET", "/export", "poor", 3),
    ("GET", "/print", "poor", 2),
    ("GET", "/export", "poor", 1),
    ("GET", "/print", "other", 1),
    ("POST", "/bulk", "poor", 3),
]
ANSWERS = [*[200] * 3, 429, *[200] * 5, 429, 200, *[200] * 6, *[200] * 3, 200, 429, 429, 200, *[200] * 2, 429]
#: What is asked of another process afterwards.
AGAIN = [("POST", "/sign-in", "", 1), ("GET", "/reports", "poor", 1), ("GET", "/export", "other", 1)]


def statuses(app, requests=REQUESTS):
    """What *app*, for ASGI or WSGI, answers."""
    client = TestClient(app) if hasattr(app, "router") else app.test_client()
    return [
        (client.request if hasattr(client, "base_url") else client.open)(
            **({"url": path} if hasattr(client, "base_url") else {"path": path}),
            method=method,
            headers={"x-account": account},
        ).status_code
        for method, path, account, times in requests
        for _ in range(times)
    ]


def apps(framework, directory):
    """The app before and after, with the store that is its own."""
    os.environ["PAYAID_URL"] = f"sqlite:///{directory}/{framework}.db"
    return [runpy.run_path(str(HERE / f"{framework}_{which}.py"))["app"] for which in ("before", "after")]


# As slowapi is, on Python 3.14.
@pytest.mark.filterwarnings("ignore:.*iscoroutinefunction:DeprecationWarning")
def test_the_new_apps_answer_as_the_old_ones_and_count_in_all_processes(tmp_path, monkeypatch):
    for needed in FRAMEWORKS.values():
        pytest.importorskip(needed)
    monkeypatch.setenv("PAYAID_URL", "")  # which apps() changes
    catalog = Catalog.load(HERE / "catalog.yaml")
    for framework in FRAMEWORKS:
        with Entitlements.open(f"sqlite:///{tmp_path}/{framework}.db", catalog=catalog) as ent:
            ent.admin("deploy", because="test").publish(catalog)
            ent.admin("deploy", because="test").subscribe("rich", "pro")

        before, after = apps(framework, tmp_path)

        assert statuses(before) == ANSWERS
        assert statuses(after) == ANSWERS
    for old, new in elsewhere(tmp_path):
        assert old == [200, 200, 200], "each process counts on its own"
        assert new == [429, 429, 200]


def elsewhere(directory):
    """What the apps answer in another process."""
    code = f"""
import json
from tests.examples.test_moving_rate_limits import AGAIN, FRAMEWORKS, apps, statuses
print(json.dumps([[statuses(app, AGAIN) for app in apps(each, {str(directory)!r})] for each in FRAMEWORKS]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_what_is_left_is_told(tmp_path, monkeypatch):
    pytest.importorskip("flask")
    monkeypatch.setenv("PAYAID_URL", "memory://")
    client = runpy.run_path(str(HERE / "flask_after.py"))["app"].test_client()

    first = client.get("/reports", headers={"x-account": "poor"})
    assert first.headers["RateLimit-Policy"] == '"reports";q=5;w=3600'
    assert first.headers["RateLimit"].startswith('"reports";r=4;t=')
    refused = [client.get("/reports", headers={"x-account": "poor"}) for _ in range(5)][-1]
    assert (refused.status_code, refused.json["violated-policies"]) == (429, ["reports"])
    assert int(refused.headers["Retry-After"]) <= 720
