"""Types as users meet them: `api.py` beside this, read by mypy as strictly as the project reads itself."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import payaid_entitlements
from payaid_entitlements import errors

ROOT = Path(__file__).parents[2]
API = Path(__file__).with_name("api.py")
PUBLIC = (
    "payaid_entitlements",
    "payaid_entitlements.stores.backup",
    "payaid_entitlements.web",
    "payaid_entitlements.web.fastapi",
    "payaid_entitlements.testing",
)


def used() -> set[str]:
    """Names that are used in `api.py`, beyond being imported."""
    return {node.id for node in ast.walk(ast.parse(API.read_text("utf-8"))) if isinstance(node, ast.Name)}


@pytest.mark.parametrize("module", PUBLIC)
def test_every_public_name_is_used_as_a_user_would(module):
    assert set(importlib.import_module(module).__all__) - used() == set()


def test_every_error_is_used_as_a_user_would():
    assert {name for name, kind in vars(errors).items() if isinstance(kind, type)} - used() == set()


def test_public_names_are_sorted_and_exist():
    for module in map(importlib.import_module, PUBLIC):
        assert [getattr(module, name) for name in module.__all__]
        assert len(set(module.__all__)) == len(module.__all__)
        assert {name for name in module.__all__ if name.startswith("_")} == set()
    assert payaid_entitlements.__version__


@pytest.mark.soak  # `nox -s typing` reads the same file
def test_what_users_write_type_checks_and_what_must_not_does_not(tmp_path):
    """
    Unused ignores are errors: a line that begins to type-check is one.
    """
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--config-file",
        str(ROOT / "pyproject.toml"),
        "--cache-dir",
        str(tmp_path),
    ]
    done = subprocess.run([*command, str(API)], cwd=ROOT, capture_output=True, text=True, check=False)

    assert (done.stdout, done.returncode) == ("Success: no issues found in 1 source file\n", 0)


def test_the_settings_are_strict():
    import tomllib

    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["mypy"]

    assert settings["strict"] is True
    assert {"truthy-bool", "ignore-without-code"} <= set(settings["enable_error_code"])
