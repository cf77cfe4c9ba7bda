"""
Importing costs an app little: nothing optional, no thread, no socket, no file of its own; and what is missing is named.

Each question is asked of a fresh interpreter.
"""

from __future__ import annotations

import importlib
import json
import os
import runpy
import subprocess
import sys
from collections.abc import Sequence

import pytest

#: Packages that only extras bring, and what would bring the cost of one.
OPTIONAL = {
    "aiosqlite",
    "alembic",
    "anyio",
    "fastapi",
    "greenlet",
    "httpx",
    "httpx2",
    "openfeature",
    "psycopg",
    "pytest",
    "rich",
    "sqlalchemy",
    "starlette",
    "typer",
    "uvicorn",
}

WATCH = """
import json, sys
seen = []
def watch(event, args):
    if event.startswith("socket.") or event in {"_thread.start_new_thread", "subprocess.Popen", "os.fork"}:
        seen.append(event)
    elif event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+"):
        seen.append(f"{event} {args[0]}")
sys.addaudithook(watch)
sys.dont_write_bytecode = True
"""
TELL = """
import threading
print(json.dumps({
    "modules": sorted({name.partition(".")[0] for name in sys.modules}),
    "ours": sorted(name for name in sys.modules if name.startswith("payaid_entitlements")),
    "seen": seen,
    "threads": threading.active_count(),
}))
"""


def told(code: str) -> dict[str, list[str]]:
    """What a fresh interpreter tells after *code*."""
    # What measures the suite would be measured too: it imports, and writes a file.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    command = [sys.executable, "-c", WATCH + code + TELL]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    found: dict[str, list[str]] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize(
    "code",
    [
        "import payaid_entitlements",
        "import payaid_entitlements.web",
        "import payaid_entitlements.testing",
        "import payaid_entitlements.cli",
        "from payaid_entitlements import *",
        "from payaid_entitlements import Entitlements; Entitlements.open('memory://')",
        "from payaid_entitlements import AsyncEntitlements; AsyncEntitlements.open('memory://')",
    ],
)
def test_importing_and_opening_bring_nothing_optional_and_start_nothing(code):
    found = told(code + "\n")

    assert OPTIONAL & set(found["modules"]) == set()
    assert (found["seen"], found["threads"]) == ([], 1)


def test_the_core_stands_alone():
    """
    The rules import neither a store, a cache nor a client.
    """
    found = told("import payaid_entitlements.core.resolution\n")

    assert "payaid_entitlements.core.resolution" in found["ours"]
    assert OPTIONAL & set(found["modules"]) == set()


def test_opening_a_database_connects_to_nothing():
    """
    Not even where nobody listens: the first question does.
    """
    found = told(
        "from payaid_entitlements import AsyncEntitlements, Entitlements\n"
        "Entitlements.open('postgresql://somebody@127.0.0.1:1/nowhere')\n"
        "Entitlements.open('sqlite:///there/is/no/such/directory.db')\n"
        "AsyncEntitlements.open('postgresql://somebody@127.0.0.1:1/nowhere')\n"
    )

    assert (found["seen"], found["threads"]) == ([], 1)


def test_the_gate_imports_no_database_and_no_command_line():
    found = told("import payaid_entitlements.web.fastapi\n")

    assert {"fastapi", "starlette"} <= set(found["modules"])
    assert {"sqlalchemy", "typer", "rich", "uvicorn", "pytest"} & set(found["modules"]) == set()


def test_a_provider_imports_its_sdk_and_no_framework():
    found = told("import payaid_entitlements.openfeature\n")

    assert "openfeature" in found["modules"]
    assert (OPTIONAL - {"openfeature"}) & set(found["modules"]) == set()


@pytest.mark.parametrize("package", ["ofrep", "wsgi"])
def test_serving_flags_and_plain_apps_needs_no_framework(package):
    found = told(f"import payaid_entitlements.web.{package}\n")

    assert OPTIONAL & set(found["modules"]) == set()


