"""Where the example is: beside the package in a clone, inside it when it was installed."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import payaid_entitlements
from payaid_entitlements.cli.endings import Ending

_PACKAGE = Path(payaid_entitlements.__file__).parent
#: In the wheel, then in a clone (whose package is under ``src``).
PLACES = (_PACKAGE / "examples" / "payaid", _PACKAGE.parents[1] / "examples" / "payaid")


def example_directory() -> Path:
    """
    Find the directory of the example app and its catalog.

    Raises:
        Ending: It is neither in the package nor beside it.
    """
    for place in PLACES:
        if (place / "catalog.yaml").is_file():
            return place
    raise Ending("the example is not here; install the package from its wheel, or run from a clone")


def example(name: str) -> ModuleType:
    """Load a module of the example, such as ``tenants``."""
    # By path and under a name of our own: "login" and "tenants" are names that a host's own modules may have.
    alias = f"payaid_entitlements_example_{name}"
    spec = importlib.util.spec_from_file_location(alias, example_directory() / f"{name}.py")
    assert spec is not None  # the file ends in .py
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[alias] = module
    spec.loader.exec_module(module)
    return module