def test_nobody_who_asks_imports_what_migrates(tmp_path):
    """
    It takes as long as everything else together; a new SQLite file is made without it.
    """
    found = told(
        "from payaid_entitlements.stores.opening import open_store\n"
        f"store = open_store('sqlite:///{tmp_path / 'payaid.db'}')\n"
        "store.prepare()\n"
        "store.read(['acme'])\n"
        "store.close()\n"
    )

    assert "sqlalchemy" in found["modules"]
    assert {"alembic", "mako"} & set(found["modules"]) == set()


BLOCK = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name in absent:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
"""
DRIVER = "a database needs a driver: pip install 'payaid-entitlements[sql]', or open memory:// (No module named "


def failing(code: str, absent: Sequence[str]) -> tuple[int, str]:
    """How a fresh interpreter ends that lacks the *absent* packages, and the last line that it says."""
    block = f"absent = {list(absent)!r}\n{BLOCK}"
    done = subprocess.run([sys.executable, "-c", block + code], capture_output=True, text=True, check=False)
    return done.returncode, done.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("absent", "code", "says"),
    [
        (
            "sqlalchemy",
            "from payaid_entitlements import Entitlements; Entitlements.open('sqlite:///a.db')",
            f"ConfigurationError: {DRIVER}",
        ),
        (
            "sqlalchemy",
            "from payaid_entitlements import AsyncEntitlements; AsyncEntitlements.open()",
            f"ConfigurationError: {DRIVER}",
        ),
        (
            "psycopg",
            "from payaid_entitlements import Entitlements; Entitlements.open('postgresql://a@b/c')",
            f"ConfigurationError: {DRIVER}",
        ),
        (
            "aiosqlite",
            "from payaid_entitlements import AsyncEntitlements; AsyncEntitlements.open('sqlite:///a.db')",
            f"ConfigurationError: {DRIVER}",
        ),
        (
            "fastapi",
            "import payaid_entitlements.web.fastapi",
            "ModuleNotFoundError: a gate for FastAPI needs the package 'fastapi'; "
            "run: pip install 'payaid-entitlements[fastapi]'",
        ),
        (
            "starlette",
            "from payaid_entitlements.web.fastapi import Gate",
            "ModuleNotFoundError: a gate for FastAPI needs the package 'starlette'; "
            "run: pip install 'payaid-entitlements[fastapi]'",
        ),
        (
            "starlette",
            "import payaid_entitlements.web.asgi, payaid_entitlements.web.starlette",
            "ModuleNotFoundError: a gate for Starlette needs the package 'starlette'; "
            "run: pip install 'payaid-entitlements[starlette]'",
        ),
        (
            "flask",
            "import payaid_entitlements.web.flask",
            "ModuleNotFoundError: a gate for Flask needs the package 'flask'; "
            "run: pip install 'payaid-entitlements[flask]'",
        ),
        (
            "django",
            "import payaid_entitlements.web.django",
            "ModuleNotFoundError: entitlements in Django need the package 'django'; "
            "run: pip install 'payaid-entitlements[django]'",
        ),
        (
            "openfeature",
            "from payaid_entitlements.openfeature import FlagProvider",
            "ModuleNotFoundError: a provider for OpenFeature needs the package 'openfeature-sdk'; "
            "run: pip install 'payaid-entitlements[openfeature]' (No module named ",
        ),
        (
            "typer",
            "from payaid_entitlements.cli import main; main()",
            "payaid needs the package 'typer'; run: pip install 'payaid-entitlements[cli]'",
        ),
        (
            "rich",
            "from payaid_entitlements.cli import main; main()",
            "payaid needs the package 'rich'; run: pip install 'payaid-entitlements[cli]'",
        ),
    ],
)
def test_what_is_missing_is_named_with_the_extra_that_has_it(absent, code, says):
    status, last = failing(code, [absent])

    assert status != 0
    assert last.removeprefix("payaid_entitlements.errors.").startswith(says)
    assert repr(absent) in last


@pytest.mark.parametrize(
    ("package", "part", "missing", "says"),
    [
        (
            "web.fastapi",
            "gate",
            "fastapi",
            "a gate for FastAPI needs the package 'fastapi'; run: pip install 'payaid-entitlements[fastapi]'",
        ),
        ("web.fastapi", "gate", "pydantic", "No module named 'pydantic'"),
        (
            "web.starlette",
            "gate",
            "starlette",
            "a gate for Starlette needs the package 'starlette'; run: pip install 'payaid-entitlements[starlette]'",
        ),
        ("web.starlette", "gate", "pydantic", "No module named 'pydantic'"),
        (
            "web.flask",
            "gate",
            "werkzeug",
            "a gate for Flask needs the package 'werkzeug'; run: pip install 'payaid-entitlements[flask]'",
        ),
        ("web.flask", "gate", "pydantic", "No module named 'pydantic'"),
        (
            "web.django",
            "middleware",
            "asgiref",
            "entitlements in Django need the package 'asgiref'; run: pip install 'payaid-entitlements[django]'",
        ),
        ("web.django", "middleware", "pydantic", "No module named 'pydantic'"),
        (
            "openfeature",
            "entitlements",
            "openfeature.provider",
            "a provider for OpenFeature needs the package 'openfeature-sdk'; "
            "run: pip install 'payaid-entitlements[openfeature]' (No module named 'openfeature.provider')",
        ),
        ("openfeature", "entitlements", "pydantic", "No module named 'pydantic'"),
    ],
)
def test_only_what_the_extra_has_is_said_to_be_in_it(monkeypatch, package, part, missing, says):
    """
    The same in this process, where coverage sees it.
    """
    name = f"payaid_entitlements.{package}"
    found = importlib.import_module(name)

    class Absent:
        def find_spec(self, asked, path=None, target=None):
            if asked == f"{name}.{part}":
                raise ModuleNotFoundError(f"No module named {missing!r}", name=missing)

    monkeypatch.delitem(sys.modules, f"{name}.{part}")
    monkeypatch.setattr(sys, "meta_path", [Absent(), *sys.meta_path])

    with pytest.raises(ModuleNotFoundError) as error:
        runpy.run_path(found.__file__)

    assert (str(error.value), error.value.name) == (says, missing)


def test_what_is_missing_elsewhere_keeps_its_own_name():
    """
    A package that FastAPI itself lacks is not in our extra to name.
    """
    status, last = failing("import payaid_entitlements.web.fastapi", ["typing_extensions"])

    assert (status, last.split(":")[0]) == (1, "ModuleNotFoundError")
    assert "payaid" not in last


def test_without_any_extra_memory_serves():
    status, last = failing(
        "from payaid_entitlements import Catalog, Entitlements\n"
        "catalog = Catalog.load({'catalog': 1, 'modules': {'crm': {}}, 'plans': {'free': {'modules': ['crm']}}})\n"
        "with Entitlements.open('memory://', catalog=catalog) as ent:\n"
        "    ent.admin('me', because='to see').subscribe('acme', 'free')\n"
        "    print(ent.check('acme', 'crm').allowed, file=sys.stderr)\n",
        sorted(OPTIONAL),
    )

    assert (status, last) == (0, "True")


def test_who_only_asks_loads_neither_what_changes_things_nor_what_compiles_flags() -> None:
    late = ("payaid_entitlements.admin", "payaid_entitlements.core.flags.evaluating")
    asked = """
from payaid_entitlements import Catalog, Entitlements
with Entitlements.open("memory://", catalog=Catalog.load({"catalog": 1, "modules": {"crm": {}}, "plans": {}})) as ent:
    assert not ent.check("acme", "crm").allowed
"""
    assert not set(late) & set(told(asked)["ours"])
    changed = "from payaid_entitlements import Admin, AsyncAdmin, Change\n"
    assert late[0] in told(changed)["ours"]


def test_who_limits_no_addresses_does_not_load_what_reads_them() -> None:
    assert "ipaddress" not in told("import payaid_entitlements\n")["modules"]


def test_a_name_that_is_not_there_is_said_as_ever() -> None:
    import payaid_entitlements

    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = payaid_entitlements.nothing  # type: ignore[attr-defined] # that is the point
